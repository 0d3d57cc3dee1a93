//! Retained values: the last message of a topic that its publisher asked to keep. Each new subscriber gets it before
//! anything else of the topic.
//!
//! A topic with a value is not forgotten, so that the one way to join it is also the way to get its value.

use super::Broker;
use super::channel::{Channel, NoChannel};
use super::pause::Stop;
use super::pending::Pending;
use super::publish::Taken;
use crate::delivery::Tries;
use crate::limits::OverflowPolicy;
use crate::name::Kind;
use crate::outbox::{Origin, OutboxEntry};
use crate::slots::{AllocationSlot, ChannelSlot, ConnectionSlot, MemberSlot};
use crate::{Attributes, Batch, Headers, Packer, Refusal, Time, cost};
use bytes::Bytes;
use std::sync::Arc;

/// The header that tells a retained value from a message that is published now.
const RETAINED: &[u8] = b"retained";

/// A topic's retained value.
#[derive(Debug)]
pub(super) struct Retained {
    batch: Batch,
    allocation: AllocationSlot,
    /// Charge for it, the fixed part included.
    charge: usize,
    /// Its sequence number, where it waits in the topic's buffer for the first subscriber.
    buffered: Option<u64>,
}

impl Retained {
    /// Its reference to a buffer, and the bytes of that which are used, for the audit.
    pub(super) fn buffer(&self) -> (AllocationSlot, usize) {
        (self.allocation, self.batch.footprint_given())
    }
}

impl Channel {
    /// The retained value, unless its time is over.
    pub(super) fn retained_value(&self, now: Time) -> Option<Batch> {
        self.retained.as_ref().map(|retained| &retained.batch).filter(|batch| !batch.has_expired(now)).cloned()
    }

    /// Whether the value waits in the topic's buffer for the first subscriber.
    pub(super) fn has_buffered_value(&self) -> bool {
        let buffered = self.retained.as_ref().and_then(|retained| retained.buffered);
        buffered.is_some_and(|seq| self.backlog.first_ready().is_some_and(|first| first <= seq))
    }

    /// When the time of the retained value is over.
    #[inline]
    pub(super) fn retained_expires(&self) -> Option<Time> {
        self.retained.as_ref().and_then(|retained| retained.batch.expires())
    }
}

impl Broker {
    /// Publishes messages of which the last that is taken becomes its topic's retained value. An empty one clears the value.
    #[cold]
    #[inline(never)]
    pub(super) fn publish_retained(&mut self, slot: ConnectionSlot, name: Bytes, batch: Batch) -> Result<Taken, Stop> {
        // A message that only clears a value makes no channel.
        if Kind::of(&name) == Kind::Queue || self.only_clears(&batch) && !self.names.contains_key(&name) {
            return self.publish_now(slot, name, batch);
        }
        let channel = match self.find_or_make(&name) {
            Ok(channel) => channel,
            Err(error) => return self.without_channel(slot, name, batch, error),
        };
        if let Err(refusal) = self.may_retain(channel, &batch) {
            // It is forgotten again if nobody else needs it.
            self.channels.edit(channel);
            return self.without_channel(slot, name, batch, NoChannel::Refused(refusal));
        }
        let next = self.channels[channel].next_seq;
        let whole = batch.clone();
        let result = self.publish_now(slot, name, batch);
        let left = match &result {
            Err(Stop { rest: Pending::Publish { batch, .. }, .. }) => batch.len(),
            _ => 0,
        };
        let taken = whole.len() - left;
        if let Some(last) = taken.checked_sub(1).and_then(|last| whole.iter_packed().nth(last)) {
            let after = self.channels[channel].next_seq;
            self.retain(channel, last, whole.attributes(), (after > next).then(|| after - 1));
        }
        result
    }

    /// Whether none of these messages becomes a value.
    fn only_clears(&self, batch: &Batch) -> bool {
        batch.has_expired(self.now) || batch.iter().all(<[u8]>::is_empty)
    }

    /// Whether a topic may have a value.
    fn may_retain(&self, channel: ChannelSlot, batch: &Batch) -> Result<(), Refusal> {
        if self.only_clears(batch) {
            return Ok(());
        }
        let limit = self.limits.retained;
        if self.channels[channel].retained.is_none() && self.retained >= limit {
            return Err(Refusal::Retained { limit });
        }
        // Nobody drains them: all together have no more than is free, as one channel has. One in place of a value that is as
        // large takes nothing more.
        let before = self.channels[channel].retained.as_ref().map_or(0, |retained| retained.charge);
        let longest = batch.iter_packed().map(<[u8]>::len).max().unwrap_or(0);
        let need = cost::buffer(longest + batch.extra_given()) + cost::RETAINED;
        let others = self.retained_charge - before;
        let free = self.budget.free().saturating_add(before);
        if need > before && others.saturating_add(need) > free {
            return Err(Refusal::RetainedMemory { bytes: need, taken: others, free, budget: self.budget.limit() });
        }
        Ok(())
    }

    /// Keeps a message as its topic's value, or clears that.
    fn retain(
        &mut self,
        channel: ChannelSlot,
        message: &[u8],
        attributes: Option<&Arc<Attributes>>,
        buffered: Option<u64>,
    ) {
        self.clear_retained(channel);
        let before = attributes.map(|attributes| Attributes::clone(attributes)).unwrap_or_default();
        let mut packer = Packer::with_capacity(message.len());
        packer.push_packed(message);
        let Some(batch) = packer.finish().filter(|batch| batch.first_size() > Batch::PREFIX) else { return };
        let mut headers = Headers::builder();
        headers.push(RETAINED, b"true");
        let others = before.headers.iter().filter(|(name, _)| *name != RETAINED);
        others.for_each(|(name, value)| headers.push(name, value));
        // It was published to just now, so the channel follows the rules that are in force.
        let ttl = self.channels[channel].delivery.message_ttl;
        let latest = (!ttl.is_zero()).then(|| self.now + ttl);
        let expires = before.expires().into_iter().chain(latest).min();
        let attributes = Attributes { headers: headers.finish(), retain: false, ..before }.with_expires(expires);
        let batch = batch.with_attributes(Arc::new(attributes));
        // It took the place of the value before it, and its time is over: the topic has none, as in MQTT 5 (3.3.1.3).
        if batch.has_expired(self.now) {
            return;
        }
        let allocation = self.allocate(channel, batch.footprint_given());
        self.charge(channel, cost::RETAINED);
        let charge = self.budget.charged(allocation) + cost::RETAINED;
        self.retained += 1;
        self.retained_charge += charge;
        let retained = Retained { batch, allocation, charge, buffered };
        self.channels.edit(channel).retained = Some(Box::new(retained));
        self.arm_due(channel);
    }

    /// A topic has no value any more.
    pub(super) fn clear_retained(&mut self, channel: ChannelSlot) {
        let Some(retained) = self.channels.edit(channel).retained.take() else { return };
        self.retained -= 1;
        self.retained_charge -= retained.charge;
        self.uncharge(channel, cost::RETAINED);
        self.release(retained.allocation);
        self.arm_due(channel);
    }

    /// Clears a topic's value if its time is over.
    pub(super) fn expire_retained(&mut self, channel: ChannelSlot) {
        if self.channels[channel].retained_expires().is_some_and(|expires| expires <= self.now) {
            self.clear_retained(channel);
        }
    }

    /// A new member of a topic gets its value. One whose outbox is full misses it as it would miss a message.
    pub(super) fn give_retained(&mut self, member: MemberSlot) {
        let (channel, slot) = (self.members[member].channel, self.members[member].connection);
        let row = &self.channels[channel];
        let Some(retained) = row.retained.as_deref() else { return };
        let (batch, allocation, blocks) =
            (retained.batch.clone(), retained.allocation, row.policy == OverflowPolicy::Block);
        // The topic's buffer goes to its first subscriber, the value with it, and then to those that came meanwhile.
        if row.has_buffered_value() || batch.has_expired(self.now) || self.is_parting(member) {
            return;
        }
        let must_get = blocks && !self.connections[slot].is_closing();
        if !self.make_room(channel, slot, &batch) && !must_get {
            return self.count_dropped(channel, slot, 1);
        }
        let allocation = Some(self.budget.retain(allocation));
        self.push_entry(slot, OutboxEntry { batch, allocation, tries: Tries::NONE, origin: Origin::Topic { member } });
    }

    /// A topic's value has left its buffer: all members get it but the one that got the buffer. It comes behind what is
    /// older, whoever of those that came meanwhile got that.
    pub(super) fn give_buffered_value(&mut self, channel: ChannelSlot, first: Option<MemberSlot>) {
        let row = self.channels.edit(channel);
        let Some(retained) = &mut row.retained else { return };
        retained.buffered = None;
        let (members, mut next) = (row.members as usize, row.everybody.first);
        self.spend(members);
        while let Some(member) = next {
            next = self.members[member].in_channel.next;
            if first != Some(member) {
                self.give_retained(member);
            }
        }
    }

    /// Whether a subscription is to join a topic later: there is no room for the topic's value. Until then what drains is
    /// kept for the value: others find the outbox full, or a busy one would never join.
    pub(super) fn must_join_later(&mut self, slot: ConnectionSlot, channel: ChannelSlot) -> bool {
        let row = &self.channels[channel];
        let Some(value) = row.retained_value(self.now).filter(|_| !row.has_buffered_value()) else { return false };
        let size = value.footprint();
        if self.connections[slot].fits(size, 1, &self.limits) {
            return false;
        }
        // Nothing follows from that: each credit marks the connection.
        self.connections.quietly().row(slot).keep_for_value(size);
        true
    }
}
