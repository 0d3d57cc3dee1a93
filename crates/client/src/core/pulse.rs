use crate::clock::later;
use std::time::{Duration, Instant};

/// Whether the peer is alive: silence is broken by a question, and silence after it is death.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    interval: Duration,
    heard: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feel {
    Well,
    /// It is to be asked for a sign now.
    Ask,
    /// It owes an answer, and has not given it.
    Silent,
}

impl Pulse {
    pub(crate) fn new(interval: Duration, now: Instant) -> Pulse {
        Pulse { interval, heard: now }
    }

    /// It has said something, or taken something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// `owes` is whether it was asked already. Says so once an interval.
    pub(crate) fn feel(&mut self, now: Instant, owes: bool) -> Feel {
        if now < self.due() {
            return Feel::Well;
        }
        self.heard = now;
        if owes { Feel::Silent } else { Feel::Ask }
    }

    /// When there will be something to feel.
    pub(crate) fn due(&self) -> Instant {
        later(self.heard, self.interval)
    }
}
