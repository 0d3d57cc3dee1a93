//! Messages that a subscription leaves when it ends.

use super::retry::{ack, nack, tries};
use super::{Bench, check, manual};
use crate::{AckMode, Batch, Command, Delivery, Limits, OverflowPolicy, SubscriptionId};
use std::time::Duration;

const END: Command = Command::Unsubscribe { subscription: SubscriptionId(0) };

/// Connection 1 has the messages 0, 1 and 2 by a subscription that has ended.
fn ended() -> Bench {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.credit(1, 15);
    check(&bench.send(1, END), &[]);
    check(&bench.subscribe_with(2, "/queue/a", manual(100)), &[]);
    bench
}

#[test]
fn an_ack_after_the_end_of_its_subscription_still_settles() {
    let mut bench = ended();
    check(&bench.send(1, ack(1, 2)), &[]);
    check(&bench.send(1, ack(3, 3)), &[]);
    check(&bench.send(1, ack(3, 3)), &["refused: no message waits for an ack under tag 3"]);
    bench.send(1, Command::Disconnect);
    check(&bench.pass(100_000), &[]);
    assert_eq!((bench.broker.totals().delivered, bench.broker.totals().requeued), (3, 0));
    bench.is_at_rest();
}

#[test]
fn a_nack_after_the_end_of_its_subscription_still_counts() {
    let mut bench = ended();
    check(&bench.send(1, nack(1, 1)), &[]);
    let reject = Command::Nack { first: crate::DeliveryTag(2), last: crate::DeliveryTag(2), requeue: false };
    check(&bench.send(1, reject), &[]);
    assert_eq!(tries(&bench.pass(1000)), ["0 again 1"]);
    assert_eq!(bench.broker.totals().dead_lettered, 1);
}

#[test]
fn what_an_ended_subscription_left_comes_again_when_its_connection_ends() {
    let mut bench = ended();
    bench.send(1, ack(1, 1));
    // The oldest is what the consumer was at.
    assert_eq!(tries(&bench.send(1, Command::Disconnect)), ["1 again 1", "2 again 0"]);
    bench.credit(2, 10);
    bench.send(2, ack(1, 2));
    bench.is_at_rest();
}

#[test]
fn what_an_ended_subscription_left_comes_again_when_its_connection_finishes_which_then_closes() {
    for steps in [1, 4096] {
        let mut bench = ended();
        bench.broker.set_steps_per_call(steps);
        bench.send(1, ack(2, 2));
        let mut events = bench.send(1, Command::Finish);
        bench.rest();
        events.extend(bench.events());
        let (deliveries, others): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| matches!(event, crate::Event::Deliver { .. }));
        assert_eq!(tries(&deliveries), ["0 again 0", "2 again 0"]);
        check(&others, &["close 1: finished"]);
        assert_eq!(bench.broker.totals().failed, 0);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_finish_leaves_the_acks_of_a_subscription_that_did_not_end_before() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(1, 5);
    check(&bench.send(1, Command::Finish), &[]);
    check(&bench.send(1, ack(1, 1)), &["close 1: finished"]);
}

#[test]
fn what_an_ended_subscription_left_goes_to_another_consumer_at_the_ack_time_out() {
    let delivery = Delivery { ack_timeout: Duration::from_millis(50), ..Delivery::default() };
    let mut bench = Bench::new(Limits { delivery, write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(1, 5);
    bench.send(1, END);
    bench.subscribe_with(2, "/queue/a", manual(100));
    check(&bench.pass(49), &[]);
    assert_eq!(tries(&bench.pass(1)), ["0 again 1"]);
}

#[test]
fn what_an_ended_subscription_was_not_begun_to_be_given_is_recalled_and_comes_to_others_unseen_and_in_order() {
    let mut bench = Bench::new(Limits { window: 12, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(100));
    for body in ["0", "1", "2", "3", "4", "5"] {
        bench.publish(3, "/queue/a", &[body]);
    }
    // One is written, one is begun, one is with the driver, the others wait.
    bench.credit(1, 7);
    check(&bench.send(1, END), &["recall 1"]);
    check(&bench.subscribe_with(2, "/queue/a", manual(100)), &[]);
    let mut events = bench.send(1, Command::Recalled { kept: 3 });
    while bench.credit(2, 5).into_iter().map(|event| events.push(event)).count() > 0 {}
    assert_eq!(tries(&events), ["2 0", "3 0", "4 0", "5 0"]);
    bench.credit(1, 3);
    bench.credit(2, 20);
    bench.send(1, ack(1, 2));
    bench.send(2, ack(1, 4));
    bench.is_at_rest();
}

#[test]
fn nothing_is_recalled_for_the_end_of_a_subscription_that_has_nothing_with_the_driver() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(100));
    let other = Command::Subscribe { subscription: SubscriptionId(1), pattern: "/queue/b".into(), ack: manual(100) };
    bench.send(1, other);
    let third = Command::Subscribe { subscription: SubscriptionId(2), pattern: "/queue/c".into(), ack: AckMode::Auto };
    bench.send(1, third);
    bench.publish(3, "/queue/b", &["0"]);
    bench.publish(3, "/queue/c", &["0"]);
    check(&bench.send(1, END), &[]);
    // One without acks, too: what was not begun goes back, and others are handed out anew.
    check(&bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(2) }), &["recall 1"]);
    check(&bench.send(1, Command::Recalled { kept: 0 }), &["1:0"]);
    assert_eq!(bench.broker.queue(bench.now, b"/queue/c").map(|queue| queue.depth), Some(1));
    check(&bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(1) }), &["recall 1"]);
    // While it is recalled, another end asks for nothing.
    bench.subscribe_with(1, "/queue/a", manual(100));
    check(&bench.send(1, END), &[]);
}

#[test]
fn one_subscription_may_have_the_name_of_one_that_ended_and_its_own_prefetch() {
    let mut bench = ended();
    bench.send(2, Command::Disconnect);
    bench.subscribe_with(1, "/queue/a", manual(1));
    check(&bench.publish(3, "/queue/a", &["3", "4"]), &["1:3"]);
    check(&bench.send(1, ack(1, 3)), &[]);
    check(&bench.send(1, ack(4, 4)), &["1:4"]);
}

#[test]
fn acks_for_an_ended_subscription_are_read_though_its_connection_waits_for_the_memory_that_they_free() {
    let body = "x".repeat(4000);
    let limits = Limits { read_ahead: 10_000, message: 5000, queue: 1 << 30, ..super::with_memory(100_000) };
    let mut bench = Bench::new(Limits { outbox: 1 << 20, window: 1 << 20, ..limits });
    bench.subscribe_with(1, "/queue/a", manual(100));
    for _ in 0..8 {
        bench.publish(3, "/queue/a", &[&body]);
    }
    bench.credit(1, 8 * 4004);
    bench.send(1, END);
    // It publishes to the same queue, until that has more than its share.
    let mut is_paused = false;
    for _ in 0..40 {
        let batch = Batch::one(body.as_bytes());
        for line in super::brief(&bench.send(1, Command::Publish { channel: "/queue/a".into(), batch })) {
            is_paused = line == "pause 1" || is_paused && line != "resume 1";
        }
        if is_paused {
            break;
        }
    }
    // It is paused at last, far beyond the queue's share, when there is no memory for knots either.
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert!(is_paused && row.bytes > 90_000, "{row:?}");
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

/// Connection 2 has ended a subscription to a pattern that has joined ten topics, and most of them are not left yet.
fn ended_pattern(limits: Limits) -> Bench {
    let mut bench = Bench::new(limits);
    for number in 0..10 {
        let (subscription, pattern) = (SubscriptionId(number), format!("/topic/{number}").into());
        bench.send(1, Command::Subscribe { subscription, pattern, ack: AckMode::Auto });
    }
    bench.subscribe(2, "/topic/*");
    bench.publish(3, "/topic/9", &["before"]);
    bench.send(1, Command::Disconnect);
    bench.broker.set_steps_per_call(1);
    check(&bench.send(2, END), &[]);
    assert!(bench.broker.poll_timeout() == Some(bench.now), "work is left over");
    bench
}

#[test]
fn no_topic_gives_a_subscription_that_has_ended_what_is_published_later() {
    let mut bench = ended_pattern(Limits::default());
    check(&bench.publish(3, "/topic/9", &["after"]), &[]);
    bench.rest();
    check(&bench.events(), &[]);
    assert_eq!(bench.broker.totals().dropped_no_subscribers, 1);
    bench.credit(2, 10);
    bench.is_at_rest();
}

#[test]
fn a_topic_buffers_for_its_next_subscriber_what_comes_after_the_last_subscription_has_ended() {
    let mut bench = ended_pattern(Limits { buffer_unsubscribed: 1, ..Limits::default() });
    check(&bench.publish(3, "/topic/9", &["after"]), &[]);
    check(&bench.subscribe(4, "/topic/9"), &[]);
    bench.rest();
    check(&bench.events(), &["4:after"]);
}

#[test]
fn no_publisher_waits_for_a_subscriber_whose_subscription_has_ended() {
    let limits = Limits { outbox: 10, policy: OverflowPolicy::Block, ..Limits::default() };
    let mut bench = ended_pattern(limits);
    check(&bench.publish(3, "/topic/9", &["after"]), &[]);
    assert_eq!(bench.broker.totals().dropped_slow, 0);
    bench.rest();
    check(&bench.events(), &[]);
}
