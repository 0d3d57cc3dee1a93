//! Rules that change, and what is there already: a test for each row of the table in `docs/operate.md`.

use super::rule;
use crate::broker::tests::overflow::depth;
use crate::broker::tests::retry::{ack, nack};
use crate::broker::tests::{Bench, brief, check, manual, small};
use crate::{Attributes, Batch, ChannelRule, Command, Delivery, DeliveryRule, Limits, OverflowPolicy, QueueOverflow};
use std::sync::Arc;
use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn with_delivery(delivery: DeliveryRule) -> Vec<ChannelRule> {
    vec![ChannelRule { delivery, ..rule("/queue/a") }]
}

fn with_bound(queue_messages: usize, overflow: QueueOverflow) -> Vec<ChannelRule> {
    vec![ChannelRule { queue_messages: Some(queue_messages), overflow: Some(overflow), ..rule("/queue/a") }]
}

/// Consumer 1 has this message, and no other ever waits.
fn with_consumer(limits: Limits) -> Bench {
    let mut bench = Bench::with_rules(limits, Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(9));
    check(&bench.publish(3, "/queue/a", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    bench
}

#[test]
fn a_policy_reaches_publishers_that_wait_and_nothing_that_waits_for_subscribers() {
    let policy = OverflowPolicy::Block;
    let mut bench = Bench::new(Limits { policy, grace_period: Duration::ZERO, window: 1, ..small() });
    bench.subscribe(1, "/topic/a");
    let body = "x".repeat(40);
    for _ in 0..2 {
        bench.publish(2, "/topic/a", &[&body]);
    }
    check(&bench.publish(2, "/topic/a", &["new message"; 2]), &["pause 2"]);
    let drops = ChannelRule { policy: Some(OverflowPolicy::DropNew), ..rule("/topic/a") };
    let lines = brief(&bench.set_rules(vec![drops]));
    assert!(lines.contains(&"resume 2".to_owned()), "{lines:?}");
    assert_eq!(bench.broker.totals().dropped_slow, 2);
    bench.credit(1, 44);
    bench.credit(1, 44);
    bench.is_at_rest();
}

#[test]
fn a_buffer_of_another_size_reaches_publishers_that_wait_and_nothing_that_is_buffered() {
    for (buffer, resumes) in [(0, true), (1, false), (2, false), (3, true)] {
        let mut bench = Bench::new(Limits { buffer_unsubscribed: 2, ..small() });
        check(&bench.publish(1, "/topic/a", &["0", "1", "2"]), &["pause 1"]);
        let rule = ChannelRule { buffer_unsubscribed: Some(buffer), ..rule("/topic/a") };
        let lines = brief(&bench.set_rules(vec![rule]));
        assert_eq!(lines, if resumes { vec!["resume 1"] } else { vec![] }, "a buffer of {buffer}");
        let given = brief(&bench.subscribe(2, "/topic/a"));
        assert_eq!(given[..2], ["2:0", "2:1"], "a buffer of {buffer}");
    }
}

#[test]
fn a_bound_reaches_publishers_that_wait_and_drops_what_waits_only_where_the_oldest_are_dropped() {
    for (bound, waits) in [(1, true), (2, true), (3, false)] {
        let mut bench = Bench::new(Limits { queue_messages: 2, ..small() });
        check(&bench.publish(1, "/queue/a", &["0", "1", "2"]), &["pause 1"]);
        let lines = brief(&bench.set_rules(with_bound(bound, QueueOverflow::Throttle)));
        assert_eq!(lines, if waits { vec![] } else { vec!["resume 1"] }, "a bound of {bound}");
        assert_eq!(depth(&bench, "/queue/a"), if waits { 2 } else { 3 });
    }
    for overflow in [QueueOverflow::Throttle, QueueOverflow::DropOld] {
        let mut bench = Bench::new(small());
        bench.publish(1, "/queue/a", &["0", "1", "2"]);
        check(&bench.set_rules(with_bound(1, overflow)), &[]);
        assert_eq!(depth(&bench, "/queue/a"), if overflow == QueueOverflow::DropOld { 1 } else { 3 });
    }
    let mut bench = Bench::new(small());
    bench.publish(1, "/queue/dead/queue/a", &["0", "1", "2"]);
    bench.set_rules(vec![ChannelRule { queue_messages: Some(1), ..rule("/queue/dead/>") }]);
    check(&bench.subscribe(2, "/queue/dead/queue/a"), &["2:2"]);
}

#[test]
fn an_overflow_reaches_publishers_that_wait() {
    let told =
        "rejected 1 of 1 to /queue/a: the queue is at its bound of 2 messages (limits: queue-messages, overflow)";
    for (overflow, lines, kept) in [
        (QueueOverflow::Reject, &[told, "resume 1"][..], ["2:0", "2:1"]),
        (QueueOverflow::DropOld, &["resume 1"], ["2:1", "2:2"]),
    ] {
        let mut bench = Bench::new(Limits { queue_messages: 2, ..small() });
        check(&bench.publish(1, "/queue/a", &["0", "1", "2"]), &["pause 1"]);
        check(&bench.set_rules(with_bound(2, overflow)), lines);
        check(&bench.subscribe(2, "/queue/a"), &kept);
    }
}

#[test]
fn a_prefetch_reaches_subscriptions_that_come_and_none_that_are_there() {
    let mut bench = Bench::new(Limits { prefetch: 2, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(0));
    check(&bench.publish(3, "/queue/a", &["0", "1", "2", "3", "4", "5"]), &["1:0", "1:1"]);
    bench.credit(1, 10);
    check(&bench.set_rules(vec![ChannelRule { prefetch: Some(3), ..rule("/queue/a") }]), &[]);
    check(&bench.send(1, ack(1, 1)), &["1:2"]);
    check(&bench.subscribe_with(2, "/queue/a", manual(0)), &["2:3", "2:4", "2:5"]);
}

#[test]
fn a_number_of_tries_reaches_what_consumers_have() {
    for (most, is_dead) in [(1, true), (2, true), (3, false), (0, false)] {
        let delivery = Delivery { redelivery_backoff: Duration::ZERO, ..Delivery::default() };
        let mut bench = with_consumer(Limits { delivery, ..Limits::default() });
        check(&bench.send(1, nack(1, 1)), &["1:0"]);
        bench.credit(1, 5);
        bench.set_rules(with_delivery(DeliveryRule { max_deliveries: Some(most), ..DeliveryRule::default() }));
        bench.send(1, nack(2, 2));
        assert_eq!(bench.broker.totals().dead_lettered, u64::from(is_dead), "at most {most}");
    }
}

#[test]
fn a_back_off_reaches_what_consumers_have_and_none_that_has_begun() {
    let mut bench = with_consumer(Limits::default());
    check(&bench.publish(3, "/queue/a", &["1"]), &["1:1"]);
    bench.credit(1, 5);
    check(&bench.send(1, nack(1, 1)), &[]);
    let rule = DeliveryRule { redelivery_backoff: Some(millis(50)), ..DeliveryRule::default() };
    check(&bench.set_rules(with_delivery(rule)), &[]);
    check(&bench.send(1, nack(2, 2)), &[]);
    check(&bench.pass(49), &[]);
    check(&bench.pass(1), &["1:1"]);
    check(&bench.pass(949), &[]);
    check(&bench.pass(1), &["1:0"]);
    bench.credit(1, 10);
    let rule = DeliveryRule { redelivery_backoff_max: Some(millis(1)), ..DeliveryRule::default() };
    bench.set_rules(with_delivery(rule));
    bench.send(1, nack(3, 3));
    check(&bench.pass(1), &["1:1"]);
}

#[test]
fn an_ack_timeout_reaches_what_is_handed_out_and_nothing_that_consumers_have() {
    let rule = |timeout| with_delivery(DeliveryRule { ack_timeout: Some(timeout), ..DeliveryRule::default() });
    let delivery = Delivery { redelivery_backoff: Duration::ZERO, ..Delivery::default() };
    let mut bench = with_consumer(Limits { delivery, ..Limits::default() });
    bench.set_rules(rule(millis(100)));
    check(&bench.publish(3, "/queue/a", &["1"]), &["1:1"]);
    bench.credit(1, 5);
    check(&bench.pass(99), &[]);
    // The first is with it still.
    check(&bench.pass(1), &["1:1"]);
    bench.credit(1, 5);
    // One that is taken away still holds for what was handed out with it.
    bench.set_rules(rule(Duration::ZERO));
    check(&bench.pass(100), &["1:1"]);
    bench.credit(1, 5);
    check(&bench.pass(1_000_000), &[]);
    check(&bench.send(1, ack(1, 1)), &[]);
}

#[test]
fn a_time_to_live_reaches_what_is_published_and_nothing_that_waits() {
    let rule = |ttl| with_delivery(DeliveryRule { message_ttl: Some(millis(ttl)), ..DeliveryRule::default() });
    let mut bench = Bench::with_rules(Limits::default(), rule(1000));
    bench.publish(3, "/queue/a", &["0"]);
    bench.set_rules(rule(10));
    bench.publish(3, "/queue/a", &["1"]);
    bench.set_rules(Vec::new());
    bench.publish(3, "/queue/a", &["2"]);
    for (wait, left) in [(9, 3), (1, 2), (989, 2), (1, 1), (1_000_000, 1)] {
        bench.pass(wait);
        assert_eq!(depth(&bench, "/queue/a"), left, "after another {wait} ms");
    }
}

#[test]
fn what_becomes_of_expired_messages_reaches_what_waits() {
    for expired in [true, false] {
        let rule = |expired| DeliveryRule { dead_letter_expired: Some(expired), ..DeliveryRule::default() };
        let mut bench = Bench::with_rules(Limits::default(), with_delivery(rule(!expired)));
        let attributes = Attributes::default().with_expires(bench.now + millis(10));
        let batch = Batch::one(b"0").with_attributes(Arc::new(attributes));
        bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
        bench.set_rules(with_delivery(rule(expired)));
        bench.pass(10);
        let totals = bench.broker.totals();
        assert_eq!((totals.expired, totals.dead_lettered), (1, u64::from(expired)));
    }
}
