//! Messages of queues that wait for an ack.

use super::Broker;
use super::connection::Sweep;
use super::timers::Timer;
use crate::delivery::Return;
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

impl Broker {
    pub(super) fn ack(&mut self, slot: ConnectionSlot, first: u64, last: u64) {
        self.settle(slot, Settling { next: first, last, unknown: None, returns: None });
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
        if let Some(tag) = settling.unknown {
            self.refuse(slot, None, Refusal::UnknownTag { tag: DeliveryTag(tag) });
        }
        true
    }

    /// Settles what one lease has of a range.
    fn settle_next(&mut self, slot: ConnectionSlot, settling: &mut Settling) {
        let leases = &mut self.connections.edit(slot).leases;
        let mut unknown = |tag: u64| settling.unknown = Some(settling.unknown.map_or(tag, |known| known.min(tag)));
        let Some(lease) = leases.get_mut(settling.next) else {
            unknown(settling.next);
            let next = leases.next_from(settling.next).map(|lease| lease.first_tag);
            settling.next = next.map_or(settling.last + 1, |tag| tag.min(settling.last + 1));
            return;
        };
        let tags = settling.next..lease.end_tag().min(settling.last + 1);
        if let Some(tag) = lease.first_settled(&tags) {
            unknown(tag);
        }
        settling.next = tags.end;
        let returned = settling.returns.map(|how| (how, lease.pieces(tags.clone())));
        let count = lease.settle(tags);
        let (first_tag, source, is_over) = (lease.first_tag, lease.source(), lease.left() == 0);
        let of_group = lease.attributes().filter(|attributes| attributes.group().is_some()).cloned();
        let compacted = lease.compact();
        let channel = self.members[source.member].channel;
        if let Some((how, pieces)) = returned {
            self.spend(pieces.len());
            self.return_pieces(source, pieces, how);
            if how == Return::Failed && of_group.is_some() {
                self.hold_back(slot);
            }
        } else {
            self.count_delivered(slot, channel, count as usize);
            self.settle_group(channel, of_group.as_ref(), count as usize);
        }
        self.count_settled(slot, source.member, count);
        if is_over {
            let lease = self.connections.edit(slot).leases.remove(first_tag);
            lease.into_iter().for_each(|lease| self.end_lease(lease));
        } else if let Some(bytes) = compacted {
            let allocation = self.allocate(channel, bytes);
            let lease = self.connections.edit(slot).leases.get_mut(first_tag).expect("it was found");
            let before = std::mem::replace(&mut lease.allocation, allocation);
            self.release(before);
        }
    }

    /// A message of a group comes back from its consumer: what is not handed out does, too, for later ones of the group
    /// must not go before it.
    fn hold_back(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        if connection.outbox.len() > connection.outbox.in_flight().count() {
            connection.wanted = Sweep::Queues;
        }
    }

    /// Arms the timer for the ack time-out that ends first.
    pub(super) fn arm_acks(&mut self, slot: ConnectionSlot) {
        let row = self.connections.edit(slot);
        let (id, before) = (row.id, row.ack_timer);
        let due = row.ack_due.first().map(|&(due, _)| due);
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
            let Some(&next) = connection.ack_due.first().filter(|(due, _)| *due <= self.now) else { break };
            connection.ack_due.remove(&next);
            let (_, tag) = next;
            let handed_tag = connection.handed_tag;
            let Some(lease) = connection.leases.get_mut(tag) else { continue };
            lease.set_due(None);
            // Messages that were recalled and not handed out again are not the consumer's.
            let (next, end) = (lease.first_unsettled(), lease.end_tag().min(handed_tag));
            let mut settling = Settling { next, last: end - 1, unknown: None, returns: Some(Return::Failed) };
            if next < end {
                let (first, last) = (DeliveryTag(next), DeliveryTag(end - 1));
                let subscription = self.members[lease.member].id;
                self.events.push_back(Event::Lapsed { connection: id, subscription, first, last });
                self.settle_next(slot, &mut settling);
            }
            if !self.spend(4) {
                break;
            }
        }
        self.arm_acks(slot);
    }

    /// Messages no longer wait for an ack: their subscription may get others.
    pub(super) fn count_settled(&mut self, slot: ConnectionSlot, member: MemberSlot, messages: u32) {
        let connection = self.connections.edit(slot);
        connection.unacked -= messages as usize;
        let row = &self.members[member];
        if row.has_left {
            return;
        }
        let subscription = row.subscription;
        let row = self.subscriptions.row(subscription);
        row.unacked -= messages;
        if !row.skipped.is_empty() && connection.freed.back() != Some(&subscription) {
            connection.freed.push_back(subscription);
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
