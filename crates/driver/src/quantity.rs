//! Sizes, durations and counts as people write them: one grammar for options, settings and URLs. Counts as sentences have them.

use std::fmt::Display;
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

const SIZE: &str = "it must be a size, such as 64KiB, 1.5MB or 123";
const DURATION: &str = "it must be a duration, such as 50ms, 10s, 1.5h or 2 (seconds)";
const SIZE_UNITS: &str = "B, kB, MB, GB, KiB, MiB, GiB and TiB";
const DURATION_UNITS: &str = "ns, us, ms, s, m, min, h and d";
const NEGATIVE: &str = "it must not be negative";

/// A count with its noun: `1 message`, `2 messages`.
#[must_use]
pub fn plural(number: impl Copy + Display + PartialEq + From<u8>, noun: &str) -> String {
    if number == 1.into() { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A number of bytes to the nearest tenth of its unit: `8 MiB`, `1.5 KiB`, `999 bytes`.
pub fn rough_size(bytes: usize) -> String {
    let exact = bytes as u128;
    for (name, unit) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        let tenths = (exact * 10 + unit / 2) / unit;
        // Nearly 1024 KiB are 1 MiB, but 1023 bytes stay bytes.
        if exact >= 1 << 10 && tenths >= 10 {
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") };
        }
    }
    plural(bytes as u64, "byte")
}

/// Reads a size in bytes: `8MiB`, `64 KiB`, `1.5GB`, `123`. Units are `B`, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB` and `TiB`, in
/// upper or lower case.
///
/// # Errors
/// The reason, as a sentence without its end.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = split_unit(text).ok_or_else(|| reason(text, SIZE))?;
    let known = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .ok_or_else(|| unknown(unit, SIZE, SIZE_UNITS))?;
    let too_large = || format!("it is too large: at most {} bytes", usize::MAX);
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(known.1).ok_or_else(too_large)?,
        // Digits alone are a number that does not fit.
        Err(_) if !number.contains('.') => return Err(too_large()),
        Err(_) => {
            let bytes = number.parse::<f64>().map_err(|_| SIZE)? * known.1 as f64;
            // Half a byte is a slip of the pen, and beyond 2^53 a float no longer is exact.
            if bytes > (1u64 << 53) as f64 {
                return Err("it is too large for a number with a point: write whole bytes".to_owned());
            }
            if bytes.fract() != 0.0 {
                return Err("it must be a whole number of bytes".to_owned());
            }
            bytes as u64
        }
    };
    usize::try_from(bytes).map_err(|_| too_large())
}

/// The shortest exact way to write a size.
#[must_use]
pub fn show_size(bytes: usize) -> String {
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

/// The longest duration that can be read: more than 500 years.
pub const LONGEST: Duration = Duration::from_nanos(u64::MAX);

/// Reads a duration: `50ms`, `10s`, `1.5 s`, `2` (seconds). Units are `ns`, `us`, `ms`, `s`, `m` or `min`, `h` and `d`.
///
/// # Errors
/// The reason, as a sentence without its end.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text).ok_or_else(|| reason(text, DURATION))?;
    let known =
        DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(|| unknown(unit, DURATION, DURATION_UNITS))?;
    let too_long = || format!("it is too long: at most {}d", LONGEST.as_secs() / 86_400);
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(known.1).map(Duration::from_nanos).ok_or_else(too_long),
        Err(_) if !number.contains('.') => Err(too_long()),
        Err(_) => {
            let seconds = number.parse::<f64>().map_err(|_| DURATION)? * (known.1 as f64 / 1e9);
            Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST).ok_or_else(too_long)
        }
    }
}

/// Reads a whole number, 0 or more.
///
/// # Errors
/// The reason, as a sentence without its end.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_number => Ok(number),
        _ if is_number && digits.len() < text.len() => Err(NEGATIVE.to_owned()),
        _ if is_number => Err(format!("it is too large: at most {}", u64::MAX)),
        _ => Err("it must be a whole number, such as 1000".to_owned()),
    }
}

/// Returns true for the reason of a number that is right in its form, and too large to be counted with.
#[must_use]
pub fn is_too_large(reason: &str) -> bool {
    reason.starts_with("it is too large: at most ") || reason.starts_with("it is too long: at most ")
}

fn unknown(unit: &str, rule: &str, units: &str) -> String {
    format!("{rule}; the unit {unit} is none of {units}")
}

/// Why a text is no number with a unit.
fn reason(text: &str, otherwise: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('-') {
        Some(rest) if split_unit(rest).is_some() => NEGATIVE.to_owned(),
        _ => otherwise.to_owned(),
    }
}

/// The shortest exact way to write a duration.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
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
    fn a_noun_follows_its_number() {
        assert_eq!([0_u64, 1, 2].map(|number| plural(number, "message")), ["0 messages", "1 message", "2 messages"]);
        assert_eq!(plural(1_usize, "more line"), "1 more line");
    }

    #[test]
    fn a_rough_size_has_a_unit_and_at_most_one_decimal() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (972, "972 bytes"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (8_384_736, "8 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (5 << 30, "5 GiB"),
        ] {
            assert_eq!(rough_size(bytes), text, "{bytes}");
        }
    }

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
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1e3", "inf", "8 MiBs", "0.3", "99999999999999999999", "20000000 TiB", "1.2.3"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for bytes in [0, 1, 1023, 1024, 1025, 8 << 20, 3 << 30, usize::MAX] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_size(8 << 20), "8MiB");
    }

    #[test]
    fn durations() {
        for (text, millis) in [("50ms", 50), ("10s", 10_000), ("2", 2000), ("1.5 s", 1500), ("0", 0), ("2m", 120_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "ms", "-1s", "1 year", "inf", "99999999999999999999h", "1..2"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for nanos in [0, 1, 1500, 50_000_000, 10_000_000_000, 1_500_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        assert_eq!(show_duration(Duration::from_millis(50)), "50ms");
    }

    #[test]
    fn counts() {
        for (text, number) in [("0", 0), (" 7 ", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(parse_count(text), Ok(number), "{text}");
        }
        for (text, reason) in [
            ("-1", NEGATIVE),
            ("18446744073709551616", "it is too large: at most 18446744073709551615"),
            ("", "it must be a whole number, such as 1000"),
            ("-", "it must be a whole number, such as 1000"),
            ("+5", "it must be a whole number, such as 1000"),
            ("1.5", "it must be a whole number, such as 1000"),
            ("1e3", "it must be a whole number, such as 1000"),
            ("5KiB", "it must be a whole number, such as 1000"),
        ] {
            assert_eq!(parse_count(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_real_reason_is_given() {
        let reason = |result: Result<(), String>| result.expect_err("a reason");
        let size = |text| reason(parse_size(text).map(drop));
        let duration = |text| reason(parse_duration(text).map(drop));
        assert_eq!(size("-5"), NEGATIVE);
        assert_eq!(duration("-1s"), NEGATIVE);
        for unit in ["parsecs", "M", "TB", "e3"] {
            let text = format!("{SIZE}; the unit {unit} is none of B, kB, MB, GB, KiB, MiB, GiB and TiB");
            let given = format!("12{unit}");
            assert_eq!(parse_size(&given), Err(text));
        }
        for name in SIZE_UNITS.split([',', ' ']).filter(|name| !matches!(*name, "" | "and")) {
            assert!(parse_size(&format!("1{name}")).is_ok(), "{name}");
        }
        for name in DURATION_UNITS.split([',', ' ']).filter(|name| !matches!(*name, "" | "and")) {
            assert!(parse_duration(&format!("1{name}")).is_ok(), "{name}");
        }
        assert_eq!(size("-"), SIZE);
        assert_eq!(duration("1 w"), format!("{DURATION}; the unit w is none of ns, us, ms, s, m, min, h and d"));
        assert_eq!(size("0.3"), "it must be a whole number of bytes");
        for text in ["99999999999999999999", "20000000TiB"] {
            assert!(size(text).starts_with("it is too large: at most 18446744073709551615"), "{text}");
        }
        for text in ["99999999999d", "99999999999999999999h", "213504d"] {
            assert_eq!(duration(text), "it is too long: at most 213503d", "{text}");
        }
        assert_eq!(parse_duration("213503d"), Ok(Duration::from_secs(213_503 * 86_400)));
    }
}
