//! What happens because time goes by.

use super::Broker;
use super::hold::{Blocked, Work};
use crate::outbox::Origin;
use crate::{ConnectionId, Event, Time};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The patience with a connection ends.
    Patience(ConnectionId),
    /// A worker may have taken no byte for too long.
    Stall(ConnectionId),
}

impl Broker {
    /// When [`Broker::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|&(time, _)| time)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        while let Some(&(due, timer)) = self.timers.first() {
            if due > self.now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Patience(id) => self.patience_ended(id),
                Timer::Stall(id) => self.check_stall(id),
            }
        }
        self.settle();
    }

    fn patience_ended(&mut self, id: ConnectionId) {
        let Some(&place) = self.ids.get(&id) else { return };
        let connection = &mut self.connections[place];
        connection.patience_ends = None;
        connection.slow_until = self.now + self.limits.slow;
        connection.draining = false;
        self.work.push_back(Work::Retry(Blocked::Subscriber(place)));
    }

    fn check_stall(&mut self, id: ConnectionId) {
        let Some(&place) = self.ids.get(&id) else { return };
        let connection = &mut self.connections[place];
        connection.stall_armed = false;
        if !connection.outbox.holds_queue_messages() {
            return;
        }
        connection.stall_armed = true;
        let due = connection.last_credit + self.limits.stall;
        if due > self.now {
            self.timers.insert((due, Timer::Stall(id)));
            return;
        }
        self.timers.insert((self.now + self.limits.stall, Timer::Stall(id)));
        if connection.recalled || connection.recalling {
            return;
        }
        connection.recalled = true;
        connection.stalled = true;
        if connection.outbox.has_handed() {
            connection.recalling = true;
            self.events.push_back(Event::Recall { connection: id });
        } else {
            let of_queue = |origin: &Origin| matches!(origin, Origin::Queue { .. } | Origin::Tagged { .. });
            for parcel in connection.outbox.take_back(0, &mut self.ledger, of_queue) {
                self.take_back(place, parcel);
            }
        }
    }
}
