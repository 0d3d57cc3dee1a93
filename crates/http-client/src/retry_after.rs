//! `Retry-After`: the time for which a server asks its client to stay away (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// Reads the value of the header: whole seconds, or a date in any of the three forms of HTTP. A date in the past is a pause of 0.
/// The caller clamps the pause: a server may ask for years. `None` if the value is neither.
#[must_use]
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Friday, 27 November 2026, 02:00 UTC.
    const NOW: u64 = 1_795_744_800;

    fn seconds(value: &str) -> Option<u64> {
        retry_after(value, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)).map(|pause| pause.as_secs())
    }

    #[test]
    fn seconds_and_dates_of_all_three_forms_are_understood() {
        for (value, pause) in [
            ("0", 0),
            (" 120 ", 120),
            ("18446744073709551615", u64::MAX),
            ("99999999999999999999999", u64::MAX),
            ("Fri, 27 Nov 2026 02:05:00 GMT", 300),
            ("Friday, 27-Nov-26 02:05:00 GMT", 300),
            ("Fri Nov 27 02:05:00 2026", 300),
            ("Fri, 27 Nov 2026 02:00:00 GMT", 0),
            ("Fri, 27 Nov 2026 01:59:59 GMT", 0),
        ] {
            assert_eq!(seconds(value), Some(pause), "{value}");
        }
        for nonsense in ["", "-1", "+1", "1.5", "soon", "Fri, 32 Nov 2026 02:05:00 GMT", "2026-11-27T02:05:00Z"] {
            assert_eq!(seconds(nonsense), None, "{nonsense:?}");
        }
    }
}
