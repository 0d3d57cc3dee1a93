//! The broker, its peers, and what must hold of what they get.

use super::QUEUES;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use switchboard_broker::{
    Broker, Command, ConnectionId, Delivery, DeliveryTag, Event, Limits, OverflowPolicy, Refusal, StatusQuery, Time,
};

const OUTBOX: usize = 120;
const CONNECTIONS: usize = 64;

/// A message that was delivered and is not written yet.
pub(super) struct Coming {
    body: Vec<u8>,
    tag: Option<DeliveryTag>,
    /// It is given to one consumer.
    queue: bool,
    /// Its topic, and whether it is the retained value.
    topic: Option<(Vec<u8>, bool)>,
}

impl Coming {
    fn size(&self) -> usize {
        self.body.len() + 4
    }
}

#[derive(Default)]
pub(super) struct Peer {
    /// Unwritten messages as they were delivered, and bytes written of the first.
    pub(super) coming: VecDeque<Coming>,
    pub(super) written: usize,
    pub(super) unacked: VecDeque<(DeliveryTag, Vec<u8>, bool)>,
    /// Published bodies, in order, and whether to a queue.
    pub(super) sent: Vec<(Vec<u8>, bool)>,
    pub(super) held: bool,
    pub(super) finished: bool,
}

pub(super) struct World {
    pub(super) broker: Broker,
    pub(super) now: Time,
    pub(super) peers: BTreeMap<u64, Peer>,
    pub(super) next_id: u64,
    pub(super) next_message: u64,
    pub(super) published_to_queues: Vec<Vec<u8>>,
    pub(super) consumed: BTreeMap<Vec<u8>, usize>,
    /// Messages that waited for room in a queue when their publisher left, without memory for them.
    pub(super) dropped_publisher_gone: BTreeSet<Vec<u8>>,
    pub(super) seen: BTreeMap<(u64, Vec<u8>, Vec<u8>), u64>,
    most_in_outbox: usize,
}

impl World {
    pub(super) fn new(policy: OverflowPolicy, memory: usize, steps: usize) -> World {
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
        // The newest piece is taken beside what the driver has: half of the bound, and the piece that it was given last.
        let beyond = if policy == OverflowPolicy::DropOld { OUTBOX / 2 + OUTBOX } else { 0 };
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
            most_in_outbox: OUTBOX + beyond,
        }
    }

    pub(super) fn pick(&self, who: usize) -> Option<u64> {
        self.peers.keys().nth(who).copied()
    }

    pub(super) fn send(&mut self, id: u64, command: Command) {
        self.broker.handle(self.now, ConnectionId(id), command);
        self.drain_events();
    }

    pub(super) fn drain_events(&mut self) {
        while let Some(event) = self.broker.poll() {
            match event {
                Event::Deliver { connection, channel, batch, tag, .. } => {
                    let queue = QUEUES.iter().any(|queue| queue.as_bytes() == channel);
                    // It may have left while the event waited.
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    let headers = batch.attributes().map(|attributes| &attributes.headers);
                    let is_retained = headers.is_some_and(|headers| headers.get(b"retained") == Some(b"true"));
                    for (index, body) in batch.iter().enumerate() {
                        let tag = tag.map(|tag| DeliveryTag(tag.0 + index as u64));
                        let topic = (!channel.starts_with(b"/queue")).then(|| (channel.to_vec(), is_retained));
                        peer.coming.push_back(Coming { body: body.to_vec(), tag, queue, topic });
                    }
                }
                Event::Barrier { connection, batch } => {
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    let echo = |body: &[u8]| Coming { body: body.to_vec(), tag: None, queue: false, topic: None };
                    peer.coming.extend(batch.iter().map(echo));
                }
                Event::Receipt { connection, batch } => {
                    let written = Command::ReceiptsWritten { receipts: batch.len(), bytes: batch.bytes() };
                    self.broker.handle(self.now, connection, written);
                }
                Event::Recall { connection } => {
                    let Some(peer) = self.peers.get_mut(&connection.0) else { continue };
                    let begun = usize::from(peer.written > 0);
                    peer.coming.truncate(begun);
                    let kept = peer.coming.front().map_or(0, |message| message.size() - peer.written);
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
                Event::Unconfirmed { connection, receipt, bytes, .. } => {
                    let written = Command::ReceiptsWritten { receipts: receipt.len(), bytes };
                    self.broker.handle(self.now, connection, written);
                }
                Event::Slow { .. }
                | Event::Ended { .. }
                | Event::Lapsed { .. }
                | Event::Moved { .. }
                | Event::Rejected { .. } => {}
                Event::Close { connection, .. } => self.disconnect(connection.0),
                Event::Refused {
                    connection,
                    refusal: Refusal::Memory { .. } | Refusal::PatternMemory { .. } | Refusal::RetainedMemory { .. },
                    ..
                } => {
                    self.disconnect(connection.0);
                }
                Event::Refused { refusal: Refusal::NoDurable, .. } => {}
                // A durable queue may have ended with what one that has finished had of it, while its acks were on their way.
                Event::Refused { connection, refusal: Refusal::UnknownTag { .. }, .. }
                    if self.peers.get(&connection.0).is_none_or(|peer| peer.finished) => {}
                Event::Refused { refusal, .. } => panic!("{refusal}"),
            }
        }
        for connection in self.broker.status(self.now, &StatusQuery::top(usize::MAX)).connections {
            assert!(
                connection.gone || connection.outbox <= self.most_in_outbox,
                "an outbox of {} bytes",
                connection.outbox
            );
        }
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.disconnect(id);
        self.drain_events();
    }

    /// Goes on with what calls have left over.
    pub(super) fn rest(&mut self) {
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
    pub(super) fn disconnect(&mut self, id: u64) {
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

    /// A publisher's messages come in their order, of all topics; and of each topic its retained value is the first. What was
    /// recalled before it was written counts for nothing: it comes again, or is dropped.
    fn check_order(&mut self, subscriber: u64, channel: &[u8], is_retained: bool, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        let number = u64::from_be_bytes(body[..8].try_into().unwrap());
        for channel in [channel, b""].into_iter().take(if is_retained { 1 } else { 2 }) {
            let last = self.seen.insert((subscriber, body[8..9].to_vec(), channel.to_vec()), number);
            assert!(last.is_none_or(|last| last < number), "{number} after {last:?} at {subscriber}");
        }
    }

    pub(super) fn credit(&mut self, id: u64, bytes: usize) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let waiting: usize = peer.coming.iter().map(Coming::size).sum();
        let bytes = bytes.min(waiting - peer.written);
        peer.written += bytes;
        let mut written = Vec::new();
        while let Some(message) = peer.coming.pop_front_if(|message| peer.written >= message.size()) {
            peer.written -= message.size();
            written.push(message);
        }
        for Coming { body, tag, queue, topic } in written {
            if let Some((channel, is_retained)) = topic {
                self.check_order(id, &channel, is_retained, &body);
            }
            match tag {
                Some(tag) => self.peers.get_mut(&id).unwrap().unacked.push_back((tag, body, queue)),
                None if queue => *self.consumed.entry(body).or_default() += 1,
                None => {}
            }
        }
        self.send(id, Command::Credit { bytes });
    }
}
