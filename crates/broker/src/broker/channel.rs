//! Channels: how they are found and made, and what is counted for them.

use super::Broker;
use super::durable::{Feeds, Source};
use super::groups::Groups;
use super::making::{Joins, MadeFor};
use super::pass::Pass;
use super::retain::Retained;
use super::rules::InForce;
use super::table::{Marked, Table};
use crate::ages::Ages;
use crate::backlog::Backlog;
use crate::cost;
use crate::limits::{OverflowPolicy, QueueOverflow};
use crate::list::{Link, List, Ring};
use crate::meter::Meter;
use crate::name::{Kind, is_dead, is_durable};
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot};
use crate::{Batch, Delivery, Refusal, Time};
use bytes::Bytes;
use std::collections::BTreeMap;

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
    /// Nobody finds it any more; its members and what comes back to it are still being taken out.
    pub(super) is_forgotten: bool,
    /// Whether the search for the patterns that match it was long.
    pub(super) is_hard_to_find: bool,
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
    /// All members before this one are on their way out, and it may be, too: the first of a topic that stays is here or behind.
    pub(super) oldest: Option<MemberSlot>,
    pub(super) members: u32,
    /// The consumers of a queue that may have room, by their turns. One that has none when its turn comes is not
    /// among them until it has some again.
    pub(super) turns: Ring<MemberSlot>,
    pub(super) exact_members: u32,
    /// Connections whose messages are on their way back, orders of an operator, and consumers that have not joined it yet:
    /// nothing is dispatched until there are none.
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
    /// The waiters are to be looked at: a consumer has left, or the rule has changed.
    pub(super) untangles: Pass,
    /// The waiters are to be tried, too, for another rule applies to them.
    pub(super) has_new_rule: bool,
    /// Publishers that wait until the channel has no more than is free.
    pub(super) share_waiters: List<ConnectionSlot>,
    /// The same of these.
    pub(super) share_untangles: Pass,
    /// Whether it is among [`Broker::looks`](super::Broker).
    pub(super) is_looked_at: bool,
    /// The key among [`Broker::share_waiting`].
    pub(super) share_key: Option<usize>,
    pub(super) paused_publishers: u32,
    /// Of these, connections that are gone, and whose messages still wait for room.
    pub(super) gone_publishers: u32,
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
    pub(super) returned: u64,
    /// Messages of a queue that have left it for another reason than that they were delivered.
    pub(super) left: u64,
    /// Messages that are being moved, and in no backlog meanwhile.
    pub(super) moving: usize,
    /// When the messages of a queue came.
    pub(super) ages: Ages,
    /// Progress of the subscriptions whose patterns match, until all have joined it. It is one of the reasons in `returning`.
    pub(super) joins: Option<Box<Joins>>,
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
    /// The connection that it ends with.
    pub(super) owner: Option<ConnectionSlot>,
    /// Its neighbors among the temporary queues of its owner.
    pub(super) owned: Link<ChannelSlot>,
    /// The value of a topic that each new subscriber gets first.
    pub(super) retained: Option<Box<Retained>>,
    /// The topics that feed it: it is a durable subscription.
    pub(super) source: Option<Box<Source>>,
    /// The durable subscriptions that a topic feeds.
    pub(super) feeds: Option<Feeds>,
    pub(super) unused: Link<ChannelSlot>,
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
    pub(super) fn is_idle(&self) -> bool {
        self.exact_members == 0
            && self.load == 0
            && self.backlog.is_empty()
            && self.returning == 0
            && self.paused_publishers == 0
            && !self.is_paused
            && self.source.is_none()
    }

    /// Whether a change of it may lead to any follow-up work, beside that nobody may need it any more.
    #[inline]
    pub(super) fn has_follow_up(&self) -> bool {
        !self.backlog.is_empty()
            || self.due.is_some()
            || self.is_urgent
            || self.pauses.is_some()
            || self.admits.is_some()
            || !self.waiters.is_empty()
    }

    /// Whether nothing is on its way back to it.
    pub(super) fn is_whole(&self) -> bool {
        self.returning <= u32::from(self.is_paused)
    }

    /// The one that may consume it, if it is the only one.
    #[inline]
    pub(super) fn only_consumer(&self) -> Option<MemberSlot> {
        self.claims.first_key_value().map(|(_, &member)| member)
    }

    /// Whether no other one is its only consumer.
    pub(super) fn is_open_to(&self, member: MemberSlot) -> bool {
        self.only_consumer().is_none_or(|only| only == member)
    }

    /// Connections that wait for room in it.
    pub(super) fn waiting_publishers(&self) -> usize {
        (self.paused_publishers - self.gone_publishers) as usize
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
        let source = self.source.as_deref().map_or(0, Source::charge);
        cost::channel(self.name.len()) + self.ages.bytes() + source + self.list_charge()
    }

    /// The charge for the list of the queues that it feeds.
    pub(super) fn list_charge(&self) -> usize {
        self.feeds.as_ref().map_or(0, Feeds::charge)
    }

    /// The cost of the channel with its members, and without messages.
    pub(super) fn charge_when_empty(&self) -> usize {
        self.charge() + self.members as usize * cost::MEMBER
    }

    /// The same, without what changes as it is used, if subscriptions keep the channel in being: those to its name, or the
    /// durable one whose queue it is.
    pub(super) fn lasting_charge(&self) -> usize {
        if self.exact_members == 0 && self.source.is_none() {
            return 0;
        }
        cost::channel(self.name.len()) + self.members as usize * cost::MEMBER
    }
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
    /// The reason as it is told.
    pub(super) fn refusal_of(&self, error: NoChannel) -> Refusal {
        match error {
            NoChannel::Refused(refusal) => refusal,
            NoChannel::Memory => self.no_memory(),
        }
    }

    /// Makes a channel. The subscriptions whose patterns match join it, as many as this call may. The names of durable
    /// subscriptions are theirs alone: under another's name nothing would ever be fed or ended.
    pub(super) fn make_channel(&mut self, name: &Bytes) -> Result<ChannelSlot, NoChannel> {
        self.make_channel_for(name, MadeFor::Messages)
    }

    pub(super) fn make_channel_for(&mut self, name: &Bytes, made_for: MadeFor) -> Result<ChannelSlot, NoChannel> {
        if is_durable(name) {
            return Err(NoChannel::Refused(Refusal::NoDurable));
        }
        self.make_any_channel(name, made_for)
    }

    /// The same, which may be the queue of a durable subscription.
    pub(super) fn make_any_channel(&mut self, name: &Bytes, made_for: MadeFor) -> Result<ChannelSlot, NoChannel> {
        // Before the limits: more room would not bring back what has ended.
        let owner = self.owner_of(name).map_err(NoChannel::Refused)?;
        if self.channels.len() >= self.limits.channels {
            return Err(NoChannel::Refused(Refusal::Channels { limit: self.limits.channels }));
        }
        let patterns = self.patterns_of(name);
        self.find_memory_for_channel(name, patterns.most(), made_for)?;
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
            is_hard_to_find: patterns.is_long,
            buffer_unsubscribed,
            bound,
            messages,
            overflow,
            delivery,
            rules_version: self.rules_version,
            name: name.clone(),
            everybody: List::new(),
            oldest: None,
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
            untangles: Pass::default(),
            has_new_rule: false,
            share_waiters: List::new(),
            share_untangles: Pass::default(),
            is_looked_at: false,
            share_key: None,
            paused_publishers: 0,
            gone_publishers: 0,
            born: self.born,
            published: Meter::default(),
            delivered: Meter::default(),
            dropped: 0,
            dead_lettered: 0,
            expired: 0,
            rejected: 0,
            returned: 0,
            left: 0,
            moving: 0,
            ages: Ages::new(self.now),
            joins: None,
            is_paused: false,
            pauses: None,
            worst_rank: 0,
            seen_rank: 0,
            is_urgent: false,
            urgent_after: Time::ZERO,
            claims: BTreeMap::new(),
            admits: None,
            owner,
            owned: Link::new(),
            retained: None,
            source: None,
            feeds: None,
            unused: Link::new(),
            by_load: Link::new(),
            bucket: 0,
        };
        self.budget.charge(channel.charge());
        let slot = self.channels.insert(channel);
        self.add_by_load(slot);
        self.names.insert(name.clone(), slot);
        self.add_to_owner(slot);
        // It has no value that a queue might get.
        self.follow_sources(slot, self.rules_version);
        self.begin_joins(slot, patterns);
        Ok(slot)
    }
}

impl Table<ChannelSlot, Channel> {
    /// Whether a queue may dispatch what is published to it at once.
    pub(super) fn is_ready(&self, slot: ChannelSlot) -> bool {
        let channel = &self[slot];
        !channel.backlog.has_ready() && channel.returning == 0 && !channel.turns.is_empty()
    }
}
