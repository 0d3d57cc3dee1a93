//! Numbers in the sentences of events.

/// The ending of a noun behind its count.
pub(crate) fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A number of bytes as a setting has it: `4 MiB`, and `4194305 bytes` if it is no whole number of a larger unit.
pub(crate) fn size(bytes: usize) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(bits, _)| bytes >> bits > 0 && bytes.trailing_zeros() >= *bits);
    unit.map_or_else(|| format!("{bytes} byte{}", s(bytes)), |(bits, unit)| format!("{} {unit}", bytes >> bits))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_said_as_a_setting_has_it() {
        let cases = [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1 KiB"), (1025, "1025 bytes")];
        let larger = [(1536, "1536 bytes"), (4 << 20, "4 MiB"), (5120 << 10, "5 MiB"), (1 << 30, "1 GiB")];
        for (bytes, text) in cases.into_iter().chain(larger) {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(usize::MAX), format!("{} bytes", usize::MAX));
    }
}
