//! Messages of queues that wait for an ack.

use super::Broker;
use super::connection::Unacked;
use super::hold::Work;
use crate::queue::Segment;
use crate::{AckMode, DeliveryTag, Refusal, SubscriptionId};

impl Broker {
    pub(super) fn forget_unacked(&mut self, place: usize, subscription: SubscriptionId) {
        let Some(subscription) = self.connections[place].subscription(subscription) else { return };
        subscription.unacked -= 1;
        // It may work for more queues than the message's own.
        if matches!(subscription.ack, AckMode::Explicit { prefetch } if subscription.unacked + 1 == prefetch.max(1)) {
            self.work.push_back(Work::Serve(place));
        }
    }

    pub(super) fn requeue(&mut self, message: Unacked) {
        let Unacked { channel, message: batch, block, place, .. } = message;
        self.channels[channel].backlog.give_back(Segment { batch, block, first: place });
        self.totals.returned += 1;
        self.work.push_back(Work::Deal(channel));
    }

    pub(super) fn ack(&mut self, place: usize, tag: DeliveryTag) {
        let Some(message) = self.connections[place].unacked.remove(&tag) else {
            self.refuse(place, Refusal::UnknownTag { tag });
            return;
        };
        self.forget_unacked(place, message.subscription);
        self.release(message.block);
        self.work.push_back(Work::Deal(message.channel));
    }

    pub(super) fn nack(&mut self, place: usize, tag: DeliveryTag) {
        let Some(message) = self.connections[place].unacked.remove(&tag) else {
            self.refuse(place, Refusal::UnknownTag { tag });
            return;
        };
        self.forget_unacked(place, message.subscription);
        self.requeue(message);
    }
}
