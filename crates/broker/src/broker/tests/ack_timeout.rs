//! Ack time-outs of connections that are paused: their acks may lie unread in their sockets.

use super::retry::ack;
use super::*;
use crate::broker::ack_clock::{GRACE, MOST};

const TIMEOUT: u64 = 100;
const PAUSED: u64 = MOST.as_millis() as u64;
const LATER: u64 = GRACE.as_millis() as u64;

fn limits() -> Limits {
    let ack_timeout = Duration::from_millis(TIMEOUT);
    let delivery = Delivery { ack_timeout, redelivery_backoff: Duration::ZERO, ..Delivery::default() };
    Limits { queue: 10, read_ahead: 0, delivery, ..Limits::default() }
}

/// Connection 1 has had a message of a queue for 40 ms, and then is paused: the queue that it publishes to is full.
fn paused() -> Bench {
    let mut bench = Bench::new(limits());
    bench.subscribe_with(1, "/queue/in", manual(1));
    check(&bench.publish(9, "/queue/in", &["x"]), &["1:x"]);
    bench.credit(1, 5);
    check(&bench.pass(40), &[]);
    check(&bench.publish(1, "/queue/out", &["0", "1", "2"]), &["pause 1"]);
    bench.subscribe_with(2, "/queue/in", manual(1));
    bench
}

#[test]
fn a_message_does_not_come_back_while_its_consumer_is_not_read_and_its_ack_counts_once_it_is() {
    let mut bench = paused();
    check(&bench.pass(PAUSED - 1), &[]);
    check(&bench.subscribe(3, "/queue/out"), &["3:0", "3:1", "3:2", "resume 1"]);
    check(&bench.send(1, ack(1, 1)), &[]);
    check(&bench.pass(10 * PAUSED), &["recall 3"]);
}

#[test]
fn a_consumer_that_is_read_again_has_the_rest_of_its_time_and_a_moment_for_what_is_unread() {
    // The moment is no longer than the pause was.
    for (pause, moment) in [(10, 10), (LATER - 1, LATER - 1), (LATER, LATER), (LATER + 1, LATER), (5 * LATER, LATER)] {
        let mut bench = paused();
        check(&bench.pass(pause), &[]);
        bench.subscribe(3, "/queue/out");
        bench.credit(3, 15);
        check(&bench.pass(TIMEOUT - 40 + moment - 1), &[]);
        check(&bench.pass(1), &["2:x"]);
    }
}

#[test]
fn nobody_holds_messages_for_ever_by_staying_paused_and_one_that_does_gets_no_others_until_it_is_read() {
    let mut bench = paused();
    check(&bench.pass(PAUSED + TIMEOUT - 40 - 1), &[]);
    check(&bench.pass(1), &["2:x"]);
    bench.credit(2, 5);
    check(&bench.publish(9, "/queue/in", &["y"]), &[]);
    check(&bench.pass(TIMEOUT - 1), &[]);
    bench.send(2, ack(1, 1));
    check(&bench.events(), &[]);
    bench.credit(2, 5);
    check(&bench.send(2, ack(2, 2)), &[]);
    bench.send(2, Command::Disconnect);
    check(&bench.publish(9, "/queue/in", &["z"]), &[]);
    let events = bench.subscribe(3, "/queue/out");
    assert_eq!(brief(&events), ["3:0", "3:1", "3:2", "resume 1", "1:z"]);
}

#[test]
fn a_group_of_one_whose_messages_came_back_while_it_is_not_read_goes_to_another() {
    let mut bench = paused();
    bench.send(1, ack(1, 1));
    bench.send(2, Command::Disconnect);
    let batch = |body: &[u8]| Batch::one(body).with_attributes(std::sync::Arc::new(groups::of("g")));
    let publish = |body| Command::Publish { channel: "/queue/in".into(), batch: batch(body) };
    check(&bench.send(9, publish(b"0")), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.send(9, publish(b"1")), &[]);
    bench.subscribe_with(4, "/queue/in", manual(2));
    check(&bench.pass(PAUSED + TIMEOUT - 1), &[]);
    check(&bench.pass(1), &["4:0", "4:1"]);
}

#[test]
fn one_whose_messages_came_back_while_it_is_not_read_loses_the_groups_of_all_its_subscriptions() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..limits() });
    bench.subscribe_with(1, "/queue/in", manual(1));
    let (subscription, pattern) = (SubscriptionId(1), "/queue/more/*".into());
    bench.send(1, Command::Subscribe { subscription, pattern, ack: manual(1) });
    check(&bench.publish(9, "/queue/in", &["x"]), &["1:x"]);
    let batch = Batch::one(b"0").with_attributes(std::sync::Arc::new(groups::of("g")));
    check(&bench.send(9, Command::Publish { channel: "/queue/more/a".into(), batch }), &["1:0"]);
    check(&bench.publish(9, "/queue/more/b", &["y"]), &[]);
    bench.credit(1, 10);
    // The message of the group is back, and waits for the ack of another one.
    check(&bench.send(1, retry::nack(2, 2)), &["1:y"]);
    check(&bench.publish(1, "/queue/out", &["0", "1", "2"]), &["pause 1"]);
    check(&bench.subscribe_with(2, "/queue/more/a", manual(9)), &[]);
    check(&bench.pass(PAUSED + TIMEOUT - 1), &[]);
    check(&bench.pass(1), &["2:0"]);
}

#[test]
fn what_one_that_is_not_read_was_not_handed_goes_before_others_of_a_lower_priority() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, window: 10, ..limits() });
    bench.subscribe_with(1, "/queue/in", manual(3));
    let (subscription, pattern) = (SubscriptionId(1), "/topic/a".into());
    bench.send(1, Command::Subscribe { subscription, pattern, ack: AckMode::Auto });
    let publish = |bench: &mut Bench, body: &'static str, priority: u8| {
        let attributes = crate::Attributes { priority, ..crate::Attributes::default() };
        let batch = Batch::one(body.as_bytes()).with_attributes(std::sync::Arc::new(attributes));
        brief(&bench.send(9, Command::Publish { channel: "/queue/in".into(), batch }))
    };
    assert_eq!(publish(&mut bench, "x", 0), ["1:x"]);
    bench.credit(1, 5);
    check(&bench.publish(9, "/topic/a", &["0123456789"]), &["1:0123456789"]);
    assert!(publish(&mut bench, "urgent", 9).is_empty());
    check(&bench.publish(1, "/queue/out", &["0", "1", "2"]), &["pause 1"]);
    check(&bench.pass(PAUSED + TIMEOUT - 1), &[]);
    bench.subscribe_with(2, "/queue/in", manual(1));
    assert_eq!(publish(&mut bench, "low", 3), ["2:low"]);
    check(&bench.pass(1), &["recall 2"]);
    check(&bench.send(2, Command::Recalled { kept: 0 }), &["2:urgent"]);
}

#[test]
fn one_whose_messages_came_back_while_it_is_not_read_goes_on_to_drain_by_its_subscriptions_without_acks() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, window: 10, ..limits() });
    bench.subscribe(1, "/queue/own");
    let (subscription, pattern) = (SubscriptionId(1), "/queue/in".into());
    bench.send(1, Command::Subscribe { subscription, pattern, ack: manual(1) });
    check(&bench.publish(9, "/queue/in", &["x"]), &["1:x"]);
    bench.credit(1, 5);
    // It waits for room in a queue that it alone consumes.
    let events = brief(&bench.publish(1, "/queue/own", &["0", "1", "2", "3", "4", "5", "6"]));
    assert_eq!(events, ["1:0", "1:1", "pause 1"]);
    check(&bench.pass(PAUSED + TIMEOUT), &[]);
    let mut events = Vec::new();
    for _ in 0..7 {
        events.extend(brief(&bench.credit(1, 5)));
    }
    // Once it is read, it gets what it may ack, too.
    assert_eq!(events, ["1:2", "1:3", "1:4", "1:5", "resume 1", "1:6", "1:x"]);
}

#[test]
fn while_the_broker_drains_acks_are_read_and_their_time_outs_end_and_one_that_lapsed_gets_messages_again() {
    // The time-outs of a connection that is paused only then, too.
    for drains_first in [false, true] {
        let mut bench = paused();
        if !drains_first {
            check(&bench.pass(PAUSED + TIMEOUT - 40), &["2:x"]);
        }
        bench.send(2, Command::Disconnect);
        bench.broker.drain(bench.now);
        // Connections that are owed nothing are asked to close.
        let delivered = |events: Vec<Event>| brief(&events).contains(&"1:x".to_owned());
        assert_eq!(delivered(bench.events()), !drains_first);
        if drains_first {
            assert!(!delivered(bench.pass(TIMEOUT - 41)));
            assert!(delivered(bench.pass(1)));
        }
    }
}
