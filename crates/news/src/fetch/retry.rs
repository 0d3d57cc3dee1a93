//! `Retry-After`, and the back-off of a host that names no time.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::time::Duration;

/// The first pause after a 429 or 503 without `Retry-After`; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(60);
/// The longest pause, whatever a server asks for.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Returns the pause for a host. `refusals` counts those in a row, this one included.
pub(crate) fn pause(header: Option<&str>, now: Timestamp, refusals: u32) -> Duration {
    let asked = header.and_then(|text| parse(text.trim(), now));
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(refusals.saturating_sub(1).min(16)));
    asked.unwrap_or(doubled).clamp(Duration::from_secs(1), LONGEST)
}

fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST, Duration::from_secs));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(date.duration_since(now).try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-27T02:00:00Z";

    fn check(header: &str) -> u64 {
        pause(Some(header), NOW.parse().expect("a time"), 1).as_secs()
    }

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        let day = 24 * 3600;
        for (header, seconds) in [
            ("120", 120),
            (" 1 ", 1),
            ("0", 1),
            ("86400", day),
            ("86401", day),
            ("99999999999999999999999", day),
            ("Fri, 27 Nov 2026 02:05:00 GMT", 300),
            ("Fri, 27 Nov 2026 01:00:00 GMT", 1),
            ("Wed, 27 Nov 2030 01:00:00 GMT", day),
        ] {
            assert_eq!(check(header), seconds, "{header}");
        }
    }

    #[test]
    fn without_a_time_the_pause_doubles_up_to_a_day() {
        let pause = |refusals| pause(None, NOW.parse().expect("a time"), refusals).as_secs();
        assert_eq!([pause(0), pause(1), pause(2), pause(3)], [60, 60, 120, 240]);
        assert_eq!(pause(u32::MAX), LONGEST.as_secs());
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(check(nonsense), 60, "{nonsense:?}");
        }
    }
}
