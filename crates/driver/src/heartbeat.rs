use crate::Deadline;
use std::time::{Duration, Instant};

/// Decides when a peer is probed, and when it is given up. It does no I/O and reads no clock.
///
/// Contract for the caller, which drives one connection:
///
/// 1. Report every read with [`received`](Heartbeat::received), and every write that succeeds after one that was blocked or
///    partial with [`unblocked`](Heartbeat::unblocked). A write into a buffer that has room proves nothing.
/// 2. Call [`check`](Heartbeat::check) when [`deadline`](Heartbeat::deadline) has passed.
/// 3. On [`Check::Probe`] queue one probe, and call [`probe_written`](Heartbeat::probe_written) when its last byte is written. Until
///    then no other probe is asked for, and no time-out runs: the probe may stand behind a long message.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Between two probes, and until the answer.
    period: Option<(Duration, Duration)>,
    next: Deadline,
    /// When an answer is due.
    due: Deadline,
    probe_queued: bool,
    /// The peer asks to be given up after so long a silence.
    peer_ttl: Option<Duration>,
    received: Instant,
}

/// The result of [`Heartbeat::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing is due.
    Alive,
    /// A probe is to be queued now.
    Probe,
    /// The peer is to be given up.
    Dead {
        /// Since its last byte.
        silent: Duration,
    },
}

impl Heartbeat {
    /// For a connection that begins `now`: probes every `interval`, and gives up `timeout` after a probe. With `None` it does not
    /// probe, but still honors the peer's time to live.
    #[must_use]
    pub fn new(interval_and_timeout: Option<(Duration, Duration)>, now: Instant) -> Heartbeat {
        Heartbeat {
            period: interval_and_timeout,
            next: interval_and_timeout.map_or(Deadline::NEVER, |(interval, _)| Deadline::after(now, interval)),
            due: Deadline::NEVER,
            probe_queued: false,
            peer_ttl: None,
            received: now,
        }
    }

    /// Bytes were read.
    pub fn received(&mut self, now: Instant) {
        self.received = now;
        self.due = Deadline::NEVER;
    }

    /// A blocked write went on: the peer has taken something.
    pub fn unblocked(&mut self, now: Instant) {
        if let (Some(_), Some((_, timeout))) = (self.due.instant(), self.period) {
            self.due = Deadline::after(now, timeout);
        }
    }

    /// The last byte of the probe is written.
    pub fn probe_written(&mut self, now: Instant) {
        if std::mem::take(&mut self.probe_queued)
            && let Some((interval, timeout)) = self.period
        {
            self.next = Deadline::after(now, interval);
            if self.due == Deadline::NEVER {
                self.due = Deadline::after(now, timeout);
            }
        }
    }

    /// Returns true from [`Check::Probe`] until [`Heartbeat::probe_written`].
    #[must_use]
    pub fn is_probe_queued(&self) -> bool {
        self.probe_queued
    }

    /// The peer asks to be given up when it is silent for `ttl`; `None`: never.
    pub fn set_peer_ttl(&mut self, ttl: Option<Duration>) {
        self.peer_ttl = ttl;
    }

    /// When [`Heartbeat::check`] is due.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        let next = if self.probe_queued { Deadline::NEVER } else { self.next };
        next.earlier(self.due).earlier(self.peer_end())
    }

    fn peer_end(&self) -> Deadline {
        self.peer_ttl.map_or(Deadline::NEVER, |ttl| Deadline::after(self.received, ttl))
    }

    /// Decides. `reading` is false while the caller does not read on purpose: a peer that is not read cannot be silent.
    pub fn check(&mut self, now: Instant, reading: bool) -> Check {
        if !reading {
            self.received(now);
        }
        if self.due.has_passed(now) || self.peer_end().has_passed(now) {
            return Check::Dead { silent: now.saturating_duration_since(self.received) };
        }
        if !self.probe_queued && self.next.has_passed(now) {
            self.probe_queued = true;
            return Check::Probe;
        }
        Check::Alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn dead(seconds: u64) -> Check {
        Check::Dead { silent: s(seconds) }
    }

    #[test]
    fn a_peer_is_probed_and_is_dead_when_it_does_not_answer() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some((s(10), s(3))), start);
        assert_eq!(heartbeat.deadline(), Deadline::at(start + s(10)));
        assert_eq!(heartbeat.check(start + s(9), true), Check::Alive);
        assert_eq!(heartbeat.check(start + s(10), true), Check::Probe);
        heartbeat.probe_written(start + s(10));
        heartbeat.received(start + s(11));
        assert_eq!(heartbeat.deadline(), Deadline::at(start + s(20)));
        assert_eq!(heartbeat.check(start + s(20), true), Check::Probe);
        heartbeat.probe_written(start + s(20));
        assert_eq!(heartbeat.deadline(), Deadline::at(start + s(23)));
        assert_eq!(heartbeat.check(start + s(22), true), Check::Alive);
        assert_eq!(heartbeat.check(start + s(23), true), dead(12));
    }

    #[test]
    fn the_time_out_starts_with_the_last_byte_of_the_probe() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some((s(1), s(1))), start);
        assert_eq!(heartbeat.check(start + s(1), true), Check::Probe);
        // It stands behind a long message; no other one is asked for.
        assert_eq!(heartbeat.deadline(), Deadline::NEVER);
        assert_eq!(heartbeat.check(start + s(60), true), Check::Alive);
        heartbeat.probe_written(start + s(60));
        assert_eq!(heartbeat.check(start + s(60) + s(1) / 2, true), Check::Alive);
        assert_eq!(heartbeat.check(start + s(61), true), dead(61));
    }

    #[test]
    fn a_peer_that_takes_what_was_blocked_is_alive() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some((s(1), s(2))), start);
        // Without a probe there is no time-out to extend.
        heartbeat.unblocked(start);
        assert_eq!(heartbeat.check(start + s(1), true), Check::Probe);
        heartbeat.probe_written(start + s(1));
        for second in 2..50 {
            heartbeat.unblocked(start + s(second));
            let check = heartbeat.check(start + s(second), true);
            if check == Check::Probe {
                heartbeat.probe_written(start + s(second));
            }
            assert_ne!(check, dead(second));
        }
        assert_eq!(heartbeat.check(start + s(51), true), dead(51));
    }

    #[test]
    fn a_later_probe_does_not_extend_the_time_out_of_an_earlier_one() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some((s(1), s(3))), start);
        for second in 1..4 {
            assert_eq!(heartbeat.check(start + s(second), true), Check::Probe);
            heartbeat.probe_written(start + s(second));
        }
        assert_eq!(heartbeat.check(start + s(4), true), dead(4));
    }

    #[test]
    fn a_peer_that_is_not_read_is_not_dead() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some((s(1), s(1))), start);
        heartbeat.set_peer_ttl(Some(s(1)));
        for second in 1..100 {
            assert_eq!(heartbeat.check(start + s(second), false), Check::Probe);
            heartbeat.probe_written(start + s(second));
        }
        assert_eq!(heartbeat.check(start + s(100), true), dead(1));
    }

    #[test]
    fn a_peer_may_say_when_it_is_dead() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(None, start);
        assert_eq!(heartbeat.deadline(), Deadline::NEVER);
        heartbeat.set_peer_ttl(Some(s(2)));
        assert_eq!(heartbeat.deadline(), Deadline::at(start + s(2)));
        assert_eq!(heartbeat.check(start + s(1), true), Check::Alive);
        // Taking what we send is not a word of the peer.
        heartbeat.unblocked(start + s(1));
        assert_eq!(heartbeat.check(start + s(2), true), dead(2));
        heartbeat.set_peer_ttl(None);
        assert_eq!(heartbeat.deadline(), Deadline::NEVER);
    }

    #[test]
    fn no_interval_time_out_or_time_to_live_panics() {
        let now = Instant::now();
        for (interval, timeout) in [(Duration::MAX, Duration::MAX), (s(0), Duration::MAX), (s(0), s(0))] {
            let mut heartbeat = Heartbeat::new(Some((interval, timeout)), now);
            heartbeat.set_peer_ttl(Some(Duration::MAX));
            if heartbeat.check(now, true) == Check::Probe {
                heartbeat.probe_written(now);
            }
            heartbeat.unblocked(now);
            let expected = if timeout.is_zero() { dead(1) } else { Check::Alive };
            let later = heartbeat.check(now + s(1), true);
            assert!(later == expected || (later == Check::Probe && interval.is_zero()), "{later:?}");
        }
    }
}
