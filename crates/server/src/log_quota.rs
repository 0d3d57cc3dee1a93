//! So that nobody can flood the log by coming and going.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

const LINES: u32 = 50;
const PERIOD: Duration = Duration::from_secs(1);

/// Allows so many lines a second, for all connections together, and counts the others.
#[derive(Debug)]
pub(crate) struct LogQuota(Mutex<Count>);

#[derive(Debug)]
struct Count {
    begun: Instant,
    told: u32,
    left_out: u64,
}

impl LogQuota {
    pub(crate) fn new() -> LogQuota {
        LogQuota(Mutex::new(Count { begun: Instant::now(), told: 0, left_out: 0 }))
    }

    /// Whether a line may be written now. Says how many were not, once some may be again.
    pub(crate) fn allows(&self) -> bool {
        let (allowed, left_out) = self.0.lock().unwrap_or_else(PoisonError::into_inner).turn(Instant::now());
        if left_out > 0 {
            tracing::info!("{left_out} lines about connections were left out (at most {LINES} a second)");
        }
        allowed
    }
}

impl Count {
    fn turn(&mut self, now: Instant) -> (bool, u64) {
        let mut left_out = 0;
        if now - self.begun >= PERIOD {
            left_out = std::mem::take(&mut self.left_out);
            (self.begun, self.told) = (now, 0);
        }
        let allowed = self.told < LINES;
        if allowed {
            self.told += 1;
        } else {
            self.left_out += 1;
        }
        (allowed, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_counted_and_told_of_in_the_next_period() {
        let begun = Instant::now();
        let mut count = Count { begun, told: 0, left_out: 0 };
        for _ in 0..LINES {
            assert_eq!(count.turn(begun), (true, 0));
        }
        assert_eq!(count.turn(begun), (false, 0));
        assert_eq!(count.turn(begun + PERIOD), (true, 1));
        assert_eq!(count.turn(begun + PERIOD), (true, 0));
    }
}
