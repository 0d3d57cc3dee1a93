//! Consumers that ask to be the only one of their queues: the oldest that asked is, and the next takes over.

use super::Broker;
use super::member::{Member, Skipped};
use crate::name::Kind;
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot, SubscriptionSlot};
use crate::{AckMode, SubscriptionId};

impl Broker {
    /// A subscription asks to be the only one to consume its queues.
    pub(super) fn claim(&mut self, slot: ConnectionSlot, id: SubscriptionId) {
        let connection = &self.connections[slot];
        let Some(&subscription) = connection.subscriptions.get(&id).filter(|_| !connection.has_left()) else { return };
        if self.subscriptions[subscription].claim.is_some() {
            return;
        }
        self.born += 1;
        self.subscriptions.row(subscription).claim = Some(self.born);
        self.connections.edit(slot);
        self.visit(slot, subscription);
        self.go_on_visiting(slot);
    }

    /// All members of a subscription are to be visited, from the first one on.
    pub(super) fn visit(&mut self, slot: ConnectionSlot, subscription: SubscriptionSlot) {
        let row = self.subscriptions.row(subscription);
        row.visits = row.members.first;
        self.connections.quietly().row(slot).visits.push_back(subscription);
    }

    /// Goes on with the queues that a subscription has joined before it asked, or before it took nothing, some a step.
    pub(super) fn go_on_visiting(&mut self, slot: ConnectionSlot) {
        while let Some(&subscription) = self.connections[slot].visits.front() {
            let known = self.subscriptions.get(subscription).filter(|row| row.connection == slot && !row.is_ended);
            let Some(member) = known.and_then(|row| row.visits) else {
                self.connections.edit(slot).visits.pop_front();
                self.visit_next(slot);
                if !self.spend(1) {
                    self.connections.edit(slot);
                    return;
                }
                continue;
            };
            if !self.spend(4) {
                self.connections.edit(slot);
                return;
            }
            let behind = self.members[member].of_subscription.next;
            self.subscriptions.row(subscription).visits = behind;
            self.claim_queue(member);
            if self.takes_nothing(member) {
                self.open_groups(member);
            }
        }
    }

    /// A member of a subscription that asked to be the only one.
    pub(super) fn claim_queue(&mut self, member: MemberSlot) {
        let row = &self.members[member];
        let (channel, claim) = (row.channel, self.subscriptions[row.subscription].claim);
        let Some(claim) = claim.filter(|_| self.channels[channel].kind == Kind::Queue) else { return };
        let before = self.channels[channel].only_consumer();
        self.channels.edit(channel).claims.insert(claim, member);
        if self.channels[channel].only_consumer() != before {
            self.admit_anew(channel);
        }
    }

    /// A message came back at its ack time-out. The only consumer of a queue lets the next that asked take over, behind all of
    /// which it is from now on: whoever does not ack would get the same messages until they are dead letters. The others of its
    /// messages come first, so it gets no more until they are acked or back: new ones would keep it from ever passing its claim on.
    pub(super) fn pass_claim_on(&mut self, member: MemberSlot) {
        // One that has left is removed with the last that it had.
        if self.members.get(member).is_none_or(|row| row.has_left) || !self.has_successor(member) {
            return;
        }
        let subscription = self.members[member].subscription;
        let row = self.subscriptions.row(subscription);
        // A claim on several queues is one: it passes all of them on, or none.
        if row.by_pattern || row.is_ended {
            return;
        }
        if row.unacked == 0 {
            return self.pass_on_now(member);
        }
        if let (AckMode::Manual { prefetch }, None) = (row.ack, row.passes_on) {
            (row.ack, row.passes_on) = (AckMode::Manual { prefetch: 0 }, Some(prefetch));
            // Each ack looks at those that wait for the prefetch.
            match self.members[member].skipped_in {
                Skipped::No => self.skip(member, Skipped::Prefetch),
                Skipped::Outbox | Skipped::Lapsed => self.skip_again(member, Skipped::Prefetch),
                Skipped::Prefetch | Skipped::Excluded => {}
            }
            // For what is not handed out no time runs.
            self.hold_back(self.members[member].connection);
        }
    }

    /// Some messages of a subscription that is to pass its claim on are acked or back: once all are, it does.
    pub(super) fn go_on_passing(&mut self, subscription: SubscriptionSlot) {
        let Some(row) = self.subscriptions.get(subscription).filter(|row| row.unacked == 0) else { return };
        let (Some(prefetch), member) = (row.passes_on, row.members.first) else { return };
        let row = self.subscriptions.row(subscription);
        (row.ack, row.passes_on) = (AckMode::Manual { prefetch }, None);
        if let Some(member) = member.filter(|&member| self.has_successor(member)) {
            self.pass_on_now(member);
        }
    }

    /// Whether a member is the only consumer of its queue, and others asked to be.
    fn has_successor(&self, member: MemberSlot) -> bool {
        let channel = &self.channels[self.members[member].channel];
        channel.claims.len() > 1 && channel.only_consumer() == Some(member)
    }

    fn pass_on_now(&mut self, member: MemberSlot) {
        let Member { channel, subscription, .. } = self.members[member];
        let Some(claim) = self.subscriptions[subscription].claim else { return };
        self.born += 1;
        self.subscriptions.row(subscription).claim = Some(self.born);
        self.channels.edit(channel).claims.remove(&claim);
        self.channels.edit(channel).claims.insert(self.born, member);
        // Publishers that waited for its acks wait for those of another now.
        self.look_at_waiters(channel);
        self.admit_anew(channel);
    }

    /// A member leaves its queue.
    pub(super) fn give_up_claim(&mut self, channel: ChannelSlot, member: MemberSlot, claim: u64) {
        let before = self.channels[channel].only_consumer();
        if self.channels.edit(channel).claims.get(&claim) == Some(&member) {
            self.channels.edit(channel).claims.remove(&claim);
        }
        if self.channels[channel].only_consumer() != before {
            self.admit_anew(channel);
        }
    }

    /// Another one may consume a queue, or all: nothing is dispatched until each of its consumers is told.
    fn admit_anew(&mut self, slot: ChannelSlot) {
        let channel = self.channels.edit(slot);
        channel.returning += u32::from(channel.admits.is_none() && !channel.everybody.is_empty());
        channel.admits = channel.everybody.first;
        // At once, as far as this call may: a publish that comes next would find consumers with room and nothing dispatched.
        self.go_on_admitting(slot);
    }

    /// Goes on with telling consumers, some a step.
    pub(super) fn go_on_admitting(&mut self, slot: ChannelSlot) {
        while let Some(member) = self.channels[slot].admits {
            if !self.spend(4) {
                self.channels.edit(slot);
                return;
            }
            self.admit(slot, member);
        }
    }

    /// Tells the next consumer of a queue whether it may consume.
    fn admit(&mut self, slot: ChannelSlot, member: MemberSlot) {
        let may = self.may_consume(member);
        if !may {
            self.open_groups(member);
        }
        match self.members[member].skipped_in {
            Skipped::No if !may => self.skip(member, Skipped::Excluded),
            Skipped::Excluded if may => self.unskip(member),
            _ => {}
        }
        let next = self.members[member].in_channel.next;
        self.pass_admitted(slot, next);
    }

    /// The members before this one are told.
    pub(super) fn pass_admitted(&mut self, slot: ChannelSlot, next: Option<MemberSlot>) {
        let channel = self.channels.edit(slot);
        channel.admits = next;
        channel.returning -= u32::from(next.is_none());
    }

    /// Whether no other one is the only consumer of a member's queue.
    pub(super) fn may_consume(&self, member: MemberSlot) -> bool {
        self.channels[self.members[member].channel].is_open_to(member)
    }
}
