//! The log of an outage: each reason once, then reminders that become rare.

use std::time::Duration;
use tokio::time::Instant;

const REMINDERS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// Reasons that are remembered; a further one counts as one of them.
const REASONS: usize = 16;

/// Begins when the connection is lost, and ends with the next one.
#[derive(Debug)]
pub(super) struct Outage {
    reasons: Vec<String>,
    pause: Duration,
    next: Instant,
}

impl Outage {
    pub(super) fn new(now: Instant) -> Outage {
        Outage { reasons: Vec::new(), pause: REMINDERS.0, next: now + REMINDERS.0 }
    }

    /// Returns true if a line is to be logged.
    pub(super) fn is_news(&mut self, reason: &str, now: Instant) -> bool {
        let is_new = self.reasons.len() < REASONS && !self.reasons.iter().any(|known| known == reason);
        if is_new {
            self.reasons.push(reason.to_owned());
        }
        let is_due = now >= self.next;
        if is_due {
            self.pause = (self.pause * 2).min(REMINDERS.1);
            self.next = now + self.pause;
        }
        is_new || is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_once_and_reminders_become_rare() {
        let begun = Instant::now();
        let mut outage = Outage::new(begun);
        let mut news = |reason: &str, seconds: u64| outage.is_news(reason, begun + Duration::from_secs(seconds));
        assert!(news("refused", 0) && !news("refused", 0) && !news("refused", 59));
        assert!(news("starting up", 1) && !news("refused", 2) && !news("starting up", 3));
        let logged = (60..6 * 3600).filter(|&seconds| news("refused", seconds)).count();
        // After 1, 2, 4 .. 32 minutes, then every hour.
        assert_eq!(logged, 10);
    }

    #[test]
    fn reasons_that_are_always_new_are_bounded() {
        let begun = Instant::now();
        let mut outage = Outage::new(begun);
        let logged = (0..1000).filter(|number| outage.is_news(&number.to_string(), begun)).count();
        assert_eq!((logged, outage.reasons.len()), (REASONS, REASONS));
    }
}
