//! A queue's messages to its consumers, one by one, round robin.

use super::Broker;
use super::connection::entries;
use super::member::Skipped;
use crate::backlog::Segment;
use crate::delivery::Tries;
use crate::lease::{LEASE_MESSAGES, Lease};
use crate::outbox::{Origin, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot};
use crate::{AckMode, Batch, cost};

/// One consumer's messages of a batch: message `i` has the sequence number `first + i * step`.
#[derive(Debug)]
struct Lot {
    first: u64,
    step: u64,
    /// The sequence number of a further message; of the second it may be any.
    next: u64,
    count: usize,
    packed: Vec<u8>,
}

impl Lot {
    #[inline]
    fn takes(&self, seq: u64, most: usize) -> bool {
        (seq == self.next || self.count == 1) && self.count < most
    }

    #[inline]
    fn push(&mut self, message: &[u8], seq: u64) {
        if self.count == 1 {
            self.step = seq - self.first;
        }
        self.next = seq + self.step;
        self.count += 1;
        self.packed.extend_from_slice(message);
    }
}

/// A consumer's part in the dispatch of one batch.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) member: MemberSlot,
    connection: ConnectionSlot,
    pub(super) is_manual: bool,
    /// The consumer has room for the whole batch: nothing is counted for it meanwhile.
    is_roomy: bool,
    /// Why it gets no more of this batch: while it is dispatched, nobody's room grows.
    pub(super) skipped: Skipped,
    messages: usize,
    prefetch: u32,
    lot: Option<Lot>,
    /// The lane whose turn is next after this one.
    next: usize,
}

/// Number of consumers without room that are passed over in any case: a publisher is not paused for a few of them.
const PASSES: usize = 64;

/// Room for so many lanes is kept.
const LANES: usize = 64;

impl Broker {
    /// Dispatches as much of a batch as the consumers have room for; gives the rest, and the
    /// sequence number of its first message. Where there is a rest and the queue has turns left, this call
    /// has passed over as many consumers as it may.
    pub(super) fn dispatch(
        &mut self,
        channel: ChannelSlot,
        batch: &Batch,
        (first, step): (u64, u64),
        tries: Tries,
    ) -> Option<(Batch, u64)> {
        let turns = self.channels[channel].turns;
        let (mut unvisited, mut next_member) = (turns.len as usize, turns.next);
        let share = batch.bytes() / unvisited.max(1);
        // Lanes that have got something, in the order of their turns; those that may get more form a ring.
        let mut lanes: Vec<Lane> = std::mem::take(&mut self.lanes);
        // The lane that got something last, and the one whose turn is next.
        let (mut before, mut at) = (0, 0);
        let mut passes = self.passes();
        let (mut count, mut bytes) = (0, 0);
        let mut seq = first;
        'messages: for message in batch.iter_packed() {
            let lane = loop {
                if unvisited > 0 {
                    let Some(member) = next_member.filter(|_| passes > 0) else { break 'messages };
                    unvisited -= 1;
                    next_member = self.members[member].turn.next;
                    let mut lane = self.lane(member, batch);
                    if self.take(&mut lane, message.len()) {
                        let last = lanes.len();
                        lanes.push(lane);
                        lanes[before].next = last;
                        (before, at) = (last, 0);
                        break &mut lanes[last];
                    }
                    passes -= 1;
                    self.skip(member, lane.skipped);
                } else {
                    let Some(lane) = lanes.get_mut(at).filter(|lane| lane.skipped == Skipped::No) else {
                        break 'messages;
                    };
                    let next = lane.next;
                    if self.take(lane, message.len()) {
                        let lane = &mut lanes[at];
                        (before, at) = (at, next);
                        break lane;
                    }
                    self.skip(lane.member, lane.skipped);
                    lanes[before].next = next;
                    at = next;
                }
            };
            let most = if lane.is_manual { LEASE_MESSAGES } else { usize::MAX };
            match &mut lane.lot {
                Some(lot) if lot.takes(seq, most) => lot.push(message, seq),
                lot => {
                    let rest = batch.bytes() - bytes;
                    let mut packed = Vec::with_capacity((share + message.len()).min(rest));
                    packed.extend_from_slice(message);
                    let full = lot.replace(Lot { first: seq, step: 1, next: seq + 1, count: 1, packed });
                    self.give_lot(channel, lane, full, (batch, tries));
                }
            }
            count += 1;
            bytes += message.len();
            seq += step;
        }
        if unvisited > 0 {
            self.channels.quietly().row(channel).turns.next = next_member;
        } else if let Some(lane) = lanes.get(at).filter(|lane| lane.skipped == Skipped::No) {
            self.channels.quietly().row(channel).turns.next = Some(lane.member);
        }
        for lane in &mut lanes {
            let lot = lane.lot.take();
            self.give_lot(channel, lane, lot, (batch, tries));
        }
        lanes.clear();
        if lanes.capacity() <= LANES {
            self.lanes = lanes;
        }
        self.spend(self.passes().saturating_sub(passes));
        if count == batch.len() {
            return None;
        }
        let (_, rest) = batch.clone().split(count, bytes);
        rest.map(|rest| (rest, seq))
    }

    /// As [`Broker::dispatch`] for one message in a buffer of its own, which its consumer gets.
    pub(super) fn dispatch_one(&mut self, channel: ChannelSlot, batch: Batch, seq: u64) -> Option<(Batch, u64)> {
        let mut passes = self.passes();
        while let Some(member) = self.channels[channel].turns.next.filter(|_| passes > 0) {
            let mut lane = self.lane(member, &batch);
            if self.take(&mut lane, batch.bytes()) {
                self.channels.quietly().row(channel).turns.next = self.members[member].turn.next;
                self.give(channel, &lane, batch, (seq, 1), Tries::NONE);
                return None;
            }
            passes -= 1;
            self.spend(1);
            self.skip(member, lane.skipped);
        }
        Some((batch, seq))
    }

    /// Consumers without room that a dispatch may pass over.
    pub(super) fn passes(&self) -> usize {
        self.steps.max(PASSES)
    }

    pub(super) fn lane(&mut self, member: MemberSlot, batch: &Batch) -> Lane {
        let row = &self.members[member];
        let (slot, subscription) = (row.connection, row.subscription);
        let prefetch = self.prefetch_left(&self.subscriptions[subscription]);
        let limits = &self.limits;
        let connection = self.connections.quietly().row(slot);
        let subscription = &self.subscriptions[subscription];
        if connection.outbox.len() >= entries(limits) && connection.full.is_none() {
            connection.set_full(0, limits);
        }
        let mut skipped = Skipped::No;
        if subscription.is_ended || !connection.is_able() || connection.is_full_for_queues() {
            skipped = Skipped::Outbox;
        } else if connection.has_lapsed && subscription.ack != AckMode::Auto {
            skipped = Skipped::Lapsed;
        } else if prefetch == 0 {
            skipped = Skipped::Prefetch;
        }
        let is_manual = subscription.ack != AckMode::Auto;
        let outbox = &connection.outbox;
        let filled = outbox.load() + connection.assembled;
        let messages = match limits.outbox_messages {
            0 => usize::MAX,
            most if filled == 0 => most.saturating_sub(outbox.messages()).max(1),
            most => most.saturating_sub(outbox.messages()),
        };
        let ahead = connection.ahead() + connection.assembled;
        let is_roomy = skipped == Skipped::No
            && filled.saturating_add(batch.footprint()) <= limits.outbox
            && (is_manual || ahead.saturating_add(batch.bytes()) <= connection.window)
            && batch.len() <= messages
            && batch.len() <= prefetch as usize;
        Lane { member, connection: slot, is_manual, is_roomy, skipped, messages, prefetch, lot: None, next: 0 }
    }

    /// Whether a lane has room for a message, which takes it then.
    #[inline(always)]
    pub(super) fn take(&mut self, lane: &mut Lane, size: usize) -> bool {
        lane.is_roomy || self.take_counted(lane, size)
    }

    /// As [`Broker::take`] where the room may be used up.
    fn take_counted(&mut self, lane: &mut Lane, size: usize) -> bool {
        if lane.skipped != Skipped::No {
            return false;
        }
        let connection = self.connections.quietly().row(lane.connection);
        let filled = connection.outbox.load() + connection.assembled;
        let ahead = connection.ahead() + connection.assembled;
        // One message of any size fits alone.
        let fits = filled == 0 || filled.saturating_add(size) <= self.limits.outbox;
        let is_within = lane.is_manual || ahead == 0 || ahead.saturating_add(size) <= connection.window;
        if fits && is_within && lane.messages > 0 && lane.prefetch > 0 {
            connection.assembled += size;
            lane.messages -= 1;
            lane.prefetch -= u32::from(lane.is_manual);
            return true;
        }
        self.close_lane(lane, size, fits && lane.messages > 0, is_within);
        false
    }

    /// Notes why a lane gets no more.
    #[cold]
    fn close_lane(&mut self, lane: &mut Lane, size: usize, fits: bool, is_within: bool) {
        if fits && is_within {
            lane.skipped = Skipped::Prefetch;
            return;
        }
        lane.skipped = Skipped::Outbox;
        let connection = self.connections.edit(lane.connection);
        if fits {
            connection.set_ahead(size, self.now);
        } else {
            connection.set_full(size, &self.limits);
        }
    }

    /// A consumer gets what was assembled for it of a batch.
    fn give_lot(&mut self, channel: ChannelSlot, lane: &Lane, lot: Option<Lot>, (whole, tries): (&Batch, Tries)) {
        let Some(Lot { first, step, count, packed, .. }) = lot else { return };
        let batch = Batch::from_parts(packed.into_boxed_slice().into(), count, whole.attributes().cloned());
        self.give(channel, lane, batch, (first, step), tries);
    }

    pub(super) fn give(
        &mut self,
        channel: ChannelSlot,
        lane: &Lane,
        batch: Batch,
        (first, step): (u64, u64),
        tries: Tries,
    ) {
        let (member, slot, rank) = (lane.member, lane.connection, batch.rank());
        if rank > self.channels[channel].seen_rank {
            self.note_given(channel, rank);
        }
        if !lane.is_roomy {
            self.connections.edit(slot).assembled -= batch.bytes();
        }
        let allocation = self.allocate(channel, batch.footprint_given());
        let origin = if lane.is_manual {
            let first_tag = self.lease(channel, member, &batch);
            let retained = self.budget.retain(allocation);
            let lease = Lease::new(member, retained, first_tag, (first, step), tries, batch.clone());
            self.connections.edit(slot).leases.push(lease);
            Origin::Leased { member, first_tag }
        } else {
            Origin::Queue { member, first, step }
        };
        self.push_entry(slot, OutboxEntry { batch, allocation: Some(allocation), tries, origin });
    }

    /// Counts messages that wait for their acks from now on: gives the first tag.
    fn lease(&mut self, channel: ChannelSlot, member: MemberSlot, batch: &Batch) -> u64 {
        let row = self.members.row(member);
        row.refs += 1;
        let (slot, subscription) = (row.connection, row.subscription);
        self.charge(channel, cost::LEASE);
        self.leased_together += batch.len() as isize - 1;
        self.subscriptions.row(subscription).unacked += batch.len() as u32;
        let connection = self.connections.edit(slot);
        connection.unacked += batch.len();
        let first_tag = connection.next_tag;
        connection.next_tag += batch.len() as u64;
        first_tag
    }

    /// Dispatches what waits in a queue, as much as this call may.
    pub(super) fn dispatch_backlog(&mut self, slot: ChannelSlot) {
        let mut had_ready = false;
        loop {
            let channel = &self.channels[slot];
            if !channel.backlog.has_ready() {
                if had_ready {
                    self.note_bound(slot);
                    self.note_dry(slot);
                }
                return;
            }
            had_ready = true;
            if channel.turns.is_empty() || channel.returning > 0 || self.is_reclaiming(slot) {
                return;
            }
            if !self.spend(1) {
                self.channels.edit(slot);
                return;
            }
            let Some(segment) = self.pop_backlog(slot) else { return };
            if segment.batch.has_expired(self.now) {
                self.expire(slot, segment);
                continue;
            }
            // No more than this call may still do.
            let (segment, later) = self.split(segment, self.steps.max(1));
            let Segment { batch, allocation, tries, first, step, group } = segment;
            self.spend(batch.len());
            let rest = match group {
                None => self.dispatch(slot, &batch, (first, step), tries),
                Some(group) => self.dispatch_group(slot, group, &batch, (first, step), tries),
            };
            let later = match rest {
                None => later,
                Some((batch, first)) => {
                    let allocation = self.budget.retain(allocation);
                    if let Some(later) = later {
                        self.requeue_front(slot, later);
                    }
                    Some(Segment { batch, allocation, tries, first, step, group })
                }
            };
            drop(batch);
            if let Some(later) = later {
                self.requeue_front(slot, later);
            }
            self.release(allocation);
        }
    }
}
