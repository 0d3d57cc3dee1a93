use std::time::{Duration, Instant};
use switchboard_driver::Deadline;

/// Finds out whether the peer is alive: after one interval of silence it is checked, after another one it is dead.
///
/// Unlike the driver's `Heartbeat` it checks in silence only, and its caller decides if an unanswered check is death: the broker
/// pauses publishers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    heard: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    /// Send a check, whose answer is a sign of life.
    Check,
    /// A check was not answered.
    Silent,
}

impl Keepalive {
    pub(crate) fn new(interval: Duration, now: Instant) -> Keepalive {
        Keepalive { interval, heard: now }
    }

    /// The peer has sent something, or taken something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Reports silence once an interval. `checked` is whether a check is unanswered.
    pub(crate) fn poll(&mut self, now: Instant, checked: bool) -> Liveness {
        if !self.due().has_passed(now) {
            return Liveness::Alive;
        }
        self.heard = now;
        if checked { Liveness::Silent } else { Liveness::Check }
    }

    /// When to poll again.
    pub(crate) fn due(&self) -> Deadline {
        Deadline::after(self.heard, self.interval)
    }
}
