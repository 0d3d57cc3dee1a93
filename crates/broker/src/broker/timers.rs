//! Work that falls due as time goes by.

use super::Broker;
use crate::name::Kind;
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{ConnectionId, Event, Time};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The grace period of a connection ends.
    Grace(ConnectionId),
    /// A consumer may have taken no byte for too long.
    Write(ConnectionId),
    /// A message may have held memory that others wait for, for too long.
    Finish(ConnectionId),
    /// A consumer may have had a message for too long without acking it.
    Ack(ConnectionId),
    /// Messages of a queue need not wait any longer.
    Due(ChannelSlot),
    /// Messages that the driver has may have expired.
    Expiry(ConnectionId),
    /// An outbox is to go on passing over what has expired.
    Passing(ConnectionId),
    /// Subscriptions are to go on joining a new channel.
    Joins(ChannelSlot),
}

/// Publishers that wait for one subscriber, and other subscribers of their topics, are looked at so
/// far.
const SAMPLE: usize = 32;

impl Broker {
    /// When [`Broker::handle_timeout`] is to be called next: at once while a call has left work
    /// over.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.has_work() {
            return Some(self.now);
        }
        self.timers.first().map(|&(time, _)| time)
    }

    /// Does what is due, and goes on with what calls have left over: a bounded step of each.
    pub fn handle_timeout(&mut self, now: Time) {
        self.begin(now);
        while let Some(&(due, _)) = self.timers.first() {
            if due > self.now || !self.spend(16) {
                break;
            }
            // One that is armed again is due later than now, or this call has nothing left for it: each is due once.
            match self.timers.pop_first() {
                Some((_, Timer::Grace(id))) => self.grace_ended(id),
                Some((_, Timer::Write(id))) => self.check_write_timeout(id),
                Some((_, Timer::Finish(id))) => self.finish_is_late(id),
                Some((_, Timer::Ack(id))) => self.acks_are_due(id),
                Some((_, Timer::Due(slot))) => self.queue_is_due(slot),
                Some((_, Timer::Expiry(id))) => self.recall_expired(id),
                Some((_, Timer::Passing(id))) => {
                    let slot = self.ids.get(&id).copied();
                    slot.into_iter().for_each(|slot| self.hand_out(slot));
                }
                Some((_, Timer::Joins(slot))) => self.go_on_with_joins(slot),
                None => {}
            }
        }
        self.run_effects();
    }

    fn grace_ended(&mut self, id: ConnectionId) {
        let Some(&slot) = self.ids.get(&id) else { return };
        let others_keep_up = self.others_keep_up(slot);
        let connection = self.connections.edit(slot);
        connection.grace_ends = None;
        if connection.grace.is_zero() {
            let took = std::mem::take(&mut connection.took);
            if took || connection.initial_grace > self.limits.initial_grace_for_reading() && !others_keep_up {
                connection.grace = connection.initial_grace.min(self.limits.grace_period);
                connection.initial_grace -= connection.grace;
            }
        }
        if !connection.grace.is_zero() {
            // It drained meanwhile, and has accrued more, or gets its initial grace.
            return self.wait_for_room(slot, Duration::ZERO);
        }
        self.judge_slow(slot);
        self.connections.edit(slot).wakes_all = true;
    }

    /// Whether the topics whose publishers wait for room in an outbox have other subscribers, who have
    /// taken all there was: then it is not the machine that is slow.
    fn others_keep_up(&self, slot: ConnectionSlot) -> bool {
        let mut others = 0;
        let mut waiter = self.connections[slot].waiters.first;
        for _ in 0..SAMPLE {
            let Some(publisher) = waiter else { break };
            waiter = self.connections[publisher].wait.next;
            let Some(topic) = self.feeds_topic(publisher) else { continue };
            let mut member = self.channels[topic].everybody.first;
            for _ in 0..SAMPLE {
                let Some(at) = member else { break };
                let row = &self.members[at];
                if row.connection != slot {
                    others += 1;
                    if !self.connections[row.connection].outbox.is_empty() {
                        return false;
                    }
                }
                member = row.in_channel.next;
            }
        }
        others > 0
    }

    /// The topic that a paused connection publishes to, if it is one.
    fn feeds_topic(&self, slot: ConnectionSlot) -> Option<ChannelSlot> {
        let channel = self.connections[slot].paused_on?;
        (self.channels[channel].kind == Kind::Topic).then_some(channel)
    }

    /// Publishers wait for room in an outbox: for what its connection has saved, and for some time
    /// in any case.
    pub(super) fn wait_for_room(&mut self, slot: ConnectionSlot, in_any_case: Duration) {
        let later = self.later();
        let connection = self.connections.edit(slot);
        let ends = (self.now + std::mem::take(&mut connection.grace).max(in_any_case)).max(later);
        connection.grace_ends = Some(ends);
        self.timers.insert((ends, Timer::Grace(connection.id)));
    }

    /// The next instant.
    fn later(&self) -> Time {
        Time(self.now.0.saturating_add(1))
    }

    /// The connection accrues no new grace for a while, and then only if it has taken something.
    pub(super) fn judge_slow(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        connection.slow_until = self.now + self.limits.slow_consumer;
        connection.draining = false;
        connection.grace = Duration::ZERO;
        self.events.push_back(Event::Slow { connection: connection.id });
    }

    fn check_write_timeout(&mut self, id: ConnectionId) {
        let later = self.later();
        let Some(&slot) = self.ids.get(&id) else { return };
        let connection = self.connections.edit(slot);
        connection.timeout_armed = connection.outbox.has_queue_entries();
        if !connection.timeout_armed {
            return;
        }
        let due = connection.last_credit + self.limits.write_timeout;
        if due > self.now {
            self.timers.insert((due, Timer::Write(id)));
            return;
        }
        self.timers.insert(((self.now + self.limits.write_timeout).max(later), Timer::Write(id)));
        if connection.stalled || connection.recalling {
            return;
        }
        connection.stalled = true;
        self.lose_groups(slot);
        let connection = self.connections.edit(slot);
        if connection.outbox.has_in_flight() {
            self.recall(slot);
        } else {
            self.sweep_queues(slot);
        }
    }
}
