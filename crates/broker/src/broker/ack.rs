//! Messages of queues that wait for an ack.

use super::Broker;
use super::connection::Unacked;
use super::pause::Effect;
use crate::queue::Segment;
use crate::{AckMode, DeliveryTag, Refusal, SubscriptionId};

impl Broker {
    pub(super) fn forget_unacked(&mut self, place: usize, subscription: SubscriptionId) {
        let Some(subscription) = self.connections[place].subscription(subscription) else { return };
        subscription.unacked -= 1;
        // It may work for more queues than the message's own.
        if matches!(subscription.ack, AckMode::Manual { prefetch } if subscription.unacked + 1 == prefetch.max(1)) {
            self.effects.push_back(Effect::OutboxFreed(place));
        }
    }

    pub(super) fn requeue(&mut self, message: Unacked) {
        let Unacked { channel, message: batch, block, place, .. } = message;
        self.channels[channel].backlog.requeue_segment(Segment { batch, block, first: place });
        self.totals.requeued += 1;
        self.effects.push_back(Effect::Dispatch(channel));
    }

    pub(super) fn ack(&mut self, place: usize, first: DeliveryTag, last: DeliveryTag) {
        for message in self.settle(place, first, last) {
            self.forget_unacked(place, message.subscription);
            self.release(message.block);
            self.effects.push_back(Effect::Dispatch(message.channel));
        }
    }

    pub(super) fn nack(&mut self, place: usize, first: DeliveryTag, last: DeliveryTag) {
        for message in self.settle(place, first, last) {
            self.forget_unacked(place, message.subscription);
            self.requeue(message);
        }
    }

    /// Takes out what waits for an ack in a range of tags; refuses the first unknown tag.
    fn settle(&mut self, place: usize, first: DeliveryTag, last: DeliveryTag) -> Vec<Unacked> {
        let unacked = &mut self.connections[place].unacked;
        let known: Vec<_> =
            if first <= last { unacked.extract_if(first..=last, |_, _| true).collect() } else { Vec::new() };
        let mut expected = first;
        for &(tag, _) in &known {
            if tag != expected {
                break;
            }
            expected.0 += 1;
        }
        if expected <= last || known.is_empty() {
            self.refuse(place, None, Refusal::UnknownTag { tag: expected });
        }
        known.into_iter().map(|(_, message)| message).collect()
    }
}
