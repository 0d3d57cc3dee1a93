//! Subscriptions, and their memberships in channels.

use super::Broker;
use super::connection::Phase;
use crate::cost;
use crate::list::{Link, List};
use crate::name::{Kind, Pattern};
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
    /// When it asked to be the only consumer of its queues, if it did.
    pub(super) claim: Option<u64>,
    /// Its claim is to be passed on, and it gets nothing until it has acked all that it has: its prefetch otherwise.
    pub(super) passes_on: Option<u32>,
    /// Its messages go back at the end, those in the outbox too.
    pub(super) reclaims: bool,
    pub(super) members: List<MemberSlot>,
    /// The next member that is to be visited, if any is.
    pub(super) visits: Option<MemberSlot>,
    /// Members whose queues found the prefetch used up, the longest waiting first.
    pub(super) skipped: List<MemberSlot>,
    /// When it was made, among channels and subscriptions.
    pub(super) born: u64,
}

impl Subscription {
    pub(super) fn charge(&self) -> usize {
        let bytes = self.pattern.as_bytes().len();
        cost::SUBSCRIPTION + cost::text(bytes) + if self.by_pattern { cost::pattern(bytes) } else { 0 }
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
    /// Of its connection: it is not read, and messages with acks came back from it.
    Lapsed,
    /// None: another one is the only consumer of the queue.
    Excluded,
}

/// The place of a new member among those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Newest,
    Oldest,
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
    /// Messages in the outbox go back to the queue.
    pub(super) reclaims: bool,
    /// Its channel waits for everything that comes back from its connection.
    pub(super) is_returning: bool,
    /// Its neighbors in the channel, the older before it.
    pub(super) in_channel: Link<MemberSlot>,
    /// Its neighbors among those that the queue may dispatch to.
    pub(super) turn: Link<MemberSlot>,
    pub(super) of_subscription: Link<MemberSlot>,
    pub(super) skipped: Link<MemberSlot>,
    pub(super) skipped_in: Skipped,
}

fn of_subscription(member: &mut Member) -> &mut Link<MemberSlot> {
    &mut member.of_subscription
}

fn in_channel(member: &mut Member) -> &mut Link<MemberSlot> {
    &mut member.in_channel
}

fn turn(member: &mut Member) -> &mut Link<MemberSlot> {
    &mut member.turn
}

fn skipped(member: &mut Member) -> &mut Link<MemberSlot> {
    &mut member.skipped
}

impl Broker {
    /// A subscription becomes a member of a channel: the next whose turn it is.
    pub(super) fn join(&mut self, subscription: SubscriptionSlot, channel: ChannelSlot) -> MemberSlot {
        self.join_as(subscription, channel, Age::Newest)
    }

    /// As [`Broker::join`], for one that is newer or older than all members.
    pub(super) fn join_as(&mut self, subscription: SubscriptionSlot, channel: ChannelSlot, age: Age) -> MemberSlot {
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
            in_channel: Link::new(),
            turn: Link::new(),
            of_subscription: Link::new(),
            skipped: Link::new(),
            skipped_in: Skipped::No,
        });
        self.budget.charge(cost::MEMBER);
        let row = self.channels.edit(channel);
        match age {
            Age::Newest => row.everybody.push_back(&mut self.members, member, in_channel),
            Age::Oldest => row.everybody.push_front(&mut self.members, member, in_channel),
        }
        if age == Age::Oldest || row.members == 0 {
            row.oldest = Some(member);
        }
        let lasting = row.lasting_charge();
        row.members += 1;
        row.exact_members += u32::from(!by_pattern);
        self.lasting_charge += row.lasting_charge() - lasting;
        self.unused_charge += if row.is_unused { cost::MEMBER } else { 0 };
        if row.kind == Kind::Queue && row.claims.is_empty() {
            match age {
                Age::Newest => row.turns.push_front(&mut self.members, member, turn),
                Age::Oldest => row.turns.push_back(&mut self.members, member, turn),
            }
        } else if row.kind == Kind::Queue {
            self.members.row(member).skipped_in = Skipped::Excluded;
        }
        let row = self.channels.edit(channel);
        if row.members == 1 {
            self.consumers_came(channel);
        }
        let list = &mut self.subscriptions.row(subscription).members;
        list.push_back(&mut self.members, member, of_subscription);
        if self.subscriptions[subscription].claim.is_some() {
            self.claim_queue(member);
        }
        if self.channels[channel].retained.is_some() {
            self.give_retained(member);
        }
        member
    }

    /// A member leaves its channel. With `reclaims`, what is in the outbox is to go back.
    pub(super) fn leave_member(&mut self, member: MemberSlot, reclaims: bool) {
        let Member { channel, connection, subscription, skipped_in, .. } = self.members[member];
        if skipped_in != Skipped::No {
            self.unlist_skipped(member);
        } else if self.channels[channel].kind == Kind::Queue {
            self.channels.edit(channel).turns.remove(&mut self.members, member, turn);
        }
        self.open_groups(member);
        let by_pattern = self.subscriptions[subscription].by_pattern;
        self.look_at_waiters(channel);
        let row = self.channels.edit(channel);
        let Link { previous, next } = self.members[member].in_channel;
        if row.oldest == Some(member) {
            row.oldest = previous.or(next);
        }
        if row.pauses == Some(member) {
            row.pauses = next;
        }
        if row.admits == Some(member) {
            self.pass_admitted(channel, next);
        }
        let row = self.channels.edit(channel);
        row.everybody.remove(&mut self.members, member, in_channel);
        let lasting = row.lasting_charge();
        row.members -= 1;
        row.exact_members -= u32::from(!by_pattern);
        self.lasting_charge -= lasting - row.lasting_charge();
        self.unused_charge -= if row.is_unused { cost::MEMBER } else { 0 };
        if row.members == 0 {
            self.consumers_left(channel);
        }
        if let Some(claim) = self.subscriptions[subscription].claim {
            self.give_up_claim(channel, member, claim);
        }
        let behind = self.members[member].of_subscription.next;
        let row = self.subscriptions.row(subscription);
        if row.visits == Some(member) {
            row.visits = behind;
        }
        let list = &mut self.subscriptions.row(subscription).members;
        list.remove(&mut self.members, member, of_subscription);
        let row = self.members.row(member);
        (row.has_left, row.reclaims) = (true, reclaims);
        let has_messages = row.refs > 0 && self.channels[channel].kind == Kind::Queue;
        // The peer of one that unsubscribes may be told before they are back. What a driver has, nobody waits for.
        let row = &self.connections[connection];
        if has_messages && (reclaims && !row.recalling || row.phase == Phase::Gone) {
            self.expect_return(connection, member);
        }
        // Publishers of this channel need not wait for its outbox any more.
        self.connections.edit(connection).wakes_all = true;
        self.unref(member, 0);
    }

    /// Whether a member is on its way out of its channel: its subscription has ended, or all of its connection.
    #[inline(always)]
    pub(super) fn is_parting(&self, member: MemberSlot) -> bool {
        let row = &self.members[member];
        self.connections[row.connection].parts && self.has_ended(row)
    }

    #[cold]
    fn has_ended(&self, member: &Member) -> bool {
        self.connections[member.connection].has_left() || self.subscriptions[member.subscription].is_ended
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

    /// Whether a member loses its groups, and gets no messages, until its connection takes bytes or is read again.
    pub(super) fn takes_nothing(&self, member: MemberSlot) -> bool {
        self.row_takes_nothing(&self.members[member])
    }

    pub(super) fn row_takes_nothing(&self, row: &Member) -> bool {
        let connection = &self.connections[row.connection];
        connection.stalled
            || connection.has_lapsed && !row.has_left && self.subscriptions[row.subscription].ack != AckMode::Auto
    }

    /// A queue passes a member over, which has no turn until it has room again.
    pub(super) fn skip(&mut self, member: MemberSlot, list: Skipped) {
        let channel = self.members[member].channel;
        self.channels.quietly().row(channel).turns.remove(&mut self.members, member, turn);
        self.list_skipped(member, list);
        // One that takes nothing has none to wait for: those that are still filed under it are to be looked at.
        if self.channels[channel].groups.is_some() && list != Skipped::Excluded && !self.takes_nothing(member) {
            self.shut_groups(member);
        }
    }

    /// A member that was passed over has room again: it is the last in turn.
    pub(super) fn unskip(&mut self, member: MemberSlot) {
        self.unlist_skipped(member);
        self.open_groups(member);
        if !self.may_consume(member) {
            self.members.row(member).skipped_in = Skipped::Excluded;
            return;
        }
        let channel = self.members[member].channel;
        self.channels.quietly().row(channel).turns.push_back(&mut self.members, member, turn);
    }

    /// A member that was passed over waits for something else now.
    pub(super) fn skip_again(&mut self, member: MemberSlot, list: Skipped) {
        self.unlist_skipped(member);
        self.list_skipped(member, list);
    }

    fn list_skipped(&mut self, member: MemberSlot, list: Skipped) {
        self.members.row(member).skipped_in = list;
        if let Some(mut waiting) = self.skipped_list(member).copied() {
            waiting.push_back(&mut self.members, member, skipped);
            self.skipped_list(member).into_iter().for_each(|list| *list = waiting);
        }
    }

    fn unlist_skipped(&mut self, member: MemberSlot) {
        if let Some(mut waiting) = self.skipped_list(member).copied() {
            waiting.remove(&mut self.members, member, skipped);
            self.skipped_list(member).into_iter().for_each(|list| *list = waiting);
        }
        self.members.row(member).skipped_in = Skipped::No;
    }

    /// The list of those that were passed over in which a member is.
    fn skipped_list(&mut self, member: MemberSlot) -> Option<&mut List<MemberSlot>> {
        let Member { connection, subscription, skipped_in, .. } = self.members[member];
        match skipped_in {
            Skipped::No | Skipped::Excluded => None,
            Skipped::Outbox => Some(&mut self.connections.quietly().row(connection).skipped),
            Skipped::Lapsed => Some(&mut self.connections.quietly().row(connection).lapsed),
            Skipped::Prefetch => Some(&mut self.subscriptions.row(subscription).skipped),
        }
    }
}
