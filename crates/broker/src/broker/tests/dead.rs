//! Dead letters: names, headers, bounds, and the way back.

mod ttl;

use super::attributes::headers;
use super::retry::{ack, bench, nack};
use super::{Bench, brief, check, manual};
use crate::{
    Attributes, Batch, ChannelRule, Command, Delivery, DeliveryTag, Event, Limits, MoveError, Pattern, StatusQuery,
};
use std::sync::Arc;
use std::time::Duration;

fn reject(first: u64, last: u64) -> Command {
    Command::Nack { first: DeliveryTag(first), last: DeliveryTag(last), requeue: false }
}

/// Queue a with one consumer, which refuses all of these messages.
fn rejected(bench: &mut Bench, bodies: &[&str]) {
    bench.subscribe_with(1, "/queue/a", manual(1000));
    bench.publish(3, "/queue/a", bodies);
    bench.credit(1, bodies.iter().map(|body| body.len() + 4).sum());
    check(&bench.send(1, reject(1, bodies.len() as u64)), &[]);
}

fn header(events: &[Event], name: &str) -> String {
    let [Event::Deliver { batch, .. }] = events else { panic!("{events:?}") };
    let value = batch.attributes().and_then(|attributes| attributes.headers.get(name.as_bytes()));
    String::from_utf8(value.unwrap_or(b"none").to_vec()).unwrap()
}

fn depth(bench: &Bench, name: &str) -> Option<usize> {
    let status = bench.broker.status(bench.now, &StatusQuery::top(100));
    status.channels.iter().find(|channel| channel.name == name).map(|channel| channel.depth)
}

#[test]
fn a_message_that_was_tried_seven_times_is_a_dead_letter_that_says_why_where_from_and_when() {
    let mut bench = bench();
    bench.broker.set_epoch(Duration::from_millis(1_700_000_000_000));
    bench.subscribe_with(1, "/queue/a", manual(1));
    let attributes = Attributes {
        headers: headers(&[("kind", "order"), ("dead-letter-reason", "forged")]),
        ..Attributes::default()
    };
    let batch = Batch::one(b"0").with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    for tag in 1..=7 {
        bench.credit(1, 5);
        bench.send(1, nack(tag, tag));
        bench.pass(64_000);
    }
    assert_eq!((depth(&bench, "/queue/a"), depth(&bench, "/queue/dead/queue/a")), (Some(0), Some(1)));
    let dead = bench.subscribe_with(2, "/queue/dead/queue/a", manual(1));
    check(&dead, &["2:0"]);
    for (name, value) in [
        ("dead-letter-reason", "attempts"),
        ("dead-letter-attempts", "7"),
        ("dead-letter-origin", "/queue/a"),
        ("dead-letter-time", "1700000384000"),
        ("kind", "order"),
    ] {
        assert_eq!(header(&dead, name), value, "{name}");
    }
    bench.credit(2, 5);
    bench.send(2, ack(1, 1));
    bench.is_at_rest();
    let totals = bench.broker.totals();
    assert_eq!((totals.failed, totals.dead_lettered, totals.dropped_dead), (7, 1, 0));
}

#[test]
fn a_rejected_message_is_a_dead_letter_at_once() {
    let mut bench = bench();
    rejected(&mut bench, &["0", "1"]);
    let dead = bench.subscribe_with(2, "/queue/dead/>", manual(10));
    check(&dead, &["2:0", "2:1"]);
    assert_eq!(
        (header(&dead, "dead-letter-reason"), header(&dead, "dead-letter-attempts")),
        ("rejected".into(), "1".into())
    );
}

fn is_marked(events: &[Event]) -> bool {
    let [Event::Deliver { redelivered, attempts: 0, .. }] = events else { panic!("{events:?}") };
    *redelivered
}

#[test]
fn a_dead_letter_is_marked_redelivered_if_a_consumer_may_have_seen_it_and_so_it_is_where_it_is_moved_to() {
    for was_seen in [true, false] {
        for to in ["/queue/dead/queue/a", "/queue/b", "/queue/a"] {
            let delivery = Delivery { dead_letter_expired: true, ..Delivery::default() };
            let mut bench = Bench::new(Limits { delivery, ..Limits::default() });
            if was_seen {
                rejected(&mut bench, &["0"]);
                bench.send(1, Command::Disconnect);
            } else {
                let attributes = Attributes::default().with_expires(bench.now + Duration::from_secs(1));
                let batch = Batch::one(b"0").with_attributes(Some(Arc::new(attributes)));
                bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
                bench.pass(2000);
            }
            assert_eq!(depth(&bench, "/queue/dead/queue/a"), Some(1));
            match to {
                "/queue/b" => _ = bench.broker.move_messages(bench.now, b"/queue/dead/queue/a", Some(b"/queue/b"), 1),
                "/queue/a" => _ = bench.broker.move_messages(bench.now, b"/queue/dead/queue/a", None, 1),
                _ => {}
            }
            bench.events();
            let events = bench.subscribe_with(2, to, manual(1));
            assert_eq!(is_marked(&events), was_seen, "{to}");
        }
    }
}

#[test]
fn dead_letters_have_none_of_their_own() {
    let mut bench = bench();
    rejected(&mut bench, &["0"]);
    bench.subscribe_with(2, "/queue/dead/queue/a", manual(1));
    // It is tried for ever, with its back-off,
    for tag in 1..=20 {
        bench.credit(2, 5);
        check(&bench.send(2, nack(tag, tag)), &[]);
        check(&bench.pass(60_000), &["2:0"]);
    }
    // until it is rejected again.
    bench.credit(2, 5);
    check(&bench.send(2, reject(21, 21)), &[]);
    assert_eq!(depth(&bench, "/queue/dead/queue/dead/queue/a"), None);
    assert_eq!(bench.broker.totals().dropped_dead, 1);
    bench.is_at_rest();
}

#[test]
fn a_consumer_of_all_queues_gets_no_dead_letters() {
    let mut bench = bench();
    bench.subscribe_with(2, "/queue/>", manual(10));
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(2, 5);
    check(&bench.send(2, reject(1, 1)), &[]);
    assert_eq!(depth(&bench, "/queue/dead/queue/a"), Some(1));
    check(&bench.subscribe_with(4, "/queue/*/queue/a", manual(10)), &[]);
    check(&bench.subscribe_with(5, "/queue/dead/*/a", manual(10)), &["5:0"]);
}

#[test]
fn dead_letters_keep_their_bounds_by_dropping_the_oldest_which_are_counted() {
    let bodies: Vec<String> = (0..10).map(|body| body.to_string()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    for (messages, kept) in [(0, 10), (1, 1), (3, 3), (9, 9), (10, 10), (11, 10)] {
        for steps in [1, 4096] {
            let delivery = Delivery { redelivery_backoff: Duration::ZERO, ..Delivery::default() };
            let limits = Limits { queue_messages: 1000, delivery, ..Limits::default() };
            let mut bench = Bench::new(Limits { queue_messages: messages, ..limits });
            bench.subscribe_with(1, "/queue/a", manual(1000));
            bodies.iter().for_each(|body| _ = bench.publish(3, "/queue/a", &[body]));
            bench.credit(1, 50);
            bench.broker.set_steps_per_call(steps);
            (1..=10).for_each(|tag| _ = bench.send(1, reject(tag, tag)));
            bench.pass(0);
            assert_eq!(depth(&bench, "/queue/dead/queue/a"), Some(kept), "a bound of {messages} messages");
            assert_eq!(bench.broker.totals().dropped_dead, 10 - kept as u64);
            bench.broker.set_steps_per_call(4096);
            let left: Vec<String> = bodies[10 - kept..].iter().map(|body| format!("2:{body}")).collect();
            assert_eq!(brief(&bench.subscribe_with(2, "/queue/dead/>", manual(100))), left);
        }
    }
}

#[test]
fn dead_letters_have_a_bound_in_bytes_by_their_own_rule_and_one_of_any_size_is_kept() {
    for (bound, kept) in [(0, 1), (1, 1), (100_000, 10)] {
        let rule = ChannelRule { queue: Some(bound), ..ChannelRule::new(Pattern::new("/queue/dead/>")) };
        let mut bench = Bench::with_rules(Limits::default(), vec![rule]);
        // In one batch, of which only the newest may stay.
        rejected(&mut bench, &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(depth(&bench, "/queue/dead/queue/a"), Some(kept), "a bound of {bound} bytes");
        let last = brief(&bench.subscribe_with(2, "/queue/dead/>", manual(100))).pop();
        assert_eq!(last.as_deref(), Some("2:9"));
    }
}

#[test]
fn a_message_whose_dead_letters_cannot_be_made_is_tried_again() {
    let mut bench = Bench::with_rules(Limits { channels: 1, ..Limits::default() }, Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(1, 5);
    check(&bench.send(1, reject(1, 1)), &[]);
    check(&bench.pass(1000), &["1:0"]);
    assert_eq!(bench.broker.totals().dead_lettered, 0);
    bench.credit(1, 5);
    bench.send(1, ack(2, 2));
    bench.is_at_rest();
}

#[test]
fn dead_letters_go_back_to_their_origin_without_what_was_added_to_them() {
    let mut bench = bench();
    let kind = Attributes { headers: headers(&[("kind", "order")]), ..Attributes::default() };
    bench.subscribe_with(1, "/queue/a", manual(100));
    for (body, attributes) in [(b"0", Some(Arc::new(kind.clone()))), (b"1", None)] {
        let batch = Batch::one(body).with_attributes(attributes);
        bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    }
    bench.credit(1, 10);
    bench.send(1, reject(1, 2));
    let missing = bench.broker.move_messages(bench.now, b"/queue/dead/queue/b", None, usize::MAX);
    assert_eq!(missing, Err(MoveError::NoQueue));
    let order = bench.broker.move_messages(bench.now, b"/queue/dead/queue/a", None, usize::MAX);
    assert_eq!(order.map(|order| order.messages), Ok(2));
    let events: Vec<Event> = bench.events().into_iter().filter(|event| !matches!(event, Event::Moved { .. })).collect();
    check(&events, &["1:0", "1:1"]);
    let expected = [Some(&kind), None];
    for (event, expected) in events.iter().zip(expected) {
        let Event::Deliver { batch, redelivered, attempts, .. } = event else { panic!("{event:?}") };
        assert_eq!(batch.attributes().map(|attributes| &**attributes), expected);
        assert_eq!((*redelivered, *attempts), (true, 0), "tries are counted anew");
    }
    bench.credit(1, 10);
    bench.send(1, ack(3, 4));
    assert_eq!(depth(&bench, "/queue/dead/queue/a"), None, "an empty queue without consumers is forgotten");
    assert_eq!(bench.broker.totals().moved, 2);
    bench.is_at_rest();
}

#[test]
fn what_finds_no_room_in_its_origin_stays_a_dead_letter_in_its_place() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits { queue_messages: 2, ..Limits::default() });
        bench.subscribe_with(1, "/queue/a", manual(100));
        ["0", "1", "2"].iter().for_each(|body| _ = bench.publish(3, "/queue/a", &[body]));
        bench.credit(1, 15);
        bench.broker.set_rules(bench.now, vec![]);
        (1..=2).for_each(|tag| _ = bench.send(1, reject(tag, tag)));
        bench.send(1, ack(3, 3));
        bench.send(1, Command::Disconnect);
        bench.publish(3, "/queue/a", &["x"]);
        bench.broker.set_steps_per_call(steps);
        let order = bench.broker.move_messages(bench.now, b"/queue/dead/queue/a", None, usize::MAX);
        assert_eq!(order.map(|order| order.messages), Ok(2));
        bench.pass(0);
        assert_eq!((depth(&bench, "/queue/a"), depth(&bench, "/queue/dead/queue/a")), (Some(2), Some(1)));
        bench.broker.set_steps_per_call(4096);
        check(&bench.subscribe_with(2, "/queue/a", manual(100)), &["2:x", "2:0"]);
        check(&bench.subscribe_with(4, "/queue/dead/>", manual(100)), &["4:1"]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_purge_of_dead_letters_leaves_nothing() {
    let mut bench = bench();
    rejected(&mut bench, &["0", "1", "2"]);
    assert_eq!(bench.broker.purge(bench.now, b"/queue/dead/queue/a"), Some(3));
    bench.is_at_rest();
}

#[test]
fn what_becomes_a_dead_letter_or_is_moved_counts_as_what_came_into_that_queue() {
    let mut bench = bench();
    rejected(&mut bench, &["0", "1"]);
    bench.pass(1000);
    let row = |bench: &Bench, name: &str| bench.broker.channel(bench.now, name.as_bytes()).expect("a channel");
    let dead = row(&bench, "/queue/dead/queue/a");
    assert_eq!((dead.published, dead.publish_rate > 0.0), (2, true));
    assert_eq!(row(&bench, "/queue/a").published, 2);
    assert_eq!(bench.broker.totals().published, 2, "no client has published them again");
}
