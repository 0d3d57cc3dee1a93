//! A queue's messages to its workers, one by one in strict rotation.

use super::Broker;
use super::connection::Unacked;
use super::pause::{Blocked, Effect};
use crate::outbox::{Origin, OutboxEntry};
use crate::queue::{Segment, Subscriber};
use crate::{AckMode, Batch, DeliveryTag, Packer};

/// What one worker gets of a batch: message `i` has the place `first + i * step`.
struct Lot {
    first: u64,
    step: u64,
    count: u64,
    packer: Packer,
}

impl Lot {
    fn takes(&self, place: u64) -> bool {
        self.count == 1 || place == self.first + self.step * self.count
    }

    fn push(&mut self, message: &[u8], place: u64) {
        if self.count == 1 {
            self.step = place - self.first;
        }
        self.count += 1;
        self.packer.push_packed(message);
    }
}

/// A worker's part in the dealing of one batch.
struct Lane {
    worker: Subscriber,
    ack: AckMode,
    /// Whether it may get more of this batch: while it is dealt, nobody's room grows.
    is_open: bool,
    lot: Option<Lot>,
}

impl Broker {
    /// Deals as much of a batch as the workers have room for; gives the rest and its place.
    pub(super) fn deal(&mut self, channel: usize, batch: &Batch, first: u64) -> Option<(Batch, u64)> {
        let workers = self.channels[channel].subscribers.len();
        // The workers in the order of their turns, as far as the batch comes round.
        let mut lanes: Vec<Lane> = Vec::new();
        let mut turns = 0;
        let (mut dealt, mut bytes) = (0, 0);
        'messages: for message in batch.iter_packed() {
            let mut skipped = 0;
            let lane = loop {
                if skipped == workers {
                    break 'messages;
                }
                let turn = turns % workers;
                turns += 1;
                if turn == lanes.len() {
                    lanes.push(self.lane(channel, turn));
                }
                if self.has_room(&mut lanes[turn], message.len()) {
                    break &mut lanes[turn];
                }
                skipped += 1;
            };
            let place = first + dealt as u64;
            if lane.ack == AckMode::Auto {
                self.connections[lane.worker.connection].reserved_outbox += message.len();
                match &mut lane.lot {
                    Some(lot) if lot.takes(place) => lot.push(message, place),
                    lot => {
                        let share = (batch.bytes() - bytes) / workers + message.len();
                        let mut packer = Packer::with_capacity(share.min(batch.bytes() - bytes));
                        packer.push_packed(message);
                        let full = lot.replace(Lot { first: place, step: 1, count: 1, packer });
                        self.hand_lot(channel, lane.worker, full);
                    }
                }
            } else {
                self.dispatch_tagged(channel, lane.worker, message, place);
            }
            dealt += 1;
            bytes += message.len();
        }
        self.channels[channel].subscribers.turn(turns);
        for lane in lanes {
            self.hand_lot(channel, lane.worker, lane.lot);
        }
        self.channels[channel].delivered.add(self.now, dealt as u64);
        let (_, rest) = batch.clone().split(dealt, bytes);
        rest.map(|rest| (rest, first + dealt as u64))
    }

    fn lane(&mut self, channel: usize, turn: usize) -> Lane {
        let worker = self.channels[channel].subscribers.after(turn);
        let connection = &mut self.connections[worker.connection];
        let is_open = !connection.stalled && !connection.closing && connection.resume_below.is_none();
        let subscription = connection.subscription(worker.subscription);
        let ack = subscription.expect("a channel's subscriber has the subscription").ack;
        Lane { worker, ack, is_open, lot: None }
    }

    #[inline]
    fn has_room(&mut self, lane: &mut Lane, size: usize) -> bool {
        if !lane.is_open {
            return false;
        }
        let connection = &mut self.connections[lane.worker.connection];
        if !connection.fits(size, self.limits.outbox) {
            connection.set_full(size, self.limits.outbox);
            lane.is_open = false;
            return false;
        }
        if let AckMode::Manual { prefetch } = lane.ack {
            let subscription = connection.subscription(lane.worker.subscription);
            let unacked = &mut subscription.expect("a channel's subscriber has the subscription").unacked;
            lane.is_open = *unacked < prefetch.max(1);
            *unacked += u32::from(lane.is_open);
        }
        lane.is_open
    }

    fn hand_lot(&mut self, channel: usize, worker: Subscriber, lot: Option<Lot>) {
        let Some(Lot { first, step, packer, .. }) = lot else { return };
        let batch = packer.finish().expect("a lot has a message");
        self.connections[worker.connection].reserved_outbox -= batch.bytes();
        let block = self.charge_block(channel, batch.bytes());
        let origin = Origin::Queue { channel, subscription: worker.subscription, first, step };
        self.push_entry(worker.connection, OutboxEntry { batch, block: Some(block), origin });
    }

    fn dispatch_tagged(&mut self, channel: usize, worker: Subscriber, message: &[u8], place: u64) {
        let message = Batch::one_packed(message);
        let block = self.charge_block(channel, message.bytes());
        let connection = &mut self.connections[worker.connection];
        let tag = DeliveryTag(connection.next_tag);
        connection.next_tag += 1;
        let subscription = worker.subscription;
        let waits = Unacked { channel, subscription, message: message.clone(), block, place };
        connection.unacked.insert(tag, waits);
        // Two holders: it may be acked while it is being written, or written and not acked.
        let block = Some(self.budget.share(block));
        let origin = Origin::Tagged { channel, subscription, tag };
        self.push_entry(worker.connection, OutboxEntry { batch: message, block, origin });
    }

    /// Deals what waits in a queue; gives a topic's first subscriber what was kept for it.
    pub(super) fn dispatch_backlog(&mut self, place: usize) {
        let Some(channel) = self.channels.get(place) else { return };
        if channel.kind == crate::Kind::Topic || channel.backlog.is_empty() {
            return;
        }
        let before = channel.backlog.depth;
        while let Some(Segment { batch, block, first }) = self.channels[place].backlog.pop() {
            match self.deal(place, &batch, first) {
                None => self.release(block),
                Some((batch, first)) => {
                    let rest = self.keep(place, Segment { batch, block, first });
                    self.channels[place].backlog.requeue_front(rest);
                    break;
                }
            }
        }
        if self.channels[place].backlog.depth < before {
            self.effects.push_back(Effect::Retry(Blocked::Channel(place)));
        }
    }
}
