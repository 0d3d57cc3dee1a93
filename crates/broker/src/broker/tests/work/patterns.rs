//! Work with all that a pattern matches.

use super::{Case, MANUAL, MANY, NOW, ONE, STEPS, broker, case, command, publish, rest, subscribe_to};
use crate::slots::looks;
use crate::{AckMode, Batch, Broker, Command, ConnectionId};

/// Connection 1 subscribes to so many topics.
fn with_topics(topics: usize) -> Broker {
    let mut broker = broker();
    (0..topics).for_each(|topic| subscribe_to(&mut broker, 1, topic, format!("/topic/{topic}"), AckMode::Auto));
    broker
}

pub(super) fn subscribe(others: usize) -> Case {
    let (subscription, pattern) = (ONE, "/topic/*".into());
    command(with_topics(others), STEPS, 2, Command::Subscribe { subscription, pattern, ack: AckMode::Auto })
}

fn durable() -> Command {
    let queue = "/queue/subscription/me/x".into();
    Command::SubscribeDurable { subscription: ONE, queue, source: "/topic/*".into(), ack: MANUAL }
}

pub(super) fn subscribe_durable(others: usize) -> Case {
    command(with_topics(others), STEPS, 2, durable())
}

/// Connection 1 has so many subscriptions to a pattern.
fn with_patterns(others: usize, pattern: &'static str) -> Broker {
    let mut broker = broker();
    (0..others).for_each(|number| subscribe_to(&mut broker, 1, number, pattern, AckMode::Auto));
    broker
}

pub(super) fn publish_to_a_new_topic(others: usize) -> Case {
    let publish = Command::Publish { channel: "/topic/new".into(), batch: Batch::one(b"x") };
    command(with_patterns(others, "/topic/*"), STEPS, 2, publish)
}

pub(super) fn subscribe_to_a_new_queue(others: usize) -> Case {
    let (subscription, pattern) = (ONE, "/queue/new".into());
    command(with_patterns(others, "/queue/*"), STEPS, 2, Command::Subscribe { subscription, pattern, ack: MANUAL })
}

/// It has so many messages, and is fed by as many topics.
pub(super) fn end_durable(others: usize) -> Case {
    let mut broker = with_topics(others);
    broker.handle(NOW, ConnectionId(2), durable());
    for topic in 0..others {
        let (channel, batch) = (format!("/topic/{topic}").into(), Batch::one(b"x"));
        broker.handle(NOW, ConnectionId(2), Command::Publish { channel, batch });
    }
    command(broker, STEPS, 2, Command::EndDurable { queue: "/queue/subscription/me/x".into() })
}

/// Levels of names and patterns: so many that there are [`MANY`] different patterns that match.
const LEVELS: usize = 14;

/// A name that each pattern of [`with_distinct_patterns`] matches, but for its last level.
fn name(number: usize) -> String {
    format!("/topic{}/{number}", "/x".repeat(LEVELS))
}

/// Connection 1 subscribes to so many patterns with this last level, no two of which are the same.
fn with_distinct_patterns(patterns: usize, last: &str) -> Broker {
    let mut broker = broker();
    for number in 0..patterns {
        let levels = (0..LEVELS).map(|level| if number >> level & 1 == 0 { "/*" } else { "/x" });
        let pattern = format!("/topic{}/{last}", levels.collect::<String>());
        subscribe_to(&mut broker, 1, number, pattern, AckMode::Auto);
    }
    rest(&mut broker);
    broker
}

/// Rows that are looked at.
fn looked_at(work: impl FnOnce()) -> u64 {
    let before = looks::so_far();
    work();
    looks::so_far() - before
}

#[test]
fn the_first_publish_to_a_topic_costs_as_much_for_each_of_many_different_patterns_as_for_each_of_few() {
    let rows = |patterns: usize| {
        let mut broker = with_distinct_patterns(patterns, "*");
        let rows = looked_at(|| {
            publish(&mut broker, 2, name(0));
            rest(&mut broker);
        });
        println!("{patterns}: {rows}");
        assert_eq!(broker.totals().delivered, 0, "it is handed out, and not written");
        rows
    };
    let (one, some, many) = (rows(1), rows(1_000), rows(MANY));
    assert!(some > one);
    assert!(many * 1_000 <= some * MANY as u64 * 5 / 4, "{some} rows beside 1,000 patterns, {many} beside {MANY}");
}

#[test]
fn a_search_in_the_patterns_for_each_of_many_topics_is_part_of_the_work_of_a_call() {
    const TOPICS: usize = 2_000;
    // Connection 2 has them behind a message that waits for room.
    let rows = |patterns: usize| {
        let mut broker = with_distinct_patterns(patterns, "other");
        broker.limits.queue = 5;
        (0..2).for_each(|_| publish(&mut broker, 2, "/queue/full"));
        (0..TOPICS).for_each(|number| publish(&mut broker, 2, name(number)));
        assert_eq!(broker.waiting(), 2 + TOPICS);
        let Case { mut broker, call } = case(broker, 4096, |broker| _ = broker.purge(NOW, b"/queue/full"));
        let rows = looked_at(|| call(&mut broker));
        assert!(broker.waiting() > TOPICS / 2, "more than one call does");
        rows
    };
    let (few, many) = (rows(10), rows(5_000));
    println!("{few}, {many}");
    assert!(many <= 3 * few, "{few} rows beside 10 patterns, {many} beside 5,000");
}
