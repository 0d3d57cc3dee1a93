//! Random commands against an oracle that only knows what a user was reserved_outbox: every message of a
//! queue is wholly written to exactly one worker (but for what waited for room when its publisher
//! left and memory was used up), every publisher's messages keep their order at
//! a topic's subscriber, outboxes keep their bound, and in the end nothing is counted any more.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use switchboard_broker::{
    AckMode, Batch, Broker, Command, ConnectionId, Delivery, DeliveryTag, Event, Limits, OverflowPolicy, Packer,
    Refusal, StatusQuery, SubscriptionId, Time,
};

const QUEUES: [&str; 2] = ["/queue/a", "/queue/b"];
const TOPICS: [&str; 2] = ["/topic/a", "/topic/b"];
const OUTBOX: usize = 120;
const CONNECTIONS: usize = 64;

#[derive(Clone, Debug)]
enum Step {
    Come { pattern: usize, explicit: bool },
    Publish { who: usize, channel: usize, lengths: Vec<usize> },
    Barrier { who: usize },
    Credit { who: usize, bytes: usize },
    Ack { who: usize, nack: bool },
    Reserve { who: usize, bytes: usize },
    Leave { who: usize },
    Finish { who: usize },
    Pass { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..8usize;
    prop_oneof![
        2 => (0..7usize, any::<bool>()).prop_map(|(pattern, explicit)| Step::Come { pattern, explicit }),
        6 => (who.clone(), 0..4usize, prop::collection::vec(8..40usize, 1..8))
            .prop_map(|(who, channel, lengths)| Step::Publish { who, channel, lengths }),
        1 => who.clone().prop_map(|who| Step::Barrier { who }),
        8 => (who.clone(), 1..90usize).prop_map(|(who, bytes)| Step::Credit { who, bytes }),
        3 => (who.clone(), any::<bool>()).prop_map(|(who, nack)| Step::Ack { who, nack }),
        1 => (who.clone(), 0..300usize).prop_map(|(who, bytes)| Step::Reserve { who, bytes }),
        1 => who.clone().prop_map(|who| Step::Leave { who }),
        1 => who.prop_map(|who| Step::Finish { who }),
        2 => (1..12_000u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

#[derive(Default)]
struct Peer {
    /// Unwritten messages as they were delivered: body, tag; and bytes written of the first.
    coming: VecDeque<(Vec<u8>, Option<DeliveryTag>, bool)>,
    written: usize,
    unacked: VecDeque<(DeliveryTag, Vec<u8>)>,
    /// Published bodies, in order, and whether to a queue.
    sent: Vec<(Vec<u8>, bool)>,
    held: bool,
    finished: bool,
}

struct World {
    broker: Broker,
    now: Time,
    peers: BTreeMap<u64, Peer>,
    next_id: u64,
    next_message: u64,
    published_to_queues: Vec<Vec<u8>>,
    consumed: BTreeMap<Vec<u8>, usize>,
    /// Messages that waited for room in a queue when their publisher left, without memory for them.
    dropped_publisher_gone: BTreeSet<Vec<u8>>,
    seen: BTreeMap<(u64, Vec<u8>), u64>,
}

impl World {
    fn new(policy: OverflowPolicy, memory: usize, steps: usize) -> World {
        let memory = memory + CONNECTIONS * Limits::CONNECTION;
        let limits = Limits {
            connections: CONNECTIONS,
            outbox: OUTBOX,
            window: 60,
            queue: 200,
            message: 100,
            memory,
            policy,
            delivery: Delivery { redelivery_backoff: Duration::ZERO, max_deliveries: 0, ..Delivery::default() },
            ..Limits::default()
        };
        let mut broker = Broker::new(limits, Vec::new());
        broker.set_steps_per_call(steps);
        World {
            broker,
            now: Time::ZERO,
            peers: BTreeMap::new(),
            next_id: 1,
            next_message: 0,
            published_to_queues: Vec::new(),
            consumed: BTreeMap::new(),
            dropped_publisher_gone: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    fn pick(&self, who: usize) -> Option<u64> {
        self.peers.keys().nth(who).copied()
    }

    fn send(&mut self, id: u64, command: Command) {
        self.broker.handle(self.now, ConnectionId(id), command);
        self.drain_events();
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.broker.poll() {
            match event {
                Event::Deliver { connection, channel, batch, tag, .. } => {
                    let queue = channel.starts_with(b"/queue");
                    if !queue {
                        self.check_order(connection.0, &batch);
                    }
                    // It may have left while the event waited.
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    for (index, body) in batch.iter().enumerate() {
                        let tag = tag.map(|tag| DeliveryTag(tag.0 + index as u64));
                        peer.coming.push_back((body.to_vec(), tag, queue));
                    }
                }
                Event::Barrier { connection, batch } => {
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    peer.coming.extend(batch.iter().map(|body| (body.to_vec(), None, false)));
                }
                Event::Receipt { connection, batch } => {
                    let written = Command::ReceiptsWritten { receipts: batch.len(), bytes: batch.bytes() };
                    self.broker.handle(self.now, connection, written);
                }
                Event::Recall { connection } => {
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    let begun = usize::from(peer.written > 0);
                    peer.coming.truncate(begun);
                    let kept = peer.coming.front().map_or(0, |(body, ..)| body.len() + 4 - peer.written);
                    self.broker.handle(self.now, connection, Command::Recalled { kept });
                }
                Event::Pause { connection, .. } => {
                    if let Some(peer) = self.peers.get_mut(&connection.0) {
                        assert!(!peer.held, "held twice");
                        peer.held = true;
                    }
                }
                Event::Resume { connection } => {
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    assert!(peer.held, "released though not held");
                    peer.held = false;
                }
                Event::Slow { .. } | Event::Rejected { .. } | Event::Unconfirmed { .. } | Event::Moved { .. } => {}
                Event::Close { connection, .. } => self.disconnect(connection.0),
                Event::Refused { connection, refusal: Refusal::Memory { .. }, .. } => self.disconnect(connection.0),
                Event::Refused { refusal, .. } => panic!("{refusal}"),
            }
        }
        for connection in self.broker.status(self.now, &StatusQuery::top(usize::MAX)).connections {
            assert!(connection.gone || connection.outbox <= OUTBOX, "an outbox of {} bytes", connection.outbox);
        }
    }

    fn leave(&mut self, id: u64) {
        self.disconnect(id);
        self.drain_events();
    }

    /// Goes on with what calls have left over.
    fn rest(&mut self) {
        let mut calls = 0;
        while self.broker.poll_timeout() == Some(self.now) {
            self.broker.handle_timeout(self.now);
            self.drain_events();
            calls += 1;
            assert!(calls < 10_000, "calls that lead to nothing: {:#?}", self.broker);
        }
        assert_eq!(self.broker.totals().memory, self.broker.audit());
    }

    /// Messages dropped with their publisher must be the last that it sent, and none is dropped while there is memory.
    fn disconnect(&mut self, id: u64) {
        let Some(peer) = self.peers.remove(&id) else { return };
        let before = self.broker.totals();
        self.broker.handle(self.now, ConnectionId(id), Command::Disconnect);
        let dropped = (self.broker.totals().dropped_publisher_gone - before.dropped_publisher_gone) as usize;
        let idle = (CONNECTIONS - before.connections) * Limits::CONNECTION;
        assert!(
            dropped == 0 || before.memory + idle >= before.memory_budget,
            "{dropped} dropped, though there was memory"
        );
        let rest = &peer.sent[peer.sent.len() - dropped..];
        self.dropped_publisher_gone.extend(rest.iter().filter(|(_, to_queue)| *to_queue).map(|(body, _)| body.clone()));
    }

    fn check_order(&mut self, subscriber: u64, batch: &Batch) {
        for body in batch.iter() {
            let number = u64::from_be_bytes(body[..8].try_into().unwrap());
            let last = self.seen.insert((subscriber, body[8..9].to_vec()), number);
            assert!(last.is_none_or(|last| last < number), "{number} after {last:?} at {subscriber}");
        }
    }

    fn credit(&mut self, id: u64, bytes: usize) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let waiting: usize = peer.coming.iter().map(|(body, ..)| body.len() + 4).sum();
        let bytes = bytes.min(waiting - peer.written);
        peer.written += bytes;
        while peer.coming.front().is_some_and(|(body, ..)| peer.written >= body.len() + 4) {
            let (body, tag, queue) = peer.coming.pop_front().unwrap();
            peer.written -= body.len() + 4;
            match tag {
                Some(tag) => peer.unacked.push_back((tag, body)),
                None if queue => *self.consumed.entry(body).or_default() += 1,
                None => {}
            }
        }
        self.send(id, Command::Credit { bytes });
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Come { pattern, explicit } => {
                let id = self.next_id;
                self.next_id += 1;
                self.peers.insert(id, Peer::default());
                self.send(id, Command::Connect { transport_acks: false });
                let patterns = [QUEUES[0], QUEUES[1], "/queue/*", TOPICS[0], TOPICS[1], "/topic/>", "/null"];
                let ack = if explicit { AckMode::Manual { prefetch: 3 } } else { AckMode::Auto };
                let pattern = patterns[pattern].into();
                self.send(id, Command::Subscribe { subscription: SubscriptionId(0), pattern, ack });
            }
            Step::Publish { who, channel, lengths } => {
                let Some(id) = self.pick(who) else { return };
                if self.peers[&id].held || self.peers[&id].finished {
                    return;
                }
                let channel = [QUEUES[0], QUEUES[1], TOPICS[0], TOPICS[1]][channel];
                let mut packer = Packer::default();
                for length in lengths {
                    let mut body = self.next_message.to_be_bytes().to_vec();
                    self.next_message += 1;
                    body.push(id as u8);
                    body.resize(length.max(9), b'x');
                    packer.push(&body);
                    let to_queue = channel.starts_with("/queue");
                    if to_queue {
                        self.published_to_queues.push(body.clone());
                    }
                    self.peers.get_mut(&id).unwrap().sent.push((body, to_queue));
                }
                self.send(id, Command::Publish { channel: channel.into(), batch: packer.finish().unwrap() });
            }
            Step::Barrier { who } => {
                let Some(id) = self.pick(who) else { return };
                if !self.peers[&id].held && !self.peers[&id].finished {
                    self.send(id, Command::Barrier { batch: Batch::one(b"ping") });
                    self.send(id, Command::Receipt { batch: Batch::one(b"receipt"), covers: 1, publishes: 1 });
                }
            }
            Step::Credit { who, bytes } => {
                if let Some(id) = self.pick(who) {
                    self.credit(id, bytes);
                }
            }
            Step::Ack { who, nack } => {
                let Some(id) = self.pick(who) else { return };
                let peer = self.peers.get_mut(&id).unwrap();
                let Some((tag, body)) = peer.unacked.pop_front() else { return };
                if nack {
                    self.send(id, Command::Nack { first: tag, last: tag, requeue: true });
                } else {
                    *self.consumed.entry(body).or_default() += 1;
                    self.send(id, Command::Ack { first: tag, last: tag });
                }
            }
            Step::Reserve { who, bytes } => {
                let Some(id) = self.pick(who) else { return };
                if !self.peers[&id].held && !self.peers[&id].finished {
                    self.send(id, Command::Reserve { bytes, whole: bytes });
                }
            }
            Step::Leave { who } => {
                if let Some(id) = self.pick(who) {
                    self.leave(id);
                }
            }
            Step::Finish { who } => {
                if let Some(id) = self.pick(who) {
                    self.peers.get_mut(&id).unwrap().finished = true;
                    self.send(id, Command::Finish);
                }
            }
            Step::Pass { millis } => {
                self.now = self.now + Duration::from_millis(millis);
                self.broker.handle_timeout(self.now);
                self.drain_events();
                self.rest();
            }
        }
    }

    /// Everybody leaves, one worker comes who reads all; then the books must balance.
    fn close(&mut self) {
        while let Some(id) = self.pick(0) {
            self.leave(id);
            self.rest();
        }
        self.apply(Step::Come { pattern: 2, explicit: false });
        let last = self.pick(0).unwrap();
        self.rest();
        while !self.peers[&last].coming.is_empty() {
            self.credit(last, 1000);
            self.rest();
        }
        for body in &self.published_to_queues {
            let wanted = if self.dropped_publisher_gone.contains(body) { None } else { Some(&1) };
            assert_eq!(self.consumed.get(body), wanted, "deliveries of {}", body.escape_ascii());
        }
        assert_eq!(self.consumed.len() + self.dropped_publisher_gone.len(), self.published_to_queues.len());
        self.send(last, Command::Disconnect);
        self.rest();
        let totals = self.broker.totals();
        assert_eq!((totals.memory, totals.channels, totals.connections, totals.paused), (0, 0, 0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, max_shrink_time: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_promised_holds_whatever_happens(
        steps in prop::collection::vec(step(), 1..120),
        policy in prop_oneof![
            Just(OverflowPolicy::DropNew), Just(OverflowPolicy::DropOld), Just(OverflowPolicy::Disconnect),
            Just(OverflowPolicy::Block),
        ],
        memory in prop_oneof![Just(10_000usize), Just(30_000), Just(1_000_000)],
        each in prop_oneof![Just(1usize), Just(9), Just(100_000)],
    ) {
        let mut world = World::new(policy, memory, each);
        for step in steps {
            world.apply(step);
        }
        world.close();
    }
}
