//! The limit of the rate of samples.

use std::time::Duration;
use tokio::time::Instant;

/// The burst, in time at the full rate.
const BURST: Duration = Duration::from_millis(500);

/// A token bucket that lets everything pass, and says how long to wait before more is taken.
#[derive(Debug)]
pub(crate) struct Pace {
    each: Duration,
    /// When the bucket would be full again.
    full: Instant,
}

impl Pace {
    pub(crate) fn new(per_second: u32, now: Instant) -> Pace {
        Pace { each: Duration::from_secs(1) / per_second.max(1), full: now }
    }

    /// Counts `count` samples. More may be taken from the returned time on.
    pub(crate) fn take(&mut self, count: usize, now: Instant) -> Instant {
        self.full = self.full.max(now) + self.each * u32::try_from(count).unwrap_or(u32::MAX);
        self.full.checked_sub(BURST).map_or(now, |due| due.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_may_come_at_once_and_then_the_rate_holds() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut pace = Pace::new(1000, now);
        assert_eq!(pace.take(499, now), now);
        assert_eq!(pace.take(1, now), now);
        assert_eq!(pace.take(1, now), now + Duration::from_millis(1));
        assert_eq!(pace.take(99, now), now + Duration::from_millis(100));
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.take(500, later), later);
        assert_eq!(pace.take(2, later), later + Duration::from_millis(2));
    }
}
