use crate::Deadline;
use std::time::{Duration, Instant};

/// Decides when a peer is probed, and when it is given up. It does no I/O and reads no clock.
///
/// Contract for the caller, which drives one connection:
///
/// 1. Report every read with [`received`](Heartbeat::received), and every write with [`wrote`](Heartbeat::wrote).
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
    /// The last write was blocked since then, and so many bytes were taken since.
    blocked_since: Instant,
    blocked_bytes: u64,
    /// When the kernels' buffers should be empty.
    drained: Instant,
}

/// Bytes that may be in the kernels' buffers behind a blocked write.
const BUFFERED: u64 = 8 << 20;
/// The longest time that they are given.
const LONGEST_DRAIN: Duration = Duration::from_secs(60);

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
            blocked_since: now,
            blocked_bytes: 0,
            drained: now,
        }
    }

    /// Bytes were read.
    pub fn received(&mut self, now: Instant) {
        self.received = now;
        self.due = Deadline::NEVER;
    }

    /// The kernel took `bytes`. `was_blocked`: the write before had filled its buffer, so the peer has taken something; a write into a
    /// buffer that has room proves nothing.
    pub fn wrote(&mut self, now: Instant, bytes: usize, was_blocked: bool) {
        if !was_blocked {
            (self.blocked_since, self.blocked_bytes) = (now, 0);
            return;
        }
        self.blocked_bytes += bytes as u64;
        if self.blocked_bytes > 0 {
            let elapsed = now.saturating_duration_since(self.blocked_since);
            let drain = elapsed.mul_f64(BUFFERED as f64 / self.blocked_bytes as f64);
            self.drained = now + drain.min(LONGEST_DRAIN);
            // The rate of late counts.
            if self.blocked_bytes > 2 * BUFFERED {
                (self.blocked_since, self.blocked_bytes) = (now - elapsed / 2, self.blocked_bytes / 2);
            }
        }
        if let (Some(_), Some((_, timeout))) = (self.due.instant(), self.period) {
            self.due = Deadline::after(self.drained, timeout);
        }
    }

    /// The last byte of the probe is written.
    pub fn probe_written(&mut self, now: Instant) {
        if std::mem::take(&mut self.probe_queued)
            && let Some((interval, timeout)) = self.period
        {
            self.next = Deadline::after(now, interval);
            if self.due == Deadline::NEVER {
                // It stands behind what is in the buffers.
                self.due = Deadline::after(now.max(self.drained), timeout);
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
        heartbeat.wrote(start, 1, true);
        assert_eq!(heartbeat.check(start + s(1), true), Check::Probe);
        heartbeat.probe_written(start + s(1));
        for second in 2..50 {
            // At this rate the buffers are empty at once.
            heartbeat.wrote(start + s(second), 1 << 40, true);
            let check = heartbeat.check(start + s(second), true);
            if check == Check::Probe {
                heartbeat.probe_written(start + s(second));
            }
            assert_ne!(check, dead(second));
        }
        assert_eq!(heartbeat.check(start + s(51), true), Check::Probe);
        assert_eq!(heartbeat.check(start + s(52), true), dead(52));
    }

    #[test]
    fn a_write_into_a_buffer_with_room_is_no_sign_of_life() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Some((s(1), s(2))), start);
        heartbeat.check(start + s(1), true);
        heartbeat.probe_written(start + s(1));
        heartbeat.wrote(start + s(2), 1000, false);
        assert_eq!(heartbeat.check(start + s(3), true), dead(3));
    }

    #[test]
    fn a_probe_behind_full_buffers_is_given_the_time_that_they_need_at_the_last_rate() {
        let start = Instant::now();
        for (per_second, drain) in [(4 << 20, s(2)), (8 << 20, s(1)), (1, LONGEST_DRAIN)] {
            let mut heartbeat = Heartbeat::new(Some((s(4), s(1))), start);
            heartbeat.wrote(start, 1 << 20, false);
            (1..5).for_each(|second| heartbeat.wrote(start + s(second), per_second, true));
            assert_eq!(heartbeat.check(start + s(4), true), Check::Probe);
            heartbeat.probe_written(start + s(4));
            let due = start + s(4) + drain + s(1);
            assert_eq!(
                heartbeat.deadline().earlier(Deadline::at(due + s(60))),
                Deadline::at(start + s(8).min(drain + s(5)))
            );
            assert_ne!(heartbeat.check(due - s(1) / 10, true), dead(9));
            assert!(matches!(heartbeat.check(due, true), Check::Dead { .. }));
        }
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
        // Taking what is sent is not a word of the peer.
        heartbeat.wrote(start + s(1), 1, true);
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
            heartbeat.wrote(now, usize::MAX, true);
            heartbeat.wrote(now + s(1), 1, true);
            let expected = if timeout.is_zero() { dead(1) } else { Check::Alive };
            let later = heartbeat.check(now + s(1), true);
            assert!(later == expected || (later == Check::Probe && interval.is_zero()), "{later:?}");
        }
    }
}
