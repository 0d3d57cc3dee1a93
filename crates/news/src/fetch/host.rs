//! State of one host: its queue of requests, the robots.txt of its origins, and its requested pause.

use super::robots::Robots;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Hosts that are remembered.
const MAX_HOSTS: usize = 4096;
/// Origins of one host that are remembered.
const MAX_ORIGINS: usize = 16;
/// Validity of a robots.txt.
const ROBOTS_AGE: Duration = Duration::from_secs(24 * 3600);
/// Validity of a failure to connect: for all requests of one attempt, and not for the next attempt.
const OUT_OF_REACH_AGE: Duration = Duration::from_secs(1);
/// Validity of a robots.txt that could not be read.
const UNREADABLE_AGE: Duration = Duration::from_secs(600);

/// One host. Whoever holds its lock is the one that may send it a request.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// By origin: each scheme and port has a robots.txt of its own.
    robots: HashMap<String, (Robots, Instant)>,
    last_page: Option<Instant>,
    /// Status, since when, and for how long.
    refused: Option<(u16, Instant, Duration)>,
    refusals: u32,
}

impl Host {
    pub(crate) fn robots(&self, origin: &str, now: Instant) -> Option<&Robots> {
        let (robots, since) = self.robots.get(origin)?;
        let age = match robots {
            Robots::OutOfReach(_) => OUT_OF_REACH_AGE,
            Robots::Nothing(_) => UNREADABLE_AGE,
            Robots::All | Robots::Rules(_) => ROBOTS_AGE,
        };
        (now.saturating_duration_since(*since) < age).then_some(robots)
    }

    pub(crate) fn set_robots(&mut self, origin: &str, robots: Robots, now: Instant) {
        if self.robots.len() >= MAX_ORIGINS {
            self.robots.clear();
        }
        self.robots.insert(origin.to_owned(), (robots, now));
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

/// The name of a URL's host, which has one request at a time, whatever its scheme and port. Services on loopback addresses
/// are hosts of their own, by their origin.
pub(super) fn name_of(url: &Url, origin: String) -> String {
    match url.host() {
        Some(url::Host::Ipv4(address)) if address.is_loopback() => origin,
        Some(url::Host::Ipv6(address)) if address.is_loopback() => origin,
        Some(host) => host.to_string(),
        None => origin,
    }
}

type Shared = Arc<tokio::sync::Mutex<Host>>;

/// All hosts.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<HashMap<String, Shared>>);

impl Hosts {
    pub(crate) fn get(&self, host: &str) -> Shared {
        let mut hosts = self.0.lock();
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(host) {
            // Hosts without a request are forgotten.
            hosts.retain(|_, shared| Arc::strong_count(shared) > 1);
        }
        hosts.entry(host.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::FetchReason;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_page_waits_for_the_rest_of_the_delay_and_robots_txt_counts_for_none() {
        let (mut host, now) = (Host::default(), Instant::now());
        host.set_robots("a", Robots::All, now);
        assert_eq!(host.wait(SECOND, now), Duration::ZERO);
        host.page_fetched(now);
        assert_eq!(host.wait(SECOND, now + SECOND / 4), SECOND * 3 / 4);
        assert_eq!(host.wait(SECOND, now + SECOND), Duration::ZERO);
    }

    #[test]
    fn robots_txt_counts_for_a_day_a_failure_for_ten_minutes_and_no_connection_for_one_attempt() {
        let (mut host, now) = (Host::default(), Instant::now());
        let out_of_reach = Robots::OutOfReach(FetchReason::Failed("x".into()));
        for (robots, age) in [
            (Robots::All, Duration::from_secs(24 * 3600)),
            (Robots::Nothing("x".into()), Duration::from_secs(600)),
            (out_of_reach, SECOND),
        ] {
            host.set_robots("a", robots, now);
            assert!(host.robots("a", now + age - SECOND).is_some());
            assert!(host.robots("a", now + age).is_none());
        }
    }

    #[test]
    fn a_refusal_counts_for_its_pause_and_a_success_ends_it() {
        let (mut host, now) = (Host::default(), Instant::now());
        assert_eq!(host.refuse(503, now, |count| SECOND * count), SECOND);
        assert_eq!(host.refuse(429, now, |count| SECOND * count), SECOND * 2);
        assert_eq!(host.refusal(now + SECOND), Some((429, SECOND)));
        assert_eq!(host.refusal(now + SECOND * 2), None);
        host.accepted();
        assert_eq!(host.refusal(now), None);
        assert_eq!(host.refuse(503, now, |count| SECOND * count), SECOND);
    }

    #[test]
    fn forgotten_hosts_are_those_that_nobody_uses() {
        let hosts = Hosts::default();
        let used = hosts.get("used");
        for number in 0..MAX_HOSTS + 10 {
            hosts.get(&number.to_string());
        }
        assert!(hosts.0.lock().len() <= MAX_HOSTS);
        assert!(Arc::ptr_eq(&used, &hosts.get("used")));
    }

    #[test]
    fn each_origin_has_its_robots_txt_up_to_the_limit_of_its_host() {
        let (mut host, now) = (Host::default(), Instant::now());
        host.set_robots("http://a", Robots::All, now);
        assert!(host.robots("http://a", now).is_some() && host.robots("https://a", now).is_none());
        for number in 1..MAX_ORIGINS {
            host.set_robots(&number.to_string(), Robots::All, now);
        }
        assert!(host.robots.len() == MAX_ORIGINS && host.robots("http://a", now).is_some());
        host.set_robots("one more", Robots::All, now);
        assert!(host.robots("one more", now).is_some() && host.robots.len() == 1);
    }

    #[test]
    fn a_host_has_one_name_whatever_its_scheme_and_port_and_each_loopback_service_its_own() {
        let name = |text: &str| {
            let url: Url = text.parse().expect("a URL");
            let origin = url.origin().ascii_serialization();
            name_of(&url, origin)
        };
        for text in ["http://A.example/x", "https://a.example/", "https://a.example:8443/"] {
            assert_eq!(name(text), "a.example");
        }
        assert_eq!(name("http://192.0.2.1:81/"), name("https://192.0.2.1/"));
        assert_ne!(name("http://a.example/"), name("http://b.a.example/"));
        for address in ["127.0.0.1", "127.9.9.9", "[::1]"] {
            assert_ne!(name(&format!("http://{address}:81/")), name(&format!("http://{address}:82/")));
        }
    }
}
