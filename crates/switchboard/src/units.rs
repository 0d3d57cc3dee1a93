//! Figures for people.

/// At most five characters: `999`, `1.2k`, `34M`.
pub(crate) fn count(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// At most seven characters: `999B`, `1.2KiB`, `34MiB`.
pub(crate) fn bytes(number: f64) -> String {
    scaled(number, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

fn scaled(number: f64, base: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (number, 0);
    // A value that would round up to the next unit is written in that.
    while value.round() >= base.min(1000.0) && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let is_whole = value >= 9.95 || (value * 10.0).round() % 10.0 == 0.0;
    let digits = usize::from(!is_whole);
    format!("{value:.digits$}{}", units[unit])
}

/// A duration in seconds, at most five characters: `0.2s`, `59s`, `3.5m`, `2d`.
pub(crate) fn age(seconds: f64) -> String {
    let units = [(60.0, "s"), (60.0, "m"), (24.0, "h"), (f64::INFINITY, "d")];
    let mut value = seconds;
    for (next, unit) in units {
        // A value that would round up to the next unit is written in that.
        if value.round() < next {
            let is_whole = value >= 9.95 || (value * 10.0).round() % 10.0 == 0.0;
            return format!("{value:.0$}{unit}", usize::from(!is_whole));
        }
        value /= next;
    }
    format!("{value:.0}d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (9.96, "10"),
            (12.3, "12"),
            (999.0, "999"),
            (999.6, "1k"),
            (1000.0, "1k"),
            (1234.0, "1.2k"),
            (12_345.0, "12k"),
            (999_999.0, "1M"),
            (1.8e19, "18E"),
        ] {
            assert_eq!(count(number), text, "{number}");
        }
    }

    #[test]
    fn bytes_are_short() {
        for (number, text) in [
            (0.0, "0B"),
            (999.0, "999B"),
            (1023.0, "1KiB"),
            (1536.0, "1.5KiB"),
            (f64::from(512 << 20), "512MiB"),
            (1.8e19, "16EiB"),
        ] {
            assert_eq!(bytes(number), text, "{number}");
        }
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.04, "0s"),
            (0.25, "0.2s"),
            (9.96, "10s"),
            (59.4, "59s"),
            (59.6, "1m"),
            (90.0, "1.5m"),
            (3599.0, "1h"),
            (86_399.0, "1d"),
            (8.64e9, "100000d"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }
}
