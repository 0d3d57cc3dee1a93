//! A connection of a protocol with acks, of which only the commands are of interest. They take
//! their time on the way, keep their order, and may be lost: then the connection ends soon.

mod sending;

use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::settings::{DURABLE, QUEUES, Settings};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use switchboard_broker::{Batch, Command, DeliveryTag, SubscriptionId, Time};

#[derive(Debug, Default)]
pub(crate) struct Acker {
    /// Its driver's reports to the broker: credit, and answers to recalls.
    driver: VecDeque<(Time, Command)>,
    /// Its own commands, in one stream, of which nothing is read while it is paused.
    lane: VecDeque<(Time, Command)>,
    /// Messages on their way to it: when they come, their size and tag.
    inbox: VecDeque<(Time, usize, Option<u64>)>,
    /// Receipts on their way to it: when they come, their number and bytes.
    unread: VecDeque<(Time, usize, usize)>,
    next_receipt: u64,
    /// Publishes since the last receipt.
    publishes: usize,
    unacked: Vec<u64>,
    /// The last tag that has come.
    highest_tag: u64,
    subscriptions: Vec<u32>,
    next_subscription: u32,
    prefetch: Option<u32>,
    /// The queue that it consumes, and the one that it publishes to.
    ring: Option<(&'static str, &'static str)>,
    pub(crate) paused: bool,
    asleep: Option<Time>,
    /// Nothing of what it says arrives any more, and then it is gone.
    pub(crate) losing: Option<Time>,
    pub(crate) closing: bool,
    /// It has said its last word.
    left: bool,
    /// The broker knows that it sends nothing more, before its last word is read.
    has_departed: bool,
    /// It acks everything and begins nothing new.
    tidy: bool,
    /// After a recall, no credit for a message will tell that it takes some again.
    emptied: bool,
    pub(crate) lost_acks: u64,
    pub(crate) lost_credit: u64,
}

impl Acker {
    pub(crate) fn new(rng: &mut Rng, settings: &Settings) -> Acker {
        let prefetch = (settings.ring || !rng.one_in(4)).then(|| rng.within(0, 6) as u32);
        let ring = settings.ring.then(|| if rng.one_in(2) { (QUEUES[0], QUEUES[1]) } else { (QUEUES[1], QUEUES[0]) });
        Acker { prefetch, ring, ..Acker::default() }
    }

    pub(crate) fn deliver(&mut self, now: Time, batch: &Batch, tag: Option<DeliveryTag>, delay: usize, rng: &mut Rng) {
        let at = late(now, delay, self.inbox.back().map(|entry| entry.0), rng);
        for (place, body) in batch.iter().enumerate() {
            self.inbox.push_back((at, body.len() + 4, tag.map(|tag| tag.0 + place as u64)));
        }
    }

    /// Receipts have come, which count with so many bytes until they are read.
    pub(crate) fn get_receipt(&mut self, now: Time, receipts: usize, bytes: usize, delay: usize, rng: &mut Rng) {
        let at = late(now, delay, self.unread.back().map(|entry| entry.0), rng);
        self.unread.push_back((at, receipts, bytes));
    }

    /// Returns messages that it has not taken; others it has reported.
    pub(crate) fn recall(&mut self, now: Time, delay: usize, rng: &mut Rng) {
        self.inbox.clear();
        self.emptied = true;
        self.tell(now, delay, Command::Recalled { kept: 0 }, rng);
    }

    /// Its driver says something.
    fn tell(&mut self, now: Time, delay: usize, command: Command, rng: &mut Rng) {
        if self.losing.is_some() {
            self.lost_credit += u64::from(matches!(command, Command::Credit { .. }));
            return;
        }
        let at = late(now, delay, self.driver.back().map(|entry| entry.0), rng);
        self.driver.push_back((at, command));
    }

    /// It says something itself.
    fn send(&mut self, now: Time, delay: usize, command: Command, rng: &mut Rng) {
        if self.losing.is_some() {
            self.lost_acks += u64::from(matches!(command, Command::Ack { .. }));
            return;
        }
        let at = late(now, delay, self.lane.back().map(|entry| entry.0), rng);
        self.lane.push_back((at, command));
    }

    pub(crate) fn turn(&mut self, id: u64, now: Time, settings: &Settings, oracle: &mut Oracle, rng: &mut Rng) {
        if rng.one_in(settings.laziness) {
            self.asleep = Some(now + Duration::from_micros(rng.pick(&[2_000, 200_000, 1 << 50])));
        }
        if rng.one_in(settings.churn) {
            self.losing = Some(now + Duration::from_micros(rng.below(20_000) as u64));
        }
        self.take(now, settings, rng);
        if self.left {
            return;
        }
        self.acknowledge(now, settings, rng);
        match rng.below(12) {
            0 => self.subscribe(id, now, settings, rng),
            1 if rng.one_in(4) && !self.subscriptions.is_empty() => {
                let place = rng.below(self.subscriptions.len());
                let subscription = SubscriptionId(self.subscriptions.swap_remove(place));
                self.send(now, settings.delay, Command::Unsubscribe { subscription }, rng);
            }
            5 if settings.durable && rng.one_in(8) => {
                let queue = Bytes::from_static(rng.pick(&DURABLE).0.as_bytes());
                self.send(now, settings.delay, Command::EndDurable { queue }, rng);
            }
            2..4 => self.publish(id, now, settings, oracle, rng),
            4 if !settings.queues_only && rng.one_in(3) => {
                let batch = Batch::one(&vec![b'c'; rng.below(9)]);
                self.send(now, settings.delay, Command::Barrier { batch }, rng);
            }
            _ => {}
        }
    }

    pub(crate) fn take(&mut self, now: Time, settings: &Settings, rng: &mut Rng) {
        if self.asleep.is_some_and(|until| until > now) {
            return;
        }
        if std::mem::take(&mut self.emptied) {
            self.tell(now, settings.delay, Command::Credit { bytes: 0 }, rng);
        }
        while let Some((_, receipts, bytes)) = self.unread.pop_front_if(|entry| entry.0 <= now) {
            self.tell(now, settings.delay, Command::ReceiptsWritten { receipts, bytes }, rng);
        }
        for _ in 0..rng.within(1, 5) {
            let Some(&(at, size, tag)) = self.inbox.front() else { break };
            if at > now {
                break;
            }
            self.inbox.pop_front();
            let first = if rng.one_in(3) { rng.below(size) } else { 0 };
            self.tell(now, settings.delay, Command::Credit { bytes: first }, rng);
            self.tell(now, settings.delay, Command::Credit { bytes: size - first }, rng);
            self.unacked.extend(tag);
            self.highest_tag = self.highest_tag.max(tag.unwrap_or(0));
        }
    }

    /// It ends its session in order: its subscriptions first, and at times it asks for a last receipt. It goes on reading.
    pub(crate) fn leave(&mut self, now: Time, settings: &Settings, rng: &mut Rng) {
        if self.left {
            return;
        }
        for subscription in std::mem::take(&mut self.subscriptions) {
            let subscription = SubscriptionId(subscription);
            self.send(now, settings.delay, Command::Unsubscribe { subscription }, rng);
        }
        if settings.receipts {
            self.ask_receipts(now, settings, 1, rng);
        }
        self.send(now, settings.delay, Command::Finish, rng);
        self.left = true;
    }

    /// Whether the driver sees, the first time, that it has shut its side down, though it is not read.
    pub(crate) fn departs(&mut self, now: Time, draining: bool) -> bool {
        let has_come = self.lane.back().is_some_and(|entry| entry.0 <= now);
        let is_seen = self.left && self.losing.is_none() && self.paused && !draining && !self.closing;
        is_seen && has_come && !std::mem::replace(&mut self.has_departed, true)
    }

    fn acknowledge(&mut self, now: Time, settings: &Settings, rng: &mut Rng) {
        while !self.unacked.is_empty() && (self.tidy || rng.one_in(2)) {
            let tag = DeliveryTag(self.unacked.remove(rng.below(self.unacked.len())));
            if !self.tidy && rng.one_in(60) {
                // One ack alone is lost: its message waits until the connection ends.
                self.lost_acks += 1;
                continue;
            }
            let nacks = !self.tidy && rng.one_in(6);
            // A range may have tags that are settled.
            let more = if self.tidy || !rng.one_in(12) { 0 } else { rng.below(4) as u64 };
            // Some guess tags that were not handed out.
            let most = if !self.tidy && rng.one_in(20) { u64::MAX } else { self.highest_tag };
            let last = DeliveryTag((tag.0 + more).min(most));
            let requeue = !settings.retries || !rng.one_in(4);
            let command =
                if nacks { Command::Nack { first: tag, last, requeue } } else { Command::Ack { first: tag, last } };
            self.send(now, settings.delay, command.clone(), rng);
            if rng.one_in(80) {
                self.send(now, settings.delay, command, rng);
            }
        }
    }

    /// The next command that has come to the driver by now, for the broker. A service that ends reads on,
    /// for acks, and throws away what is published.
    pub(crate) fn next(&mut self, now: Time, draining: bool) -> Option<Command> {
        if let Some((_, command)) = self.driver.pop_front_if(|entry| entry.0 <= now) {
            return Some(command);
        }
        while !self.closing && (draining || !self.paused) {
            let (_, command) = self.lane.pop_front_if(|entry| entry.0 <= now)?;
            let publishes = matches!(
                command,
                Command::Publish { .. }
                    | Command::PublishWithReceipt { .. }
                    | Command::Receipt { .. }
                    | Command::Barrier { .. }
                    | Command::Reserve { .. }
            );
            if !draining || !publishes {
                return Some(command);
            }
        }
        None
    }

    pub(crate) fn wake(&mut self) {
        (self.asleep, self.tidy) = (None, true);
    }

    pub(crate) fn settle(&mut self, now: Time, settings: &Settings, rng: &mut Rng) {
        self.take(now, settings, rng);
        if !self.left {
            self.acknowledge(now, settings, rng);
        }
    }

    pub(crate) fn next_at(&self, draining: bool) -> Option<Time> {
        let lane = if self.paused && !draining { None } else { self.lane.front().map(|entry| entry.0) };
        let driver = self.driver.front().map(|entry| entry.0);
        let comes = [self.inbox.front().map(|entry| entry.0), self.unread.front().map(|entry| entry.0)];
        comes.into_iter().chain([driver, lane]).flatten().min()
    }
}

fn late(now: Time, delay: usize, last: Option<Time>, rng: &mut Rng) -> Time {
    let at = now + Duration::from_micros(rng.below(delay + 1) as u64);
    last.map_or(at, |last| last.max(at))
}
