//! A new channel, and the subscriptions to patterns that match its name.
//!
//! A search finds them, and charges the steps of the call for it; where it is long, further calls go on with it. Then they
//! join some a step, the newest first. Until all have joined, a queue dispatches nothing and a topic's publishers wait: nobody
//! misses what is published meanwhile. Later subscriptions find the channel themselves. The memory for all memberships is
//! charged before the first joins: while a search goes on, as if all patterns matched.

use super::Broker;
use super::channel::NoChannel;
use super::knot::Knot;
use super::member::{Age, Subscription};
use super::rules::first_rule;
use super::timers::Timer;
use crate::name::Kind;
use crate::slots::{ChannelSlot, SubscriptionSlot};
use crate::trie::{Cursor, Searched};
use crate::{Refusal, cost};
use bytes::Bytes;

/// A subscription, in the order in which they were made.
pub(super) type BornSubscription = (u64, SubscriptionSlot);

/// Nodes of a trie that are looked at in one step.
const NODES_A_STEP: usize = 4;

/// About the most nodes that one call looks at for one name.
const SEARCH: usize = 4096;

/// A search of more nodes is not repeated for each publish: its channel is kept as long as unused ones are.
const SHORT_SEARCH: usize = 64;

/// The purpose of a new channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MadeFor {
    Messages,
    /// A subscription to its name, for which memory was found with it.
    Subscription,
}

/// Subscriptions whose patterns match a name, as far as a search has come.
#[derive(Debug)]
pub(super) struct Matching {
    found: Vec<BornSubscription>,
    rest: Option<Cursor>,
    /// Others that may match.
    others: usize,
    pub(super) is_long: bool,
}

impl Matching {
    /// Number of those that match, at most.
    pub(super) fn most(&self) -> usize {
        self.found.len() + self.others
    }
}

/// Subscriptions to patterns that are to join a new channel, the oldest first once all are found. One that has ended stays
/// until its turn comes. A membership is charged for each, and for those that may still be found.
#[derive(Debug)]
pub(super) struct Joins(Matching);

impl Joins {
    /// The charge for those that have not joined.
    pub(super) fn charge(&self) -> usize {
        self.0.most() * cost::MEMBER
    }
}

/// Memory that a new channel takes, which so many patterns match.
pub(super) fn need_of_channel(name: &[u8], patterns: usize) -> usize {
    cost::channel(name.len()) + patterns * cost::MEMBER
}

impl Broker {
    /// The subscriptions to patterns that match a name, those that end included, in no order that means anything: as many
    /// as a search finds in one call.
    pub(super) fn patterns_of(&mut self, name: &[u8]) -> Matching {
        let trie = self.trie(Kind::of(name));
        let mut found = Vec::new();
        let Searched { looked_at, rest } = trie.matching(name, None, SEARCH, &mut found);
        let others = if rest.is_some() { trie.len() - found.len() } else { 0 };
        self.spend_nodes(looked_at);
        Matching { found, rest, others, is_long: looked_at > SHORT_SEARCH }
    }

    /// Number of subscriptions to patterns that match a name, those that end included. If one search does not tell, of all.
    pub(super) fn count_patterns(&mut self, name: &[u8]) -> usize {
        let (count, nodes) = self.trie(Kind::of(name)).count(name, SEARCH);
        self.spend_nodes(nodes);
        count
    }

    /// Whether nobody would get or buffer a topic's message.
    pub(super) fn is_unheard(&mut self, name: &Bytes) -> bool {
        let rule = first_rule(&self.rules, name);
        let buffers = rule.and_then(|rule| rule.buffer_unsubscribed).unwrap_or(self.limits.buffer_unsubscribed);
        if buffers > 0 {
            return false;
        }
        // A channel remembers what a long search finds.
        let may_match = |(any, Searched { looked_at, rest }): (bool, Searched)| (any || rest.is_some(), looked_at);
        let (is_heard, nodes) = may_match(self.topics.matches(name, SHORT_SEARCH));
        let (is_fed, others) = if is_heard { (false, 0) } else { may_match(self.sources.matches(name, SHORT_SEARCH)) };
        self.spend_nodes(nodes + others);
        !is_heard && !is_fed
    }

    /// Nodes of a trie were looked at. What follows from many new names takes several calls.
    pub(super) fn spend_nodes(&mut self, nodes: usize) {
        self.spend(nodes / NODES_A_STEP);
    }

    /// Finds the memory for a new channel that so many patterns match. Where subscriptions leave less than it takes, nothing
    /// that drains could make room: then it may exceed the budget by as much as what helps to drain it, and is refused beyond.
    /// So may one for a subscription, which could not come otherwise, and within the share of subscriptions to names.
    pub(super) fn find_memory_for_channel(
        &mut self,
        name: &[u8],
        patterns: usize,
        made_for: MadeFor,
    ) -> Result<(), NoChannel> {
        let need = need_of_channel(name, patterns);
        let free = self.budget.for_messages().saturating_sub(self.lasting_charge);
        let is_subscribed = made_for == MadeFor::Subscription;
        let beyond = if need > free || is_subscribed { self.budget.most_beyond() } else { 0 };
        // Messages of paused connections are charged already, and wait for channels themselves.
        let is_found = self.has_room_for_channel(need, beyond) || self.over_bound == Some(Knot::Memory);
        if is_found || is_subscribed && self.has_share_for_name(name.len(), patterns * cost::MEMBER) {
            return Ok(());
        }
        // Subscriptions that have ended are counted until all of them is freed.
        let is_ending = self.subscriptions.len() > self.subscription_count;
        if self.lasting_charge + need > self.budget.for_messages().saturating_add(beyond) && !is_ending {
            return Err(NoChannel::Refused(Refusal::ChannelMemory { patterns, bytes: need, free }));
        }
        Err(NoChannel::Memory)
    }

    /// Begins with the subscriptions whose patterns match a channel that is just made.
    pub(super) fn begin_joins(&mut self, slot: ChannelSlot, mut patterns: Matching) {
        if patterns.most() == 0 {
            return;
        }
        patterns.found.sort_unstable();
        let channel = self.channels.edit(slot);
        let joins = Joins(patterns);
        self.budget.charge(joins.charge());
        channel.joins = Some(Box::new(joins));
        channel.returning += 1;
        self.go_on_with_joins(slot);
    }

    /// Goes on with them, some a call: one at least, however little this call may still do.
    pub(super) fn go_on_with_joins(&mut self, slot: ChannelSlot) {
        let mut is_first = true;
        while let Some(channel) = self.channels.get(slot)
            && let Some(joins) = &channel.joins
        {
            if channel.is_forgotten || joins.0.most() == 0 {
                self.end_joins(slot);
                return;
            }
            let is_searching = joins.0.rest.is_some();
            if !self.spend(4) && !is_first {
                // The next call goes on.
                self.timers.insert((self.now, Timer::Joins(slot)));
                return;
            }
            is_first = false;
            if is_searching {
                self.go_on_searching(slot);
                continue;
            }
            if let Some(newest) = self.channels.edit(slot).joins.as_mut().and_then(|joins| joins.0.found.pop()) {
                self.budget.lend(cost::MEMBER);
                self.join_older(slot, newest);
            }
        }
    }

    /// Goes on with the search for those whose patterns match, as far as this call may. Those that were made after the channel
    /// have found it themselves.
    fn go_on_searching(&mut self, slot: ChannelSlot) {
        let most = (self.steps * NODES_A_STEP).clamp(SHORT_SEARCH, SEARCH);
        let channel = self.channels.edit(slot);
        let (name, born) = (channel.name.clone(), channel.born);
        let Some(mut joins) = channel.joins.take() else { return };
        let before = joins.charge();
        let mut found = Vec::new();
        let Searched { looked_at, rest } =
            self.trie(Kind::of(&name)).matching(&name, joins.0.rest.as_ref(), most, &mut found);
        found.retain(|&(of_subscription, _)| of_subscription < born);
        let Matching { found: all, others, .. } = &mut joins.0;
        *others = if rest.is_some() { *others - found.len() } else { 0 };
        all.append(&mut found);
        if rest.is_none() {
            all.sort_unstable();
        }
        joins.0.rest = rest;
        self.budget.release(before - joins.charge());
        self.channels.edit(slot).joins = Some(joins);
        self.spend_nodes(looked_at);
    }

    /// All have joined, or nobody finds the channel any more: the queue dispatches, and publishers go on.
    fn end_joins(&mut self, slot: ChannelSlot) {
        let channel = self.channels.edit(slot);
        channel.returning -= 1;
        let joins = channel.joins.take();
        self.budget.lend(joins.map_or(0, |joins| joins.charge()));
        self.budget.note_freed();
        if !self.channels[slot].is_forgotten {
            // All of its consumers are known now, and may wait for each other.
            self.look_at_waiters(slot);
        }
    }

    /// A subscription that is older than those that have joined joins a channel, unless it has ended.
    fn join_older(&mut self, slot: ChannelSlot, (born, subscription): BornSubscription) {
        // Another one may have its slot by now.
        let is_there = |row: &&Subscription| row.born == born && !row.is_ended;
        let Some(row) = self.subscriptions.get(subscription).filter(is_there) else { return };
        if row.pattern.may_see(&self.channels[slot].name) && !self.connections[row.connection].has_left() {
            self.join_as(subscription, slot, Age::Oldest);
        }
    }
}
