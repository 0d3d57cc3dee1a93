//! The prefetch of a subscription that names none.

use super::retry::{ack, nack};
use super::{Bench, check, manual};
use crate::{ChannelRule, Command, Delivery, Event, Limits, Pattern, SubscriptionId, cost};
use bytes::Bytes;
use std::time::Duration;

/// Number of messages that a subscriber of the pattern gets of 150 in `/queue/a`.
fn got(limits: Limits, rules: Vec<ChannelRule>, pattern: &'static str, named: u32) -> usize {
    let mut bench = Bench::with_rules(limits, rules);
    bench.publish(2, "/queue/a", &["x"; 150]);
    bench.subscribe_with(1, pattern, manual(named));
    let status = bench.broker.status(bench.now, &crate::StatusQuery::top(100));
    status.connections.iter().map(|row| row.unacked).sum()
}

#[test]
fn a_subscription_that_names_no_prefetch_has_that_of_the_setting_and_zero_is_no_limit() {
    assert_eq!(got(Limits::default(), Vec::new(), "/queue/a", 0), 100);
    for (setting, expected) in [(1, 1), (149, 149), (150, 150), (151, 150), (0, 150), (u32::MAX, 150)] {
        let limits = Limits { prefetch: setting, ..Limits::default() };
        assert_eq!(got(limits.clone(), Vec::new(), "/queue/a", 0), expected, "{setting}");
        assert_eq!(got(limits, Vec::new(), "/queue/a", 7), 7, "one that is named is in force");
    }
}

#[test]
fn the_first_rule_that_matches_a_subscription_says_its_prefetch() {
    let rule = |pattern: &'static str, prefetch| ChannelRule { prefetch, ..ChannelRule::new(Pattern::new(pattern)) };
    let rules = || vec![rule("/queue/a", Some(3)), rule("/queue/>", Some(0)), rule(">", Some(9))];
    assert_eq!(got(Limits::default(), rules(), "/queue/a", 0), 3);
    assert_eq!(got(Limits::default(), rules(), "/queue/*", 0), 150);
    assert_eq!(got(Limits::default(), vec![rule("/queue/a", None), rule("/queue/>", Some(5))], "/queue/a", 0), 100);
}

#[test]
fn a_prefetch_without_limit_leaves_the_bounds_of_the_outbox() {
    let mut bench = Bench::new(Limits { prefetch: 0, outbox_messages: 2, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(0));
    check(&bench.publish(2, "/queue/a", &["0", "1", "2", "3"]), &["1:0", "1:1"]);
    check(&bench.credit(1, 10), &["1:2", "1:3"]);
}

const QUEUES: u32 = 20;

/// Consumers with any prefetch that are given all that a publisher has until it waits. Connection 1 has them, or each its own.
fn with_unacked(connections: u64) -> (Bench, Vec<(u64, u64)>) {
    let delivery = Delivery { max_deliveries: 0, redelivery_backoff: Duration::from_secs(1), ..Delivery::default() };
    let memory = 100 * cost::CONNECTION + (8 << 20);
    let mut bench = Bench::with_rules(Limits { connections: 100, memory, delivery, ..Limits::default() }, Vec::new());
    let name = |number: u32| Bytes::from(format!("/queue/{number}"));
    for number in 0..QUEUES {
        let subscribe =
            Command::Subscribe { subscription: SubscriptionId(number), pattern: name(number), ack: manual(u32::MAX) };
        bench.send(1 + u64::from(number) % connections, subscribe);
    }
    let mut packer = crate::Packer::default();
    (0..250).for_each(|_| packer.push(b"x"));
    let batch = packer.finish().expect("messages");
    let mut given = Vec::new();
    for round in 0..50_000 {
        let events = bench.send(9, Command::Publish { channel: name(round % QUEUES), batch: batch.clone() });
        take(&mut bench, events, &mut given);
        if bench.broker.totals().paused > 0 || given.len() > 200_000 {
            break;
        }
    }
    (bench, given)
}

/// Credits what is delivered, and notes its tags.
fn take(bench: &mut Bench, mut events: Vec<Event>, given: &mut Vec<(u64, u64)>) {
    while !events.is_empty() {
        let mut more = Vec::new();
        for event in events {
            if let Event::Deliver { connection, batch, tag: Some(tag), .. } = event {
                given.extend((0..batch.len() as u64).map(|at| (connection.0, tag.0 + at)));
                more.extend(bench.credit(connection.0, batch.bytes()));
            }
        }
        events = more;
    }
}

#[test]
fn messages_of_many_subscriptions_that_come_back_one_by_one_take_a_quarter_of_the_memory_more_than_it_has() {
    for connections in [1, 7] {
        let (mut bench, given) = with_unacked(connections);
        let limit = bench.broker.budget.limit();
        let most = bench.broker.most_together as usize;
        assert!((most..most + 250 * QUEUES as usize).contains(&given.len()), "{} of {most}", given.len());
        let mut sent = 0;
        for (id, tag) in given {
            // They come back in no order, so that none has a neighbor.
            bench.send(id, nack(tag, tag));
            sent += 1;
            if sent % 1000 == 0 {
                let used = bench.broker.totals().memory;
                assert!(used <= limit + limit / 4 + limit / 16, "{used} of {limit} after {sent}");
            }
        }
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn all_is_consumed_though_subscriptions_get_few_messages_at_a_time() {
    let (mut bench, mut given) = with_unacked(3);
    let mut acked = 0;
    while let Some((id, tag)) = given.pop() {
        let events = bench.send(id, ack(tag, tag));
        take(&mut bench, events, &mut given);
        acked += 1;
    }
    assert_eq!((bench.broker.waiting(), bench.broker.totals().paused), (0, 0), "after {acked}");
    bench.is_at_rest();
}
