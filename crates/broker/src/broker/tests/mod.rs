mod ack_passes;
mod ack_timeout;
mod acks;
mod attributes;
mod budget;
mod dead;
mod dead_memory;
mod delivery_rules;
mod departed;
mod draining;
mod durable;
mod durable_ended;
mod durable_lists;
mod durable_names;
mod exclusive;
mod expire;
mod finish;
mod found;
mod groups;
mod groups_end;
mod knot;
mod knot_memory;
mod listing;
mod making;
mod making_memory;
mod moving;
mod moving_counts;
mod overflow;
mod overflow_postponed;
mod parting;
mod passes;
mod paused;
mod prefetch;
mod priority;
mod queue_pause;
mod receipts;
mod report;
mod retain;
mod retain_room;
mod retry;
mod rules;
mod slow;
mod steps;
mod subscription_memory;
mod temporary;
mod topics;
mod unsubscribe;
mod work;

use super::Broker;
use crate::{
    AckMode, Batch, ChannelRule, CloseReason, Command, ConnectionId, Delivery, DeliveryTag, Event, Limits, Packer,
    Pattern, PauseReason, StatusQuery, SubscriptionId, Time, cost,
};
use std::time::Duration;

fn manual(prefetch: u32) -> AckMode {
    AckMode::Manual { prefetch }
}

/// A broker with connections 1, 2, ... and what came out of it.
struct Bench {
    broker: Broker,
    now: Time,
}

fn small() -> Limits {
    Limits { outbox: 100, window: 1000, queue: 100, message: 1000, connections: 100, ..Limits::default() }
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        // Nacked messages come again at once, unless a test says otherwise.
        let delivery = Delivery { redelivery_backoff: Duration::ZERO, ..limits.delivery };
        Bench::with_rules(Limits { delivery, ..limits }, Vec::new())
    }

    fn with_rules(limits: Limits, rules: Vec<ChannelRule>) -> Bench {
        let mut bench = Bench { broker: Broker::new(limits, rules), now: Time::ZERO };
        for id in 1..=9 {
            bench.send(id, Command::Connect { transport_acks: false });
        }
        bench
    }

    fn send(&mut self, id: u64, command: Command) -> Vec<Event> {
        self.broker.handle(self.now, ConnectionId(id), command);
        self.events()
    }

    /// Nothing is buffered, and the books are right.
    #[track_caller]
    fn is_at_rest(&self) {
        let totals = self.broker.totals();
        assert_eq!(totals.memory, self.broker.audit(), "the sum of what is charged");
        let status = self.broker.status(self.now, &StatusQuery::top(usize::MAX));
        let outboxes = status.connections.iter().map(|c| c.outbox + c.unacked + c.unacknowledged).sum::<usize>();
        let channels = status.channels.iter().map(|channel| channel.bytes).sum::<usize>();
        assert_eq!((outboxes, channels, self.broker.waiting()), (0, 0, 0), "what is buffered");
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.broker.poll()).collect()
    }

    /// As a caller does who is on time for every timeout.
    fn pass(&mut self, millis: u64) -> Vec<Event> {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.broker.poll_timeout().filter(|&due| due <= end) {
            self.now = due;
            self.broker.handle_timeout(due);
        }
        self.now = end;
        self.events()
    }

    fn subscribe(&mut self, id: u64, pattern: &'static str) -> Vec<Event> {
        self.subscribe_with(id, pattern, AckMode::Auto)
    }

    fn subscribe_with(&mut self, id: u64, pattern: &'static str, ack: AckMode) -> Vec<Event> {
        self.send(id, Command::Subscribe { subscription: SubscriptionId(0), pattern: pattern.into(), ack })
    }

    fn publish(&mut self, id: u64, channel: &'static str, bodies: &[&str]) -> Vec<Event> {
        let mut packer = Packer::default();
        bodies.iter().for_each(|body| packer.push(body.as_bytes()));
        self.send(id, Command::Publish { channel: channel.into(), batch: packer.finish().unwrap() })
    }

    /// Messages in a queue without consumers take all memory.
    fn fill_memory(&mut self, id: u64) {
        let body = "x".repeat(self.broker.budget.free());
        self.publish(id, "/queue/full", &[&body]);
        assert_eq!(self.broker.budget.free(), 0);
    }

    fn credit(&mut self, id: u64, bytes: usize) -> Vec<Event> {
        self.send(id, Command::Credit { bytes })
    }
}

/// "1:a" for message a to connection 1; other events by name.
fn brief(events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    for event in events {
        match event {
            Event::Deliver { connection, batch, .. } => {
                lines.extend(batch.iter().map(|body| format!("{}:{}", connection.0, body.escape_ascii())));
            }
            Event::Barrier { connection, .. } => lines.push(format!("barrier {}", connection.0)),
            Event::Receipt { connection, .. } => lines.push(format!("receipt {}", connection.0)),
            Event::Refused { refusal, .. } => lines.push(format!("refused: {refusal}")),
            Event::Pause { connection, .. } => lines.push(format!("pause {}", connection.0)),
            Event::Resume { connection } => lines.push(format!("resume {}", connection.0)),
            Event::Recall { connection } => lines.push(format!("recall {}", connection.0)),
            Event::Close { connection, reason } => lines.push(format!("close {}: {reason}", connection.0)),
            Event::Slow { connection } => lines.push(format!("slow {}", connection.0)),
            Event::Ended { connection, subscription } => {
                lines.push(format!("ended {}: {}", connection.0, subscription.0));
            }
            Event::Lapsed { .. } => {}
            Event::Rejected { connection, channel, messages, refusal } => {
                lines.push(format!("rejected {messages} of {} to {}: {refusal}", connection.0, channel.escape_ascii()));
            }
            // Its tests look at the event itself.
            Event::Moved { .. } => {}
            Event::Unconfirmed { connection, receipt, .. } => {
                let receipts = receipt.iter().map(|body| body.escape_ascii().to_string());
                lines.extend(receipts.map(|receipt| format!("unconfirmed {}: {receipt}", connection.0)));
            }
        }
    }
    lines
}

#[track_caller]
fn check(events: &[Event], expected: &[&str]) {
    assert_eq!(brief(events), expected);
}

#[test]
fn a_topic_gives_every_message_to_every_subscriber_a_publisher_included() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    bench.subscribe(2, "/topic/a");
    check(&bench.publish(1, "/topic/a", &["x", ""]), &["1:x", "1:", "2:x", "2:"]);
}

#[test]
fn subscribers_of_a_topic_share_one_buffer_and_the_budget_counts_it_once() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    bench.subscribe(2, "/topic/a");
    let idle = bench.broker.totals().memory;
    bench.publish(3, "/topic/a", &["12345678"]);
    let memory = |bench: &Bench| bench.broker.totals().memory - idle;
    assert_eq!(memory(&bench), cost::buffer(12) + 2 * cost::ENTRY);
    bench.credit(1, 12);
    assert_eq!(memory(&bench), cost::buffer(12) + cost::ENTRY);
    bench.credit(2, 12);
    bench.is_at_rest();
}

#[test]
fn queues_dispatch_round_robin_newest_subscriber_first() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.subscribe(2, "/queue/a");
    check(&bench.publish(3, "/queue/a", &["0", "1", "2"]), &["2:0", "2:2", "1:1"]);
    check(&bench.publish(4, "/queue/a", &["3"]), &["1:3"]);
    bench.subscribe(5, "/queue/a");
    check(&bench.publish(4, "/queue/a", &["4", "5", "6", "7"]), &["5:4", "5:7", "2:5", "1:6"]);
}

#[test]
fn a_consumer_without_room_is_skipped_and_its_turn_is_not_saved() {
    let mut bench = Bench::new(small());
    bench.subscribe(1, "/queue/a");
    bench.subscribe(2, "/queue/a");
    let long: &'static str = "x".repeat(96).leak();
    bench.publish(3, "/queue/a", &[long]);
    check(&bench.publish(3, "/queue/a", &["12345678", "a", "b"]), &["1:12345678", "1:a", "1:b"]);
    bench.credit(2, 100);
    check(&bench.publish(3, "/queue/a", &["c", "d"]), &["1:c", "2:d"]);
}

#[test]
fn what_was_not_wholly_written_goes_back_to_the_head_of_the_queue_in_order() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.subscribe(2, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1", "2", "3", "4", "5"]);
    bench.credit(2, 7);
    check(&bench.send(2, Command::Disconnect), &["1:2", "1:4"]);
    bench.send(1, Command::Disconnect);
    check(&bench.subscribe(4, "/queue/a"), &["4:1", "4:2", "4:3", "4:4", "4:5"]);
}

#[test]
fn a_consumer_that_takes_no_byte_for_the_write_timeout_loses_its_unwritten_messages_until_it_takes_one() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.credit(1, 2);
    check(&bench.pass(9_999), &[]);
    check(&bench.pass(1), &["recall 1"]);
    check(&bench.send(1, Command::Recalled { kept: 3 }), &[]);
    check(&bench.subscribe(2, "/queue/a"), &["2:1", "2:2"]);
    check(&bench.publish(3, "/queue/a", &["3"]), &["2:3"]);
    bench.credit(1, 3);
    check(&bench.publish(3, "/queue/a", &["4", "5"]), &["2:4", "1:5"]);
}

#[test]
fn a_queue_without_consumers_buffers_up_to_its_bound_then_pauses_its_publishers() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    check(&bench.publish(1, "/queue/a", &["0", "1", "2"]), &["pause 1"]);
    check(&bench.publish(1, "/topic/b", &["later"]), &[]);
    check(&bench.publish(2, "/queue/b", &["0"]), &[]);
    check(&bench.subscribe(3, "/queue/a"), &["3:0", "3:1", "3:2", "resume 1"]);
}

#[test]
fn an_empty_queue_takes_one_message_of_any_legal_size() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    check(&bench.publish(1, "/queue/a", &["longer than the bound"]), &[]);
    check(&bench.publish(1, "/queue/a", &["x"]), &["pause 1"]);
}

#[test]
fn what_a_publisher_sent_before_it_left_is_not_lost() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    check(&bench.send(1, Command::Disconnect), &[]);
    check(&bench.subscribe(3, "/queue/a"), &["3:0", "3:1", "3:2"]);
    bench.credit(3, 15);
    bench.is_at_rest();
}

#[test]
fn acks_prefetch_and_nack() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", AckMode::Manual { prefetch: 2 });
    check(&bench.publish(3, "/queue/a", &["0", "1", "2"]), &["1:0", "1:1"]);
    bench.credit(1, 10);
    check(&bench.send(1, Command::Ack { first: DeliveryTag(1), last: DeliveryTag(1) }), &["1:2"]);
    check(&bench.send(1, Command::Nack { first: DeliveryTag(2), last: DeliveryTag(2), requeue: true }), &["1:1"]);
    check(
        &bench.send(1, Command::Ack { first: DeliveryTag(2), last: DeliveryTag(2) }),
        &["refused: no message waits for an ack under tag 2"],
    );
    bench.credit(1, 10);
    bench.send(1, Command::Disconnect);
    check(&bench.subscribe(2, "/queue/a"), &["2:1", "2:2"]);
    bench.credit(2, 10);
    bench.is_at_rest();
}

#[test]
fn a_barrier_comes_back_behind_everything_that_waits() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    bench.publish(1, "/topic/a", &["x"]);
    check(&bench.send(1, Command::Barrier { batch: Batch::one(b"ping") }), &["barrier 1"]);
    bench.credit(1, 13);
    bench.is_at_rest();
}

#[test]
fn a_barrier_waits_behind_what_is_paused() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    check(&bench.send(1, Command::Barrier { batch: Batch::one(b"ping") }), &[]);
    check(&bench.subscribe(3, "/queue/a"), &["3:0", "3:1", "3:2", "barrier 1", "resume 1"]);
}

#[test]
fn finish_sends_what_waits_first() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    bench.publish(2, "/topic/a", &["x"]);
    check(&bench.send(1, Command::Finish), &[]);
    check(&bench.publish(2, "/topic/a", &["not any more"]), &[]);
    check(&bench.credit(1, 5), &["close 1: finished"]);
}

#[test]
fn draining_delivers_what_waits_and_closes() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.publish(2, "/queue/a", &["x"]);
    bench.broker.drain(bench.now);
    let closed = brief(&bench.events());
    assert!(!closed.iter().any(|line| line.starts_with("close 1")), "{closed:?}");
    check(&bench.credit(1, 5), &["close 1: the broker is shutting down"]);
}

/// A budget of so many bytes beside what is set aside for connections.
fn with_memory(bytes: usize) -> Limits {
    let limits = small();
    Limits { memory: limits.connections * cost::CONNECTION + bytes, ..limits }
}

#[test]
fn each_limit_is_refused_above_and_not_at_it() {
    let limits = Limits { channel_name: 8, message: 5, channels: 1, subscriptions: 1, connections: 9, ..small() };
    let mut bench = Bench::new(limits);
    check(&bench.subscribe(1, "/queue/a"), &[]);
    check(
        &bench.send(10, Command::Connect { transport_acks: false }),
        &["refused: there are 9 connections already (limit: connections)"],
    );
    let second = Command::Subscribe { subscription: SubscriptionId(1), pattern: "b".into(), ack: AckMode::Auto };
    check(&bench.send(1, second), &["refused: the connection has 1 subscriptions already (limit: subscriptions)"]);
    check(&bench.subscribe(2, "/queue/b"), &["refused: there are 1 channels already (limit: channels)"]);
    let name = "refused: a channel name of 9 bytes is over the limit of 8 (limit: channel-name)";
    check(&bench.subscribe(2, "/queue/ab"), &[name]);
    check(&bench.publish(2, "/queue/a", &["12345"]), &["1:12345"]);
    let long = "refused: a message of 6 bytes is over the limit of 5 (limit: message)";
    check(&bench.publish(2, "/queue/a", &["123456"]), &[long]);
}

#[test]
fn a_channel_with_nobody_and_nothing_in_it_is_forgotten() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.publish(2, "/queue/a", &["x"]);
    bench.credit(1, 5);
    assert_eq!(bench.broker.totals().channels, 1);
    bench.send(1, Command::Disconnect);
    assert_eq!(bench.broker.totals().channels, 0);
}

#[test]
fn a_publisher_finds_its_channel_again_after_another_took_the_slot() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    check(&bench.publish(2, "/queue/a", &["x"]), &["1:x"]);
    bench.credit(1, 5);
    bench.send(1, Command::Disconnect);
    assert_eq!(bench.broker.totals().channels, 0);
    check(&bench.publish(2, "/queue/a", &["y"]), &[]);
    check(&bench.subscribe(3, "/queue/a"), &["3:y"]);
    bench.credit(3, 5);
    bench.send(3, Command::Disconnect);
    bench.subscribe(4, "/queue/b");
    check(&bench.publish(2, "/queue/a", &["z"]), &[]);
    check(&bench.subscribe(5, "/queue/a"), &["5:z"]);
    check(&bench.publish(2, "/queue/b", &["b"]), &["4:b"]);
    check(&bench.publish(2, "/queue/a", &["a"]), &["5:a"]);
}
