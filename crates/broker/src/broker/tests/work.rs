//! One call costs the same however much waits, and however many others there are: rows that are looked at, beside
//! few and beside many.

mod groups;
mod outbox;
mod patterns;

use crate::slots::looks;
use crate::{
    AckMode, Batch, Broker, ChannelRule, Command, ConnectionId, DeliveryTag, Limits, Page, Pattern, SubscriptionId,
    Time,
};
use bytes::Bytes;
use std::time::Duration;

/// A broker, and the call that is counted.
struct Case {
    broker: Broker,
    call: Box<dyn FnOnce(&mut Broker)>,
}

type Prepare = fn(usize) -> Case;

/// Each case, and of how many others its cost must not depend: few and many.
const CASES: [(&str, Prepare, usize, usize); 35] = [
    ("a publish beside patterns that do not match", publish_beside_patterns, 1, MANY),
    ("the first publish to a name beside patterns that do not match", publish_to_a_new_name, 1, MANY),
    ("an ack under a pattern over queues", ack_under_a_pattern, 1, MANY),
    ("a release beside paused publishers", release, 3, MANY),
    ("a release beside publishers that wait for a subscriber", release_of_a_topic, 3, MANY),
    ("a subscription beside others of its connection", subscribe, 1, MANY),
    ("the end of a subscription beside others of its connection", unsubscribe, 1, MANY),
    ("an ack beside consumers that have no room", ack_beside_full_consumers, 1, MANY),
    ("a publish beside consumers that had no room", publish_beside_full_consumers, 1, MANY),
    ("a publish to consumers that have no room any more", publish_to_full_consumers, SOME, MANY),
    ("a disconnect with subscriptions", disconnect_with_subscriptions, SOME, MANY),
    ("a disconnect with messages that wait for room", disconnect_with_pending, SOME, MANY),
    ("the end of a subscription with leases", unsubscribe_with_leases, SOME, MANY),
    ("a purge", purge, SOME, MANY),
    ("a move of messages", move_messages, SOME, MANY),
    ("the pause of a queue with consumers", pause_queue, SOME, MANY),
    ("a page of queues", list_queues, SOME, MANY),
    ("the fullest queues among topics", fullest_queues, 20_000, 50_000),
    ("a release of a connection whose messages wait", release_of_many, SOME, MANY),
    ("many time limits that are over at once", timeouts, SOME, MANY),
    ("new rules", rules, SOME, MANY),
    ("the end of the service", drain, SOME, MANY),
    ("a publish behind messages of a group whose consumer has no room", groups::publish_behind_a_group, 1, MANY),
    ("an ack behind messages of a group whose consumer has no room", groups::ack_behind_a_group, 1, MANY),
    ("an ack beside groups that wait for the same consumer", groups::ack_beside_groups, 1, MANY),
    ("an ack before messages of its group", groups::ack_before_its_group, 1, MANY),
    ("a disconnect of the consumer of groups", groups::disconnect_with_groups, SOME, MANY),
    ("a purge of groups", groups::purge_groups, SOME, MANY),
    ("an ack beside queues that wait for a full consumer", outbox::ack_of_a_full_consumer, SOME, MANY),
    ("a credit before messages that have expired", outbox::credit_before_expired, SOME, MANY),
    ("a subscription to a pattern of channels", patterns::subscribe, SOME, MANY),
    ("a durable subscription to a pattern of topics", patterns::subscribe_durable, SOME, MANY),
    ("the first publish to a topic that patterns match", patterns::publish_to_a_new_topic, SOME, MANY),
    ("a subscription to a new queue that patterns match", patterns::subscribe_to_a_new_queue, SOME, MANY),
    ("the end of a durable subscription", patterns::end_durable, SOME, MANY),
];

const MANY: usize = 10_000;
/// More than one call works on.
const SOME: usize = 500;
/// The work of one call, where more is wanted.
const STEPS: usize = 64;

const NOW: Time = Time::ZERO;
const ONE: SubscriptionId = SubscriptionId(0);
const MANUAL: AckMode = AckMode::Manual { prefetch: 1 };

fn limits() -> Limits {
    Limits { subscriptions: 1_000_000, memory: 1 << 34, ..Limits::default() }
}

fn connect(broker: &mut Broker, id: u64) {
    broker.handle(NOW, ConnectionId(id), Command::Connect { transport_acks: false });
}

fn subscribe_to(broker: &mut Broker, id: u64, number: usize, pattern: impl Into<Bytes>, ack: AckMode) {
    let subscription = SubscriptionId(number as u32);
    broker.handle(NOW, ConnectionId(id), Command::Subscribe { subscription, pattern: pattern.into(), ack });
}

fn publish(broker: &mut Broker, id: u64, channel: impl Into<Bytes>) {
    broker.handle(NOW, ConnectionId(id), Command::Publish { channel: channel.into(), batch: Batch::one(b"x") });
}

/// All that calls have left over is done, and nobody waits for an event.
fn rest(broker: &mut Broker) {
    loop {
        while broker.poll().is_some() {}
        if broker.poll_timeout() != Some(NOW) {
            return;
        }
        broker.handle_timeout(NOW);
    }
}

fn case(mut broker: Broker, steps: usize, call: impl FnOnce(&mut Broker) + 'static) -> Case {
    rest(&mut broker);
    broker.set_steps_per_call(steps);
    Case { broker, call: Box::new(call) }
}

fn command(broker: Broker, steps: usize, id: u64, command: Command) -> Case {
    case(broker, steps, move |broker| broker.handle(NOW, ConnectionId(id), command))
}

fn ack(tag: u64) -> Command {
    Command::Ack { first: DeliveryTag(tag), last: DeliveryTag(tag) }
}

/// Connections 1 and 2, and the default limits.
fn broker() -> Broker {
    broker_with(limits())
}

fn broker_with(limits: Limits) -> Broker {
    let mut broker = Broker::new(limits, Vec::new());
    connect(&mut broker, 1);
    connect(&mut broker, 2);
    broker
}

fn with_patterns(others: usize) -> Broker {
    let mut broker = broker();
    (0..others).for_each(|i| subscribe_to(&mut broker, 1, i, format!("/topic/{i}/*/x"), AckMode::Auto));
    broker
}

fn publish_beside_patterns(others: usize) -> Case {
    let mut broker = with_patterns(others);
    subscribe_to(&mut broker, 2, 0, "/topic/hot/a/b", AckMode::Auto);
    let batch = Batch::one(b"x");
    command(broker, 4096, 2, Command::Publish { channel: "/topic/hot/a/b".into(), batch })
}

fn publish_to_a_new_name(others: usize) -> Case {
    let mut broker = with_patterns(others);
    subscribe_to(&mut broker, 2, 0, "/topic/*/a/b", AckMode::Auto);
    let batch = Batch::one(b"x");
    command(broker, 4096, 2, Command::Publish { channel: "/topic/hot/a/b".into(), batch })
}

fn ack_under_a_pattern(others: usize) -> Case {
    let mut broker = broker();
    (0..others).for_each(|i| subscribe_to(&mut broker, 1, i, format!("/queue/{i}"), MANUAL));
    subscribe_to(&mut broker, 2, 0, "/queue/*", MANUAL);
    rest(&mut broker);
    publish(&mut broker, 1, "/queue/0");
    publish(&mut broker, 1, "/queue/0");
    command(broker, 4096, 2, ack(1))
}

/// Connection 1 has one byte of a queue, which is at its bound.
fn full_queue(publishers: usize) -> Broker {
    let mut broker = broker_with(Limits { queue: 5, outbox: 10, window: 5, connections: 20_000, ..limits() });
    subscribe_to(&mut broker, 1, 0, "/queue/full", AckMode::Auto);
    (0..2).for_each(|_| publish(&mut broker, 2, "/queue/full"));
    for id in 10..10 + publishers as u64 {
        connect(&mut broker, id);
        publish(&mut broker, id, "/queue/full");
    }
    assert_eq!(broker.totals().paused, publishers);
    broker
}

fn release(others: usize) -> Case {
    command(full_queue(others), 4096, 1, Command::Credit { bytes: 5 })
}

fn release_of_a_topic(others: usize) -> Case {
    let mut broker = broker_with(Limits { outbox: 10, window: 5, connections: 20_000, ..limits() });
    subscribe_to(&mut broker, 1, 0, "/topic/full", AckMode::Auto);
    (0..2).for_each(|_| publish(&mut broker, 2, "/topic/full"));
    for id in 10..10 + others as u64 {
        connect(&mut broker, id);
        publish(&mut broker, id, "/topic/full");
    }
    assert_eq!(broker.totals().paused, others);
    command(broker, 4096, 1, Command::Credit { bytes: 5 })
}

fn with_subscriptions(others: usize) -> Broker {
    let mut broker = broker();
    (0..others).for_each(|i| subscribe_to(&mut broker, 1, 1 + i, format!("/queue/{i}"), AckMode::Auto));
    broker
}

fn subscribe(others: usize) -> Case {
    let (subscription, pattern) = (ONE, "/queue/hot".into());
    command(with_subscriptions(others), 4096, 1, Command::Subscribe { subscription, pattern, ack: MANUAL })
}

fn unsubscribe(others: usize) -> Case {
    let mut broker = with_subscriptions(others);
    subscribe_to(&mut broker, 1, 0, "/queue/hot", AckMode::Auto);
    command(broker, 4096, 1, Command::Unsubscribe { subscription: ONE })
}

/// Consumers that have a message each, and may have no other.
fn full_consumers(others: usize) -> Broker {
    let mut broker = broker();
    for id in 10..10 + others as u64 {
        connect(&mut broker, id);
        subscribe_to(&mut broker, id, 0, "/queue/full", MANUAL);
        publish(&mut broker, 2, "/queue/full");
    }
    broker
}

fn ack_beside_full_consumers(others: usize) -> Case {
    let mut broker = full_consumers(others);
    // They wait in the queue.
    (0..3).for_each(|_| publish(&mut broker, 2, "/queue/full"));
    command(broker, 4096, 10, ack(1))
}

fn publish_beside_full_consumers(others: usize) -> Case {
    let mut broker = full_consumers(others);
    connect(&mut broker, 3);
    subscribe_to(&mut broker, 3, 0, "/queue/full", AckMode::Auto);
    // With these, each of the others is passed over.
    (0..3).for_each(|_| publish(&mut broker, 2, "/queue/full"));
    command(broker, 4096, 2, Command::Publish { channel: "/queue/full".into(), batch: Batch::one(b"x") })
}

fn publish_to_full_consumers(others: usize) -> Case {
    let publish = Command::Publish { channel: "/queue/full".into(), batch: Batch::one(b"x") };
    command(full_consumers(others), STEPS, 2, publish)
}

fn disconnect_with_subscriptions(others: usize) -> Case {
    let mut broker = with_subscriptions(others / 2);
    (others / 2..others).for_each(|i| subscribe_to(&mut broker, 1, 1 + i, format!("/topic/{i}/*/>"), AckMode::Auto));
    command(broker, STEPS, 1, Command::Disconnect)
}

/// Connection 10 has sent more than the queue takes.
fn pending(messages: usize) -> Broker {
    let mut broker = full_queue(1);
    (0..messages).for_each(|_| publish(&mut broker, 10, "/queue/full"));
    assert!(broker.waiting() >= messages);
    broker
}

fn disconnect_with_pending(others: usize) -> Case {
    command(pending(others), STEPS, 10, Command::Disconnect)
}

fn unsubscribe_with_leases(others: usize) -> Case {
    let mut broker = broker();
    subscribe_to(&mut broker, 1, 0, "/queue/a", AckMode::Manual { prefetch: 1 << 30 });
    (0..others).for_each(|_| publish(&mut broker, 2, "/queue/a"));
    command(broker, STEPS, 1, Command::Unsubscribe { subscription: ONE })
}

fn purge(others: usize) -> Case {
    let mut broker = broker();
    for _ in 0..others {
        // Larger than what is copied together.
        let batch = Batch::one(&[b'x'; 600]);
        broker.handle(NOW, ConnectionId(2), Command::Publish { channel: "/queue/a".into(), batch });
    }
    case(broker, STEPS, move |broker| assert_eq!(broker.purge(NOW, b"/queue/a"), Some(others)))
}

fn move_messages(others: usize) -> Case {
    let broker = purge(others).broker;
    case(broker, STEPS, move |broker| {
        let order = broker.move_messages(NOW, b"/queue/a", Some(b"/queue/b"), usize::MAX);
        assert_eq!(order.map(|order| order.messages), Ok(others));
    })
}

fn pause_queue(others: usize) -> Case {
    let mut broker = broker();
    for id in 10..10 + others as u64 {
        connect(&mut broker, id);
        subscribe_to(&mut broker, id, 0, "/queue/a", MANUAL);
    }
    case(broker, STEPS, |broker| assert!(broker.pause_queue(NOW, b"/queue/a")))
}

fn list_queues(others: usize) -> Case {
    let mut broker = broker();
    for number in 0..others {
        subscribe_to(&mut broker, 2, number, format!("/queue/{number}"), MANUAL);
    }
    case(broker, STEPS, |broker| {
        assert_eq!(broker.queues(NOW, Page::After { cursor: 0, limit: 100 }).queues.len(), 100);
    })
}

fn fullest_queues(others: usize) -> Case {
    let mut broker = broker();
    for number in 0..others {
        subscribe_to(&mut broker, 2, number, format!("/topic/{number}"), AckMode::Auto);
    }
    subscribe_to(&mut broker, 2, others, "/queue/a", MANUAL);
    case(broker, STEPS, |broker| assert_eq!(broker.queues(NOW, Page::Top(100)).queues.len(), 1))
}

fn release_of_many(others: usize) -> Case {
    case(pending(others), STEPS, |broker| {
        let queue = Some(1 << 20);
        let pattern = Pattern::new("/queue/>");
        broker.set_rules(NOW, vec![ChannelRule { queue, ..ChannelRule::new(pattern) }]);
    })
}

fn timeouts(others: usize) -> Case {
    let mut broker = broker();
    for id in 10..10 + others as u64 {
        connect(&mut broker, id);
        subscribe_to(&mut broker, id, 0, format!("/queue/{id}"), AckMode::Auto);
        publish(&mut broker, 2, format!("/queue/{id}"));
    }
    case(broker, STEPS, |broker| broker.handle_timeout(NOW + Duration::from_secs(60)))
}

fn rules(others: usize) -> Case {
    case(with_subscriptions(others), STEPS, |broker| broker.set_rules(NOW, Vec::new()))
}

fn drain(others: usize) -> Case {
    let mut broker = broker();
    (10..10 + others as u64).for_each(|id| connect(&mut broker, id));
    case(broker, STEPS, |broker| broker.drain(NOW))
}

/// The rows that the call of a case looks at.
fn rows(prepare: Prepare, others: usize) -> u64 {
    let Case { mut broker, call } = prepare(others);
    let before = looks::so_far();
    call(&mut broker);
    let rows = looks::so_far() - before;
    // Work that is left over comes to an end.
    rest(&mut broker);
    rows
}

#[test]
fn a_call_costs_the_same_beside_few_and_beside_many() {
    let mut dearer = Vec::new();
    for (name, prepare, few, many) in CASES {
        let (beside_few, beside_many) = (rows(prepare, few), rows(prepare, many));
        println!("{name}: {beside_few}, {beside_many}");
        assert!(beside_few > 0, "{name}: nothing was counted");
        // A table that is larger may be entered a little deeper.
        if beside_many > beside_few * 5 / 4 + 20 {
            dearer.push(format!("{name}: {beside_few} rows, and {beside_many} beside {many}"));
        }
    }
    assert!(dearer.is_empty(), "{dearer:#?}");
}
