//! The way of a batch into its channel.

use super::Broker;
use super::pause::{Blocked, Pending, Stop};
use crate::limits::OverflowPolicy;
use crate::name::Kind;
use crate::outbox::{Origin, OutboxEntry};
use crate::queue::{Segment, Subscriber};
use crate::{Batch, CloseReason, PauseReason};
use bytes::Bytes;

impl Broker {
    /// Gives the channel, for its share of memory, unless there is none.
    pub(super) fn publish(&mut self, place: usize, name: Bytes, batch: Batch) -> Result<Option<usize>, Stop> {
        let kind = Kind::of(&name);
        if kind == Kind::Topic && self.is_unheard(&name) {
            self.totals.published += batch.len() as u64;
            self.totals.dropped_no_subscribers += batch.len() as u64;
            self.connections[place].published += batch.len() as u64;
            self.uncount(batch.bytes());
            return Ok(None);
        }
        let channel = match self.channel(&name) {
            Ok(channel) => channel,
            Err(refusal) => {
                self.uncount(batch.bytes());
                self.refuse(place, Some(name), refusal);
                return Ok(None);
            }
        };
        let before = batch.len();
        let result = match kind {
            Kind::Queue => self.publish_to_queue(channel, batch),
            Kind::Topic if self.channels[channel].subscribers.len() == 0 => self.buffer(channel, batch),
            Kind::Topic => self.publish_to_topic(channel, batch),
        };
        let left = result.as_ref().err().map_or(0, |(batch, ..)| batch.len());
        let taken = (before - left) as u64;
        self.totals.published += taken;
        self.connections[place].published += taken;
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.published.add(self.now, taken);
        }
        match result {
            Ok(()) => Ok(Some(channel)),
            Err((batch, on, reason)) => Err(Stop { rest: Pending::Publish { channel: name, batch }, on, reason }),
        }
    }

    /// Whether nobody would get or keep a topic's message.
    fn is_unheard(&self, name: &Bytes) -> bool {
        let kept = || {
            let rule = self.rules.iter().find(|rule| rule.pattern.matches(name));
            rule.and_then(|rule| rule.buffer_unsubscribed).unwrap_or(self.limits.buffer_unsubscribed) > 0
        };
        !self.names.contains_key(name) && !kept() && !self.wild.iter().any(|wild| wild.pattern.matches(name))
    }

    fn publish_to_queue(&mut self, place: usize, batch: Batch) -> Result<(), (Batch, Blocked, PauseReason)> {
        let channel = &mut self.channels[place];
        let first = channel.next_place;
        channel.next_place += batch.len() as u64;
        let rest = if channel.backlog.is_empty() {
            self.budget.used -= batch.bytes();
            let rest = self.deal(place, &batch, first);
            self.budget.used += rest.as_ref().map_or(0, |(batch, _)| batch.bytes());
            rest
        } else {
            Some((batch, first))
        };
        match rest {
            None => Ok(()),
            Some((batch, first)) => self.append(place, batch, first),
        }
    }

    /// Appends what the bound allows to a queue's backlog.
    fn append(&mut self, place: usize, batch: Batch, first: u64) -> Result<(), (Batch, Blocked, PauseReason)> {
        let (count, bytes) = self.channels[place].room_for(&batch);
        let (fitting, rest) = batch.split(count, bytes);
        if let Some(batch) = fitting {
            self.push_segment(place, batch, first);
        }
        let Some(rest) = rest else { return Ok(()) };
        let channel = &mut self.channels[place];
        channel.next_place -= rest.len() as u64;
        let reason = PauseReason::QueueFull { channel: channel.name.clone(), bound: channel.bound };
        Err((rest, Blocked::Channel(place), reason))
    }

    /// A topic without subscribers keeps its first messages, as far as a queue would.
    fn buffer(&mut self, place: usize, batch: Batch) -> Result<(), (Batch, Blocked, PauseReason)> {
        let channel = &self.channels[place];
        let room = channel.buffer_unsubscribed.saturating_sub(channel.backlog.depth);
        if channel.buffer_unsubscribed == 0 {
            self.totals.dropped_no_subscribers += batch.len() as u64;
            self.channels[place].dropped += batch.len() as u64;
            self.uncount(batch.bytes());
            return Ok(());
        }
        let (mut count, mut bytes) = channel.room_for(&batch);
        if count > room {
            (count, bytes) = (room, batch.iter_packed().take(room).map(<[u8]>::len).sum());
        }
        let (kept, rest) = batch.split(count, bytes);
        if let Some(batch) = kept {
            let first = self.channels[place].next_place;
            self.channels[place].next_place += batch.len() as u64;
            self.push_segment(place, batch, first);
        }
        let Some(rest) = rest else { return Ok(()) };
        let channel = &self.channels[place];
        let reason = PauseReason::NoSubscribers { channel: channel.name.clone(), buffered: channel.backlog.depth };
        Err((rest, Blocked::Channel(place), reason))
    }

    fn push_segment(&mut self, channel: usize, batch: Batch, first: u64) {
        // It was counted as its publisher's until now.
        self.budget.used -= batch.bytes();
        let block = self.charge_block(channel, batch.bytes());
        let segment = self.keep(channel, Segment { batch, block, first });
        self.channels[channel].backlog.push(segment);
    }

    fn publish_to_topic(&mut self, place: usize, batch: Batch) -> Result<(), (Batch, Blocked, PauseReason)> {
        let mut rest = Some(batch);
        while let Some(batch) = rest {
            // A piece that fits into half an outbox fits into every one that has room.
            let piece = self.limits.outbox / 2;
            let (mut count, mut bytes) = (batch.len(), batch.bytes());
            if bytes > piece {
                (count, bytes) = batch.whole_within(piece);
                if count == 0 {
                    (count, bytes) = (1, batch.first_size());
                }
            }
            if let Some((on, reason)) = self.must_wait(place, bytes) {
                return Err((batch, on, reason));
            }
            let (head, tail) = batch.split(count, bytes);
            self.fan_out(place, &head.expect("at least one message"));
            rest = tail;
        }
        Ok(())
    }

    /// Whether a subscriber without room still earns patience.
    fn must_wait(&mut self, place: usize, bytes: usize) -> Option<(Blocked, PauseReason)> {
        let mut wait = None;
        for index in 0..self.channels[place].subscribers.len() {
            let subscriber = self.channels[place].subscribers.get(index).connection;
            let connection = &mut self.connections[subscriber];
            if connection.fits(bytes, self.limits.outbox) || connection.closing {
                continue;
            }
            connection.set_full(bytes, self.limits.outbox);
            if self.channels[place].policy != OverflowPolicy::Block {
                if connection.is_slow(self.now) {
                    continue;
                }
                if !connection.draining || self.limits.grace_period.is_zero() {
                    self.judge_slow(subscriber);
                    continue;
                }
                if connection.grace_ends.is_none() {
                    connection.took = false;
                    self.wait_for_room(subscriber, self.limits.grace_period);
                }
            }
            if wait.is_none() {
                let channel = self.channels[place].name.clone();
                let reason = PauseReason::SlowSubscriber { channel, subscriber: self.connections[subscriber].id };
                wait = Some((Blocked::Subscriber(subscriber), reason));
            }
        }
        wait
    }

    /// One piece to every subscriber; all see the same order.
    fn fan_out(&mut self, place: usize, batch: &Batch) {
        self.budget.used -= batch.bytes();
        let block = self.charge_block(place, batch.bytes());
        for index in 0..self.channels[place].subscribers.len() {
            let Subscriber { connection, subscription, .. } = self.channels[place].subscribers.get(index);
            if self.make_room(place, connection, batch.bytes()) {
                let entry = OutboxEntry {
                    batch: batch.clone(),
                    block: Some(self.budget.share(block)),
                    origin: Origin::Topic { channel: place, subscription },
                };
                self.channels[place].delivered.add(self.now, batch.len() as u64);
                self.push_entry(connection, entry);
            } else {
                self.count_dropped(place, connection, batch.len());
            }
        }
        self.release(block);
    }

    /// Acts by the channel's policy on a subscriber without room: whether there is some now.
    fn make_room(&mut self, channel: usize, place: usize, bytes: usize) -> bool {
        let bound = self.limits.outbox;
        if self.connections[place].closing {
            return false;
        }
        if self.connections[place].fits(bytes, bound) {
            return true;
        }
        match self.channels[channel].policy {
            OverflowPolicy::DropNew | OverflowPolicy::Block => false,
            OverflowPolicy::Disconnect => {
                self.close(place, CloseReason::Slow);
                false
            }
            OverflowPolicy::DropOld => {
                while !self.connections[place].fits(bytes, bound) {
                    let Some(oldest) = self.connections[place].outbox.drop_oldest() else { return false };
                    if let Origin::Topic { channel, .. } = oldest.origin {
                        self.count_dropped(channel, place, oldest.batch.len());
                    }
                    if let Some(block) = oldest.block {
                        self.release(block);
                    }
                }
                true
            }
        }
    }

    fn count_dropped(&mut self, channel: usize, connection: usize, messages: usize) {
        let messages = messages as u64;
        self.totals.dropped_slow += messages;
        self.channels[channel].dropped += messages;
        self.connections[connection].dropped += messages;
    }
}
