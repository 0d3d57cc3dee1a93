use crate::Time;
use std::time::Duration;

/// Time over which a rate is counted.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts, and knows how many a second there were lately.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) total: u64,
    begun: Time,
    at_begin: u64,
    last: f64,
}

impl Meter {
    /// Counts more. Returns true if a period begins with it.
    pub(crate) fn add(&mut self, now: Time, count: u64) -> bool {
        let begins = now.since(self.begun) >= PERIOD;
        if begins {
            self.last = self.rate(now);
            self.begun = now;
            self.at_begin = self.total;
        }
        self.total += count;
        begins
    }

    /// Rate per second, over the last whole period. Every count of a period lies within a second of its begin: two seconds
    /// after that nothing has come for a whole one.
    pub(crate) fn rate(&self, now: Time) -> f64 {
        let passed = now.since(self.begun);
        if passed < PERIOD {
            self.last
        } else if passed < 2 * PERIOD {
            (self.total - self.at_begin) as f64 / PERIOD.as_secs_f64()
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_rate_is_that_of_the_last_whole_second() {
        let mut meter = Meter::default();
        for millis in (0..3000).step_by(10) {
            meter.add(at(millis), 5);
        }
        assert_eq!(meter.total, 1500);
        assert!((meter.rate(at(2990)) - 500.0).abs() < 1e-9);
    }

    #[test]
    fn a_rate_falls_to_zero_where_nothing_comes() {
        let mut meter = Meter::default();
        meter.add(at(5000), 100);
        assert!((meter.rate(at(5999)) - 0.0).abs() < 1e-9, "until a second has gone by");
        assert!((meter.rate(at(6000)) - 100.0).abs() < 1e-9);
        assert!((meter.rate(at(6999)) - 100.0).abs() < 1e-9);
        assert!(meter.rate(at(7000)).abs() < 1e-9);
        assert!(meter.rate(at(400_000)).abs() < 1e-9);
        // Nor does what was long before count when something comes again.
        meter.add(at(400_000), 1);
        assert!(meter.rate(at(400_500)).abs() < 1e-9);
        assert!((meter.rate(at(401_000)) - 1.0).abs() < 1e-9);
    }
}
