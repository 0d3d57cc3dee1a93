//! Random commands against an oracle that only knows what a user was promised: every message of a
//! queue is wholly written to exactly one worker (but for what waited for room when its publisher
//! left and memory was used up), every publisher's messages keep their order at
//! a topic's subscriber, a retained value before those that follow it, outboxes keep their bound, and in the end
//! nothing is counted any more. Temporary queues and durable subscriptions come and end meanwhile.

mod world;

use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{AckMode, Attributes, Batch, Command, OverflowPolicy, Packer, SubscriptionId};
use world::{Peer, World};

const QUEUES: [&str; 2] = ["/queue/a", "/queue/b"];
const TOPICS: [&str; 2] = ["/topic/a", "/topic/b"];
/// Durable subscriptions, and their sources.
const DURABLE: [(&str, &str); 2] = [("/queue/subscription/a/x", TOPICS[0]), ("/queue/subscription/b/x", "/topic/>")];

#[derive(Clone, Debug)]
enum Step {
    Come {
        pattern: usize,
        explicit: bool,
    },
    ComeDurable {
        which: usize,
        explicit: bool,
    },
    EndDurable {
        who: usize,
        which: usize,
    },
    Publish {
        who: usize,
        channel: usize,
        lengths: Vec<usize>,
        retain: bool,
        /// One of few groups, if any.
        group: Option<u8>,
    },
    /// To a temporary queue of another one, which may be gone.
    Answer {
        who: usize,
        whose: usize,
        group: Option<u8>,
    },
    Barrier {
        who: usize,
    },
    Credit {
        who: usize,
        bytes: usize,
    },
    Ack {
        who: usize,
        nack: bool,
    },
    Reserve {
        who: usize,
        bytes: usize,
    },
    Leave {
        who: usize,
    },
    Finish {
        who: usize,
    },
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..8usize;
    prop_oneof![
        2 => (0..8usize, any::<bool>()).prop_map(|(pattern, explicit)| Step::Come { pattern, explicit }),
        1 => (0..2usize, any::<bool>()).prop_map(|(which, explicit)| Step::ComeDurable { which, explicit }),
        1 => (who.clone(), 0..2usize).prop_map(|(who, which)| Step::EndDurable { who, which }),
        6 => (who.clone(), 0..4usize, prop::collection::vec(8..40usize, 1..8), prop::bool::weighted(0.2), group())
            .prop_map(|(who, channel, lengths, retain, group)| Step::Publish { who, channel, lengths, retain, group }),
        2 => (who.clone(), 1..20usize, group()).prop_map(|(who, whose, group)| Step::Answer { who, whose, group }),
        1 => who.clone().prop_map(|who| Step::Barrier { who }),
        8 => (who.clone(), 1..90usize).prop_map(|(who, bytes)| Step::Credit { who, bytes }),
        3 => (who.clone(), any::<bool>()).prop_map(|(who, nack)| Step::Ack { who, nack }),
        1 => (who.clone(), 0..300usize).prop_map(|(who, bytes)| Step::Reserve { who, bytes }),
        1 => who.clone().prop_map(|who| Step::Leave { who }),
        1 => who.prop_map(|who| Step::Finish { who }),
        2 => (1..12_000u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

fn group() -> impl Strategy<Value = Option<u8>> {
    prop::option::weighted(0.4, 0..3u8)
}

/// Attributes of messages to retain.
fn retained() -> Arc<Attributes> {
    let mut attributes = Attributes::default();
    attributes.retain = true;
    Arc::new(attributes)
}

/// Attributes of messages of a group, if it is one, which may be to retain.
fn attributes(group: Option<u8>, retain: bool) -> Option<Arc<Attributes>> {
    let mut attributes = Attributes::default().with_group(group.map(|group| vec![b'g', group].into()));
    attributes.retain = retain;
    (retain || group.is_some()).then(|| Arc::new(attributes))
}

impl World {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Come { pattern, explicit } => {
                let id = self.next_id;
                self.next_id += 1;
                self.peers.insert(id, Peer::default());
                self.send(id, Command::Connect { transport_acks: false });
                let own = format!("/queue/temp/{id}/>");
                let patterns = [QUEUES[0], QUEUES[1], "/queue/*", TOPICS[0], TOPICS[1], "/topic/>", "/null", &own];
                let ack = if explicit { AckMode::Manual { prefetch: 3 } } else { AckMode::Auto };
                let pattern = patterns[pattern].to_owned().into();
                self.send(id, Command::Subscribe { subscription: SubscriptionId(0), pattern, ack });
            }
            Step::ComeDurable { which, explicit } => {
                let id = self.next_id;
                self.next_id += 1;
                self.peers.insert(id, Peer::default());
                self.send(id, Command::Connect { transport_acks: false });
                let ack = if explicit { AckMode::Manual { prefetch: 3 } } else { AckMode::Auto };
                let (queue, source) = DURABLE[which];
                let (queue, source, subscription) = (queue.into(), source.into(), SubscriptionId(0));
                self.send(id, Command::SubscribeDurable { subscription, queue, source, ack });
            }
            Step::EndDurable { who, which } => {
                if let Some(id) = self.pick(who) {
                    self.send(id, Command::EndDurable { queue: DURABLE[which].0.into() });
                }
            }
            Step::Answer { who, whose, group } => {
                let Some(id) = self.pick(who) else { return };
                if self.peers[&id].held || self.peers[&id].finished {
                    return;
                }
                let body = b"an answer".to_vec();
                let batch = Batch::one(&body).with_attributes(attributes(group, false));
                self.peers.get_mut(&id).unwrap().sent.push((body, false));
                self.send(id, Command::Publish { channel: format!("/queue/temp/{whose}/x").into(), batch });
            }
            Step::Publish { who, channel, lengths, retain, group } => {
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
                let batch = packer.finish().unwrap().with_attributes(attributes(group, retain));
                self.send(id, Command::Publish { channel: channel.into(), batch });
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
                let Some((tag, body, queue)) = peer.unacked.pop_front() else { return };
                if nack {
                    self.send(id, Command::Nack { first: tag, last: tag, requeue: true });
                } else {
                    if queue {
                        *self.consumed.entry(body).or_default() += 1;
                    }
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

    /// Ends the durable subscriptions, and clears the retained values.
    fn end_and_clear(&mut self, id: u64) {
        for (queue, _) in DURABLE {
            self.send(id, Command::EndDurable { queue: queue.into() });
        }
        for topic in TOPICS {
            let batch = Batch::one(b"").with_attributes(retained());
            self.send(id, Command::Publish { channel: topic.into(), batch });
        }
        self.rest();
    }

    /// Everybody leaves, one worker comes who reads all; then the books must balance.
    fn close(&mut self) {
        while let Some(id) = self.pick(0) {
            self.leave(id);
            self.rest();
        }
        self.apply(Step::Come { pattern: 2, explicit: false });
        let last = self.pick(0).unwrap();
        // Nobody else could free the memory that these have.
        self.end_and_clear(last);
        while !self.peers[&last].coming.is_empty() {
            self.credit(last, 1000);
            self.rest();
        }
        for body in &self.published_to_queues {
            let wanted = if self.dropped_publisher_gone.contains(body) { None } else { Some(&1) };
            assert_eq!(self.consumed.get(body), wanted, "deliveries of {}", body.escape_ascii());
        }
        assert_eq!(self.consumed.len() + self.dropped_publisher_gone.len(), self.published_to_queues.len());
        // Connections that have left may have retained something meanwhile.
        self.end_and_clear(last);
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
