//! Requeues messages when a subscription ends, a connection is gone or a consumer takes nothing:
//! some entries a step. A queue with messages on their way back dispatches nothing until all are
//! there, so that its order stays.

use super::Broker;
use super::channel::Channel;
use super::connection::{Connection, Phase, Retained, Sweep};
use super::member::{Member, Subscription};
use super::table::Table;
use crate::backlog::Segment;
use crate::cost;
use crate::delivery::Return;
use crate::lease::{Lease, Piece, Source};
use crate::outbox::{Origin, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot, Slots, SubscriptionSlot};

/// Whether a member's queue and its subscription have ended. Such a queue let go of its members before their subscriptions
/// ended.
fn has_ended(
    slot: ConnectionSlot,
    member: &Member,
    channels: &Table<ChannelSlot, Channel>,
    subscriptions: &Slots<SubscriptionSlot, Subscription>,
) -> bool {
    let row = subscriptions.get(member.subscription);
    let is_over = row.is_none_or(|row| row.connection != slot || row.id != member.id || row.is_ended);
    member.has_left && channels[member.channel].is_forgotten && is_over
}

impl Broker {
    /// Goes on with everything that is being taken down for a connection.
    pub(super) fn check_leaving(&mut self, slot: ConnectionSlot) {
        if self.connections[slot].leaves {
            while let Some((_, &subscription)) = self.connections[slot].subscriptions.last_key_value() {
                self.subscriptions.row(subscription).is_ended = true;
                if !self.end_subscription(subscription) {
                    self.connections.edit(slot);
                    return;
                }
                self.connections.edit(slot).subscriptions.pop_last();
            }
        }
        while let Some(&subscription) = self.connections[slot].ending.front() {
            if !self.end_subscription(subscription) {
                self.connections.edit(slot);
                return;
            }
            self.connections.edit(slot).ending.pop_front();
        }
        let row = self.connections.quietly().row(slot);
        row.parts = row.leaves;
        // Acks that have arrived count before anything goes back, though no call has had the time for them.
        let connection = &self.connections[slot];
        if connection.phase >= Phase::Finishing && !connection.settling.is_empty() {
            self.go_on_settling(slot);
            if !self.connections[slot].settling.is_empty() {
                return;
            }
        }
        if self.connections[slot].phase == Phase::Gone {
            return self.go_on_taking_down(slot);
        }
        loop {
            let Connection { sweep, wanted, .. } = self.connections[slot];
            if sweep == Sweep::No {
                // Recalled entries lie before the rest, and go back together with it.
                if wanted == Sweep::No || self.connections[slot].recalling {
                    return;
                }
                let connection = self.connections.edit(slot);
                connection.sweep = std::mem::replace(&mut connection.wanted, Sweep::No);
                connection.outbox.begin_sweep();
                // Acks may still come until the peer has said that it sends nothing more.
                connection.lease_sweep = (connection.phase >= Phase::Finishing).then_some(0);
            }
            if !self.go_on_sweeping(slot) {
                self.connections.edit(slot);
                return;
            }
            self.connections.edit(slot).sweep = Sweep::No;
            self.hand_out(slot);
        }
    }

    /// Goes on with a sweep: whether it is over.
    fn go_on_sweeping(&mut self, slot: ConnectionSlot) -> bool {
        while let Some(next) = self.connections[slot].lease_sweep {
            if !self.spend(4) {
                return false;
            }
            let found = self.connections[slot].leases.next_from(next).map(|lease| (lease.first_tag, lease.member));
            let connection = self.connections.edit(slot);
            connection.lease_sweep = found.map(|(tag, _)| tag + 1);
            let is_left =
                |member: &Member| member.reclaims || has_ended(slot, member, &self.channels, &self.subscriptions);
            if let Some((tag, _)) = found.filter(|&(_, member)| is_left(&self.members[member])) {
                let lease = self.connections.edit(slot).leases.remove(tag);
                lease.into_iter().for_each(|lease| self.return_lease(slot, lease, 0));
            }
        }
        while self.connections[slot].outbox.is_swept() {
            if !self.spend(2) {
                return false;
            }
            let (connection, members, channels) = (self.connections.edit(slot), &self.members, &self.channels);
            let subscriptions = &self.subscriptions;
            let all = connection.sweep == Sweep::Queues;
            let goes_back = |member: &Member| {
                member.reclaims
                    || channels[member.channel].is_paused
                    || has_ended(slot, member, channels, subscriptions)
            };
            let wanted = |origin: &Origin| {
                origin.is_of_queue() && (all || origin.member().is_some_and(|member| goes_back(&members[member])))
            };
            match connection.outbox.sweep(wanted) {
                None | Some(None) => {}
                Some(Some(entry)) => self.reclaim(slot, entry),
            }
        }
        self.end_returning(slot)
    }

    /// Everything of a connection that is gone goes back.
    fn go_on_taking_down(&mut self, slot: ConnectionSlot) {
        self.check_acknowledged(slot);
        loop {
            if !self.connections[slot].has_anything() {
                break;
            }
            if !self.spend(2) {
                self.connections.edit(slot);
                return;
            }
            let connection = self.connections.edit(slot);
            if let Some(Retained { entry, end }) = connection.retained.pop_front() {
                connection.retained_bytes -= entry.batch.bytes();
                let before = end - entry.batch.bytes() as u64;
                let acknowledged = connection.acknowledged.saturating_sub(before);
                self.return_unacknowledged(slot, entry, acknowledged as usize);
            } else if !connection.outbox.is_empty() || connection.outbox.is_swept() {
                if !connection.outbox.is_swept() {
                    connection.outbox.begin_sweep();
                }
                if let Some(Some(entry)) = connection.outbox.sweep(|_| true) {
                    self.reclaim(slot, entry);
                }
            } else if let Some(lease) = connection.leases.pop_first() {
                self.spend(2);
                self.return_lost(slot, lease);
            }
        }
        let connection = self.connections.quietly().row(slot);
        (connection.sweep, connection.wanted, connection.lease_sweep) = (Sweep::No, Sweep::No, None);
        self.end_returning(slot);
    }

    /// Lets the queues dispatch again to which something was to come back: whether all may.
    fn end_returning(&mut self, slot: ConnectionSlot) -> bool {
        while let Some(&member) = self.connections[slot].returning.front() {
            if !self.spend(2) {
                self.connections.edit(slot);
                return false;
            }
            let takes_nothing = self.takes_nothing(member);
            let connection = self.connections.edit(slot);
            connection.returning.pop_front();
            let is_gone = connection.phase == Phase::Gone;
            let row = self.members.row(member);
            row.is_returning = false;
            let (channel, goes) = (row.channel, is_gone || row.reclaims || takes_nothing);
            self.channels.edit(channel).returning -= 1;
            let first_rank = self.channels[channel].backlog.first_rank();
            if let Some(rank) = first_rank.filter(|_| goes) {
                self.note_rank(channel, rank);
            }
            self.unref(member, 1);
        }
        true
    }

    /// Its queue dispatches nothing until everything of a member is back. To be called before the first message of several is:
    /// what is published before that cannot overtake them, since nobody has been told that they come back.
    pub(super) fn expect_return(&mut self, slot: ConnectionSlot, member: MemberSlot) {
        let row = self.members.row(member);
        if !std::mem::replace(&mut row.is_returning, true) {
            row.refs += 1;
            let channel = row.channel;
            self.channels.edit(channel).returning += 1;
            self.connections.edit(slot).returning.push_back(member);
            if self.takes_nothing(member) {
                self.open_groups(member);
            }
        }
    }

    /// An entry comes back: a queue's messages go to their places, others are dropped.
    fn reclaim(&mut self, slot: ConnectionSlot, entry: OutboxEntry) {
        match entry.origin {
            Origin::Queue { member, first, step } => {
                self.expect_return(slot, member);
                self.uncharge_entry(&entry);
                if let Some(allocation) = entry.allocation {
                    let (channel, batch) = (self.members[member].channel, entry.batch);
                    let group = self.take_from_consumer(channel, batch.attributes(), batch.len());
                    self.requeue(channel, Segment { batch, allocation, tries: entry.tries, first, step, group });
                }
                return;
            }
            Origin::Leased { member, first_tag } => {
                self.expect_return(slot, member);
                self.return_tags(slot, first_tag, first_tag + entry.batch.len() as u64);
            }
            Origin::Topic { .. } | Origin::Barrier => {}
        }
        self.uncharge_entry(&entry);
        entry.allocation.into_iter().for_each(|allocation| self.release(allocation));
    }

    /// Returns written messages that the peer's machine did not acknowledge.
    fn return_unacknowledged(&mut self, slot: ConnectionSlot, mut entry: OutboxEntry, acknowledged: usize) {
        let (count, bytes) = entry.batch.whole_within(acknowledged);
        entry.tries = entry.tries.seen();
        if let (0, Origin::Queue { .. }) = (count, entry.origin) {
            return self.reclaim(slot, entry);
        }
        if let Some(channel) = self.channel_of(entry.origin) {
            self.count_delivered(slot, channel, count);
            self.settle_group(channel, entry.batch.attributes(), count);
        }
        let (_, rest) = entry.batch.clone().split(count, bytes);
        match rest {
            Some(rest) => {
                (entry.batch, entry.origin) = (rest, entry.origin.skip(count));
                self.reclaim(slot, entry);
            }
            None => {
                self.uncharge_entry(&entry);
                entry.allocation.into_iter().for_each(|allocation| self.release(allocation));
            }
        }
    }

    /// A lease of a connection that is gone goes back. All of it was written, for what was not has gone back
    /// already. The oldest message of each subscription counts as tried: it is what the consumer was at.
    fn return_lost(&mut self, slot: ConnectionSlot, lease: Lease) {
        let subscription = self.members[lease.member].id;
        let is_oldest = self.connections.edit(slot).tried.insert(subscription);
        self.return_lease(slot, lease, u64::from(is_oldest));
    }

    /// A whole lease that was taken out goes back, as far as it is not settled; its first `tried` messages
    /// have been tried.
    fn return_lease(&mut self, slot: ConnectionSlot, mut lease: Lease, tried: u64) {
        self.expect_return(slot, lease.member);
        let handed_tag = self.connections[slot].handed_tag;
        let (first, end) = (lease.first_unsettled(), lease.end_tag());
        let seen = (first + tried).min(end);
        let unseen = handed_tag.clamp(seen, end);
        for (tags, how) in [(first..seen, Return::Tried), (seen..unseen, Return::Seen), (unseen..end, Return::Unseen)] {
            let pieces = if tags.is_empty() { Vec::new() } else { lease.pieces(tags) };
            self.return_pieces(lease.source(), pieces, how);
        }
        let (settled, _) = lease.settle(first..end);
        self.count_settled(slot, lease.member, settled);
        self.end_lease(lease);
    }

    /// Unsettled messages of a lease go to their places in the queue, or to the dead letters.
    pub(super) fn return_pieces(&mut self, source: Source, pieces: Vec<Piece>, how: Return) {
        let channel = self.members[source.member].channel;
        for Piece { batch, first, step } in pieces {
            let allocation = self.budget.retain(source.allocation);
            let group = self.take_from_consumer(channel, batch.attributes(), batch.len());
            if let Some(group) = group.filter(|_| how == Return::Lapsed) {
                self.unbind_group(channel, group);
            }
            self.take_back(channel, Segment { batch, allocation, tries: source.tries, first, step, group }, how);
        }
    }

    /// A lease is over: all of it is settled.
    pub(super) fn end_lease(&mut self, lease: Lease) {
        if let Some(due) = lease.due() {
            let slot = self.members[lease.member].connection;
            self.connections.edit(slot).ack_due.remove(&(due, lease.first_tag));
        }
        self.leased_together += 1;
        self.uncharge(self.members[lease.member].channel, cost::LEASE);
        self.release(lease.allocation);
        self.unref(lease.member, 1);
    }
}
