use std::time::{Duration, Instant};
use tokio::time::{sleep, sleep_until};

/// A point in time, or never. Never is after every point in time.
///
/// A sum that the clock cannot represent is never, so `Duration::MAX` needs no special case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

/// tokio's timers reach about two years; a longer sleep is done in steps.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 3600);

impl Deadline {
    /// It never comes.
    pub const NEVER: Deadline = Deadline(None);

    /// The point in time.
    #[must_use]
    pub fn at(instant: Instant) -> Deadline {
        Deadline(Some(instant))
    }

    /// `delay` after `start`.
    #[must_use]
    pub fn after(start: Instant, delay: Duration) -> Deadline {
        Deadline(start.checked_add(delay))
    }

    /// The point in time; `None` for never.
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Returns true if `now` is at or after it.
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        self.0.is_some_and(|instant| instant <= now)
    }

    /// The earlier of the two.
    #[must_use]
    pub fn earlier(self, other: Deadline) -> Deadline {
        Deadline(self.0.into_iter().chain(other.0).min())
    }

    /// Waits until it has passed. Needs a tokio runtime with time enabled.
    pub async fn wait(self) {
        let Some(instant) = self.0 else { return std::future::pending().await };
        while let left = instant.saturating_duration_since(Instant::now())
            && left > LONGEST_SLEEP
        {
            sleep(LONGEST_SLEEP).await;
        }
        sleep_until(instant.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_at_its_instant_and_never_does_not() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let deadline = Deadline::after(now, second);
        assert!(!deadline.has_passed(now));
        assert!(deadline.has_passed(now + second) && deadline.has_passed(now + 2 * second));
        assert!(Deadline::after(now, Duration::ZERO).has_passed(now));
        for never in [Deadline::NEVER, Deadline::after(now, Duration::MAX)] {
            assert!(!never.has_passed(now + Duration::from_secs(1 << 40)));
            assert_eq!(never.instant(), None);
            assert_eq!(never.earlier(deadline), deadline);
            assert_eq!(deadline.earlier(never), deadline);
            assert_eq!(never.earlier(never), Deadline::NEVER);
        }
        assert_eq!(deadline.earlier(Deadline::at(now)), Deadline::at(now));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_deadline_and_for_never_does_not_end() {
        Deadline::at(Instant::now()).wait().await;
        let far = Deadline::after(Instant::now(), Duration::from_secs(1 << 40));
        for never in [Deadline::NEVER, far] {
            tokio::select! {
                () = never.wait() => panic!("it came"),
                () = Deadline::after(Instant::now(), Duration::from_millis(5)).wait() => {}
            }
        }
    }
}
