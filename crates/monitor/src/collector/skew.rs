//! Whether the clock of a sender is wrong: then its samples come, and are in no chart that shows the present.

use crate::Millis;

/// A lag that is shorter is none of the clock, in milliseconds.
const MIN: i64 = 60_000;
/// Maximum change of a lag from one arrival to the next that is still that of a clock.
const STEADY: i64 = 2000;
/// For how long it must be steady: a backlog that comes late is soon over.
const SURE: i64 = 10_000;
/// Time zones differ by a multiple of this, ...
const ZONE: i64 = 15 * 60_000;
/// ... and what is sent at once arrives within this.
const TRANSIT: i64 = 10_000;

/// The lag of one sender.
#[derive(Debug, Default)]
pub(crate) struct Skew {
    lag: i64,
    since: Option<Millis>,
    is_named: bool,
    /// By how much its clock is ahead, in milliseconds; negative if it is behind.
    pub(crate) offset: Option<i64>,
}

impl Skew {
    /// Takes the lag of a sample, negative if its time lies ahead. True once when the clock is known to be wrong.
    pub(crate) fn arrive(&mut self, lag: i64, has_zone: bool, now: Millis) -> bool {
        if lag.abs() < MIN {
            *self = Skew::default();
            return false;
        }
        if (lag - self.lag).abs() > STEADY || self.since.is_none() {
            (self.since, self.is_named, self.offset) = (Some(now), false, None);
        }
        self.lag = lag;
        let zone = (lag + ZONE / 2).div_euclid(ZONE) * ZONE;
        // Local time without a zone is off by a zone exactly: that is said at once.
        let is_zone = !has_zone && zone != 0 && (lag - zone).abs() <= TRANSIT;
        let is_steady = self.since.is_some_and(|since| now.since(since) >= SURE);
        // An old sample may have waited; one that lies ahead cannot.
        if is_zone || is_steady || lag < 0 {
            self.offset = Some(-(if is_zone { zone } else { lag }));
        }
        let is_news = is_steady && !self.is_named;
        self.is_named |= is_news;
        is_news
    }

    /// In words.
    pub(crate) fn text(&self) -> Option<String> {
        let offset = self.offset?;
        let minutes = (offset.abs() + 30_000) / 60_000;
        let length = match (minutes / 60, minutes % 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        };
        Some(format!("its clock is {length} {}", if offset < 0 { "behind" } else { "ahead" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn after(lags: &[(i64, i64)], has_zone: bool) -> (Option<String>, usize) {
        let mut skew = Skew::default();
        let news = lags.iter().filter(|(now, lag)| skew.arrive(*lag, has_zone, Millis(*now))).count();
        (skew.text(), news)
    }

    #[test]
    fn local_time_without_a_zone_is_named_at_once() {
        assert_eq!(after(&[(0, 5 * HOUR + 120)], false).0.unwrap(), "its clock is 5 h behind");
        assert_eq!(after(&[(0, -2 * HOUR + 120)], false).0.unwrap(), "its clock is 2 h ahead");
        assert_eq!(after(&[(0, 5 * HOUR + HOUR / 2)], false).0.unwrap(), "its clock is 5 h 30 min behind");
        // A time with a zone is old, and so is one that is off by no zone.
        assert_eq!(after(&[(0, 5 * HOUR)], true).0, None);
        assert_eq!(after(&[(0, 5 * HOUR + 400_000)], false).0, None);
    }

    #[test]
    fn a_clock_that_is_ahead_is_named_at_once() {
        for (lag, text) in
            [(MIN - 1, None), (MIN, Some("its clock is 1 min ahead")), (3 * HOUR, Some("its clock is 3 h ahead"))]
        {
            assert_eq!(after(&[(0, -lag)], true).0.as_deref(), text, "{lag}");
        }
        // The time in the samples stands still.
        let lags: Vec<(i64, i64)> = (0..60).map(|at| (at * 5000, at * 5000 - 3 * HOUR)).collect();
        assert_eq!(after(&lags, true), (Some("its clock is 2 h 55 min ahead".into()), 0));
        // A sender that was asleep sends what is old.
        assert_eq!(after(&[(0, 3 * HOUR)], true), (None, 0));
    }

    #[test]
    fn a_lag_that_stays_is_the_clocks() {
        let lags: Vec<(i64, i64)> = (0..60).map(|at| (at * 1000, 90_000 + at % 3 * 500)).collect();
        assert_eq!(after(&lags[..10], true), (None, 0));
        assert_eq!(after(&lags[..11], true), (Some("its clock is 2 min behind".into()), 1));
        assert_eq!(after(&lags, true).1, 1);
    }

    #[test]
    fn a_backlog_that_comes_late_is_no_wrong_clock() {
        let lags: Vec<(i64, i64)> = (0..3600).map(|at| (at, 3_600_000 - at * 1000)).collect();
        assert_eq!(after(&lags, true), (None, 0));
    }

    #[test]
    fn a_clock_that_is_set_right_is_right() {
        let mut lags: Vec<(i64, i64)> = (0..60).map(|at| (at * 1000, HOUR)).collect();
        lags.push((60_000, 59_999));
        assert_eq!(after(&lags, true), (None, 1));
    }
}
