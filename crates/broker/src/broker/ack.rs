//! Messages of queues that wait for an ack.

use super::Broker;
use super::connection::Sweep;
use super::timers::Timer;
use crate::delivery::Return;
use crate::slots::{ConnectionSlot, MemberSlot};
use crate::{ConnectionId, DeliveryTag, Refusal};

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
        self.connections.edit(slot).settling.push_back(settling);
        self.go_on_settling(slot);
    }

    /// Goes on with acks and nacks, some leases a step.
    pub(super) fn go_on_settling(&mut self, slot: ConnectionSlot) {
        while let Some(&(mut settling)) = self.connections[slot].settling.front() {
            while settling.next <= settling.last {
                if !self.spend(4) {
                    if let Some(front) = self.connections.edit(slot).settling.front_mut() {
                        *front = settling;
                    }
                    return;
                }
                self.settle_next(slot, &mut settling);
            }
            self.connections.edit(slot).settling.pop_front();
            if let Some(tag) = settling.unknown {
                self.refuse(slot, None, Refusal::UnknownTag { tag: DeliveryTag(tag) });
            }
        }
    }

    /// Settles what one lease has of a range.
    fn settle_next(&mut self, slot: ConnectionSlot, settling: &mut Settling) {
        let leases = &mut self.connections.edit(slot).leases;
        let mut unknown = |tag: u64| settling.unknown = Some(settling.unknown.map_or(tag, |known| known.min(tag)));
        let within =
            leases.range_mut(..=settling.next).next_back().filter(|(_, lease)| lease.end_tag() > settling.next);
        let Some((&key, lease)) = within else {
            unknown(settling.next);
            let next = leases.range(settling.next..).next().map(|(&tag, _)| tag);
            settling.next = next.map_or(settling.last + 1, |tag| tag.min(settling.last + 1));
            return;
        };
        let tags = settling.next..lease.end_tag().min(settling.last + 1);
        if let Some(tag) = lease.first_settled(&tags) {
            unknown(tag);
        }
        settling.next = tags.end;
        let pieces = if settling.returns.is_some() { lease.pieces(tags.clone()) } else { Vec::new() };
        let count = lease.settle(tags);
        let (member, is_over) = (lease.member, lease.left == 0);
        let attributes = lease.attributes().cloned();
        let compacted = lease.compact();
        if let Some(how) = settling.returns {
            self.spend(pieces.len());
            let lease = self.connections.edit(slot).leases.remove(&key).expect("it was found");
            self.return_pieces(&lease, pieces, how);
            self.connections.edit(slot).leases.insert(key, lease);
            if how == Return::Failed && attributes.is_some_and(|attributes| attributes.group.is_some()) {
                self.hold_back(slot);
            }
        } else {
            let channel = self.members[member].channel;
            self.count_delivered(slot, channel, count as usize);
            self.settle_group(channel, attributes.as_ref(), count as usize);
        }
        self.count_settled(slot, member, count);
        if is_over {
            let lease = self.connections.edit(slot).leases.remove(&key);
            lease.into_iter().for_each(|lease| self.end_lease(lease));
        } else if let Some(bytes) = compacted {
            let allocation = self.allocate(self.members[member].channel, bytes);
            let lease = self.connections.edit(slot).leases.get_mut(&key).expect("it was found");
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
        loop {
            let connection = self.connections.edit(slot);
            let Some(&next) = connection.ack_due.first().filter(|(due, _)| *due <= self.now) else { break };
            connection.ack_due.remove(&next);
            let (_, tag) = next;
            let handed_tag = connection.handed_tag;
            let Some(lease) = connection.leases.get_mut(&tag) else { continue };
            lease.due = None;
            // Messages that were recalled and not handed out again are not the consumer's.
            let (next, end) = (lease.first_unsettled(), lease.end_tag().min(handed_tag));
            let mut settling = Settling { next, last: end - 1, unknown: None, returns: Some(Return::Failed) };
            if next < end {
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
