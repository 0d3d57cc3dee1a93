//! Message groups: one consumer each, in order, and others flow past.

use super::retry::{ack, bench, nack};
use super::{Bench, brief, check, manual};
use crate::{
    AckMode, Attributes, Batch, BrowseQuery, Command, Event, Limits, Packer, QueueOverflow, SubscriptionId, Time, cost,
};
use std::sync::Arc;
use std::time::Duration;

const END: Command = Command::Unsubscribe { subscription: SubscriptionId(0) };
const CLAIM: Command = Command::Claim { subscription: SubscriptionId(0) };

pub(super) fn of(group: &'static str) -> Attributes {
    Attributes::default().with_group(bytes::Bytes::from(group))
}

fn publish_with(bench: &mut Bench, attributes: Attributes, bodies: &[&str]) -> Vec<Event> {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let batch = packer.finish().expect("a message").with_attributes(Arc::new(attributes));
    bench.send(9, Command::Publish { channel: "/queue/a".into(), batch })
}

fn publish(bench: &mut Bench, group: &'static str, bodies: &[&str]) -> Vec<Event> {
    publish_with(bench, of(group), bodies)
}

/// All of it is written.
fn write(bench: &mut Bench, id: u64, events: &[Event]) {
    let own = events.iter().filter_map(|event| match event {
        Event::Deliver { connection, batch, .. } if connection.0 == id => Some(batch.bytes()),
        _ => None,
    });
    bench.credit(id, own.sum());
}

#[track_caller]
pub(super) fn is_right(bench: &Bench) {
    assert_eq!(bench.broker.totals().memory, bench.broker.audit(), "the sum of what is charged");
}

#[test]
fn the_messages_of_a_group_go_to_the_consumer_that_got_its_first_one_and_others_flow_past() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(2));
    bench.subscribe_with(2, "/queue/a", manual(2));
    check(&publish(&mut bench, "g", &["0"]), &["2:0"]);
    check(&publish(&mut bench, "g", &["1", "2", "3"]), &["2:1"]);
    check(&bench.publish(9, "/queue/a", &["x"]), &["1:x"]);
    check(&publish(&mut bench, "h", &["y", "z"]), &["1:y"]);
    is_right(&bench);
    bench.credit(2, 10);
    bench.credit(1, 10);
    check(&bench.send(2, ack(1, 1)), &["2:2"]);
    check(&bench.send(1, ack(1, 1)), &["1:z"]);
    check(&bench.send(2, ack(2, 2)), &["2:3"]);
    bench.credit(2, 10);
    bench.credit(1, 5);
    bench.send(2, ack(3, 4));
    bench.send(1, ack(2, 3));
    bench.is_at_rest();
}

#[test]
fn a_group_ends_with_its_last_message_and_may_go_to_another_consumer_then() {
    for ack_mode in [AckMode::Auto, manual(9)] {
        let mut bench = bench();
        bench.subscribe_with(1, "/queue/a", ack_mode);
        bench.subscribe_with(2, "/queue/a", ack_mode);
        check(&publish(&mut bench, "g", &["0", "1"]), &["2:0", "2:1"]);
        bench.credit(2, 5);
        if ack_mode != AckMode::Auto {
            bench.send(2, ack(1, 1));
        }
        check(&publish(&mut bench, "g", &["2"]), &["2:2"]);
        bench.credit(2, 10);
        if ack_mode != AckMode::Auto {
            bench.send(2, ack(2, 3));
        }
        check(&publish(&mut bench, "g", &["3"]), &["1:3"]);
        is_right(&bench);
    }
}

#[test]
fn the_groups_of_a_consumer_that_leaves_are_free() {
    for end in [Command::Disconnect, END] {
        let mut bench = bench();
        bench.subscribe_with(1, "/queue/a", manual(1));
        bench.subscribe_with(2, "/queue/a", manual(1));
        check(&publish(&mut bench, "g", &["0", "1"]), &["2:0"]);
        check(&publish(&mut bench, "h", &["x", "y"]), &["1:x"]);
        check(&publish(&mut bench, "g", &["2"]), &[]);
        check(&bench.send(2, end.clone()), if end == END { &["recall 2"] } else { &[] });
        bench.send(2, Command::Recalled { kept: 0 });
        is_right(&bench);
        bench.credit(1, 5);
        check(&bench.send(1, ack(1, 1)), &["1:0"]);
        bench.credit(1, 5);
        check(&bench.send(1, ack(2, 2)), &["1:1"]);
        bench.credit(1, 5);
        check(&bench.send(1, ack(3, 3)), &["1:y"]);
        bench.credit(1, 5);
        check(&bench.send(1, ack(4, 4)), &["1:2"]);
        bench.credit(1, 5);
        bench.send(1, ack(5, 5));
        bench.is_at_rest();
    }
}

#[test]
fn a_group_waits_for_what_a_subscription_that_ended_has_not_acked() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    check(&publish(&mut bench, "g", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    bench.send(1, END);
    bench.subscribe_with(2, "/queue/a", manual(9));
    check(&publish(&mut bench, "g", &["1"]), &[]);
    check(&bench.publish(9, "/queue/a", &["x"]), &["2:x"]);
    is_right(&bench);
    check(&bench.send(1, ack(1, 1)), &["2:1"]);
    is_right(&bench);
}

#[test]
fn no_message_of_a_group_goes_before_an_earlier_one_that_waits_for_its_back_off() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    check(&publish(&mut bench, "g", &["0", "1"]), &["1:0", "1:1"]);
    bench.credit(1, 10);
    check(&bench.send(1, nack(1, 1)), &[]);
    check(&publish(&mut bench, "g", &["2"]), &[]);
    check(&bench.publish(9, "/queue/a", &["x"]), &["1:x"]);
    check(&publish(&mut bench, "h", &["y"]), &["1:y"]);
    check(&bench.send(1, nack(2, 2)), &[]);
    check(&bench.pass(999), &[]);
    is_right(&bench);
    check(&bench.pass(1), &["1:0", "1:1", "1:2"]);
    is_right(&bench);
}

#[test]
fn the_message_that_waits_longer_for_its_back_off_holds_back_only_later_ones_of_its_group() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    publish(&mut bench, "g", &["0", "1"]);
    bench.credit(1, 10);
    bench.send(1, nack(2, 2));
    check(&bench.pass(500), &[]);
    bench.send(1, nack(1, 1));
    publish(&mut bench, "g", &["2"]);
    // The second one is due first, and waits for the first.
    check(&bench.pass(999), &[]);
    check(&bench.pass(1), &["1:0", "1:1", "1:2"]);
}

#[test]
fn what_a_consumer_was_not_handed_yet_goes_back_with_an_earlier_one_of_its_group() {
    let limits = Limits { window: 5, write_timeout: Duration::ZERO, ..Limits::default() };
    let mut bench = Bench::with_rules(limits, Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(9));
    check(&publish(&mut bench, "g", &["0"]), &["1:0"]);
    for body in ["1", "2"] {
        check(&publish(&mut bench, "g", &[body]), &[]);
    }
    check(&bench.publish(9, "/queue/a", &["x"]), &[]);
    bench.send(1, nack(1, 1));
    check(&bench.credit(1, 5), &["1:x"]);
    check(&bench.credit(1, 5), &[]);
    check(&bench.pass(1000), &["1:0"]);
    check(&bench.credit(1, 5), &["1:1"]);
    check(&bench.credit(1, 5), &["1:2"]);
    is_right(&bench);
}

#[test]
fn a_message_that_its_publisher_delays_holds_back_no_other_of_its_group() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    let deliver_at = Some(bench.now + Duration::from_secs(1));
    check(&publish_with(&mut bench, of("g").with_deliver_at(deliver_at), &["0"]), &[]);
    check(&publish(&mut bench, "g", &["1"]), &["1:1"]);
    is_right(&bench);
    check(&bench.pass(1000), &["1:0"]);
    is_right(&bench);
}

#[test]
fn the_order_in_a_group_is_that_of_its_queue_by_priority_first() {
    let mut bench = bench();
    for (body, priority) in [("0", 4), ("1", 9), ("2", 4)] {
        publish_with(&mut bench, Attributes { priority, ..of("g") }, &[body]);
    }
    publish_with(&mut bench, Attributes { priority: 5, ..of("h") }, &["3"]);
    is_right(&bench);
    check(&bench.subscribe(1, "/queue/a"), &["1:1", "1:3", "1:0", "1:2"]);
    bench.credit(1, 100);
    bench.is_at_rest();
}

#[test]
fn a_group_whose_consumer_is_excluded_goes_to_the_only_one_once_its_messages_are_done() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.subscribe_with(2, "/queue/a", manual(1));
    check(&publish(&mut bench, "g", &["0", "1"]), &["2:0"]);
    bench.credit(2, 5);
    bench.subscribe_with(3, "/queue/a", manual(9));
    check(&bench.send(3, CLAIM), &[]);
    is_right(&bench);
    check(&publish(&mut bench, "h", &["x"]), &["3:x"]);
    check(&bench.send(2, ack(1, 1)), &["3:1"]);
    is_right(&bench);
}

#[test]
fn a_group_of_a_consumer_that_takes_no_byte_for_the_write_timeout_goes_to_another() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::from_secs(10), ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(2));
    check(&publish(&mut bench, "g", &["0", "1", "2"]), &["1:0", "1:1"]);
    check(&bench.pass(10_000), &["recall 1"]);
    bench.send(1, Command::Recalled { kept: 0 });
    check(&bench.subscribe_with(2, "/queue/a", manual(9)), &["2:0", "2:1", "2:2"]);
    is_right(&bench);
    // The first one keeps what has reached it, and nobody gets others of the group before it has acked that.
    let mut bench = Bench::new(Limits { write_timeout: Duration::from_secs(10), ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(9));
    publish(&mut bench, "g", &["0", "1"]);
    bench.credit(1, 5);
    bench.subscribe_with(2, "/queue/a", manual(9));
    check(&bench.pass(10_000), &["recall 1"]);
    bench.send(1, Command::Recalled { kept: 0 });
    check(&publish(&mut bench, "g", &["2"]), &[]);
    check(&bench.credit(1, 0), &[]);
    is_right(&bench);
    check(&bench.send(1, ack(1, 1)), &["2:1", "2:2"]);
    is_right(&bench);
}

#[test]
fn a_full_queue_takes_what_a_consumer_of_a_group_has_room_for_and_rejects_the_rest_which_is_counted_no_more() {
    let limits = Limits { queue_messages: 1, overflow: QueueOverflow::Reject, ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.subscribe_with(1, "/queue/a", manual(2));
    let events = publish(&mut bench, "g", &["0", "1", "2", "3"]);
    assert_eq!(brief(&events)[..2], ["1:0", "1:1"]);
    assert!(brief(&events)[2].starts_with("rejected 1 of 9"), "{:?}", brief(&events));
    is_right(&bench);
    bench.credit(1, 10);
    check(&bench.send(1, ack(1, 2)), &["1:2"]);
    bench.credit(1, 5);
    bench.send(1, ack(3, 3));
    bench.is_at_rest();
}

#[test]
fn purged_moved_dropped_and_expired_messages_end_their_groups() {
    for steps in [1, 4096] {
        let limits = Limits { queue_messages: 4, overflow: QueueOverflow::DropOld, ..Limits::default() };
        let mut bench = Bench::new(limits);
        bench.broker.set_steps_per_call(steps);
        for group in ["g", "h", "i"] {
            publish(&mut bench, group, &["0", "1"]);
            bench.rest();
        }
        is_right(&bench);
        assert_eq!(bench.broker.purge(bench.now, b"/queue/a"), Some(4));
        publish(&mut bench, "g", &["2"]);
        bench.rest();
        is_right(&bench);
        let order = bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), 9);
        assert_eq!(order.map(|order| order.messages), Ok(1));
        bench.rest();
        is_right(&bench);
        let expires = Some(bench.now + Duration::from_secs(1));
        publish_with(&mut bench, of("h").with_expires(expires), &["3"]);
        bench.pass(1000);
        is_right(&bench);
        for queue in [&b"/queue/b"[..], b"/queue/dead/queue/a"] {
            bench.broker.purge(bench.now, queue);
            bench.rest();
        }
        bench.is_at_rest();
    }
}

#[test]
fn a_message_that_is_delivered_in_vain_too_often_lets_its_group_go_on() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1));
    check(&publish(&mut bench, "g", &["0", "1"]), &["1:0"]);
    bench.credit(1, 5);
    let reject = Command::Nack { first: crate::DeliveryTag(1), last: crate::DeliveryTag(1), requeue: false };
    check(&bench.send(1, reject), &["1:1"]);
    check(&bench.subscribe(2, "/queue/dead/>"), &["2:0"]);
    is_right(&bench);
}

#[test]
fn all_that_waits_of_groups_is_listed_in_the_order_of_the_queue() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1));
    publish(&mut bench, "g", &["0", "1"]);
    publish(&mut bench, "h", &["2"]);
    bench.publish(9, "/queue/a", &["3"]);
    publish(&mut bench, "g", &["4"]);
    let found = bench.broker.browse(bench.now, b"/queue/a", &BrowseQuery::new(100, 100_000)).unwrap().messages;
    assert_eq!(found.iter().map(|message| message.body.as_ref()).collect::<Vec<_>>(), [b"1", b"2", b"3", b"4"]);
}

#[test]
fn each_group_is_charged_as_long_as_a_message_of_it_is_there() {
    let mut bench = bench();
    let attributes = |group: String| Attributes::default().with_group(bytes::Bytes::from(group));
    let publish = |bench: &mut Bench, group: String| {
        let batch = Batch::one(b"x").with_attributes(Arc::new(attributes(group)));
        bench.send(9, Command::Publish { channel: "/queue/a".into(), batch });
    };
    publish(&mut bench, format!("{:0100}", 0));
    let before = bench.broker.totals().memory;
    (1..1000).for_each(|number| publish(&mut bench, format!("{number:0100}")));
    let extra = attributes(format!("{:0100}", 0)).charge();
    let each = cost::group(100) + cost::GROUPED + cost::SEGMENT + cost::buffer(5 + extra);
    assert_eq!(bench.broker.totals().memory - before, 999 * each);
    is_right(&bench);
    bench.subscribe(1, "/queue/a");
    is_right(&bench);
    bench.credit(1, 5000);
    bench.is_at_rest();
}

#[test]
fn groups_are_dealt_with_in_small_steps_as_in_one() {
    for steps in [1, 2, 5, 4096] {
        let mut bench = bench();
        bench.broker.set_steps_per_call(steps);
        let mut events = Vec::new();
        (1..=3).for_each(|id| _ = bench.subscribe_with(id, "/queue/a", manual(2)));
        for group in ["g", "h", "i", "j"] {
            events.extend(publish(&mut bench, group, &["0", "1", "2"]));
            bench.rest();
            is_right(&bench);
        }
        events.extend(bench.events());
        for id in 1..=3 {
            write(&mut bench, id, &events);
            bench.send(id, nack(1, 1));
            bench.rest();
            is_right(&bench);
        }
        bench.send(2, Command::Disconnect);
        bench.rest();
        is_right(&bench);
        bench.send(1, END);
        bench.rest();
        is_right(&bench);
        bench.pass(5000);
        is_right(&bench);
        (1..=3).for_each(|id| _ = bench.send(id, Command::Disconnect));
        bench.rest();
        let mut events = bench.subscribe(4, "/queue/a");
        events.extend(bench.pass(60_000));
        let got = brief(&events);
        assert_eq!(got.len(), 12, "{got:?}");
        bench.credit(4, 5 * 12);
        bench.rest();
        bench.is_at_rest();
        assert!(bench.now > Time::ZERO);
    }
}

#[test]
fn a_publisher_that_waits_for_room_behind_its_group_leaves_nothing_to_do() {
    for (ack_mode, steps) in [(manual(1), 1), (manual(1), 4096), (AckMode::Auto, 1)] {
        let mut bench = Bench::new(Limits { queue_messages: 2, ..Limits::default() });
        bench.broker.set_steps_per_call(steps);
        if ack_mode != AckMode::Auto {
            bench.subscribe_with(1, "/queue/a", ack_mode);
        }
        publish(&mut bench, "g", &["0", "1", "2", "3", "4"]);
        publish(&mut bench, "g", &["5"]);
        assert!(bench.rest() < 100);
        is_right(&bench);
        assert_eq!(bench.broker.totals().paused, 1);
    }
}
