//! Priorities: of what waits, and of what consumers have and is not written.

use super::retry::{ack, nack};
use super::{Bench, brief, check, manual};
use crate::{AckMode, Attributes, Batch, BrowseQuery, Command, Event, Limits, QueueOverflow, SubscriptionId};
use std::sync::Arc;
use std::time::Duration;

fn publish(bench: &mut Bench, body: &str, priority: u8) -> Vec<Event> {
    let attributes = Attributes { priority, ..Attributes::default() };
    let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch })
}

#[test]
fn a_queue_hands_out_the_highest_priority_first_and_each_in_order_and_4_is_that_of_messages_without_one() {
    let mut bench = Bench::new(Limits::default());
    for (body, priority) in [("a4", 4), ("a0", 0), ("a9", 9), ("a255", 255), ("b0", 0), ("a5", 5), ("b9", 9), ("a3", 3)]
    {
        check(&publish(&mut bench, body, priority), &[]);
    }
    bench.publish(3, "/queue/a", &["plain", "more"]);
    check(&publish(&mut bench, "b4", 4), &[]);
    let order = ["a9", "a255", "b9", "a5", "a4", "plain", "more", "b4", "a3", "a0", "b0"];
    let found = bench.broker.browse(bench.now, b"/queue/a", &BrowseQuery::new(100, 100_000)).unwrap().messages;
    assert_eq!(found.iter().map(|message| message.body.as_ref()).collect::<Vec<_>>(), order.map(str::as_bytes));
    let expected: Vec<String> = order.iter().map(|body| format!("1:{body}")).collect();
    assert_eq!(brief(&bench.subscribe(1, "/queue/a")), expected);
    bench.credit(1, 1000);
    bench.is_at_rest();
}

#[test]
fn what_comes_back_goes_to_its_place_among_those_of_its_priority() {
    let mut bench = Bench::new(Limits::default());
    for (body, priority) in [("0", 1), ("1", 1), ("2", 8), ("3", 8), ("4", 4)] {
        publish(&mut bench, body, priority);
    }
    check(&bench.subscribe_with(1, "/queue/a", manual(4)), &["1:2", "1:3", "1:4", "1:0"]);
    bench.credit(1, 20);
    bench.send(1, nack(4, 4));
    bench.send(1, Command::Disconnect);
    check(&bench.subscribe(2, "/queue/a"), &["2:2", "2:3", "2:4", "2:0", "2:1"]);
}

#[test]
fn a_message_of_a_higher_priority_goes_before_what_a_consumer_has_and_is_not_written() {
    for ack_mode in [AckMode::Auto, manual(3)] {
        let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
        bench.subscribe_with(1, "/queue/a", ack_mode);
        bench.publish(3, "/queue/a", &["0", "1", "2"]);
        bench.credit(1, 5);
        check(&publish(&mut bench, "urgent", 5), &["recall 1"]);
        let again = bench.send(1, Command::Recalled { kept: 0 });
        assert_eq!(brief(&again)[..2], ["1:urgent", "1:1"]);
        // Nothing else is taken back for the next one within a moment, and then it is.
        bench.broker.handle_timeout(bench.now);
        bench.events();
        let at_once: &[&str] = if ack_mode == AckMode::Auto { &["1:more"] } else { &[] };
        check(&publish(&mut bench, "more", 9), at_once);
        check(&bench.pass(4), &[]);
        check(&bench.pass(1), &["recall 1"]);
        let again = bench.send(1, Command::Recalled { kept: 0 });
        assert_eq!(brief(&again)[..2], ["1:more", "1:urgent"]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn what_waits_in_outboxes_goes_back_for_a_message_of_a_higher_priority() {
    let mut bench = Bench::new(Limits { window: 5, write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(10));
    bench.subscribe_with(2, "/queue/a", manual(10));
    for body in ["0", "1", "2", "3", "4", "5"] {
        bench.publish(9, "/queue/a", &[body]);
    }
    let mut events = publish(&mut bench, "urgent", 9);
    assert_eq!(brief(&events), ["recall 1", "recall 2"]);
    events = bench.send(1, Command::Recalled { kept: 0 });
    events.extend(bench.send(2, Command::Recalled { kept: 0 }));
    assert!(brief(&events)[0].ends_with("urgent"), "{:?}", brief(&events));
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn messages_of_one_priority_take_nothing_back_from_each_other() {
    for priority in [0, 4, 9] {
        let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
        bench.subscribe_with(1, "/queue/a", manual(10));
        for body in ["0", "1", "2"] {
            check(&publish(&mut bench, body, priority), &[&format!("1:{body}")]);
        }
    }
}

#[test]
fn a_lower_priority_that_was_delivered_long_ago_makes_nothing_urgent() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(10));
    publish(&mut bench, "low", 0);
    bench.credit(1, 7);
    for body in ["0", "1", "2", "3"] {
        check(&publish(&mut bench, body, 4), &[&format!("1:{body}")]);
    }
    bench.credit(1, 20);
    bench.send(1, ack(1, 5));
    bench.is_at_rest();
}

#[test]
fn a_full_queue_drops_the_oldest_of_its_lowest_priority() {
    let limits = Limits { queue_messages: 3, overflow: QueueOverflow::DropOld, ..Limits::default() };
    let mut bench = Bench::new(limits);
    for (body, priority) in [("a9", 9), ("a1", 1), ("b1", 1), ("a4", 4), ("b9", 9), ("c9", 9)] {
        publish(&mut bench, body, priority);
    }
    check(&bench.subscribe(1, "/queue/a"), &["1:a9", "1:b9", "1:c9"]);
    check(&bench.subscribe(2, "/queue/dead/>"), &["2:a4", "2:a1", "2:b1"]);
}

#[test]
fn an_urgent_message_that_is_gone_takes_nothing_back() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(2));
    bench.publish(9, "/queue/a", &["0", "1"]);
    check(&publish(&mut bench, "x", 9), &["recall 1"]);
    bench.send(1, Command::Recalled { kept: 0 });
    check(&publish(&mut bench, "y", 9), &[]);
    bench.broker.purge(bench.now, b"/queue/a");
    check(&bench.pass(100), &[]);
    assert_eq!(bench.broker.poll_timeout(), None);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_queue_that_is_used_only_with_high_priorities_reclaims_nothing() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(10));
    bench.broker.set_steps_per_call(1);
    for body in ["0", "1", "2"] {
        check(&publish(&mut bench, body, 7), &[&format!("1:{body}")]);
    }
}

#[test]
fn a_slow_consumer_of_lower_priorities_keeps_higher_ones_from_no_other_consumer() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(2));
    bench.publish(9, "/queue/a", &["low", "low"]);
    bench.subscribe_with(2, "/queue/a", manual(10));
    check(&publish(&mut bench, "0", 9), &["recall 1", "2:0"]);
    // It had begun to write all of them.
    bench.send(1, Command::Recalled { kept: 10 });
    bench.credit(2, 5);
    for body in ["1", "2", "3"] {
        check(&publish(&mut bench, body, 9), &[&format!("2:{body}")]);
        bench.credit(2, 5);
    }
    check(&bench.pass(5), &[]);
}

#[test]
fn a_paused_queue_takes_back_nothing_for_messages_of_a_higher_priority() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
    for subscription in 0..50 {
        for id in [1, 2] {
            let (subscription, pattern) = (SubscriptionId(subscription), "/queue/a".into());
            bench.send(id, Command::Subscribe { subscription, pattern, ack: manual(2) });
        }
    }
    bench.publish(9, "/queue/a", &["low"; 100]);
    bench.broker.pause_queue(bench.now, b"/queue/a");
    bench.rest();
    bench.broker.set_steps_per_call(8);
    for _ in 0..3 {
        check(&publish(&mut bench, "high", 9), &[]);
        assert!(bench.rest() < 5);
    }
    bench.broker.set_steps_per_call(4096);
    bench.broker.resume_queue(bench.now, b"/queue/a");
    check(&bench.pass(5)[..2], &["recall 1", "recall 2"]);
}

#[test]
fn a_delayed_message_of_a_higher_priority_takes_nothing_back_before_its_time_and_then_goes_before() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::ZERO, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(3));
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.credit(1, 5);
    let deliver_at = bench.now + Duration::from_millis(50);
    let attributes = Attributes { priority: 9, ..Attributes::default() }.with_deliver_at(deliver_at);
    let batch = Batch::one(b"urgent").with_attributes(Arc::new(attributes));
    check(&bench.send(3, Command::Publish { channel: "/queue/a".into(), batch }), &[]);
    check(&bench.pass(49), &[]);
    check(&bench.pass(1), &["recall 1"]);
    let again = bench.send(1, Command::Recalled { kept: 0 });
    assert_eq!(brief(&again)[..2], ["1:urgent", "1:1"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_message_of_a_higher_priority_that_comes_back_goes_before_what_others_have_and_is_not_written() {
    for (back_off, how) in [(0, "nack"), (20, "nack"), (20, "disconnect"), (20, "unsubscribe")] {
        let mut limits = Limits { write_timeout: Duration::ZERO, ..Limits::default() };
        limits.delivery.redelivery_backoff = Duration::from_millis(back_off);
        let mut bench = Bench::with_rules(limits, Vec::new());
        bench.subscribe_with(2, "/queue/a", manual(1));
        check(&publish(&mut bench, "urgent", 9), &["2:urgent"]);
        bench.subscribe_with(1, "/queue/a", manual(2));
        check(&publish(&mut bench, "0", 4), &["1:0"]);
        check(&publish(&mut bench, "1", 4), &["1:1"]);
        let events = match how {
            "nack" => {
                bench.credit(2, 10);
                let mut events = bench.send(2, nack(1, 1));
                if back_off > 0 {
                    check(&events, &[]);
                    events = bench.pass(back_off);
                }
                events
            }
            "disconnect" => bench.send(2, Command::Disconnect),
            _ => {
                bench.send(2, Command::Unsubscribe { subscription: SubscriptionId(0) });
                bench.send(2, Command::Recalled { kept: 0 })
            }
        };
        assert!(brief(&events).contains(&"recall 1".to_owned()), "{how}: {:?}", brief(&events));
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}
