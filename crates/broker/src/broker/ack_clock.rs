//! The clock of a connection's ack time-outs. It stands still while the broker does not read the connection: acks may lie
//! unread in its socket.

use crate::Time;
use std::time::Duration;

/// Longest time for which the clock stands still, together. It regains as much as it has run.
pub(super) const MOST: Duration = Duration::from_secs(60);

/// Longest time for which it stands still once the connection is read again, so that unread acks come first; no longer than
/// the pause was.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// A connection's clock. It shows [`MOST`] more than the present time at first, for it may stand still at once.
#[derive(Debug)]
pub(super) struct AckClock {
    /// Time for which it has stood still.
    stopped: Duration,
    /// Time for which it may stand still from now on.
    left: Duration,
    /// When it began to run, or to stand still.
    since: Time,
    is_stopped: bool,
}

impl AckClock {
    pub(super) fn new(now: Time) -> AckClock {
        AckClock { stopped: Duration::ZERO, left: MOST, since: now, is_stopped: false }
    }

    /// Its time.
    pub(super) fn at(&self, now: Time) -> Time {
        let more = if self.is_stopped { now.since(self.since).min(self.left) } else { Duration::ZERO };
        Time::ZERO + (now + MOST).since(Time::ZERO + self.stopped + more)
    }

    /// When it will show a time at the earliest that is known now.
    pub(super) fn when(&self, time: Time) -> Time {
        let later = self.is_stopped && time > self.at(self.since);
        let at = time + self.stopped + if later { self.left } else { Duration::ZERO };
        Time::ZERO + at.since(Time::ZERO + MOST)
    }

    /// Whether it stands still no longer though the connection is not read.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.is_stopped && now.since(self.since) >= self.left
    }

    pub(super) fn stop(&mut self, now: Time) {
        if !self.is_stopped {
            self.left = self.left.saturating_add(now.since(self.since)).min(MOST);
            (self.since, self.is_stopped) = (now, true);
        }
    }

    pub(super) fn start(&mut self, now: Time) {
        if self.is_stopped {
            let pause = now.since(self.since);
            let stood = (pause + pause.min(GRACE)).min(self.left);
            (self.stopped, self.left) = (self.stopped + stood, self.left - stood);
            (self.since, self.is_stopped) = (now, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_stands_still_no_longer_than_it_may_and_shows_a_time_when_it_says(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![0..20u64, 0..2_000_000u64, 0..200_000_000u64]), 0..100),
        ) {
            let (mut clock, mut now, mut last, mut ran) = (AckClock::new(Time::ZERO), Time::ZERO, Time::ZERO + MOST, 0);
            for (stops, micros) in steps {
                if stops { clock.stop(now) } else { clock.start(now) }
                let begin = clock.at(now);
                // One that is read again shows an earlier time for a while.
                prop_assert!(begin <= last);
                for later in [1, 1_000, 70_000_000] {
                    let due = begin + Duration::from_micros(later);
                    let when = clock.when(due);
                    prop_assert_eq!(clock.at(when), due);
                    prop_assert!(clock.at(Time(when.0 - 1)) < due);
                }
                ran += if stops { 0 } else { micros };
                now = now + Duration::from_micros(micros);
                last = clock.at(now);
                let behind = (now + MOST).since(last);
                prop_assert!(behind <= MOST + Duration::from_micros(ran), "{behind:?} after {ran}");
            }
        }
    }
}
