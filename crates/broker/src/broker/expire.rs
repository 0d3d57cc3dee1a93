//! The time of messages: when they begin to be delivered, and when they are not any more.

use super::Broker;
use super::dead::Reason;
use super::retry::Due;
use super::timers::Timer;
use crate::backlog::Segment;
use crate::delivery::Tries;
use crate::name::Kind;
use crate::outbox::{Origin, PASSED};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{Attributes, Batch, ConnectionId, Time};
use std::sync::Arc;
use std::time::Duration;

/// Time between two recalls of a connection's messages because they are too old: each looks at all that the driver has.
pub(super) const BETWEEN_RECALLS: Duration = Duration::from_millis(100);

impl Broker {
    /// Gives messages that are published the time that their channel allows. `None` if it is over already.
    #[inline]
    pub(super) fn start_life(&mut self, slot: ChannelSlot, batch: Batch) -> Option<Batch> {
        if batch.attributes().is_none() && self.channels[slot].delivery.message_ttl.is_zero() {
            return Some(batch);
        }
        self.limit_life(slot, batch)
    }

    #[cold]
    #[inline(never)]
    fn limit_life(&mut self, slot: ChannelSlot, batch: Batch) -> Option<Batch> {
        let batch = self.with_ttl(slot, batch);
        if !batch.has_expired(self.now) {
            return Some(batch);
        }
        let allocation = self.allocate(slot, batch.footprint());
        // It was there, for no time.
        let (first, messages) = (self.channels[slot].next_seq, batch.len() as u64);
        self.channels.edit(slot).next_seq += messages;
        self.note_due(slot, Due::Expired { first, step: 1, messages });
        self.expire(slot, Segment { batch, allocation, tries: Tries::NONE, first: 0, step: 1, group: None });
        None
    }

    /// Messages come to a channel: they expire no later than its time to live allows, and no later than they would anyway.
    pub(super) fn with_ttl(&self, slot: ChannelSlot, batch: Batch) -> Batch {
        let ttl = self.channels[slot].delivery.message_ttl;
        let latest = self.now + ttl;
        if ttl.is_zero() || batch.expires().is_some_and(|expires| expires <= latest) {
            return batch;
        }
        let others = batch.attributes().map(|attributes| Attributes::clone(attributes)).unwrap_or_default();
        batch.with_attributes(Arc::new(others.with_expires(latest)))
    }

    /// Whether messages are not to be delivered yet.
    #[inline]
    pub(super) fn is_delayed(&self, batch: &Batch) -> bool {
        batch.attributes().is_some_and(|attributes| attributes.deliver_at().is_some_and(|time| time > self.now))
    }

    /// The time of messages that were taken out of a channel is over.
    pub(super) fn expire(&mut self, slot: ChannelSlot, segment: Segment) {
        self.follow_rules(slot);
        let messages = segment.batch.len() as u64;
        self.totals.expired += messages;
        let channel = self.channels.edit(slot);
        channel.expired += messages;
        let segment = match channel.delivery.dead_letter_expired && channel.kind == Kind::Queue && !channel.is_dead {
            false => segment,
            true => match self.bury(slot, segment, Reason::Expired) {
                Ok(()) => return,
                Err(segment) => segment,
            },
        };
        let channel = self.channels.edit(slot);
        (channel.dropped, channel.left) = (channel.dropped + messages, channel.left + messages);
        self.leave_group(slot, segment.group, segment.batch.len());
        self.release(segment.allocation);
    }

    /// Some entries expire that are handed out, or have expired before.
    #[cold]
    pub(super) fn pass_times(&mut self, slot: ConnectionSlot) {
        self.watch_expiry(slot);
        self.expire_entries(slot);
        if !std::mem::take(&mut self.connections.quietly().row(slot).outbox.passes_on) {
            return;
        }
        if self.spend(4 * PASSED) {
            return self.hand_out(slot);
        }
        // The next call goes on.
        self.timers.insert((self.now, Timer::Passing(self.connections[slot].id)));
    }

    /// The time of entries is over that an outbox was about to hand out.
    fn expire_entries(&mut self, slot: ConnectionSlot) {
        for entry in std::mem::take(&mut self.connections.edit(slot).outbox.expired) {
            match entry.origin {
                Origin::Leased { first_tag, .. } => {
                    // Its queue finds anew that the time is over.
                    self.return_tags(slot, first_tag, first_tag + entry.batch.len() as u64);
                    self.uncharge_entry(&entry);
                    entry.allocation.into_iter().for_each(|allocation| self.release(allocation));
                }
                Origin::Topic { member } | Origin::Queue { member, .. } => {
                    let channel = self.members[member].channel;
                    self.uncharge_entry(&entry);
                    if let Some(allocation) = entry.allocation {
                        let (batch, tries) = (entry.batch, entry.tries);
                        let group = self.take_from_consumer(channel, batch.attributes(), batch.len());
                        self.expire(channel, Segment { batch, allocation, tries, first: 0, step: 1, group });
                    }
                }
                Origin::Barrier => self.uncharge_entry(&entry),
            }
        }
    }

    /// Arms a timer for the first messages to expire of those that the driver has.
    fn watch_expiry(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        if let Some(expires) = connection.outbox.take_handed_expires() {
            self.arm_expiry(slot, expires);
        }
    }

    fn arm_expiry(&mut self, slot: ConnectionSlot, expires: Time) {
        let connection = self.connections.edit(slot);
        let due = expires.max(connection.recall_after);
        let before = connection.expiry_timer;
        if before.is_none_or(|before| due < before) {
            connection.expiry_timer = Some(due);
            let id = connection.id;
            before.into_iter().for_each(|time| _ = self.timers.remove(&(time, Timer::Expiry(id))));
            self.timers.insert((due, Timer::Expiry(id)));
        }
    }

    /// Asks for what the driver has not begun to write, if some of it has expired.
    pub(super) fn recall_expired(&mut self, id: ConnectionId) {
        let Some(&slot) = self.ids.get(&id) else { return };
        self.spend(16);
        let now = self.now;
        let connection = self.connections.edit(slot);
        connection.expiry_timer = None;
        let Some(expires) = connection.outbox.in_flight_expires() else { return };
        if expires > now || connection.recalling {
            let later = expires.max(Time(now.0.saturating_add(1)));
            return self.arm_expiry(slot, later);
        }
        connection.recall_after = now + BETWEEN_RECALLS;
        self.recall(slot);
    }
}
