//! What a process uses, in the units of the wire.

use std::time::{Duration, Instant};

/// Bytes of a megabyte: the text books' programs divide by 1024 twice.
pub(crate) const MB: f64 = 1024.0 * 1024.0;

/// What was used since the previous reading.
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
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    counted: Duration,
    dipped: bool,
}

impl Meter {
    /// What was used until now is not counted.
    pub(crate) fn new(now: Instant, total: Duration) -> Meter {
        Meter { at: now, counted: total, dipped: false }
    }

    /// Percent of one core since the last call.
    pub(crate) fn cpu(&mut self, now: Instant, total: Duration) -> f64 {
        let used = total.saturating_sub(self.counted);
        let passed = now.saturating_duration_since(self.at);
        self.at = now;
        let dips = total < self.counted;
        if !dips || self.dipped {
            self.counted = total;
        }
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

    #[test]
    fn no_time_is_no_use() {
        let now = Instant::now();
        assert_eq!(Meter::new(now, Duration::ZERO).cpu(now, Duration::from_secs(1)), 0.0);
    }
}
