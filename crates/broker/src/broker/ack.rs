//! Messages of queues that wait for an ack.

use super::Broker;
use super::connection::{Phase, Sweep};
use super::timers::Timer;
use crate::delivery::Return;
use crate::lease::{Piece, Source};
use crate::slots::{ConnectionSlot, MemberSlot};
use crate::{ConnectionId, DeliveryTag, Event, Refusal};

/// An ack or nack of a range of tags, as far as it is not carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settling {
    next: u64,
    /// The last tag, inclusive.
    last: u64,
    /// The first tag of the range that nothing waits for.
    unknown: Option<u64>,
    /// The kind of return; `None` for an ack.
    returns: Option<Return>,
}

impl Settling {
    fn note_unknown(&mut self, tag: u64) {
        self.unknown = Some(self.unknown.map_or(tag, |known| known.min(tag)));
    }
}

impl Broker {
    #[inline]
    pub(super) fn ack(&mut self, slot: ConnectionSlot, first: u64, last: u64) {
        if first == last && self.ack_one(slot, first) {
            return;
        }
        self.settle(slot, Settling { next: first, last, unknown: None, returns: None });
    }

    /// Most acks of one message: what its lease has left stays there. False for any other.
    #[inline]
    fn ack_one(&mut self, slot: ConnectionSlot, tag: u64) -> bool {
        let connection = self.connections.quietly().row(slot);
        if tag >= connection.handed_tag || !connection.settling.is_empty() {
            return false;
        }
        let Some(lease) = connection.leases.get_mut(tag) else { return false };
        let member = lease.member;
        if lease.group().is_some() || !lease.settle_one(tag) {
            return false;
        }
        self.count_delivered(slot, self.members[member].channel, 1);
        self.count_settled(slot, member, 1);
        true
    }

    pub(super) fn nack(&mut self, slot: ConnectionSlot, first: u64, last: u64, requeue: bool) {
        let returns = Some(if requeue { Return::Failed } else { Return::Rejected });
        self.settle(slot, Settling { next: first, last, unknown: None, returns });
    }

    fn settle(&mut self, slot: ConnectionSlot, mut settling: Settling) {
        if settling.next > settling.last {
            settling.unknown = Some(settling.next);
        }
        // A tag that was not handed out yet is unknown, even if a message waits in the outbox under it: nobody can
        // have dealt with that. This also bounds the tags that are looked at.
        let end_tag = self.connections[slot].handed_tag;
        if settling.last >= end_tag {
            settling.unknown = settling.unknown.or(Some(end_tag.max(settling.next)));
            settling.last = end_tag - 1;
        }
        if !self.connections[slot].settling.is_empty() {
            self.connections.edit(slot).settling.push_back(settling);
            self.go_on_settling(slot);
        } else if !self.settle_rest(slot, &mut settling) {
            self.connections.edit(slot).settling.push_back(settling);
        }
    }

    /// Goes on with acks and nacks that earlier calls have left, in order.
    pub(super) fn go_on_settling(&mut self, slot: ConnectionSlot) {
        while let Some(mut settling) = self.connections.edit(slot).settling.pop_front() {
            if !self.settle_rest(slot, &mut settling) {
                self.connections.edit(slot).settling.push_front(settling);
                return;
            }
        }
    }

    /// Carries out the rest of an ack or nack, some leases a step; false if this call has done enough.
    fn settle_rest(&mut self, slot: ConnectionSlot, settling: &mut Settling) -> bool {
        while settling.next <= settling.last {
            if !self.spend(4) {
                return false;
            }
            self.settle_next(slot, settling);
        }
        // Nobody is left to be told of one that is gone.
        if let Some(tag) = settling.unknown.filter(|_| self.connections[slot].phase != Phase::Gone) {
            self.refuse(slot, None, Refusal::UnknownTag { tag: DeliveryTag(tag) });
        }
        true
    }

    /// Settles what one lease has of a range. An ack marks the connection only where something may follow for that: nothing
    /// does from most of them.
    #[inline]
    fn settle_next(&mut self, slot: ConnectionSlot, settling: &mut Settling) {
        let Some(lease) = self.connections.quietly().row(slot).leases.get_mut(settling.next) else {
            return self.pass_over_unknown(slot, settling);
        };
        let tags = settling.next..lease.end_tag().min(settling.last + 1);
        settling.next = tags.end;
        let returned = settling.returns.map(|how| (how, lease.pieces(tags.clone())));
        let (count, known) = lease.settle(tags);
        let (first_tag, member, is_sparse) = (lease.first_tag, lease.member, lease.is_sparse());
        let of_group = lease.attributes().filter(|_| lease.group().is_some()).cloned();
        if let Some(tag) = known {
            settling.note_unknown(tag);
        }
        if let Some((how, pieces)) = returned {
            let source = lease.source();
            self.return_settled(slot, source, pieces, how, of_group.is_some());
        } else {
            let channel = self.members[member].channel;
            self.count_delivered(slot, channel, count as usize);
            self.settle_group(channel, of_group.as_ref(), count as usize);
        }
        self.count_settled(slot, member, count);
        if is_sparse {
            self.end_or_compact(slot, first_tag);
        }
    }

    /// Nothing waits for an ack under the next tags of a range.
    #[cold]
    fn pass_over_unknown(&self, slot: ConnectionSlot, settling: &mut Settling) {
        settling.note_unknown(settling.next);
        let next = self.connections[slot].leases.next_from(settling.next).map(|lease| lease.first_tag);
        settling.next = next.map_or(settling.last + 1, |tag| tag.min(settling.last + 1));
    }

    /// Messages that are settled go back to their queue, or to the dead letters.
    #[cold]
    fn return_settled(
        &mut self,
        slot: ConnectionSlot,
        source: Source,
        pieces: Vec<Piece>,
        how: Return,
        are_of_group: bool,
    ) {
        self.connections.edit(slot);
        self.spend(pieces.len());
        self.return_pieces(source, pieces, how);
        if matches!(how, Return::Failed | Return::Lapsed) && are_of_group {
            self.hold_back(slot);
        }
    }

    /// Takes out a lease of which nothing is left, or drops what is settled of it.
    #[inline(never)]
    fn end_or_compact(&mut self, slot: ConnectionSlot, first_tag: u64) {
        let leases = &mut self.connections.quietly().row(slot).leases;
        let Some(lease) = leases.get_mut(first_tag) else { return };
        if lease.left() == 0 {
            let lease = leases.remove(first_tag);
            lease.into_iter().for_each(|lease| self.end_lease(lease));
        } else if let Some(bytes) = lease.compact() {
            let before = lease.allocation;
            let channel = self.members[lease.member].channel;
            let allocation = self.allocate(channel, bytes);
            let lease = self.connections.quietly().row(slot).leases.get_mut(first_tag).expect("it was found");
            lease.allocation = allocation;
            self.release(before);
        }
    }

    /// A message of a group comes back from its consumer: what is not handed out does, too, for later ones of the group
    /// must not go before it.
    pub(super) fn hold_back(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        if connection.outbox.len() > connection.outbox.in_flight().count() {
            connection.wanted = Sweep::Queues;
        }
    }

    /// Arms the timer for the ack time-out that ends first.
    pub(super) fn arm_acks(&mut self, slot: ConnectionSlot) {
        let row = self.connections.edit(slot);
        let (id, before) = (row.id, row.ack_timer);
        let due = row.ack_due.first().map(|&(due, _)| row.ack_clock.when(due));
        if due.is_some_and(|due| before.is_none_or(|before| due < before)) {
            row.ack_timer = due;
            before.into_iter().for_each(|time| _ = self.timers.remove(&(time, Timer::Ack(id))));
            due.into_iter().for_each(|time| _ = self.timers.insert((time, Timer::Ack(id))));
        }
    }

    /// Takes back what a consumer has had for too long without acking it, some leases a call.
    pub(super) fn acks_are_due(&mut self, id: ConnectionId) {
        let Some(&slot) = self.ids.get(&id) else { return };
        self.connections.edit(slot).ack_timer = None;
        let had_lapsed = self.connections[slot].has_lapsed;
        // Acks that have arrived count, though no call has had the time for them: one lease at least, however little this
        // call may still do.
        if let Some(mut settling) = self.connections.edit(slot).settling.pop_front() {
            if settling.next <= settling.last {
                self.settle_next(slot, &mut settling);
            }
            self.connections.edit(slot).settling.push_front(settling);
            self.go_on_settling(slot);
            if !self.connections[slot].settling.is_empty() {
                return self.arm_acks(slot);
            }
        }
        loop {
            let connection = self.connections.edit(slot);
            let time = connection.ack_clock.at(self.now);
            let Some(&next) = connection.ack_due.first().filter(|(due, _)| *due <= time) else { break };
            connection.ack_due.remove(&next);
            let (_, tag) = next;
            let handed_tag = connection.handed_tag;
            let Some(lease) = connection.leases.get_mut(tag) else { continue };
            lease.set_due(None);
            let member = lease.member;
            // Messages that were recalled and not handed out again are not the consumer's.
            let (next, end) = (lease.first_unsettled(), lease.end_tag().min(handed_tag));
            let mut settling = Settling { next, last: end - 1, unknown: None, returns: Some(Return::Lapsed) };
            if next < end {
                let (first, last) = (DeliveryTag(next), DeliveryTag(end - 1));
                let subscription = self.members[member].id;
                connection.has_lapsed |= connection.ack_clock.is_over(self.now);
                self.events.push_back(Event::Lapsed { connection: id, subscription, first, last });
                self.settle_next(slot, &mut settling);
                self.pass_claim_on(member);
            }
            if !self.spend(4) {
                break;
            }
        }
        if self.connections[slot].has_lapsed && !had_lapsed {
            // Messages that it was not handed go to others, too, and so do its groups.
            self.lose_groups(slot);
            self.sweep_queues(slot);
        }
        self.arm_acks(slot);
    }

    /// Messages no longer wait for an ack: their subscription may get others.
    #[inline(always)]
    pub(super) fn count_settled(&mut self, slot: ConnectionSlot, member: MemberSlot, messages: u32) {
        let connection = self.connections.quietly().row(slot);
        connection.unacked -= messages as usize;
        self.leased_together -= messages as isize;
        // One that owes no acks any more may be done, or is no longer read on for them.
        if connection.unacked == 0 {
            self.connections.edit(slot);
        }
        let row = &self.members[member];
        if row.has_left {
            return;
        }
        let subscription = row.subscription;
        let row = self.subscriptions.row(subscription);
        row.unacked -= messages;
        if !row.skipped.is_empty() {
            let connection = self.connections.edit(slot);
            if connection.freed.back() != Some(&subscription) {
                connection.freed.push_back(subscription);
            }
        }
    }

    /// The messages of an outbox entry that came back unseen no longer wait for their acks.
    pub(super) fn return_tags(&mut self, slot: ConnectionSlot, first: u64, end: u64) {
        let mut settling = Settling { next: first, last: end - 1, unknown: None, returns: Some(Return::Unseen) };
        while settling.next < end {
            self.settle_next(slot, &mut settling);
        }
    }
}
