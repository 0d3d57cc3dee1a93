//! Whether a peer is still there: when to ask, and when to give up. Time is an argument.

use crate::options::Heartbeat;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Heart {
    beat: Option<Heartbeat>,
    next: Option<Instant>,
    /// When an answer is due.
    due: Option<Instant>,
    /// What the peer asked for: to be taken for dead after so long.
    ttl: Option<Duration>,
    heard: Instant,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Nothing,
    Ask,
    /// For so long nothing was heard.
    Dead(Duration),
}

impl Heart {
    pub(crate) fn new(beat: Option<Heartbeat>, now: Instant) -> Heart {
        Heart { beat, next: beat.map(|beat| now + beat.interval), due: None, ttl: None, heard: now }
    }

    /// Anything was received.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.due = None;
    }

    /// The peer asks, and says how long it may be silent.
    pub(crate) fn asked(&mut self, ttl: u16) {
        self.ttl = (ttl > 0).then(|| Duration::from_millis(u64::from(ttl) * 100));
    }

    /// How long we say that we may be silent.
    pub(crate) fn ttl(&self) -> u16 {
        let tenths = self.beat.and_then(|beat| beat.ttl).map_or(0, |ttl| ttl.as_millis() / 100);
        u16::try_from(tenths).unwrap_or(u16::MAX)
    }

    /// When [`Heart::handle_timeout`] is due.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let end = self.ttl.map(|ttl| self.heard + ttl);
        [self.next, self.due, end].into_iter().flatten().min()
    }

    /// `listening` is whether the peer is read at all: who is not cannot be heard.
    pub(crate) fn handle_timeout(&mut self, now: Instant, listening: bool) -> Beat {
        if !listening {
            self.heard(now);
        }
        if self.due.is_some_and(|due| due <= now) || self.ttl.is_some_and(|ttl| self.heard + ttl <= now) {
            return Beat::Dead(now - self.heard);
        }
        match (self.beat, self.next) {
            (Some(beat), Some(next)) if next <= now => {
                self.next = Some(now + beat.interval);
                if listening {
                    self.due.get_or_insert(now + beat.timeout);
                }
                Beat::Ask
            }
            _ => Beat::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_peer_is_asked_and_is_dead_when_it_does_not_answer() {
        let start = Instant::now();
        let mut heart = Heart::new(Some(Heartbeat { interval: s(10), timeout: s(3), ttl: Some(s(30)) }), start);
        assert_eq!((heart.timeout(), heart.ttl()), (Some(start + s(10)), 300));
        assert_eq!(heart.handle_timeout(start + s(9), true), Beat::Nothing);
        assert_eq!(heart.handle_timeout(start + s(10), true), Beat::Ask);
        heart.heard(start + s(11));
        assert_eq!(heart.timeout(), Some(start + s(20)));
        assert_eq!(heart.handle_timeout(start + s(20), true), Beat::Ask);
        assert_eq!(heart.timeout(), Some(start + s(23)));
        assert_eq!(heart.handle_timeout(start + s(23), true), Beat::Dead(s(12)));
    }

    #[test]
    fn a_peer_that_is_not_read_is_not_dead() {
        let start = Instant::now();
        let mut heart = Heart::new(Some(Heartbeat::every(s(1))), start);
        heart.asked(10);
        for second in 1..100 {
            assert_eq!(heart.handle_timeout(start + s(second), false), Beat::Ask);
        }
        assert_eq!(heart.handle_timeout(start + s(100), true), Beat::Dead(s(1)));
    }

    #[test]
    fn a_peer_may_say_when_it_is_dead() {
        let start = Instant::now();
        let mut heart = Heart::new(None, start);
        assert_eq!(heart.timeout(), None);
        heart.asked(25);
        assert_eq!(heart.timeout(), Some(start + Duration::from_millis(2500)));
        assert_eq!(heart.handle_timeout(start + s(2), true), Beat::Nothing);
        assert_eq!(heart.handle_timeout(start + s(3), true), Beat::Dead(s(3)));
        heart.asked(0);
        assert_eq!(heart.timeout(), None);
    }
}
