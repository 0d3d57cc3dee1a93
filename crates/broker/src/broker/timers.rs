//! What happens because time goes by.

use super::Broker;
use super::pause::{Blocked, Effect, Pending};
use crate::outbox::Origin;
use crate::{ConnectionId, Event, Time};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The patience with a connection ends.
    Grace(ConnectionId),
    /// A worker may have taken no byte for too long.
    WriteTimeout(ConnectionId),
}

impl Broker {
    /// When [`Broker::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|&(time, _)| time)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        // Taken out before any of them acts: one that arms itself again is not due in the same call.
        let later = self.timers.split_off(&(Time(self.now.0.saturating_add(1)), Timer::Grace(ConnectionId(0))));
        for (_, timer) in std::mem::replace(&mut self.timers, later) {
            match timer {
                Timer::Grace(id) => self.grace_ended(id),
                Timer::WriteTimeout(id) => self.check_stall(id),
            }
        }
        self.run_effects();
    }

    fn grace_ended(&mut self, id: ConnectionId) {
        let Some(&place) = self.ids.get(&id) else { return };
        let others_keep_up = self.others_keep_up(place);
        let connection = &mut self.connections[place];
        connection.grace_ends = None;
        if connection.grace.is_zero() {
            let took = std::mem::take(&mut connection.took);
            if took || connection.initial_grace > self.limits.initial_grace_for_reading() && !others_keep_up {
                connection.grace = connection.initial_grace.min(self.limits.grace_period);
                connection.initial_grace -= connection.grace;
            }
        }
        if !connection.grace.is_zero() {
            // It drained meanwhile, and has earned more, or gets an advance.
            return self.wait_for_room(place, Duration::ZERO);
        }
        self.judge_slow(place);
        self.effects.push_back(Effect::Retry(Blocked::Subscriber(place)));
    }

    /// Whether the topics whose publishers wait for room in an outbox have other subscribers, who have
    /// taken all there was: then it is not the machine that is slow.
    fn others_keep_up(&self, place: usize) -> bool {
        let waiting = self.paused.iter().filter(|&&held| self.waits_for(held, Blocked::Subscriber(place)));
        let topics = waiting.filter_map(|&held| match self.connections[held].pending.front() {
            Some(Pending::Publish { channel, .. }) => self.names.get(channel),
            _ => None,
        });
        let mut others = topics
            .flat_map(|&topic| self.channels[topic].subscribers.connections())
            .filter(|&other| other != place)
            .peekable();
        others.peek().is_some() && others.all(|other| self.connections[other].outbox.is_empty())
    }

    /// Publishers wait for room in an outbox: for what its connection has saved, and for some time
    /// in any case.
    pub(super) fn wait_for_room(&mut self, place: usize, in_any_case: Duration) {
        let connection = &mut self.connections[place];
        let ends = self.now + std::mem::take(&mut connection.grace).max(in_any_case);
        connection.grace_ends = Some(ends);
        self.timers.insert((ends, Timer::Grace(connection.id)));
    }

    /// The connection earns no new patience for a while, and then only if it has taken something.
    pub(super) fn judge_slow(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        connection.slow_until = self.now + self.limits.slow_consumer;
        connection.draining = false;
        connection.grace = Duration::ZERO;
        self.events.push_back(Event::Slow { connection: connection.id });
    }

    fn check_stall(&mut self, id: ConnectionId) {
        let Some(&place) = self.ids.get(&id) else { return };
        let connection = &mut self.connections[place];
        connection.stall_armed = false;
        if !connection.outbox.holds_queue_messages() {
            return;
        }
        connection.stall_armed = true;
        let due = connection.last_credit + self.limits.write_timeout;
        if due > self.now {
            self.timers.insert((due, Timer::WriteTimeout(id)));
            return;
        }
        self.timers.insert((self.now + self.limits.write_timeout, Timer::WriteTimeout(id)));
        if connection.stalled || connection.recalling {
            return;
        }
        connection.stalled = true;
        if connection.outbox.has_handed() {
            connection.recalling = true;
            self.events.push_back(Event::Recall { connection: id });
        } else {
            for entry in connection.outbox.reclaim(0, &mut self.budget, Origin::is_of_queue) {
                self.reclaim(place, entry);
            }
        }
    }
}
