//! A quota of log lines that clients and writers can cause, so that a flood of them hides nothing and fills no disk.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Lines of a period at the usual level.
pub const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// Allows [`LINES`] lines a second, and counts those beyond.
#[derive(Debug)]
pub struct LineQuota(Mutex<Count>);

#[derive(Debug)]
struct Count {
    begun: Instant,
    logged: u32,
    left_out: u64,
}

impl LineQuota {
    /// A quota whose first period begins now.
    pub fn new(now: Instant) -> LineQuota {
        LineQuota(Mutex::new(Count { begun: now, logged: 0, left_out: 0 }))
    }

    /// Whether a line may be written now.
    pub fn allows(&self, now: Instant) -> bool {
        let mut count = self.0.lock();
        // Lines that were left out are reported before the next period begins.
        if count.left_out == 0 && now.saturating_duration_since(count.begun) >= PERIOD {
            (count.begun, count.logged) = (now, 0);
        }
        let is_allowed = count.logged < LINES;
        if is_allowed {
            count.logged += 1;
        } else {
            count.left_out += 1;
        }
        is_allowed
    }

    /// The number of lines that were left out, once their period is over. To be called before [`LineQuota::allows`].
    pub fn report(&self, now: Instant) -> Option<u64> {
        let mut count = self.0.lock();
        if count.left_out == 0 || now.saturating_duration_since(count.begun) < PERIOD {
            return None;
        }
        (count.begun, count.logged) = (now, 0);
        Some(std::mem::take(&mut count.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_quota_are_counted_and_reported_once_when_their_period_is_over() {
        let begun = Instant::now();
        let quota = LineQuota::new(begun);
        let allowed = |now| (0..3000).filter(|_| quota.allows(now)).count();
        assert_eq!((allowed(begun), quota.report(begun)), (20, None));
        assert_eq!(quota.report(begun + PERIOD - Duration::from_nanos(1)), None);
        assert_eq!((quota.report(begun + PERIOD), quota.report(begun + PERIOD)), (Some(2980), None));
        assert_eq!(allowed(begun + PERIOD), 20);
        // Without a report nothing is forgotten.
        assert_eq!(allowed(begun + PERIOD * 9), 0);
        assert_eq!(quota.report(begun + PERIOD * 9), Some(5980));
        // Nothing was left out, and a new period begins by itself.
        assert!((0..20).all(|_| quota.allows(begun + PERIOD * 9)));
        assert!(quota.allows(begun + PERIOD * 10));
        assert_eq!(quota.report(begun + PERIOD * 20), None);
    }

    #[test]
    fn lines_above_the_limit_are_counted_and_reported_in_the_next_period() {
        let begun = Instant::now();
        let quota = LineQuota::new(begun);
        let next = |now| {
            let left_out = quota.report(now).unwrap_or(0);
            (quota.allows(now), left_out)
        };
        for _ in 0..LINES {
            assert_eq!(next(begun), (true, 0));
        }
        assert_eq!(next(begun), (false, 0));
        assert_eq!(next(begun + PERIOD), (true, 1));
        assert_eq!(next(begun + PERIOD), (true, 0));
    }
}
