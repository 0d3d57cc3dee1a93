use std::time::Duration;

/// Exponential back-off with jitter: each pause is twice the one before, up to a maximum, and a random part of up to one half is left
/// out, so that many callers do not come back in step.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `min` to `max`; with a smaller `max` always `min`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max: max.max(min), next: min }
    }

    /// The next pause. `random` is from 0 to 1: the part of one half that is left out.
    pub fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.max);
        pause - (pause / 2).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The attempt succeeded: the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again_after_a_success() {
        let ms = Duration::from_millis;
        let pauses = |max| {
            let mut backoff = Backoff::new(ms(100), max);
            let mut pauses: Vec<_> = (0..4).map(|_| backoff.pause(0.0)).collect();
            pauses.push(backoff.pause(1.0));
            backoff.reset();
            pauses.push(backoff.pause(0.5));
            pauses
        };
        assert_eq!(pauses(ms(300)), [100, 200, 300, 300, 150, 75].map(ms));
        assert_eq!(pauses(ms(100)), [100, 100, 100, 100, 50, 75].map(ms));
        assert_eq!(pauses(ms(99)), [100, 100, 100, 100, 50, 75].map(ms));
    }

    #[test]
    fn neither_the_longest_nor_the_shortest_pause_panics() {
        for (min, max) in
            [(Duration::MAX, Duration::MAX), (Duration::ZERO, Duration::ZERO), (Duration::MAX / 2, Duration::MAX)]
        {
            let mut backoff = Backoff::new(min, max);
            for random in [0.0, 0.5, 1.0, 2.0] {
                assert!(backoff.pause(random) <= max);
            }
        }
    }
}
