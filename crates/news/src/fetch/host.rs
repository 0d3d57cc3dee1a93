//! State of one origin: its queue of requests, its robots.txt, and its requested pause.

use super::robots::Robots;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Origins that are remembered.
const MAX_ORIGINS: usize = 4096;
/// Validity of a robots.txt.
const ROBOTS_AGE: Duration = Duration::from_secs(24 * 3600);
/// Validity of a failure to connect: for all requests of one attempt, and not for the next attempt.
const OUT_OF_REACH_AGE: Duration = Duration::from_secs(1);
/// Validity of a robots.txt that could not be read.
const UNREADABLE_AGE: Duration = Duration::from_secs(600);

/// One origin. Whoever holds its lock is the one that may send it a request.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    robots: Option<(Robots, Instant)>,
    last_page: Option<Instant>,
    /// Status, since when, and for how long.
    refused: Option<(u16, Instant, Duration)>,
    refusals: u32,
}

impl Origin {
    pub(crate) fn robots(&self, now: Instant) -> Option<&Robots> {
        let (robots, since) = self.robots.as_ref()?;
        let age = match robots {
            Robots::OutOfReach(_) => OUT_OF_REACH_AGE,
            Robots::Nothing(_) => UNREADABLE_AGE,
            Robots::All | Robots::Rules(_) => ROBOTS_AGE,
        };
        (now.saturating_duration_since(*since) < age).then_some(robots)
    }

    pub(crate) fn set_robots(&mut self, robots: Robots, now: Instant) -> &Robots {
        &self.robots.insert((robots, now)).0
    }

    /// The time until the next page may be fetched.
    pub(crate) fn wait(&self, delay: Duration, now: Instant) -> Duration {
        let since = self.last_page.map(|last| now.saturating_duration_since(last));
        since.map_or(Duration::ZERO, |since| delay.saturating_sub(since))
    }

    pub(crate) fn page_fetched(&mut self, now: Instant) {
        self.last_page = Some(now);
    }

    /// Status and remaining time of a refusal that still counts.
    pub(crate) fn refusal(&self, now: Instant) -> Option<(u16, Duration)> {
        let (status, since, pause) = self.refused?;
        let left = pause.saturating_sub(now.saturating_duration_since(since));
        (!left.is_zero()).then_some((status, left))
    }

    pub(crate) fn refuse(&mut self, status: u16, now: Instant, pause: impl FnOnce(u32) -> Duration) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        let pause = pause(self.refusals);
        self.refused = Some((status, now, pause));
        pause
    }

    pub(crate) fn accepted(&mut self) {
        self.refusals = 0;
        self.refused = None;
    }
}

type Shared = Arc<tokio::sync::Mutex<Origin>>;

/// All origins.
#[derive(Debug, Default)]
pub(crate) struct Origins(Mutex<HashMap<String, Shared>>);

impl Origins {
    pub(crate) fn get(&self, origin: &str) -> Shared {
        let mut origins = self.0.lock();
        if origins.len() >= MAX_ORIGINS && !origins.contains_key(origin) {
            // Origins without a request are forgotten.
            origins.retain(|_, shared| Arc::strong_count(shared) > 1);
        }
        origins.entry(origin.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::FetchReason;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_page_waits_for_the_rest_of_the_delay_and_robots_txt_counts_for_none() {
        let (mut origin, now) = (Origin::default(), Instant::now());
        origin.set_robots(Robots::All, now);
        assert_eq!(origin.wait(SECOND, now), Duration::ZERO);
        origin.page_fetched(now);
        assert_eq!(origin.wait(SECOND, now + SECOND / 4), SECOND * 3 / 4);
        assert_eq!(origin.wait(SECOND, now + SECOND), Duration::ZERO);
    }

    #[test]
    fn robots_txt_counts_for_a_day_a_failure_for_ten_minutes_and_no_connection_for_one_attempt() {
        let (mut origin, now) = (Origin::default(), Instant::now());
        let out_of_reach = Robots::OutOfReach(FetchReason::Failed("x".into()));
        for (robots, age) in [
            (Robots::All, Duration::from_secs(24 * 3600)),
            (Robots::Nothing("x".into()), Duration::from_secs(600)),
            (out_of_reach, SECOND),
        ] {
            origin.set_robots(robots, now);
            assert!(origin.robots(now + age - SECOND).is_some());
            assert!(origin.robots(now + age).is_none());
        }
    }

    #[test]
    fn a_refusal_counts_for_its_pause_and_a_success_ends_it() {
        let (mut origin, now) = (Origin::default(), Instant::now());
        assert_eq!(origin.refuse(503, now, |count| SECOND * count), SECOND);
        assert_eq!(origin.refuse(429, now, |count| SECOND * count), SECOND * 2);
        assert_eq!(origin.refusal(now + SECOND), Some((429, SECOND)));
        assert_eq!(origin.refusal(now + SECOND * 2), None);
        origin.accepted();
        assert_eq!(origin.refusal(now), None);
        assert_eq!(origin.refuse(503, now, |count| SECOND * count), SECOND);
    }

    #[test]
    fn forgotten_origins_are_those_that_nobody_uses() {
        let origins = Origins::default();
        let used = origins.get("used");
        for number in 0..MAX_ORIGINS + 10 {
            origins.get(&number.to_string());
        }
        assert!(origins.0.lock().len() <= MAX_ORIGINS);
        assert!(Arc::ptr_eq(&used, &origins.get("used")));
    }
}
