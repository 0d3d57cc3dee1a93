//! Connections: their coming, their going, and what is handed to them.

use super::hold::{Blocked, Pending, Work};
use super::{Broker, Timer, shrink};
use crate::ledger::BlockId;
use crate::outbox::{Origin, Outbox, Parcel};
use crate::queue::Segment;
use crate::{
    AckMode, Batch, CloseReason, ConnectionId, DeliveryTag, Event, HoldReason, Limits, Pattern, Refusal,
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
    pub(super) promised: usize,
    pub(super) unacked: BTreeMap<DeliveryTag, Unacked>,
    pub(super) next_tag: u64,
    /// What the connection sent and nobody could take yet.
    pub(super) pending: VecDeque<Pending>,
    pub(super) blocked: Option<(Blocked, HoldReason)>,
    pub(super) reserved: usize,
    /// The outbox has no room until it is down to this many bytes.
    pub(super) full_above: Option<usize>,
    /// What it has saved: how long publishers may wait for room, where that is longer than the limit.
    pub(super) patience: Duration,
    /// What it may have on top while it takes something, before it has saved anything.
    pub(super) advance: Duration,
    /// Whether some byte was written since the patience was last prolonged.
    pub(super) took: bool,
    /// When the patience of the publishers that wait for room ends.
    pub(super) patience_ends: Option<Time>,
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
    pub(super) block: BlockId,
    pub(super) place: u64,
}

impl Connection {
    pub(super) fn is_slow(&self, now: Time) -> bool {
        self.slow_until > now
    }

    /// Whether the outbox takes so many bytes; an empty one takes one message of any size.
    pub(super) fn fits(&self, bytes: usize, bound: usize) -> bool {
        let waiting = self.outbox.bytes() + self.promised;
        waiting == 0 || waiting.saturating_add(bytes) <= bound
    }

    /// Notes that there was no room, and down to where the outbox must drain for it.
    pub(super) fn set_full(&mut self, bytes: usize, bound: usize) {
        self.full_above = Some((bound / 2).min(bound.saturating_sub(bytes)));
    }

    /// Whether it has not got, or not acked, all that is its own.
    fn is_owed(&self) -> bool {
        !self.outbox.is_empty() || !self.unacked.is_empty()
    }

    /// Adds to the patience with it.
    fn earn(&mut self, patience: Duration, limits: &Limits) {
        self.patience = self.patience.saturating_add(patience).min(limits.longest_patience());
    }

    pub(super) fn subscription(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.id == id)
    }
}

impl Broker {
    pub(super) fn connect(&mut self, id: ConnectionId) {
        if self.ids.len() >= self.limits.connections {
            let refusal = Refusal::Connections { limit: self.limits.connections };
            self.events.push_back(Event::Refused { connection: id, refusal });
            return;
        }
        let place = self.connections.insert(Connection {
            id,
            subscriptions: Vec::new(),
            outbox: Outbox::default(),
            promised: 0,
            unacked: BTreeMap::new(),
            next_tag: 1,
            pending: VecDeque::new(),
            blocked: None,
            reserved: 0,
            full_above: None,
            patience: Duration::ZERO,
            advance: self.limits.longest_patience(),
            took: false,
            patience_ends: None,
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

    /// Puts a parcel into an outbox and hands out what the window allows.
    pub(super) fn push_parcel(&mut self, place: usize, parcel: Parcel) {
        let of_queue = parcel.origin.is_of_queue();
        let connection = &mut self.connections[place];
        if connection.outbox.is_empty() {
            connection.last_credit = self.now;
        }
        connection.outbox.push(parcel);
        if of_queue && !connection.stall_armed {
            connection.stall_armed = true;
            self.timers.insert((self.now + self.limits.stall, Timer::Stall(connection.id)));
        }
        self.hand_out(place);
    }

    pub(super) fn hand_out(&mut self, place: usize) {
        let Connection { id, outbox, recalling, gone, .. } = &mut self.connections[place];
        if *recalling || *gone {
            return;
        }
        while let Some(parcel) = outbox.hand_out(self.limits.window) {
            let (channel, subscription, tag) = match parcel.origin {
                Origin::Topic { channel, subscription } | Origin::Queue { channel, subscription, .. } => {
                    (channel, subscription, None)
                }
                Origin::Tagged { channel, subscription, tag } => (channel, subscription, Some(tag)),
                Origin::Confirm => {
                    self.events.push_back(Event::Confirmed { connection: *id, batch: parcel.batch.clone() });
                    continue;
                }
            };
            self.events.push_back(Event::Deliver {
                connection: *id,
                subscription,
                channel: self.channels[channel].name.clone(),
                batch: parcel.batch.clone(),
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
            connection.earn(self.limits.patience_for(bytes), &self.limits);
        }
        let had_stalled = std::mem::take(&mut connection.stalled);
        self.count_written(place, bytes);
        self.hand_out(place);
        self.check_room(place, had_stalled);
        self.work.push_back(Work::Leave(place));
    }

    /// So many further bytes are written, and with them perhaps whole parcels.
    fn count_written(&mut self, place: usize, bytes: usize) {
        let mut done = Vec::new();
        self.connections[place].outbox.credit(bytes, |parcel| done.push(parcel));
        for parcel in done {
            self.written(place, parcel);
        }
    }

    /// The parcel was wholly written.
    fn written(&mut self, place: usize, parcel: Parcel) {
        if parcel.origin != Origin::Confirm {
            let count = parcel.batch.len() as u64;
            self.connections[place].delivered += count;
            self.totals.delivered += count;
        }
        match parcel.block {
            Some(block) => self.release(block),
            None if parcel.origin == Origin::Confirm => self.uncount(parcel.batch.bytes()),
            None => {}
        }
    }

    /// Tells those who wait when an outbox has room again.
    pub(super) fn check_room(&mut self, place: usize, even_so: bool) {
        let connection = &mut self.connections[place];
        let waiting = connection.outbox.bytes();
        let has_room = connection.full_above.is_some_and(|target| waiting <= target);
        if has_room {
            connection.full_above = None;
            if let Some(time) = connection.patience_ends.take() {
                self.timers.remove(&(time, Timer::Patience(connection.id)));
                connection.earn(time.since(self.now), &self.limits);
            }
        }
        if has_room || even_so {
            self.work.push_back(Work::Serve(place));
        }
    }

    pub(super) fn finish(&mut self, place: usize) {
        self.leave_channels(place);
        self.connections[place].finishing = true;
        self.work.push_back(Work::Leave(place));
    }

    pub(super) fn disconnect(&mut self, place: usize) {
        // Who comes, fills what there is, and leaves again and again must not fill all memory.
        let gone = self.connections.len() - self.ids.len();
        let no_room = self.ledger.free() == 0 || gone >= self.limits.connections;
        self.leave_channels(place);
        let (parcels, done) = self.connections[place].outbox.take_all();
        if let Some(parcel) = done {
            self.written(place, parcel);
        }
        for parcel in parcels {
            self.take_back(place, parcel);
        }
        let unacked = std::mem::take(&mut self.connections[place].unacked);
        for (_, message) in unacked {
            self.requeue(message);
        }
        let connection = &mut self.connections[place];
        connection.gone = true;
        connection.full_above = None;
        let reserved = std::mem::take(&mut connection.reserved);
        if let Some(time) = connection.patience_ends.take() {
            self.timers.remove(&(time, Timer::Patience(connection.id)));
        }
        let pending = std::mem::take(&mut connection.pending);
        for command in pending {
            match command {
                Pending::Publish { batch, .. } if no_room => {
                    self.totals.dropped_left += batch.len() as u64;
                    self.uncount(batch.bytes());
                }
                // It was read, so it counts as sent.
                Pending::Publish { .. } => self.connections[place].pending.push_back(command),
                Pending::Confirm { batch } => self.uncount(batch.bytes()),
                Pending::Reserve { .. } => {}
            }
        }
        self.ids.remove(&self.connections[place].id);
        shrink(&mut self.ids);
        self.uncount(reserved);
        if self.connections[place].blocked.is_some() {
            self.advance(place);
        }
        self.work.push_back(Work::Retry(Blocked::Subscriber(place)));
        self.work.push_back(Work::Leave(place));
    }

    /// An unwritten parcel comes back: a queue's messages go to the head of their queue.
    pub(super) fn take_back(&mut self, place: usize, parcel: Parcel) {
        match (parcel.origin, parcel.block) {
            (Origin::Queue { channel, first, step, .. }, Some(block)) => {
                let mut next = first;
                for body in parcel.batch.iter() {
                    let batch = Batch::one(body);
                    let block = self.hold_block(channel, batch.bytes());
                    self.channels[channel].backlog.give_back(Segment { batch, block, first: next });
                    next += step;
                }
                self.totals.returned += parcel.batch.len() as u64;
                self.release(block);
                self.work.push_back(Work::Deal(channel));
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
            (Origin::Confirm, _) => self.uncount(parcel.batch.bytes()),
            (_, Some(block)) => self.release(block),
            (_, None) => {}
        }
    }

    pub(super) fn recalled(&mut self, place: usize, kept: usize) {
        let connection = &mut self.connections[place];
        if !std::mem::take(&mut connection.recalling) {
            return;
        }
        let back = connection.outbox.take_back(kept, &mut self.ledger, Origin::is_of_queue);
        // The cut may have left a parcel of which everything is written.
        self.count_written(place, 0);
        for parcel in back {
            self.take_back(place, parcel);
        }
        self.hand_out(place);
        self.check_room(place, false);
        self.work.push_back(Work::Leave(place));
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
        let held = self.held.iter().filter_map(|&place| self.connections[place].blocked.as_ref());
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
