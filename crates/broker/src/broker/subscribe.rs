//! Subscriptions as they come and end.

use super::Broker;
use super::connection::{Phase, Sweep};
use super::making::{BornSubscription, MadeFor};
use super::member::Subscription;
use super::rules::first_rule;
use crate::limits::OverflowPolicy;
use crate::list::List;
use crate::name::{Kind, Pattern};
use crate::outbox::{Origin, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot, Key, MemberSlot, SubscriptionSlot};
use crate::trie::Trie;
use crate::{AckMode, Event, Refusal, SubscriptionId};
use bytes::Bytes;

/// A subscription to a pattern that has not joined all channels yet.
#[derive(Debug)]
pub(super) struct Joining {
    subscription: SubscriptionSlot,
    /// Tells it from another one that has its slot once it has ended.
    born: u64,
    pub(super) pattern: Pattern,
    /// The next channel to look at.
    next: usize,
    /// Behind the last one.
    end: usize,
}

impl Broker {
    pub(super) fn subscribe(&mut self, slot: ConnectionSlot, id: SubscriptionId, pattern: Bytes, ack: AckMode) {
        if let Err(refusal) = self.check_subscription(slot, id, &pattern) {
            return self.refuse(slot, Some(pattern), refusal);
        }
        if self.connections[slot].has_left() {
            return;
        }
        let pattern = Pattern::new(Bytes::copy_from_slice(&pattern));
        if let Err(refusal) = self.find_memory_for_subscription(&pattern, 0) {
            return self.refuse(slot, Some(pattern.as_bytes().clone()), refusal);
        }
        let mut exact = None;
        if pattern.is_literal() {
            match self.find_or_make_for(pattern.as_bytes(), MadeFor::Subscription) {
                Ok(channel) => exact = Some(channel),
                Err(error) => {
                    let refusal = self.refusal_of(error);
                    return self.refuse(slot, Some(pattern.as_bytes().clone()), refusal);
                }
            }
        }
        // A value is not missed if publishers wait for as long as it takes: it waits for room, as that of a pattern.
        let joins_later = exact.is_some_and(|channel| self.blocks(channel) && self.must_join_later(slot, channel));
        let by_pattern = exact.is_none() || joins_later;
        let subscription = self.add_subscription(slot, id, (pattern.clone(), by_pattern), ack);
        match exact {
            Some(channel) if !joins_later => {
                self.join(subscription, channel);
            }
            _ => {
                let born = self.subscriptions[subscription].born;
                self.trie(Kind::of(pattern.as_bytes())).insert(pattern.as_bytes(), (born, subscription));
                let (next, end) = exact.map_or((0, usize::MAX), |channel| (channel.index(), channel.index() + 1));
                let joining = Joining { subscription, born, pattern, next, end };
                self.connections.edit(slot).joining.push_back(joining);
                self.go_on_joining(slot);
            }
        }
    }

    /// Whether a channel's publishers wait for its subscribers for as long as it takes.
    fn blocks(&mut self, channel: ChannelSlot) -> bool {
        self.follow_rules(channel);
        self.channels[channel].policy == OverflowPolicy::Block
    }

    /// Whether a connection may have another subscription, of this id and to this name or pattern.
    pub(super) fn check_subscription(
        &self,
        slot: ConnectionSlot,
        id: SubscriptionId,
        pattern: &[u8],
    ) -> Result<(), Refusal> {
        let limits = &self.limits;
        let connection = &self.connections[slot];
        if pattern.len() > limits.channel_name {
            Err(Refusal::NameTooLong { length: pattern.len(), limit: limits.channel_name })
        } else if !self.may_subscribe(slot, pattern) {
            Err(Refusal::NotOwner)
        } else if connection.subscriptions.len() >= limits.subscriptions {
            Err(Refusal::Subscriptions { limit: limits.subscriptions })
        } else if connection.subscriptions.contains_key(&id) {
            Err(Refusal::SubscriptionExists)
        } else {
            Ok(())
        }
    }

    /// Adds a subscription that has joined no channel yet.
    pub(super) fn add_subscription(
        &mut self,
        slot: ConnectionSlot,
        id: SubscriptionId,
        (pattern, by_pattern): (Pattern, bool),
        ack: AckMode,
    ) -> SubscriptionSlot {
        let ack = match ack {
            AckMode::Manual { prefetch } => {
                let asked = if prefetch == 0 { self.prefetch_of(&pattern) } else { prefetch };
                AckMode::Manual { prefetch: asked.min(self.most_unacked()) }
            }
            AckMode::Auto => AckMode::Auto,
        };
        self.born += 1;
        let row = Subscription {
            id,
            connection: slot,
            pattern,
            by_pattern,
            ack,
            unacked: 0,
            is_ended: false,
            claim: None,
            passes_on: None,
            reclaims: false,
            members: List::new(),
            visits: None,
            skipped: List::new(),
            born: self.born,
        };
        self.budget.charge(row.charge());
        self.lasting_charge += row.charge();
        self.shared.add(&row);
        let subscription = self.subscriptions.insert(row);
        self.subscription_count += 1;
        let connection = self.connections.edit(slot);
        connection.manual += u32::from(ack != AckMode::Auto);
        connection.subscriptions.insert(id, subscription);
        subscription
    }

    /// The prefetch of a subscription that names none.
    fn prefetch_of(&self, pattern: &Pattern) -> u32 {
        let rule = first_rule(&self.rules, pattern.as_bytes());
        match rule.and_then(|rule| rule.prefetch).unwrap_or(self.limits.prefetch) {
            0 => u32::MAX,
            prefetch => prefetch,
        }
    }

    /// Joins the channels that the patterns match, some a step. A topic whose retained value finds no room is joined later.
    pub(super) fn go_on_joining(&mut self, slot: ConnectionSlot) {
        while let Some(&Joining { subscription, born, next, end, .. }) = self.connections[slot].joining.front() {
            self.connections.quietly().row(slot).keep_for_value(0);
            // One that has ended stays in the list until its turn comes.
            let is_there = self.subscriptions.get(subscription).is_some_and(|row| row.born == born && !row.is_ended);
            let is_over = next >= end.min(self.channels.end()) || !is_there || self.connections[slot].has_left();
            // One that was made later has found the pattern itself.
            let older = self.channels.at(next).filter(|(_, channel)| !is_over && channel.born < born);
            let matches = |name: &[u8]| self.subscriptions[subscription].pattern.matches(name);
            let matching = older.filter(|(_, channel)| matches(&channel.name)).map(|(channel, _)| channel);
            if matching.is_some_and(|channel| self.must_join_later(slot, channel)) {
                // Each credit marks the connection, and this goes on. No step is taken of those that make room.
                return;
            }
            if !self.spend(if matching.is_some() { 4 } else { 1 }) {
                self.connections.edit(slot);
                return;
            }
            let joining = &mut self.connections.edit(slot).joining;
            if is_over {
                joining.pop_front();
            } else if let Some(front) = joining.front_mut() {
                front.next += 1;
            }
            if let Some(channel) = matching {
                self.join(subscription, channel);
            }
        }
        if self.connections[slot].is_joining_paused() {
            self.advance(slot);
        }
    }

    /// The subscriber of a topic that joined first, of those that are not on their way out.
    #[inline]
    pub(super) fn oldest_subscriber(&mut self, channel: ChannelSlot) -> Option<MemberSlot> {
        let member = self.channels[channel].oldest?;
        if self.is_parting(member) { self.pass_parting(channel, member) } else { Some(member) }
    }

    /// Passes over members that are on their way out: none is passed twice, for none of them ever stays.
    #[cold]
    fn pass_parting(&mut self, channel: ChannelSlot, first: MemberSlot) -> Option<MemberSlot> {
        let mut member = first;
        while self.is_parting(member)
            && let Some(next) = self.members[member].in_channel.next
        {
            member = next;
        }
        self.channels.quietly().row(channel).oldest = Some(member);
        (!self.is_parting(member)).then_some(member)
    }

    /// Gives a topic's buffer to its first subscriber, some messages a step.
    pub(super) fn give_buffered(&mut self, channel: ChannelSlot) {
        while let Some(oldest) = self.oldest_subscriber(channel) {
            if !self.spend(4) {
                self.channels.edit(channel);
                return;
            }
            let has_value = self.channels[channel].has_buffered_value();
            let Some(segment) = self.pop_backlog(channel) else { return };
            if segment.batch.has_expired(self.now) {
                self.expire(channel, segment);
                continue;
            }
            // The lines that a protocol makes of the headers come to it.
            let more = segment.batch.extra_given() - segment.batch.extra();
            self.enlarge(channel, segment.allocation, more);
            let origin = Origin::Topic { member: oldest };
            let entry = OutboxEntry {
                batch: segment.batch,
                allocation: Some(segment.allocation),
                tries: segment.tries,
                origin,
            };
            self.push_entry(self.members[oldest].connection, entry);
            if has_value && !self.channels[channel].has_buffered_value() {
                self.give_buffered_value(channel, Some(oldest));
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, slot: ConnectionSlot, id: SubscriptionId) {
        let connection = self.connections.edit(slot);
        if connection.has_left() {
            return;
        }
        let Some(subscription) = connection.subscriptions.remove(&id) else { return };
        connection.ending.push_back(subscription);
        connection.parts = true;
        connection.wanted = connection.wanted.max(Sweep::Ended);
        let row = self.subscriptions.row(subscription);
        (row.is_ended, row.reclaims) = (true, true);
        connection.manual -= u32::from(row.ack != AckMode::Auto);
        self.subscription_count -= 1;
        self.recall_of(slot, subscription);
        self.check_leaving(slot);
    }

    /// Asks for a subscription's messages of queues that the driver has not begun to write: the peer expects them no more, and
    /// cannot ack them.
    fn recall_of(&mut self, slot: ConnectionSlot, subscription: SubscriptionSlot) {
        let connection = &self.connections[slot];
        let is_own = |origin: Origin| match origin {
            Origin::Leased { member, .. } | Origin::Queue { member, .. } => {
                let row = &self.members[member];
                let is_there = !row.has_left || self.channels[row.channel].is_forgotten;
                is_there && row.subscription == subscription
            }
            _ => false,
        };
        let mut in_flight = connection.outbox.in_flight().map(|entry| entry.origin);
        let is_needed = !connection.recalling && in_flight.any(is_own);
        drop(in_flight);
        if is_needed {
            self.recall(slot);
        }
    }

    /// Asks for everything that the driver has not begun to write.
    pub(super) fn recall(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        connection.recalling = true;
        self.events.push_back(Event::Recall { connection: connection.id });
    }

    /// Takes an ended subscription out of its channels, some a step: whether it is done.
    pub(super) fn end_subscription(&mut self, subscription: SubscriptionSlot) -> bool {
        let reclaims = self.subscriptions[subscription].reclaims;
        while let Some(member) = self.subscriptions[subscription].members.first {
            if !self.spend(4) {
                return false;
            }
            self.leave_member(member, reclaims);
        }
        if !self.spend(4) {
            return false;
        }
        let row = self.subscriptions.remove(subscription);
        if row.by_pattern {
            self.trie(Kind::of(row.pattern.as_bytes())).remove(row.pattern.as_bytes(), (row.born, subscription));
        }
        self.lasting_charge -= row.charge();
        self.shared.remove(&row);
        self.budget.release(row.charge());
        true
    }

    pub(super) fn finish(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        if connection.phase == Phase::Open {
            connection.phase = Phase::Finishing;
        }
        if !connection.leases.is_empty() {
            // No ack comes any more for what subscriptions left that have ended.
            connection.wanted = connection.wanted.max(Sweep::Ended);
        }
        self.depart(slot);
        self.leave_all(slot);
    }

    /// The connection leaves all its channels; its outbox stays as it is.
    pub(super) fn leave_all(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        connection.parts = true;
        if !std::mem::replace(&mut connection.leaves, true) {
            self.subscription_count -= connection.subscriptions.len();
            connection.manual = 0;
        }
        self.check_leaving(slot);
    }

    pub(super) fn trie(&mut self, kind: Kind) -> &mut Trie<BornSubscription> {
        match kind {
            Kind::Topic => &mut self.topics,
            Kind::Queue => &mut self.queues,
        }
    }
}
