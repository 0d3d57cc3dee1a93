//! The way of a batch into its channel.

use super::Broker;
use super::channel::{Channel, NoChannel};
use super::knot::Knot;
use super::pause::{Blocked, Stop};
use super::pending::Pending;
use crate::delivery::Tries;
use crate::limits::QueueOverflow;
use crate::name::Kind;
use crate::outbox::{Origin, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{Batch, Event, PauseReason, Refusal};
use bytes::Bytes;

/// The channel that a carried out command put messages into, if it did.
pub(super) type Taken = Option<ChannelSlot>;

/// The rest of a batch, what it waits for, and why.
pub(super) type Rest = (Batch, Blocked, PauseReason);

/// A piece of a batch that pins much more than itself is copied.
#[inline]
fn shed(piece: Batch, whole: usize) -> Batch {
    if piece.bytes() < whole / 2 { piece.compact() } else { piece }
}

impl Broker {
    /// Gives the channel, for its share of memory, unless there is none.
    pub(super) fn publish(&mut self, slot: ConnectionSlot, name: Bytes, batch: Batch) -> Result<Taken, Stop> {
        if batch.attributes().is_some_and(|attributes| attributes.retain) {
            return self.publish_retained(slot, name, batch);
        }
        self.publish_now(slot, name, batch)
    }

    /// As [`Broker::publish`], whatever is to be retained.
    #[inline]
    pub(super) fn publish_now(&mut self, slot: ConnectionSlot, name: Bytes, batch: Batch) -> Result<Taken, Stop> {
        let count = batch.len() as u64;
        let kind = Kind::of(&name);
        let channel = match self.find_channel(slot, &name) {
            Some(channel) => channel,
            None if kind == Kind::Topic && self.is_unheard(&name) => {
                self.totals.published += count;
                self.note_unheard(&name, self.unheard_of(&batch));
                let connection = self.connections.quietly().row(slot);
                connection.published += count;
                connection.publishes_since += 1;
                return Ok(None);
            }
            None => match self.make_channel(&name) {
                Ok(channel) => channel,
                Err(error) => return self.without_channel(slot, name, batch, error),
            },
        };
        self.follow_rules(channel);
        let Some(batch) = self.start_life(channel, batch) else {
            self.count_published(slot, channel, count, true);
            return Ok(Some(channel));
        };
        let result = match kind {
            Kind::Queue => self.publish_to_queue(channel, batch),
            Kind::Topic if self.oldest_subscriber(channel).is_none() => self.buffer(channel, batch),
            // All subscribers are to get it, behind what only the first gets.
            Kind::Topic if !self.is_given_to_all(channel) => {
                let reason = self.not_all_get(channel);
                Err((batch, Blocked::Channel(channel), reason))
            }
            Kind::Topic => self.publish_to_topic(channel, batch),
        };
        let left = result.as_ref().err().map_or(0, |(batch, ..)| batch.len());
        self.count_published(slot, channel, count - left as u64, result.is_ok());
        match result {
            Ok(()) => Ok(Some(channel)),
            Err((batch, Blocked::Channel(_), reason))
                if self.rejects(channel) && !self.is_about_to_dispatch(channel) =>
            {
                self.reject(slot, channel, batch.len(), &reason);
                Ok(Some(channel))
            }
            Err((batch, on, reason)) => {
                let rest = Pending::Publish { channel: name, batch };
                Err(Stop { rest, on, reason, channel: Some(channel) })
            }
        }
    }

    /// Messages whose channel cannot be made. Their publisher waits for memory, as it does at a full queue: a refusal would
    /// lose them. One that answers to a temporary queue cannot know that its owner has gone, nor whether a durable subscription has
    /// ended: it is told, and goes on.
    #[cold]
    #[inline(never)]
    pub(super) fn without_channel(
        &mut self,
        slot: ConnectionSlot,
        name: Bytes,
        batch: Batch,
        error: NoChannel,
    ) -> Result<Taken, Stop> {
        match error {
            NoChannel::Refused(
                refusal @ (Refusal::Ended
                | Refusal::NoDurable
                | Refusal::Retained { .. }
                | Refusal::RetainedMemory { .. }),
            ) => {
                self.tell_rejected(slot, name, batch.len(), refusal);
            }
            NoChannel::Refused(refusal) => {
                self.note_rejected(slot, &name, refusal);
                self.refuse(slot, Some(name), refusal);
            }
            NoChannel::Memory => {
                let reason = self.short_memory();
                let rest = Pending::Publish { channel: name, batch };
                return Err(Stop { rest, on: Blocked::Memory, reason, channel: None });
            }
        }
        Ok(None)
    }

    /// The channel of this name. A publisher that names the same channel again is spared the keyed hash.
    #[inline]
    fn find_channel(&mut self, slot: ConnectionSlot, name: &Bytes) -> Option<ChannelSlot> {
        let last = self.connections[slot].last_channel;
        let is_named = |channel: &Channel| !channel.is_forgotten && channel.name == *name;
        if last.and_then(|last| self.channels.get(last)).is_some_and(is_named) {
            return last;
        }
        let channel = self.names.get(name).copied()?;
        self.connections.quietly().row(slot).last_channel = Some(channel);
        Some(channel)
    }

    /// Whether all subscribers of a topic get what is published now, behind nothing that only the first gets.
    #[inline]
    fn is_given_to_all(&self, topic: ChannelSlot) -> bool {
        let row = &self.channels[topic];
        row.backlog.is_empty() && row.joins.is_none()
    }

    /// Why a topic's publishers wait while it has subscribers: what is published now would miss some, or overtake what only
    /// the first gets.
    #[cold]
    fn not_all_get(&self, topic: ChannelSlot) -> PauseReason {
        let row = &self.channels[topic];
        let channel = row.name.clone();
        match &row.joins {
            Some(_) => PauseReason::Patterns { channel },
            None => PauseReason::FirstSubscriber { channel },
        }
    }

    /// Counts messages, and with the last of them their publish.
    #[inline]
    fn count_published(&mut self, slot: ConnectionSlot, channel: ChannelSlot, messages: u64, is_whole: bool) {
        self.totals.published += messages;
        let connection = self.connections.quietly().row(slot);
        connection.published += messages;
        connection.publishes_since += usize::from(is_whole);
        let row = self.channels.quietly().row(channel);
        if row.published.add(self.now, messages) {
            let first = row.next_seq.saturating_sub(messages);
            self.note_age(channel, first);
        }
    }

    /// Notes when messages of a queue come, from a sequence number on.
    #[cold]
    pub(super) fn note_age(&mut self, channel: ChannelSlot, first: u64) {
        let row = self.channels.quietly().row(channel);
        if row.kind == Kind::Topic {
            return;
        }
        let more = row.ages.note(first, self.now);
        self.unused_charge += if row.is_unused { more } else { 0 };
        self.budget.charge(more);
    }

    /// Messages that are lost where nobody gets them: all but one that its topic retains, or that clears its value.
    fn unheard_of(&self, batch: &Batch) -> u64 {
        let retains = batch.attributes().is_some_and(|attributes| attributes.retain) && !batch.has_expired(self.now);
        batch.len() as u64 - u64::from(retains)
    }

    pub(super) fn publish_to_queue(&mut self, slot: ChannelSlot, batch: Batch) -> Result<(), Rest> {
        let whole = batch.bytes();
        // Delayed ones go before none: they do once they are ready.
        if batch.attributes().is_some() && !self.is_delayed(&batch) {
            self.note_rank(slot, batch.rank());
        }
        let channel = self.channels.quietly().row(slot);
        let first = channel.next_seq;
        channel.next_seq += batch.len() as u64;
        let rest = match batch.len() {
            _ if batch.attributes().is_some() => self.dispatch_with_attributes(slot, batch, first),
            _ if !self.channels.is_ready(slot) => Some((batch, first)),
            1 => self.dispatch_one(slot, batch, first),
            _ => self.dispatch(slot, &batch, (first, 1), Tries::NONE),
        };
        match rest {
            None => Ok(()),
            Some((batch, first)) => self.append(slot, batch, first, whole),
        }
    }

    /// Dispatches what is published with attributes, unless it is to wait: gives the rest.
    fn dispatch_with_attributes(&mut self, slot: ChannelSlot, batch: Batch, first: u64) -> Option<(Batch, u64)> {
        if !self.channels.is_ready(slot) || self.is_delayed(&batch) || self.is_reclaiming(slot) {
            return Some((batch, first));
        }
        match batch.group() {
            Some(_) if self.must_wait_for_group(slot, &batch) => Some((batch, first)),
            Some(_) => self.dispatch_new_of_group(slot, &batch, first),
            None if batch.len() == 1 => self.dispatch_one(slot, batch, first),
            None => self.dispatch(slot, &batch, (first, 1), Tries::NONE),
        }
    }

    /// Whether a queue's publishers do not wait for room in it. Those of dead letters do not: nobody may ever consume them.
    pub(super) fn rejects(&self, channel: ChannelSlot) -> bool {
        let row = &self.channels[channel];
        let rejects = row.overflow == QueueOverflow::Reject || row.is_dead && row.overflow == QueueOverflow::Throttle;
        rejects && row.kind == Kind::Queue
    }

    /// Whether a queue will dispatch without anybody's doing: messages are on their way back to it, or this call has not come
    /// to all that wait. Until then a publisher waits, for the consumers may have room for its messages.
    #[cold]
    fn is_about_to_dispatch(&self, slot: ChannelSlot) -> bool {
        let channel = &self.channels[slot];
        let is_left_over = channel.backlog.has_ready() && !channel.turns.is_empty();
        !channel.is_paused && (!channel.is_whole() || self.is_reclaiming(slot) || is_left_over)
    }

    /// Messages find no room in a queue, and their publisher is not to wait for it.
    #[cold]
    fn reject(&mut self, slot: ConnectionSlot, channel: ChannelSlot, messages: usize, reason: &PauseReason) {
        let row = self.channels.edit(channel);
        row.rejected += messages as u64;
        let channel = row.name.clone();
        let refusal = match *reason {
            PauseReason::QueueMessages { bound, .. } => Refusal::QueueMessages { bound },
            _ => Refusal::QueueFull { bound: row.bound },
        };
        self.tell_rejected(slot, channel, messages, refusal);
    }

    fn tell_rejected(&mut self, slot: ConnectionSlot, channel: Bytes, messages: usize, refusal: Refusal) {
        self.totals.rejected += messages as u64;
        self.note_rejected(slot, &channel, refusal);
        let connection = self.connections[slot].id;
        self.events.push_back(Event::Rejected { connection, channel, messages, refusal });
    }

    /// Appends what the bounds allow to a queue's backlog.
    fn append(&mut self, slot: ChannelSlot, batch: Batch, first: u64, whole: usize) -> Result<(), Rest> {
        let (most, overflow) = (self.channels[slot].messages, self.channels[slot].overflow);
        let over_bound = self.over_bound == Some(Knot::Queue(slot));
        let (count, bytes) = match over_bound {
            true => self.room_in_memory(&batch),
            // The excess is dropped at the end of the call.
            false if overflow == QueueOverflow::DropOld => (batch.len(), batch.bytes()),
            false => self.channels[slot].room_for(&batch, most),
        };
        let (fitting, rest) = batch.split(count, bytes);
        if let Some(batch) = fitting {
            self.push_backlog(slot, shed(batch, whole), first);
        }
        let Some(rest) = rest else { return Ok(()) };
        let channel = self.channels.quietly().row(slot);
        channel.next_seq -= rest.len() as u64;

        if over_bound {
            let reason = self.short_memory();
            return Err((shed(rest, whole), Blocked::Share(slot), reason));
        }
        let (name, bound) = (channel.name.clone(), channel.bound);
        let reason = if most > 0 && channel.backlog.depth >= most {
            PauseReason::QueueMessages { channel: name, bound: most }
        } else {
            PauseReason::QueueFull { channel: name, bound }
        };
        Err((shed(rest, whole), Blocked::Channel(slot), reason))
    }

    /// Part of a batch that fits the free memory: messages, and their bytes. One fits unless memory is exhausted.
    fn room_in_memory(&self, batch: &Batch) -> (usize, usize) {
        match self.budget.free() {
            0 if self.is_exhausted() => (0, 0),
            free if batch.bytes() <= free => (batch.len(), batch.bytes()),
            free => match batch.whole_within(free) {
                (0, _) => (1, batch.first_size()),
                within => within,
            },
        }
    }

    /// A topic without subscribers buffers its first messages, as far as a queue would, unless a durable one gets them.
    fn buffer(&mut self, slot: ChannelSlot, batch: Batch) -> Result<(), Rest> {
        let whole = batch.bytes();
        let channel = &self.channels[slot];
        if channel.joins.is_some() {
            let reason = self.not_all_get(slot);
            return Err((batch, Blocked::Channel(slot), reason));
        }
        if channel.feeds.is_some() {
            self.feed(slot, &batch);
            return Ok(());
        }
        if channel.buffer_unsubscribed == 0 {
            let lost = self.unheard_of(&batch);
            let name = self.channels[slot].name.clone();
            self.note_unheard(&name, lost);
            self.channels.edit(slot).dropped += lost;
            return Ok(());
        }
        // An empty topic takes one message of any size; 0 would be no bound.
        let room = channel.buffer_unsubscribed.saturating_sub(channel.backlog.depth);
        let (mut count, mut bytes) = channel.room_for(&batch, 0);
        if count > room {
            (count, bytes) = (room, batch.size_of_first(room));
        }
        let (kept, rest) = batch.split(count, bytes);
        if let Some(batch) = kept {
            let channel = self.channels.edit(slot);
            let first = channel.next_seq;
            channel.next_seq += batch.len() as u64;
            self.push_backlog(slot, shed(batch, whole), first);
        }
        let Some(rest) = rest else { return Ok(()) };
        let channel = &self.channels[slot];
        let reason = PauseReason::NoSubscribers { channel: channel.name.clone(), buffered: channel.backlog.depth };
        Err((shed(rest, whole), Blocked::Channel(slot), reason))
    }

    fn publish_to_topic(&mut self, slot: ChannelSlot, batch: Batch) -> Result<(), Rest> {
        let whole = batch.bytes();
        // A piece that fits into half an outbox fits into every one that has room.
        let (piece, extra) = (self.limits.outbox / 2, batch.extra());
        let messages =
            if self.limits.outbox_messages == 0 { usize::MAX } else { (self.limits.outbox_messages / 2).max(1) };
        let mut rest = Some(batch);
        while let Some(batch) = rest {
            let (mut count, mut bytes) = (batch.len(), batch.bytes());
            if bytes > piece {
                (count, bytes) = batch.whole_within(piece);
                if count == 0 {
                    (count, bytes) = (1, batch.first_size());
                }
            }
            if count > messages {
                (count, bytes) = (messages, batch.size_of_first(messages));
            }
            if let Some((on, reason)) = self.must_wait(slot, bytes + extra, count) {
                return Err((shed(batch, whole), on, reason));
            }
            let (head, tail) = batch.split(count, bytes);
            self.fan_out(slot, &shed(head.expect("at least one message"), whole));
            rest = tail;
        }
        Ok(())
    }

    /// One piece to every subscriber; all see the same order.
    fn fan_out(&mut self, slot: ChannelSlot, batch: &Batch) {
        let allocation = self.allocate(slot, batch.footprint_given());
        let mut next = self.channels[slot].everybody.first;
        while let Some(member) = next {
            next = self.members[member].in_channel.next;
            let connection = self.members[member].connection;
            if self.is_parting(member) {
                // It gets nothing more.
            } else if self.make_room(slot, connection, batch) {
                let allocation = Some(self.budget.retain(allocation));
                let entry = OutboxEntry {
                    batch: batch.clone(),
                    allocation,
                    tries: Tries::NONE,
                    origin: Origin::Topic { member },
                };
                self.push_entry(connection, entry);
            } else {
                self.count_dropped(slot, connection, batch.len());
            }
        }
        self.release(allocation);
        if self.channels[slot].feeds.is_some() {
            self.feed(slot, batch);
        }
    }
}
