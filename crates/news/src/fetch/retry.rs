//! `Retry-After`, and the back-off of a host that names no time.

use std::time::{Duration, SystemTime};
use switchboard_http_client::retry_after;

/// The first pause after a 429 or 503 without `Retry-After`; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(60);
/// The longest pause, whatever a server asks for.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Returns the pause for a host. `refusals` counts those in a row, this one included.
pub(crate) fn pause(header: Option<&str>, now: SystemTime, refusals: u32) -> Duration {
    let asked = header.and_then(|text| retry_after(text, now));
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(refusals.saturating_sub(1).min(16)));
    asked.unwrap_or(doubled).clamp(Duration::from_secs(1), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Friday, 27 November 2026, 02:00 UTC.
    const NOW: u64 = 1_795_744_800;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn check(header: &str) -> u64 {
        pause(Some(header), now(), 1).as_secs()
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
        let pause = |refusals| pause(None, now(), refusals).as_secs();
        assert_eq!([pause(0), pause(1), pause(2), pause(3)], [60, 60, 120, 240]);
        assert_eq!(pause(u32::MAX), LONGEST.as_secs());
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(check(nonsense), 60, "{nonsense:?}");
        }
    }
}
