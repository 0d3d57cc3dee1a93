//! Subscriptions: their coming and their going.

use super::connection::Subscription;
use super::pause::{Blocked, Effect};
use super::{Broker, WildSubscription};
use crate::name::{Kind, Pattern};
use crate::outbox::{Origin, OutboxEntry};
use crate::queue::Subscriber;
use crate::{AckMode, Refusal, SubscriptionId};
use bytes::Bytes;

impl WildSubscription {
    pub(super) fn as_subscriber(&self) -> Subscriber {
        Subscriber { connection: self.connection, subscription: self.subscription, by_pattern: true }
    }
}

impl Broker {
    pub(super) fn subscribe(&mut self, place: usize, id: SubscriptionId, pattern: Bytes, ack: AckMode) {
        let limits = &self.limits;
        let connection = &mut self.connections[place];
        let refusal = if pattern.len() > limits.channel_name {
            Some(Refusal::NameTooLong { length: pattern.len(), limit: limits.channel_name })
        } else if connection.subscriptions.len() >= limits.subscriptions {
            Some(Refusal::Subscriptions { limit: limits.subscriptions })
        } else if connection.subscription(id).is_some() {
            Some(Refusal::SubscriptionExists)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.refuse(place, Some(pattern), refusal);
        }
        let pattern = Pattern::new(Bytes::copy_from_slice(&pattern));
        let mut joined = Vec::new();
        if pattern.is_literal() {
            match self.channel(pattern.as_bytes()) {
                Ok(channel) => joined.push(channel),
                Err(refusal) => return self.refuse(place, Some(pattern.as_bytes().clone()), refusal),
            }
            self.channels[joined[0]].exact_subscribers += 1;
        } else {
            let matching = self.channels.iter().filter(|(_, channel)| pattern.matches(&channel.name));
            joined.extend(matching.map(|(channel, _)| channel));
            self.wild.push(WildSubscription { pattern: pattern.clone(), connection: place, subscription: id });
        }
        let by_pattern = !pattern.is_literal();
        self.connections[place].subscriptions.push(Subscription { id, pattern, ack, unacked: 0 });
        self.subscriptions += 1;
        for channel in joined {
            let subscriber = Subscriber { connection: place, subscription: id, by_pattern };
            self.channels[channel].subscribers.join(subscriber);
            match self.channels[channel].kind {
                Kind::Queue => self.effects.push_back(Effect::Dispatch(channel)),
                Kind::Topic => self.give_kept(channel, subscriber),
            }
        }
    }

    /// What a topic kept goes to its first subscriber.
    fn give_kept(&mut self, channel: usize, subscriber: Subscriber) {
        while let Some(segment) = self.channels[channel].backlog.pop() {
            self.channels[channel].delivered.add(self.now, segment.batch.len() as u64);
            let origin = Origin::Topic { channel, subscription: subscriber.subscription };
            let entry = OutboxEntry { batch: segment.batch, block: Some(segment.block), origin };
            self.push_entry(subscriber.connection, entry);
        }
        self.effects.push_back(Effect::Retry(Blocked::Channel(channel)));
    }

    pub(super) fn unsubscribe(&mut self, place: usize, id: SubscriptionId) {
        self.leave_one(place, id);
        let of_it = |origin: &Origin| match origin {
            Origin::Queue { subscription, .. } | Origin::Tagged { subscription, .. } => *subscription == id,
            _ => false,
        };
        let connection = &mut self.connections[place];
        let kept = connection.outbox.in_flight_bytes();
        for entry in connection.outbox.reclaim(kept, &mut self.budget, of_it) {
            self.reclaim(place, entry);
        }
        let connection = &mut self.connections[place];
        let theirs = connection.unacked.extract_if(.., |_, message| message.subscription == id);
        let theirs: Vec<_> = theirs.map(|(_, message)| message).collect();
        for message in theirs {
            self.requeue(message);
        }
    }

    /// Takes a connection out of all its channels, and leaves its outbox as it is.
    pub(super) fn leave_channels(&mut self, place: usize) {
        let ids: Vec<SubscriptionId> = self.connections[place].subscriptions.iter().map(|s| s.id).collect();
        for id in ids {
            self.leave_one(place, id);
        }
    }

    fn leave_one(&mut self, place: usize, id: SubscriptionId) {
        let subscriptions = &mut self.connections[place].subscriptions;
        let Some(index) = subscriptions.iter().position(|subscription| subscription.id == id) else { return };
        let subscription = subscriptions.remove(index);
        self.subscriptions -= 1;
        self.effects.push_back(Effect::Retry(Blocked::Subscriber(place)));
        for channel in self.channels_of(&subscription.pattern) {
            if self.channels[channel].subscribers.leave(place, id) {
                if subscription.pattern.is_literal() {
                    self.channels[channel].exact_subscribers -= 1;
                }
                self.effects.push_back(Effect::Forget(channel));
            }
        }
        self.wild.retain(|wild| (wild.connection, wild.subscription) != (place, id));
    }

    fn channels_of(&self, pattern: &Pattern) -> Vec<usize> {
        if pattern.is_literal() {
            return self.names.get(pattern.as_bytes()).copied().into_iter().collect();
        }
        let matching = self.channels.iter().filter(|(_, channel)| pattern.matches(&channel.name));
        matching.map(|(channel, _)| channel).collect()
    }

    /// The queues that a connection works for.
    pub(super) fn queues_of(&self, place: usize) -> Vec<usize> {
        let patterns = self.connections[place].subscriptions.iter().map(|subscription| &subscription.pattern);
        let of_queues = patterns.filter(|pattern| Kind::of(pattern.as_bytes()) == Kind::Queue);
        of_queues.flat_map(|pattern| self.channels_of(pattern)).collect()
    }
}
