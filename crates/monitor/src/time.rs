use jiff::fmt::temporal::{DateTimeParser, DateTimePrinter};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time, in milliseconds since 1970 (UTC). The crate's rules take it as an argument and never ask a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub i64);

impl Millis {
    /// Returns the time of the system's clock, which may be wrong and may go backwards.
    #[must_use]
    pub fn now() -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Reads ISO 8601, as Python's `datetime.isoformat()` and others write it; without an offset it is UTC.
    /// `None` if it is none, or outside of the years 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Millis> {
        Millis::parse_with_zone(text).map(|(time, _)| time)
    }

    /// Also whether it has an offset.
    pub(crate) fn parse_with_zone(text: &str) -> Option<(Millis, bool)> {
        const PARSER: DateTimeParser = DateTimeParser::new();
        if !has_offset_within_a_day(text) {
            return None;
        }
        let (time, has_zone) = match PARSER.parse_timestamp(text) {
            Ok(time) => (time, true),
            Err(_) => (Offset::UTC.to_timestamp(PARSER.parse_datetime(text).ok()?).ok()?, false),
        };
        let millis = time.as_millisecond();
        (millis >= 0).then_some((Millis(millis), has_zone))
    }

    /// The second that it lies in, since 1970; 0 before that.
    #[must_use]
    pub fn second(self) -> u32 {
        u32::try_from(self.0.div_euclid(1000).max(0)).unwrap_or(u32::MAX)
    }

    /// The first millisecond of a second.
    #[must_use]
    pub fn of_second(second: u32) -> Millis {
        Millis(i64::from(second) * 1000)
    }

    /// Returns the time from the other one to this one; negative if this one is earlier.
    #[must_use]
    pub fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Later by so much.
    #[must_use]
    pub fn after(self, duration: Duration) -> Millis {
        Millis(self.0.saturating_add(millis(duration)))
    }

    /// Earlier by so much.
    #[must_use]
    pub fn before(self, duration: Duration) -> Millis {
        Millis(self.0.saturating_sub(millis(duration)))
    }
}

/// Returns false for an offset of 24 hours or more, which the parser takes up to 25, and ISO 8601 does not know.
fn has_offset_within_a_day(text: &str) -> bool {
    // Behind the date, which has hyphens of its own.
    let offset = text.get(10..).and_then(|time| time.rfind(['+', '-']).map(|at| &time[at + 1..]));
    let hours = offset.and_then(|offset| offset.get(..2)?.parse::<u8>().ok());
    hours.is_none_or(|hours| hours < 24)
}

/// A duration as differences of times are.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// ISO 8601 with milliseconds and the offset `+00:00`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        let time = Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_millis(self.0)).unwrap_or(Timestamp::MAX);
        let mut text = String::with_capacity(32);
        PRINTER.print_timestamp_with_offset(&time, Offset::UTC, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_many_write_it() {
        for (text, millis) in [
            ("2026-01-02T03:04:05.678901+00:00", 1_767_323_045_678),
            ("2026-01-02T03:04:05.678Z", 1_767_323_045_678),
            ("2026-01-02 03:04:05.678", 1_767_323_045_678),
            ("2026-01-02T04:34:05.678+01:30", 1_767_323_045_678),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-02T00:59:00+23:59", 3_600_000),
            ("1970-01-01T00:00:00-23:59", 86_340_000),
        ] {
            assert_eq!(Millis::parse(text), Some(Millis(millis)), "{text}");
        }
        for text in [
            "",
            "now",
            "2026-13-02T03:04:05Z",
            "1969-12-31T23:59:59Z",
            "2026-01-02T25:00:00Z",
            "12:00",
            "2026-01-02T03:04:05+25:00",
            "2026-01-02T03:04:05-24:00",
            "2026-01-02T03:04:05+2400",
        ] {
            assert_eq!(Millis::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_python_does() {
        assert_eq!(Millis(1_767_323_045_678).to_string(), "2026-01-02T03:04:05.678+00:00");
        assert_eq!(Millis(0).to_string(), "1970-01-01T00:00:00.000+00:00");
    }
}
