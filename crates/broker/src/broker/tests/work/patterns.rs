//! Work with all that a pattern matches.

use super::{Case, MANUAL, MANY, NOW, ONE, STEPS, broker, case, command, connect, publish, rest, subscribe_to};
use crate::slots::looks;
use crate::{AckMode, Batch, Broker, Command, ConnectionId, Event, SubscriptionId};

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

#[test]
fn one_call_looks_at_few_nodes_however_many_patterns_agree_with_a_name_and_what_nothing_matches_is_remembered() {
    for patterns in [1, 1_000, MANY] {
        let mut broker = with_distinct_patterns(patterns, "other");
        let first = looked_at(|| publish(&mut broker, 2, name(0)));
        // A search ends after some thousand nodes, and the rest of the call goes on with it.
        assert!(first <= 4 * 4096, "{first} rows beside {patterns}");
        while broker.poll_timeout() == Some(NOW) {
            while broker.poll().is_some() {}
            let next = looked_at(|| broker.handle_timeout(NOW));
            assert!(next <= 17_000, "{next} rows beside {patterns}");
        }
        let again = looked_at(|| publish(&mut broker, 2, name(0)));
        assert!(again <= 100, "{again} rows beside {patterns} for a name that nothing matched a moment ago");
        assert_eq!(broker.totals().dropped_no_subscribers, 2);
        assert_eq!(broker.totals().channels, usize::from(patterns > 1));
        assert_eq!(broker.totals().memory, broker.audit());
        // One that comes later finds it.
        subscribe_to(&mut broker, 2, 0, name(0), AckMode::Auto);
        publish(&mut broker, 2, name(0));
        rest(&mut broker);
        assert_eq!(broker.totals().dropped_no_subscribers, 2);
    }
}

#[test]
fn all_whose_patterns_a_long_search_finds_get_what_is_published_and_those_that_come_and_go_meanwhile() {
    const PATTERNS: usize = 1_000;
    for steps in [1, 40, 4096] {
        let mut broker = with_distinct_patterns(PATTERNS, "*");
        broker.set_steps_per_call(steps);
        publish(&mut broker, 2, name(0));
        // The publisher waits, whoever comes and goes.
        assert_eq!(broker.totals().paused, 1, "in {steps}");
        let (first, last) = (SubscriptionId(0), SubscriptionId(PATTERNS as u32 - 1));
        for subscription in [first, last] {
            broker.handle(NOW, ConnectionId(1), Command::Unsubscribe { subscription });
        }
        connect(&mut broker, 3);
        // The search comes to its pattern last.
        subscribe_to(&mut broker, 3, 0, format!("/topic{}/*", "/*".repeat(LEVELS)), AckMode::Auto);
        let mut given = 0;
        loop {
            while let Some(event) = broker.poll() {
                given += usize::from(matches!(event, Event::Deliver { .. }));
            }
            if broker.poll_timeout() != Some(NOW) {
                break;
            }
            broker.handle_timeout(NOW);
        }
        assert_eq!((given, broker.totals().paused), (PATTERNS - 2 + 1, 0), "in {steps}");
        assert_eq!(broker.totals().memory, broker.audit());
    }
}
