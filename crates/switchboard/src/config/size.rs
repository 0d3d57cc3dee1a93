//! Sizes and durations as people write them.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Reads `8MiB`, `64 KiB`, `1.5GB`, `123`.
pub(crate) fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text)?;
    let unit = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(unit)?,
        Err(_) => {
            let bytes = number.parse::<f64>().ok()? * unit as f64;
            // Half a byte is a slip of the pen, and beyond 2^53 a float no longer is exact.
            if bytes.fract() != 0.0 || bytes > (1u64 << 53) as f64 {
                return None;
            }
            bytes as u64
        }
    };
    usize::try_from(bytes).ok()
}

/// The shortest exact way to write a size.
pub(crate) fn show_size(bytes: usize) -> String {
    for (name, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        let unit = 1usize << shift;
        if bytes != 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

const DURATIONS: [(&str, u64); 9] = [
    ("", 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads `50ms`, `10s`, `1.5 s`, `2` (seconds).
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let unit = DURATIONS.iter().find(|(name, _)| *name == unit)?.1;
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(unit).map(Duration::from_nanos),
        Err(_) => Duration::try_from_secs_f64(number.parse::<f64>().ok()? * (unit as f64 / 1e9)).ok(),
    }
}

/// The shortest exact way to write a duration.
pub(crate) fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let day = 86_400_000_000_000;
    if nanos > 0 && nanos.is_multiple_of(day) {
        return format!("{}d", nanos / day);
    }
    for (name, unit) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)] {
        if nanos.is_multiple_of(unit) {
            return format!("{}{name}", nanos / unit);
        }
    }
    format!("{nanos}ns")
}

/// Only digits and a point: `parse::<f64>` alone would take `inf`, `1e9` and `-1` as well.
fn split_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then_some((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("8MiB", 8 << 20),
            ("64 KiB", 64 << 10),
            ("123", 123),
            ("0", 0),
            ("1.5kb", 1500),
            ("2gib", 2 << 30),
            (" 7 B ", 7),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1e3", "inf", "8 MiBs", "0.3", "99999999999999999999", "20000000 TiB", "1.2.3"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        for bytes in [0, 1, 1023, 1024, 1025, 8 << 20, 3 << 30, usize::MAX] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(show_size(8 << 20), "8MiB");
    }

    #[test]
    fn durations() {
        for (text, millis) in [("50ms", 50), ("10s", 10_000), ("2", 2000), ("1.5 s", 1500), ("0", 0), ("2m", 120_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "ms", "-1s", "1 year", "inf", "99999999999999999999h", "1..2"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for nanos in [0, 1, 1500, 50_000_000, 10_000_000_000, 1_500_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_duration(Duration::from_millis(50)), "50ms");
    }
}
