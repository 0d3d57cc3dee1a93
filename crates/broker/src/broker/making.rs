//! A new channel, and the subscriptions to patterns that match its name.
//!
//! They join it some a step, the newest first, so that a channel costs the lock no more where many patterns match. Until all
//! have joined, a queue dispatches nothing and a topic's publishers wait: nobody misses what is published meanwhile. Later
//! subscriptions find the channel themselves. The memory for all memberships is charged before the first joins.

use super::Broker;
use super::channel::NoChannel;
use super::knot::Knot;
use super::member::Age;
use super::timers::Timer;
use crate::name::Kind;
use crate::slots::{ChannelSlot, Key, SubscriptionSlot};
use crate::{Refusal, cost};
use bytes::Bytes;

/// A subscription, in the order in which they were made.
pub(super) type BornSubscription = (u64, SubscriptionSlot);

/// Subscriptions that one search in the patterns finds.
const FOUND: usize = 32;

/// Progress of the subscriptions to patterns that are to join a new channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joins {
    /// Subscriptions that were made before this one are still to join.
    before: BornSubscription,
    /// Memberships that are charged and not made.
    left: usize,
}

impl Joins {
    /// The charge for those that have not joined.
    pub(super) fn charge(&self) -> usize {
        self.left * cost::MEMBER
    }
}

/// Memory that a new channel takes, which so many patterns match.
pub(super) fn need_of_channel(name: &[u8], patterns: usize) -> usize {
    cost::channel(name.len()) + patterns * cost::MEMBER
}

impl Broker {
    /// Number of subscriptions to patterns that match a name, those that end included.
    pub(super) fn count_patterns(&self, name: &[u8]) -> usize {
        match Kind::of(name) {
            Kind::Topic => self.topics.count(name),
            Kind::Queue => self.queues.count(name),
        }
    }

    /// Finds the memory for a new channel that so many patterns match. Where subscriptions leave less than it takes, nothing
    /// that drains could make room: then it may exceed the budget by as much as what helps to drain it, and is refused beyond.
    pub(super) fn find_memory_for_channel(&mut self, name: &[u8], patterns: usize) -> Result<(), NoChannel> {
        let need = need_of_channel(name, patterns);
        let free = self.budget.for_messages().saturating_sub(self.lasting_charge);
        let beyond = if need > free { self.budget.most_beyond() } else { 0 };
        // Messages of paused connections are charged already, and wait for channels themselves.
        if self.has_room_for_channel(need, beyond) || self.over_bound == Some(Knot::Memory) {
            return Ok(());
        }
        // Those that have ended are counted until all is freed.
        let is_ending = self.subscriptions.len() > self.subscription_count;
        if self.lasting_charge + need > self.budget.for_messages().saturating_add(beyond) && !is_ending {
            return Err(NoChannel::Refused(Refusal::ChannelMemory { patterns, bytes: need, free }));
        }
        Err(NoChannel::Memory)
    }

    /// Begins with the subscriptions whose patterns match a channel that is just made.
    pub(super) fn begin_joins(&mut self, slot: ChannelSlot, patterns: usize) {
        if patterns == 0 {
            return;
        }
        let channel = self.channels.edit(slot);
        let joins = Joins { before: (channel.born, SubscriptionSlot::new(0)), left: patterns };
        channel.joins = Some(joins);
        channel.returning += 1;
        self.budget.charge(joins.charge());
        self.go_on_with_joins(slot);
    }

    /// Goes on with them, some a call: one at least, however little this call may still do.
    pub(super) fn go_on_with_joins(&mut self, slot: ChannelSlot) {
        let mut is_first = true;
        while let Some(channel) = self.channels.get(slot)
            && let Some(Joins { before, left }) = channel.joins
        {
            let (name, kind) = (channel.name.clone(), channel.kind);
            let found =
                if channel.is_forgotten { Vec::new() } else { self.trie(kind).last_before(&name, before, FOUND) };
            let is_last = found.len() < FOUND;
            let mut left = left;
            for next in found {
                if !self.spend(4) && !is_first {
                    // The next call goes on.
                    self.timers.insert((self.now, Timer::Joins(slot)));
                    return;
                }
                is_first = false;
                left = left.saturating_sub(1);
                self.release_joins(slot, Some(Joins { before: next, left }));
                self.join_older(slot, &name, next.1);
            }
            if is_last {
                self.release_joins(slot, None);
                self.budget.note_freed();
                // The queue dispatches, and publishers go on.
                self.channels.edit(slot).returning -= 1;
            }
        }
    }

    /// Sets the progress: what is charged for those that have not joined is that of fewer.
    fn release_joins(&mut self, slot: ChannelSlot, after: Option<Joins>) {
        let before = std::mem::replace(&mut self.channels.edit(slot).joins, after);
        let charge = |joins: Option<Joins>| joins.as_ref().map_or(0, Joins::charge);
        self.budget.lend(charge(before) - charge(after));
    }

    /// A subscription that is older than those that have joined joins a channel, unless it has ended.
    fn join_older(&mut self, slot: ChannelSlot, name: &Bytes, subscription: SubscriptionSlot) {
        let row = &self.subscriptions[subscription];
        if !row.is_ended && row.pattern.may_see(name) && !self.connections[row.connection].has_left() {
            self.join_as(subscription, slot, Age::Oldest);
        }
    }
}
