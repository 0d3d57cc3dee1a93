//! Connections: their coming, their going, and what is handed to them.

use super::pause::{Blocked, Effect, Pending};
use super::{Broker, Timer, shrink};
use crate::budget::AllocationId;
use crate::outbox::{Origin, Outbox, OutboxEntry};
use crate::queue::Segment;
use crate::{
    AckMode, Batch, CloseReason, ConnectionId, DeliveryTag, Event, Limits, Pattern, PauseReason, Refusal,
    SubscriptionId, Time,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) outbox: Outbox,
    /// Bytes of an assembly that will be in the outbox before this command is over.
    pub(super) reserved_outbox: usize,
    pub(super) unacked: BTreeMap<DeliveryTag, Unacked>,
    pub(super) next_tag: u64,
    /// What the connection sent and nobody could take yet.
    pub(super) pending: VecDeque<Pending>,
    pub(super) blocked: Option<(Blocked, PauseReason)>,
    pub(super) reserved: usize,
    /// The outbox has no room until it is down to this many bytes.
    pub(super) resume_below: Option<usize>,
    /// What it has saved: how long publishers may wait for room, where that is longer than the limit.
    pub(super) grace: Duration,
    /// What it may have on top while it takes something, before it has saved anything.
    pub(super) initial_grace: Duration,
    /// Whether some byte was written since the patience was last prolonged.
    pub(super) took: bool,
    /// When the patience of the publishers that wait for room ends.
    pub(super) grace_ends: Option<Time>,
    pub(super) slow_until: Time,
    /// Some byte was written since it last was slow.
    pub(super) draining: bool,
    pub(super) last_credit: Time,
    pub(super) stall_armed: bool,
    pub(super) stalled: bool,
    pub(super) recalling: bool,
    pub(super) finishing: bool,
    pub(super) gone: bool,
    pub(super) closing: bool,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) pattern: Pattern,
    pub(super) ack: AckMode,
    pub(super) unacked: u32,
}

#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) channel: usize,
    pub(super) subscription: SubscriptionId,
    pub(super) message: Batch,
    pub(super) block: AllocationId,
    pub(super) place: u64,
}

impl Connection {
    pub(super) fn is_slow(&self, now: Time) -> bool {
        self.slow_until > now
    }

    /// Whether the outbox takes so many bytes; an empty one takes one message of any size.
    pub(super) fn fits(&self, bytes: usize, bound: usize) -> bool {
        let waiting = self.outbox.bytes() + self.reserved_outbox;
        waiting == 0 || waiting.saturating_add(bytes) <= bound
    }

    /// Notes that there was no room, and down to where the outbox must drain for it.
    pub(super) fn set_full(&mut self, bytes: usize, bound: usize) {
        self.resume_below = Some((bound / 2).min(bound.saturating_sub(bytes)));
    }

    /// Whether it has not got, or not acked, all that is its own.
    fn is_owed(&self) -> bool {
        !self.outbox.is_empty() || !self.unacked.is_empty()
    }

    /// Adds to the patience with it.
    fn accrue(&mut self, grace: Duration, limits: &Limits) {
        self.grace = self.grace.saturating_add(grace).min(limits.longest_grace());
    }

    pub(super) fn subscription(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.id == id)
    }
}

impl Broker {
    pub(super) fn connect(&mut self, id: ConnectionId) {
        if self.ids.len() >= self.limits.connections {
            let refusal = Refusal::Connections { limit: self.limits.connections };
            self.events.push_back(Event::Refused { connection: id, channel: None, refusal });
            return;
        }
        let place = self.connections.insert(Connection {
            id,
            subscriptions: Vec::new(),
            outbox: Outbox::default(),
            reserved_outbox: 0,
            unacked: BTreeMap::new(),
            next_tag: 1,
            pending: VecDeque::new(),
            blocked: None,
            reserved: 0,
            resume_below: None,
            grace: Duration::ZERO,
            initial_grace: self.limits.longest_grace(),
            took: false,
            grace_ends: None,
            slow_until: Time::ZERO,
            draining: true,
            last_credit: self.now,
            stall_armed: false,
            stalled: false,
            recalling: false,
            finishing: false,
            gone: false,
            closing: false,
            published: 0,
            delivered: 0,
            dropped: 0,
        });
        self.ids.insert(id, place);
    }

    /// Puts a entry into an outbox and hands out what the window allows.
    pub(super) fn push_entry(&mut self, place: usize, entry: OutboxEntry) {
        let of_queue = entry.origin.is_of_queue();
        let connection = &mut self.connections[place];
        if connection.outbox.is_empty() {
            connection.last_credit = self.now;
        }
        connection.outbox.push(entry);
        if of_queue && !connection.stall_armed && !self.limits.write_timeout.is_zero() {
            connection.stall_armed = true;
            self.timers.insert((self.now + self.limits.write_timeout, Timer::WriteTimeout(connection.id)));
        }
        self.hand_out(place);
    }

    pub(super) fn hand_out(&mut self, place: usize) {
        let Connection { id, outbox, recalling, gone, .. } = &mut self.connections[place];
        if *recalling || *gone {
            return;
        }
        while let Some(entry) = outbox.hand_out(self.limits.window) {
            let (channel, subscription, tag) = match entry.origin {
                Origin::Topic { channel, subscription } | Origin::Queue { channel, subscription, .. } => {
                    (channel, subscription, None)
                }
                Origin::Tagged { channel, subscription, tag } => (channel, subscription, Some(tag)),
                Origin::Barrier => {
                    self.events.push_back(Event::Barrier { connection: *id, batch: entry.batch.clone() });
                    continue;
                }
            };
            self.events.push_back(Event::Deliver {
                connection: *id,
                subscription,
                channel: self.channels[channel].name.clone(),
                batch: entry.batch.clone(),
                tag,
            });
        }
    }

    pub(super) fn credit(&mut self, place: usize, bytes: usize) {
        let connection = &mut self.connections[place];
        if bytes == 0 && !connection.stalled {
            return;
        }
        connection.last_credit = self.now;
        connection.draining = true;
        connection.took = true;
        if !connection.is_slow(self.now) {
            connection.accrue(self.limits.grace_for(bytes), &self.limits);
        }
        let had_stalled = std::mem::take(&mut connection.stalled);
        self.count_written(place, bytes);
        self.hand_out(place);
        self.check_room(place, had_stalled);
        self.effects.push_back(Effect::Reap(place));
    }

    /// So many further bytes are written, and with them perhaps whole entries.
    fn count_written(&mut self, place: usize, bytes: usize) {
        let mut done = Vec::new();
        self.connections[place].outbox.credit(bytes, |entry| done.push(entry));
        for entry in done {
            self.written(place, entry);
        }
    }

    /// The entry was wholly written.
    fn written(&mut self, place: usize, entry: OutboxEntry) {
        if entry.origin != Origin::Barrier {
            let count = entry.batch.len() as u64;
            self.connections[place].delivered += count;
            self.totals.delivered += count;
        }
        match entry.block {
            Some(block) => self.release(block),
            None if entry.origin == Origin::Barrier => self.uncount(entry.batch.bytes()),
            None => {}
        }
    }

    /// Tells those who wait when an outbox has room again.
    pub(super) fn check_room(&mut self, place: usize, even_so: bool) {
        let connection = &mut self.connections[place];
        let waiting = connection.outbox.bytes();
        let has_room = connection.resume_below.is_some_and(|target| waiting <= target);
        if has_room {
            connection.resume_below = None;
            if let Some(time) = connection.grace_ends.take() {
                self.timers.remove(&(time, Timer::Grace(connection.id)));
                connection.accrue(time.since(self.now), &self.limits);
            }
        }
        if has_room || even_so {
            self.effects.push_back(Effect::OutboxFreed(place));
        }
    }

    pub(super) fn finish(&mut self, place: usize) {
        self.leave_channels(place);
        self.connections[place].finishing = true;
        self.effects.push_back(Effect::Reap(place));
    }

    pub(super) fn disconnect(&mut self, place: usize) {
        // Who comes, fills what there is, and leaves again and again must not fill all memory.
        let gone = self.connections.len() - self.ids.len();
        let no_room = self.budget.free() == 0 || gone >= self.limits.connections;
        self.leave_channels(place);
        let (entries, done) = self.connections[place].outbox.take_all();
        if let Some(entry) = done {
            self.written(place, entry);
        }
        for entry in entries {
            self.reclaim(place, entry);
        }
        let unacked = std::mem::take(&mut self.connections[place].unacked);
        for (_, message) in unacked {
            self.requeue(message);
        }
        let connection = &mut self.connections[place];
        connection.gone = true;
        connection.resume_below = None;
        let reserved = std::mem::take(&mut connection.reserved);
        if let Some(time) = connection.grace_ends.take() {
            self.timers.remove(&(time, Timer::Grace(connection.id)));
        }
        let pending = std::mem::take(&mut connection.pending);
        for command in pending {
            match command {
                Pending::Publish { batch, .. } if no_room => {
                    self.totals.dropped_publisher_gone += batch.len() as u64;
                    self.uncount(batch.bytes());
                }
                // It was read, so it counts as sent.
                Pending::Publish { .. } => self.connections[place].pending.push_back(command),
                Pending::Barrier { batch } => self.uncount(batch.bytes()),
                Pending::Reserve { .. } => {}
            }
        }
        self.ids.remove(&self.connections[place].id);
        shrink(&mut self.ids);
        self.uncount(reserved);
        if self.connections[place].blocked.is_some() {
            self.advance(place);
        }
        self.effects.push_back(Effect::Retry(Blocked::Subscriber(place)));
        self.effects.push_back(Effect::Reap(place));
    }

    /// An unwritten entry comes back: a queue's messages go to the head of their queue.
    pub(super) fn reclaim(&mut self, place: usize, entry: OutboxEntry) {
        match (entry.origin, entry.block) {
            (Origin::Queue { channel, first, step, .. }, Some(block)) => {
                let mut next = first;
                for body in entry.batch.iter() {
                    let batch = Batch::one(body);
                    let block = self.charge_block(channel, batch.bytes());
                    self.channels[channel].backlog.requeue_segment(Segment { batch, block, first: next });
                    next += step;
                }
                self.totals.requeued += entry.batch.len() as u64;
                self.release(block);
                self.effects.push_back(Effect::Dispatch(channel));
            }
            (Origin::Tagged { tag, .. }, block) => {
                if let Some(block) = block {
                    self.release(block);
                }
                if let Some(message) = self.connections[place].unacked.remove(&tag) {
                    self.forget_unacked(place, message.subscription);
                    self.requeue(message);
                }
            }
            (Origin::Barrier, _) => self.uncount(entry.batch.bytes()),
            (_, Some(block)) => self.release(block),
            (_, None) => {}
        }
    }

    pub(super) fn recalled(&mut self, place: usize, kept: usize) {
        let connection = &mut self.connections[place];
        if !std::mem::take(&mut connection.recalling) {
            return;
        }
        let back = connection.outbox.reclaim(kept, &mut self.budget, Origin::is_of_queue);
        // The cut may have left a entry of which everything is written.
        self.count_written(place, 0);
        for entry in back {
            self.reclaim(place, entry);
        }
        self.hand_out(place);
        self.check_room(place, false);
        self.effects.push_back(Effect::Reap(place));
    }

    /// Closes a connection that has got everything: because it wants to, or because all are to.
    pub(super) fn close_if_done(&mut self, place: usize, all: bool) {
        let Some(connection) = self.connections.get(place) else { return };
        if connection.gone || connection.closing || connection.is_owed() {
            return;
        }
        let reason = if connection.finishing && connection.pending.is_empty() {
            CloseReason::Finished
        } else if all && !self.has_waiting_queue(place) {
            CloseReason::Drained
        } else {
            return;
        };
        self.close(place, reason);
    }

    pub(super) fn close(&mut self, place: usize, reason: CloseReason) {
        let connection = &mut self.connections[place];
        if !connection.closing {
            connection.closing = true;
            self.events.push_back(Event::Close { connection: connection.id, reason });
        }
    }

    /// Whether somebody is held who may yet be released while the broker drains. Room comes from
    /// those who take what is theirs, and nobody subscribes any more.
    pub(super) fn awaits_room(&self) -> bool {
        let held = self.paused.iter().filter_map(|&place| self.connections[place].blocked.as_ref());
        let mut on = held.map(|(on, _)| *on);
        on.any(|on| match on {
            Blocked::Channel(channel) => self.channels.get(channel).is_some_and(|c| c.subscribers.len() > 0),
            Blocked::Subscriber(_) | Blocked::Share(_) | Blocked::Memory => true,
        }) && self.connections.iter().any(|(_, connection)| connection.is_owed())
    }

    fn has_waiting_queue(&self, place: usize) -> bool {
        self.queues_of(place).into_iter().any(|queue| !self.channels[queue].backlog.is_empty())
    }
}
