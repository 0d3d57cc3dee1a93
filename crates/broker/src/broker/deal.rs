//! A queue's messages to its workers, one by one in strict rotation.

use super::Broker;
use super::connection::Unacked;
use super::hold::{Blocked, Work};
use crate::outbox::{Origin, Parcel};
use crate::queue::{Segment, Subscriber};
use crate::{AckMode, Batch, DeliveryTag, Packer};

/// What one worker gets of a batch: message `i` has the place `first + i * step`.
struct Lot {
    worker: Subscriber,
    first: u64,
    step: u64,
    count: u64,
    packer: Packer,
}

impl Lot {
    fn takes(&self, worker: Subscriber, place: u64) -> bool {
        let in_step = self.count == 1 || place == self.first + self.step * self.count;
        self.worker == worker && in_step
    }
}

impl Broker {
    /// Deals as much of a batch as the workers have room for; gives the rest and its place.
    pub(super) fn deal(&mut self, channel: usize, batch: &Batch, first: u64) -> Option<(Batch, u64)> {
        let mut lots: Vec<Lot> = Vec::new();
        let (mut dealt, mut bytes) = (0, 0);
        for body in batch.iter() {
            let place = first + dealt as u64;
            let size = body.len() + 4;
            let Some((worker, tagged)) = self.next_worker(channel, size) else { break };
            if tagged {
                self.deal_tagged(channel, worker, body, place);
            } else {
                let connection = &mut self.connections[worker.connection];
                connection.promised += size;
                let open = connection.lot.filter(|&lot| lots[lot].takes(worker, place));
                let lot = open.unwrap_or_else(|| {
                    lots.push(Lot { worker, first: place, step: 1, count: 0, packer: Packer::default() });
                    lots.len() - 1
                });
                connection.lot = Some(lot);
                let lot = &mut lots[lot];
                if lot.count == 1 {
                    lot.step = place - lot.first;
                }
                lot.count += 1;
                lot.packer.push_packed(&batch.packed()[bytes..bytes + size]);
            }
            dealt += 1;
            bytes += size;
        }
        for lot in lots {
            self.hand_lot(channel, lot);
        }
        self.channels[channel].delivered += dealt as u64;
        let (_, rest) = batch.clone().split(dealt, bytes);
        rest.map(|rest| (rest, first + dealt as u64))
    }

    /// Whose turn it is among those who have room, and whether it acks.
    fn next_worker(&mut self, channel: usize, size: usize) -> Option<(Subscriber, bool)> {
        for _ in 0..self.channels[channel].subscribers.len() {
            let worker = self.channels[channel].subscribers.turn()?;
            let connection = &mut self.connections[worker.connection];
            if connection.is_stalled() || connection.closing || connection.full_above.is_some() {
                continue;
            }
            if !connection.fits(size, self.limits.outbox) {
                connection.set_full(size, self.limits.outbox);
                continue;
            }
            let subscription = connection.subscription(worker.subscription);
            let subscription = subscription.expect("a channel's subscriber has the subscription");
            match subscription.ack {
                AckMode::Written => return Some((worker, false)),
                AckMode::Explicit { prefetch } if subscription.unacked < prefetch.max(1) => {
                    subscription.unacked += 1;
                    return Some((worker, true));
                }
                AckMode::Explicit { .. } => {}
            }
        }
        None
    }

    fn hand_lot(&mut self, channel: usize, lot: Lot) {
        let Lot { worker, first, step, packer, .. } = lot;
        let batch = packer.finish().expect("a lot has a message");
        let connection = &mut self.connections[worker.connection];
        connection.promised -= batch.bytes();
        connection.lot = None;
        let block = self.hold_block(channel, batch.bytes());
        let origin = Origin::Queue { channel, subscription: worker.subscription, first, step };
        self.push_parcel(worker.connection, Parcel { batch, block: Some(block), origin });
    }

    fn deal_tagged(&mut self, channel: usize, worker: Subscriber, body: &[u8], place: u64) {
        let message = Batch::one(body);
        let block = self.hold_block(channel, message.bytes());
        let connection = &mut self.connections[worker.connection];
        let tag = DeliveryTag(connection.next_tag);
        connection.next_tag += 1;
        let subscription = worker.subscription;
        let waits = Unacked { channel, subscription, message: message.clone(), block, place };
        connection.unacked.insert(tag, waits);
        // Two holders: it may be acked while it is being written, or written and not acked.
        let block = Some(self.ledger.share(block));
        let origin = Origin::Tagged { channel, subscription, tag };
        self.push_parcel(worker.connection, Parcel { batch: message, block, origin });
    }

    /// Deals what waits in a queue; gives a topic's first subscriber what was kept for it.
    pub(super) fn deal_backlog(&mut self, place: usize) {
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
                    self.channels[place].backlog.unpop(rest);
                    break;
                }
            }
        }
        if self.channels[place].backlog.depth < before {
            self.work.push_back(Work::Retry(Blocked::Channel(place)));
        }
    }
}
