//! Subscriptions, and their memberships in channels.

use super::Broker;
use crate::cost;
use crate::list::{Link, List};
use crate::name::Pattern;
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot, SubscriptionSlot};
use crate::{AckMode, SubscriptionId};

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) connection: ConnectionSlot,
    pub(super) pattern: Pattern,
    pub(super) by_pattern: bool,
    pub(super) ack: AckMode,
    pub(super) unacked: u32,
    /// Ended: what is left of it is being taken down.
    pub(super) is_ended: bool,
    /// Its messages go back at the end, those in the outbox too.
    pub(super) reclaims: bool,
    pub(super) members: List<MemberSlot>,
    /// Members whose queues found the prefetch used up, the longest waiting first.
    pub(super) skipped: List<MemberSlot>,
    /// When it was made, among channels and subscriptions.
    pub(super) born: u64,
}

impl Subscription {
    /// How many more messages may wait for their acks.
    pub(super) fn prefetch_left(&self) -> u32 {
        match self.ack {
            AckMode::Auto => u32::MAX,
            AckMode::Manual { prefetch } => prefetch.max(1).saturating_sub(self.unacked),
        }
    }

    pub(super) fn charge(&self) -> usize {
        let pattern = self.pattern.as_bytes();
        let levels = if self.by_pattern { pattern.iter().filter(|&&byte| byte == b'/').count() + 1 } else { 0 };
        cost::SUBSCRIPTION + cost::text(pattern.len()) + levels * cost::LEVEL
    }
}

/// The list of members that a queue skipped in which one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    No,
    /// Of its connection.
    Outbox,
    /// Of its subscription.
    Prefetch,
}

/// A subscription as one of its channels sees it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) channel: ChannelSlot,
    pub(super) connection: ConnectionSlot,
    /// Means nothing once the member has left.
    pub(super) subscription: SubscriptionSlot,
    pub(super) id: SubscriptionId,
    /// Outbox entries, leases and lists that name it: it stays until there are none.
    pub(super) refs: u32,
    /// It is no longer in its channel.
    pub(super) has_left: bool,
    /// What is in the outbox goes back to the queue.
    pub(super) reclaims: bool,
    /// Its channel waits for everything that comes back from its connection.
    pub(super) is_returning: bool,
    /// Its neighbors in the channel: the next is the one that joined before.
    pub(super) ring: Link<MemberSlot>,
    pub(super) of_subscription: Link<MemberSlot>,
    pub(super) skipped: Link<MemberSlot>,
    pub(super) skipped_in: Skipped,
}

pub(super) fn of_subscription(member: &mut Member) -> &mut Link<MemberSlot> {
    &mut member.of_subscription
}

pub(super) fn skipped(member: &mut Member) -> &mut Link<MemberSlot> {
    &mut member.skipped
}

impl Broker {
    /// A subscription becomes a member of a channel: the next whose turn it is.
    pub(super) fn join(&mut self, subscription: SubscriptionSlot, channel: ChannelSlot) -> MemberSlot {
        let Subscription { id, connection, by_pattern, .. } = self.subscriptions[subscription];
        let member = self.members.insert(Member {
            channel,
            connection,
            subscription,
            id,
            refs: 0,
            has_left: false,
            reclaims: false,
            is_returning: false,
            ring: Link::new(),
            of_subscription: Link::new(),
            skipped: Link::new(),
            skipped_in: Skipped::No,
        });
        self.budget.charge(cost::MEMBER);
        let row = self.channels.edit(channel);
        row.is_stuck = false;
        let first = row.next_member.replace(member);
        row.members += 1;
        row.exact_members += u32::from(!by_pattern);
        if row.members == 1 {
            self.consumers_came(channel);
        }
        match first {
            None => self.members.row(member).ring = Link { previous: Some(member), next: Some(member) },
            Some(first) => {
                let last = self.members[first].ring.previous;
                self.members.row(member).ring = Link { previous: last, next: Some(first) };
                self.members.row(first).ring.previous = Some(member);
                if let Some(last) = last {
                    self.members.row(last).ring.next = Some(member);
                }
            }
        }
        let list = &mut self.subscriptions.row(subscription).members;
        list.push_back(&mut self.members, member, of_subscription);
        member
    }

    /// A member leaves its channel. With `reclaims`, what is in the outbox is to go back.
    pub(super) fn leave_member(&mut self, member: MemberSlot, reclaims: bool) {
        self.unskip(member);
        let Member { channel, connection, subscription, ring, .. } = self.members[member];
        let by_pattern = self.subscriptions[subscription].by_pattern;
        let row = self.channels.edit(channel);
        row.untangles = row.waiters.first;
        row.members -= 1;
        row.exact_members -= u32::from(!by_pattern);
        if row.next_member == Some(member) {
            row.next_member = if row.members == 0 { None } else { ring.next };
        }
        if row.members == 0 {
            self.consumers_left(channel);
        } else if let (Some(previous), Some(next)) = (ring.previous, ring.next) {
            self.members.row(previous).ring.next = Some(next);
            self.members.row(next).ring.previous = Some(previous);
        }
        let list = &mut self.subscriptions.row(subscription).members;
        list.remove(&mut self.members, member, of_subscription);
        let row = self.members.row(member);
        (row.has_left, row.reclaims) = (true, reclaims);
        // Who waits for its outbox because of this channel need not any more.
        self.connections.edit(connection).wakes_all = true;
        self.unref(member, 0);
    }

    /// So many references less; the last one of a member that has left removes it.
    #[inline]
    pub(super) fn unref(&mut self, member: MemberSlot, refs: u32) {
        let row = self.members.row(member);
        row.refs -= refs;
        if row.refs == 0 && row.has_left {
            self.members.remove(member);
            self.budget.release(cost::MEMBER);
        }
    }

    /// A queue passed a member over, which is to be told when it has room again.
    pub(super) fn skip(&mut self, member: MemberSlot, list: Skipped) {
        if self.members[member].skipped_in != Skipped::No {
            return;
        }
        let Member { connection, subscription, .. } = self.members[member];
        self.members.row(member).skipped_in = list;
        let list = match list {
            Skipped::No => return,
            Skipped::Outbox => &mut self.connections.quietly().row(connection).skipped,
            Skipped::Prefetch => &mut self.subscriptions.row(subscription).skipped,
        };
        list.push_back(&mut self.members, member, skipped);
    }

    /// Takes a member out of the list of those that were skipped.
    pub(super) fn unskip(&mut self, member: MemberSlot) {
        let Member { connection, subscription, .. } = self.members[member];
        let list = match std::mem::replace(&mut self.members.row(member).skipped_in, Skipped::No) {
            Skipped::No => return,
            Skipped::Outbox => &mut self.connections.quietly().row(connection).skipped,
            Skipped::Prefetch => &mut self.subscriptions.row(subscription).skipped,
        };
        list.remove(&mut self.members, member, skipped);
    }
}
