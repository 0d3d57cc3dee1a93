//! Usage of a process, in the units of the wire.

use std::time::{Duration, Instant};

/// Bytes of a megabyte: a typical sender divides by 1024 twice.
pub(crate) const MB: f64 = 1024.0 * 1024.0;

/// The usage since the previous reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Percent of one core: 200 is two cores kept busy.
    pub cpu: f64,
    /// Resident memory in MB of 1,048,576 bytes.
    pub mem: f64,
}

/// Makes percents of a total that only should grow.
///
/// The total of many processes is read one by one. One that ends in between is missing once, until
/// its parent's account of ended children is read the next time: such a dip counts as nothing used,
/// and what comes back is not counted twice. A dip that stays is time that the kernel has thrown away
/// (children of a parent that ignores SIGCHLD): then counting begins anew from there.
///
/// An interval shorter than half a second says little: a process that starts and ends at once would have used 50 percent
/// of a core. What was used in one is counted over the interval before as well, or over a second where there is none.
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    counted: Duration,
    dipped: bool,
    /// The begin of the last interval.
    before: Option<(Instant, Duration)>,
}

/// Intervals are not shorter.
const SHORTEST: Duration = Duration::from_millis(500);
/// The duration that is assumed for the first interval.
const FIRST: Duration = Duration::from_secs(1);

impl Meter {
    /// Begins to count: usage until now does not count.
    pub(crate) fn new(now: Instant, total: Duration) -> Meter {
        Meter { at: now, counted: total, dipped: false, before: None }
    }

    /// Percent of one core since the last call.
    pub(crate) fn cpu(&mut self, now: Instant, total: Duration) -> f64 {
        let (mut used, mut passed) = (total.saturating_sub(self.counted), now.saturating_duration_since(self.at));
        if passed < SHORTEST {
            match self.before {
                Some((at, counted)) => {
                    used += self.counted.saturating_sub(counted);
                    passed = now.saturating_duration_since(at);
                }
                None => passed = FIRST,
            }
        }
        let begin = (self.at, self.counted);
        let dips = total < self.counted;
        self.at = now;
        if !dips || self.dipped {
            self.counted = total;
        }
        self.before = Some(begin);
        self.dipped = dips && !self.dipped;
        if passed.is_zero() { 0.0 } else { 100.0 * used.as_secs_f64() / passed.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Percents of totals in milliseconds, one a second.
    fn percents(totals: &[u64]) -> Vec<f64> {
        let start = Instant::now();
        let mut meter = Meter::new(start, Duration::ZERO);
        let each = totals.iter().zip(1..);
        each.map(|(&total, second)| meter.cpu(start + Duration::from_secs(second), Duration::from_millis(total)))
            .map(f64::round)
            .collect()
    }

    #[test]
    fn two_busy_cores_are_two_hundred_percent() {
        assert_eq!(percents(&[2000, 4000, 4000]), [200.0, 200.0, 0.0]);
    }

    #[test]
    fn what_is_missing_once_is_counted_once() {
        assert_eq!(percents(&[1000, 400, 2000]), [100.0, 0.0, 100.0]);
    }

    #[test]
    fn after_a_loss_that_stays_counting_goes_on() {
        assert_eq!(percents(&[1000, 400, 500, 1000, 1500]), [100.0, 0.0, 0.0, 50.0, 50.0]);
    }

    /// Percents of (milliseconds passed, milliseconds used since).
    fn intervals(intervals: &[(u64, u64)]) -> Vec<f64> {
        let (mut now, mut total) = (Instant::now(), Duration::ZERO);
        let mut meter = Meter::new(now, total);
        let each = intervals.iter().map(|&(passed, used)| {
            now += Duration::from_millis(passed);
            total += Duration::from_millis(used);
            meter.cpu(now, total).round()
        });
        each.collect()
    }

    #[test]
    fn a_first_interval_that_is_short_is_counted_over_a_second() {
        assert_eq!(intervals(&[(5, 3)]), [0.0]);
        assert_eq!(intervals(&[(0, 10)]), [1.0]);
        assert_eq!(intervals(&[(499, 499)]), [50.0]);
        assert_eq!(intervals(&[(500, 500)]), [100.0]);
    }

    #[test]
    fn a_later_one_that_is_short_is_counted_with_the_one_before() {
        assert_eq!(intervals(&[(1000, 1000), (10, 10)]), [100.0, 100.0]);
        assert_eq!(intervals(&[(1000, 0), (10, 10)]), [0.0, 1.0]);
        assert_eq!(intervals(&[(1000, 200), (1000, 200), (500, 500)]), [20.0, 20.0, 100.0]);
    }
}
