//! Channels: how they are found, made and forgotten, and what is counted for them.

use super::groups::Groups;
use super::knot::Knot;
use super::rules::InForce;
use super::table::{Marked, Table};
use super::{Broker, shrink};
use crate::ages::Ages;
use crate::backlog::Backlog;
use crate::cost;
use crate::limits::{OverflowPolicy, QueueOverflow};
use crate::list::{Link, List, Ring};
use crate::meter::Meter;
use crate::name::{Kind, is_dead};
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot};
use crate::{Batch, Delivery, Refusal, Time};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Limit on empty channels that are remembered only because a pattern matches them.
pub(super) const UNUSED: usize = 1024;
/// The part of the memory budget that these may take with their members.
const UNUSED_SHARE: usize = 64;

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Bytes,
    pub(super) kind: Kind,
    pub(super) policy: OverflowPolicy,
    is_dirty: bool,
    /// Whether it is among [`Broker::unused`].
    pub(super) is_unused: bool,
    /// Whether it has dead letters: it drops its oldest, and has none of its own.
    pub(super) is_dead: bool,
    /// Nobody finds it any more; its members by patterns are still being taken out.
    pub(super) is_forgotten: bool,
    pub(super) buffer_unsubscribed: usize,
    pub(super) bound: usize,
    /// Messages that may wait; 0 for any number.
    pub(super) messages: usize,
    pub(super) overflow: QueueOverflow,
    pub(super) delivery: Delivery,
    /// The [`Broker::rules_version`] that policy, buffer and bound follow.
    pub(super) rules_version: u64,
    /// All members, the oldest first.
    pub(super) everybody: List<MemberSlot>,
    pub(super) members: u32,
    /// The consumers of a queue that may have room, by their turns. One that has none when its turn comes is not
    /// among them until it has some again.
    pub(super) turns: Ring<MemberSlot>,
    pub(super) exact_members: u32,
    /// Connections whose messages are on their way back, and orders of an operator: nothing is dispatched until there
    /// are none.
    pub(super) returning: u32,
    pub(super) backlog: Backlog,
    /// Groups of its messages, if there are any.
    pub(super) groups: Option<Box<Groups>>,
    pub(super) next_seq: u64,
    /// When its [`Timer::Due`] is armed for.
    pub(super) due: Option<Time>,
    /// Bytes that the memory budget counts for the channel, in outboxes too.
    pub(super) load: usize,
    /// Publishers that wait for room in the backlog.
    pub(super) waiters: List<ConnectionSlot>,
    /// Number of these.
    pub(super) waiting: u32,
    /// Each of the waiters from this one on is to be looked at: a consumer has left, or the rule has changed.
    pub(super) untangles: Option<ConnectionSlot>,
    /// The waiters are to be tried, too, for another rule applies to them.
    pub(super) has_new_rule: bool,
    /// Publishers that wait until the channel has no more than is free.
    pub(super) share_waiters: List<ConnectionSlot>,
    /// The same of these.
    pub(super) share_untangles: Option<ConnectionSlot>,
    /// The key among [`Broker::share_waiting`].
    pub(super) share_key: Option<usize>,
    pub(super) paused_publishers: u32,
    /// When it was made, among channels and subscriptions.
    pub(super) born: u64,
    pub(super) published: Meter,
    pub(super) delivered: Meter,
    pub(super) dropped: u64,
    pub(super) dead_lettered: u64,
    pub(super) expired: u64,
    /// Messages that were not taken, for it was full.
    pub(super) rejected: u64,
    /// Messages that came back after a consumer may have seen them.
    pub(super) redelivered: u64,
    /// Messages of a queue that have left it for another reason than that they were delivered.
    pub(super) left: u64,
    /// Messages that are being moved, and in no backlog meanwhile.
    pub(super) moving: usize,
    /// When the messages of a queue came.
    pub(super) ages: Ages,
    /// An operator has paused it, which is one of the reasons in `returning`.
    pub(super) is_paused: bool,
    /// The members from this one on are still to give back what was not written: it is paused, or a message goes before.
    pub(super) pauses: Option<MemberSlot>,
    /// No message that a consumer has and that is not written has a higher rank, which is that of a lower priority.
    pub(super) worst_rank: u8,
    /// The same as far as was seen since a reclaim was begun, and of what consumers got since.
    pub(super) seen_rank: u8,
    /// A message of a higher priority than others waits: what consumers have of those is to come back.
    pub(super) is_urgent: bool,
    /// A reclaim is not begun before; messages are dispatched meanwhile.
    pub(super) urgent_after: Time,
    /// Subscriptions that asked to be the only one to consume it, the oldest first.
    pub(super) claims: BTreeMap<u64, MemberSlot>,
    /// The members from this one on are still to be told who may consume it.
    pub(super) admits: Option<MemberSlot>,
    unused: Link<ChannelSlot>,
    pub(super) by_load: Link<ChannelSlot>,
    /// The list of [`Broker::by_load`] that it is in.
    pub(super) bucket: u8,
}

impl Marked for Channel {
    fn mark(&mut self) -> &mut bool {
        &mut self.is_dirty
    }
}

impl Channel {
    /// Whether nothing but patterns could be a reason to remember it.
    fn is_idle(&self) -> bool {
        self.exact_members == 0
            && self.load == 0
            && self.backlog.is_empty()
            && self.returning == 0
            && self.paused_publishers == 0
            && !self.is_paused
    }

    /// The one that may consume it, if it is the only one.
    #[inline]
    pub(super) fn only_consumer(&self) -> Option<MemberSlot> {
        self.claims.first_key_value().map(|(_, &member)| member)
    }

    /// Part of a batch that fits the bounds: messages, and their bytes. A message of any size may wait alone.
    pub(super) fn room_for(&self, batch: &Batch, messages: usize) -> (usize, usize) {
        let room = self.bound.saturating_sub(self.backlog.bytes()).saturating_sub(batch.extra());
        let mut within = (batch.len(), batch.bytes());
        if room < batch.bytes() {
            within = batch.whole_within(room);
        }
        let messages = if messages == 0 { usize::MAX } else { messages.saturating_sub(self.backlog.depth) };
        if within.0 > messages {
            within = (messages, batch.size_of_first(messages));
        }
        match within {
            (0, _) if self.backlog.is_empty() => (1, batch.first_size()),
            within => within,
        }
    }

    pub(super) fn charge(&self) -> usize {
        cost::channel(self.name.len()) + self.ages.bytes()
    }

    /// The cost of the channel with its members, and without messages.
    pub(super) fn charge_when_empty(&self) -> usize {
        self.charge() + self.members as usize * cost::MEMBER
    }
}

fn unused(channel: &mut Channel) -> &mut Link<ChannelSlot> {
    &mut channel.unused
}

pub(super) fn by_load(channel: &mut Channel) -> &mut Link<ChannelSlot> {
    &mut channel.by_load
}

/// Why a channel cannot be made.
pub(super) enum NoChannel {
    Refused(Refusal),
    /// Memory is short.
    Memory,
}

impl Broker {
    /// Makes a channel, with everybody whose pattern matches.
    pub(super) fn make_channel(&mut self, name: &Bytes) -> Result<ChannelSlot, NoChannel> {
        if self.channels.len() >= self.limits.channels {
            return Err(NoChannel::Refused(Refusal::Channels { limit: self.limits.channels }));
        }
        // Messages of paused connections are charged already, and wait for channels themselves.
        if !self.has_room_for_channel(cost::channel(name.len())) && self.over_bound != Some(Knot::Memory) {
            return Err(NoChannel::Memory);
        }
        let InForce { policy, buffer_unsubscribed, bound, messages, overflow, delivery } =
            InForce::new(name, &self.rules, &self.limits);
        // A copy, so that the name does not pin the buffer that it came in.
        let name = Bytes::copy_from_slice(name);
        self.born += 1;
        let channel = Channel {
            kind: Kind::of(&name),
            policy,
            is_dirty: false,
            is_unused: false,
            is_dead: is_dead(&name),
            is_forgotten: false,
            buffer_unsubscribed,
            bound,
            messages,
            overflow,
            delivery,
            rules_version: self.rules_version,
            name: name.clone(),
            everybody: List::new(),
            members: 0,
            turns: Ring::new(),
            exact_members: 0,
            returning: 0,
            backlog: Backlog::default(),
            groups: None,
            next_seq: 0,
            due: None,
            load: 0,
            waiters: List::new(),
            waiting: 0,
            untangles: None,
            has_new_rule: false,
            share_waiters: List::new(),
            share_untangles: None,
            share_key: None,
            paused_publishers: 0,
            born: self.born,
            published: Meter::default(),
            delivered: Meter::default(),
            dropped: 0,
            dead_lettered: 0,
            expired: 0,
            rejected: 0,
            redelivered: 0,
            left: 0,
            moving: 0,
            ages: Ages::new(self.now),
            is_paused: false,
            pauses: None,
            worst_rank: 0,
            seen_rank: 0,
            is_urgent: false,
            urgent_after: Time::ZERO,
            claims: BTreeMap::new(),
            admits: None,
            unused: Link::new(),
            by_load: Link::new(),
            bucket: 0,
        };
        self.budget.charge(channel.charge());
        let slot = self.channels.insert(channel);
        self.by_load[Kind::of(&name) as usize][0].push_back(self.channels.quietly(), slot, by_load);
        self.names.insert(name.clone(), slot);
        let mut matching = self.trie(Kind::of(&name)).matching(&name);
        // The newest subscriber is the next.
        matching.sort_unstable_by_key(|&subscription| self.subscriptions[subscription].born);
        for subscription in matching {
            let row = &self.subscriptions[subscription];
            if row.is_ended || !row.pattern.may_see(&name) || self.connections[row.connection].has_left() {
                continue;
            }
            self.join(subscription, slot);
        }
        Ok(slot)
    }

    /// Whether memory is free for another channel, if need be in place of some that are kept unused.
    fn has_room_for_channel(&mut self, need: usize) -> bool {
        while self.budget.free_beside(self.pending_charge) < need {
            if !self.forget_oldest_unused() {
                return false;
            }
        }
        true
    }

    /// A channel with nobody and nothing in it is forgotten. Where somebody listens by a pattern, a
    /// few are kept: the next batch need not find out anew who that is.
    fn forget_if_unused(&mut self, slot: ChannelSlot) {
        let channel = &self.channels[slot];
        if !channel.is_idle() {
            return;
        }
        if channel.members == 0 {
            return self.forget(slot);
        }
        if !channel.is_unused {
            self.unused_charge += channel.charge_when_empty();
            self.channels.quietly().row(slot).is_unused = true;
            self.unused.push_back(self.channels.quietly(), slot, unused);
            self.unused_count += 1;
        }
        // They save time alone, so they have little of what others need.
        while self.unused_count > UNUSED || self.unused_charge > self.budget.limit() / UNUSED_SHARE {
            if !self.forget_oldest_unused() {
                // Later, for nothing else may change it.
                self.channels.edit(slot);
                return;
            }
        }
    }

    /// Forgets the channel that is unused for the longest, if there is one and this call may.
    fn forget_oldest_unused(&mut self) -> bool {
        if self.steps == 0 {
            return false;
        }
        let Some(oldest) = self.unused.first else { return false };
        self.use_again(oldest);
        if self.channels[oldest].is_idle() {
            self.forget(oldest);
        }
        true
    }

    /// Takes a channel out of those that are kept unused.
    fn use_again(&mut self, slot: ChannelSlot) {
        let channel = self.channels.quietly().row(slot);
        if std::mem::take(&mut channel.is_unused) {
            self.unused_charge -= channel.charge_when_empty();
            self.unused.remove(self.channels.quietly(), slot, unused);
            self.unused_count -= 1;
        }
    }

    /// At once for those who name it, though it may take several calls until nothing of it is left: a publisher would
    /// otherwise find it with some of its members.
    fn forget(&mut self, slot: ChannelSlot) {
        if !self.channels[slot].is_forgotten {
            self.withdraw(slot);
        }
        // Members by a pattern: some a step, and again later.
        while let Some(member) = self.channels[slot].everybody.last {
            if !self.spend(4) {
                self.channels.edit(slot);
                return;
            }
            self.leave_member(member, false);
        }
        let channel = self.channels.remove(slot);
        self.budget.release(channel.charge());
    }

    /// Takes a channel out of everything by which it is found.
    fn withdraw(&mut self, slot: ChannelSlot) {
        let channel = self.channels.quietly().row(slot);
        (channel.is_forgotten, channel.is_urgent) = (true, false);
        self.names.remove(&channel.name);
        shrink(&mut self.names);
        let (kind, bucket) = (channel.kind as usize, usize::from(channel.bucket));
        debug_assert!(channel.backlog.is_empty());
        self.arm_due(slot);
        self.use_again(slot);
        self.by_load[kind][bucket].remove(self.channels.quietly(), slot, by_load);
    }

    /// The follow-up work of a changed channel.
    pub(super) fn check_channel(&mut self, slot: ChannelSlot) {
        if self.channels[slot].is_forgotten {
            return self.forget(slot);
        }
        self.file_by_load(slot);
        let channel = &self.channels[slot];
        if channel.admits.is_some() {
            self.go_on_admitting(slot);
        }
        if self.channels[slot].is_urgent {
            self.begin_urgent(slot);
        }
        if self.channels[slot].pauses.is_some() {
            self.take_back_unwritten(slot);
        }
        let channel = &self.channels[slot];
        if channel.backlog.has_ready() {
            match channel.kind {
                Kind::Queue => self.dispatch_backlog(slot),
                Kind::Topic => self.give_buffered(slot),
            }
        }
        let channel = &self.channels[slot];
        if !channel.backlog.is_empty() || channel.due.is_some() || channel.is_urgent {
            if channel.kind == Kind::Queue && (channel.is_dead || channel.overflow == QueueOverflow::DropOld) {
                self.trim(slot);
            }
            self.arm_due(slot);
        }
        self.untangle_shares(slot);
        if !self.channels[slot].waiters.is_empty() {
            self.wake_channel(slot);
        }
        self.forget_if_unused(slot);
    }
}

impl Table<ChannelSlot, Channel> {
    /// Whether a queue may dispatch what is published to it at once.
    pub(super) fn is_ready(&self, slot: ChannelSlot) -> bool {
        let channel = &self[slot];
        !channel.backlog.has_ready() && channel.returning == 0 && !channel.turns.is_empty()
    }
}
