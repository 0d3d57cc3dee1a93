use crate::stomp::Agreed;
use std::time::{Duration, Instant};
use switchboard_driver::Deadline;

/// STOMP's heart-beats of one connection, as they were agreed on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beats {
    /// Interval that we promised, and time of the last write.
    sends: Option<(Duration, Instant)>,
    /// One is on its way to the socket.
    begun: bool,
    expects: Option<Duration>,
}

impl Beats {
    pub(crate) fn new(agreed: Agreed, now: Instant) -> Beats {
        Beats { sends: agreed.sends.map(|interval| (interval, now)), begun: false, expects: agreed.expects }
    }

    /// Something was written.
    pub(crate) fn sent(&mut self, now: Instant) {
        if let Some((_, last)) = &mut self.sends {
            *last = now;
        }
        self.begun = false;
    }

    /// It is being written: until then no other one is due.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// The time of the next sign of life: half of the interval is left for the way.
    pub(crate) fn due(&self) -> Option<Deadline> {
        self.sends.filter(|_| !self.begun).map(|(interval, last)| Deadline::after(last, interval / 2))
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.begun || self.due().is_some_and(|due| due.has_passed(now))
    }

    /// Returns true if the server has promised signs of life.
    pub(crate) fn expects(&self) -> bool {
        self.expects.is_some()
    }

    /// After this time a server that has promised signs of life is asked for one; after twice as long it is dead.
    pub(crate) fn silence(&self, heartbeat: Duration) -> Option<Duration> {
        self.expects.map(|interval| interval.saturating_mul(3) / 2).map(|silence| silence.max(heartbeat))
    }
}
