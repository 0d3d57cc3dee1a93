use std::time::Duration;

/// How long to wait until a connection is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, next: min }
    }

    /// `random` is from 0 to 1: which part of one half is left out.
    pub(crate) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        pause - (pause / 2).mul_f64(random)
    }

    /// The broker has answered.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_an_answer() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(500));
        let pauses: Vec<_> = (0..5).map(|_| backoff.pause(0.0)).collect();
        assert_eq!(pauses, [100, 200, 400, 500, 500].map(ms));
        assert_eq!(backoff.pause(1.0), ms(250));
        backoff.reset();
        assert_eq!(backoff.pause(0.5), ms(75));
    }
}
