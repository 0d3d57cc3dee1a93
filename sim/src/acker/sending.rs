//! Subscriptions and messages of a connection with acks.

use super::Acker;
use crate::native::length;
use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::settings::{DURABLE, QUEUE_PATTERNS, QUEUES, Settings, TOPIC_PATTERNS, TOPICS, temporary_of};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{AckMode, Attributes, Batch, Command, Packer, SubscriptionId, Time};

impl Acker {
    pub(super) fn subscribe(&mut self, id: u64, now: Time, settings: &Settings, rng: &mut Rng) {
        if self.subscriptions.len() > settings.limits.subscriptions {
            return;
        }
        if settings.durable && self.ring.is_none() && rng.one_in(3) {
            return self.subscribe_durable(now, settings, rng.pick(&DURABLE), rng);
        }
        let temporary = self.pick_temporary(id, settings, rng);
        let long = "/topic/".to_owned() + &"x".repeat(settings.limits.channel_name);
        let pattern = match rng.below(30) {
            _ if self.ring.is_some() => self.ring.map_or("", |ring| ring.0),
            _ if temporary.is_some() => temporary.unwrap_or_default(),
            0 => long.as_str(),
            1..18 => rng.pick(&QUEUE_PATTERNS),
            _ => rng.pick(&TOPIC_PATTERNS),
        };
        let again = rng.one_in(30);
        let (subscription, ack) = self.new_subscription();
        for _ in 0..=usize::from(again) {
            let pattern = Bytes::copy_from_slice(pattern.as_bytes());
            self.send(now, settings.delay, Command::Subscribe { subscription, pattern, ack }, rng);
        }
        if settings.claims && rng.one_in(3) {
            // At times another one than the last, or once more.
            let number = if rng.one_in(4) { rng.pick(&self.subscriptions) } else { subscription.0 };
            let subscription = SubscriptionId(number);
            self.send(now, settings.delay, Command::Claim { subscription }, rng);
        }
    }

    /// The temporary queue of this connection or, at times, of any that has been or may come.
    fn pick_temporary(&self, id: u64, settings: &Settings, rng: &mut Rng) -> Option<&'static str> {
        if !settings.temporary || self.ring.is_some() || !rng.one_in(3) {
            return None;
        }
        temporary_of(if rng.one_in(6) { rng.within(1, id as usize + 3) as u64 } else { id })
    }

    /// The number of a further subscription, and its kind of acks.
    fn new_subscription(&mut self) -> (SubscriptionId, AckMode) {
        let subscription = self.next_subscription;
        self.next_subscription += 1;
        self.subscriptions.push(subscription);
        // Each fourth takes its messages without acks, beside others of the connection.
        let prefetch = self.prefetch.filter(|_| subscription % 4 != 3);
        let ack = prefetch.map_or(AckMode::Auto, |prefetch| AckMode::Manual { prefetch });
        (SubscriptionId(subscription), ack)
    }

    /// Subscribes to a durable subscription's queue.
    pub(crate) fn subscribe_durable(
        &mut self,
        now: Time,
        settings: &Settings,
        (queue, source): (&'static str, &'static str),
        rng: &mut Rng,
    ) {
        let source = if rng.one_in(8) { "/topic/b" } else { source };
        let (queue, source) = (Bytes::from_static(queue.as_bytes()), Bytes::from_static(source.as_bytes()));
        let (subscription, ack) = self.new_subscription();
        self.send(now, settings.delay, Command::SubscribeDurable { subscription, queue, source, ack }, rng);
    }

    pub(super) fn publish(&mut self, id: u64, now: Time, settings: &Settings, oracle: &mut Oracle, rng: &mut Rng) {
        let channel = match self.ring {
            Some((_, to)) => to,
            None if settings.queues_only || rng.one_in(2) => {
                self.pick_addressee(id, settings, rng).unwrap_or_else(|| rng.pick(&QUEUES))
            }
            None => rng.pick(&TOPICS),
        };
        let mut packer = Packer::default();
        for _ in 0..rng.within(1, 6) {
            let over = usize::from(rng.one_in(300)) * (settings.limits.message + 1);
            if let Some(body) = oracle.mint(id, channel, over.max(length(settings, rng))) {
                packer.push(&body);
            }
        }
        let Some(batch) = packer.finish() else { return };
        // Nobody could say whether what has expired was dropped with its queue.
        let may_wait = settings.retries && self.ring.is_none() && QUEUES.contains(&channel);
        let mut attributes = Attributes::default();
        if may_wait && rng.one_in(4) {
            attributes = times(attributes, now, rng);
        }
        let has_groups = channel.starts_with("/queue") || settings.groups_in(channel);
        if settings.groups && has_groups && rng.one_in(2) {
            attributes = attributes.with_group(Bytes::from_static(rng.pick(&[b"g1", b"g2", b"g3"])));
        }
        if settings.priorities && channel.starts_with("/queue") && rng.one_in(2) {
            attributes.priority = rng.pick(&[0, 4, 7, 9]);
        }
        let may_retain = settings.retains && !channel.starts_with("/queue") && !channel.contains("kept");
        attributes.retain = may_retain && rng.one_in(2);
        let has_some = attributes != Attributes::default();
        let batch = if has_some { batch.with_attributes(Arc::new(attributes)) } else { batch };
        let reserves = rng.one_in(3);
        if reserves {
            self.send(now, settings.delay, Command::Reserve { bytes: batch.bytes(), whole: batch.bytes() }, rng);
        }
        let receipt = (settings.receipts && rng.one_in(4)).then(|| self.receipt(1));
        self.publishes += 1;
        let channel = channel.into();
        let command = match receipt {
            Some(receipt) => {
                self.publishes = 0;
                Command::PublishWithReceipt { channel, batch, receipt }
            }
            None => Command::Publish { channel, batch },
        };
        self.send(now, settings.delay, command, rng);
        if reserves {
            self.send(now, settings.delay, Command::Reserve { bytes: 0, whole: 0 }, rng);
        }
        if settings.receipts && rng.one_in(4) {
            self.ask_receipts(now, settings, 3, rng);
        }
    }

    /// Asks for at most so many receipts, which confirm some of its publishes since the last one: none is confirmed twice.
    pub(super) fn ask_receipts(&mut self, now: Time, settings: &Settings, most: usize, rng: &mut Rng) {
        let publishes = rng.within(0, self.publishes);
        self.publishes = 0;
        let batch = self.receipt(rng.within(1, most));
        self.send(now, settings.delay, Command::Receipt { batch, covers: 0, publishes }, rng);
    }

    /// The temporary queue of one of the last connections, which may be gone.
    fn pick_addressee(&self, id: u64, settings: &Settings, rng: &mut Rng) -> Option<&'static str> {
        if !settings.temporary || !rng.one_in(3) {
            return None;
        }
        temporary_of(id.saturating_sub(rng.below(8) as u64))
    }

    /// Further receipts, each with a number of its own.
    fn receipt(&mut self, count: usize) -> Batch {
        let mut packer = Packer::default();
        for _ in 0..count {
            self.next_receipt += 1;
            packer.push(&self.next_receipt.to_be_bytes());
        }
        packer.finish().expect("a receipt")
    }
}

/// Messages that expire, are delayed, or both.
fn times(attributes: Attributes, now: Time, rng: &mut Rng) -> Attributes {
    let time = |rng: &mut Rng| now + Duration::from_micros(rng.pick(&[0, 300, 5_000, 200_000, 1 << 40]));
    let expires = (!rng.one_in(3)).then(|| time(rng));
    let deliver_at = rng.one_in(3).then(|| now + Duration::from_micros(rng.pick(&[0, 300, 5_000, 200_000])));
    attributes.with_expires(expires).with_deliver_at(deliver_at)
}
