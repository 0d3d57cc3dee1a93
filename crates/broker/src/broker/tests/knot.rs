//! Connections with acks whose messages wait for room: acks and sends stand in one stream.

use super::groups::of;
use super::retry::ack;
use super::*;
use crate::{AckMode, Attributes};
use std::sync::Arc;

pub(super) const MANUAL: AckMode = AckMode::Manual { prefetch: 1 };

/// Read-ahead that a waiting message of one byte takes.
pub(super) fn one() -> usize {
    let channel = crate::name::ECHO.len();
    cost::PENDING + cost::text(channel) + cost::buffer(5)
}

/// A queue that takes two messages of one byte.
fn limits(read_ahead: usize) -> Limits {
    Limits { queue: 10, window: 5, read_ahead, ..Limits::default() }
}

pub(super) fn depth(bench: &Bench, name: &str) -> usize {
    let status = bench.broker.status(bench.now, &StatusQuery::top(9));
    status.channels.iter().find(|channel| channel.name == name).map_or(0, |channel| channel.depth)
}

fn pauses(bench: &mut Bench, publishes: usize) -> Option<usize> {
    (1..=publishes).find(|_| brief(&bench.publish(1, "/queue/out", &["x"])).contains(&"pause 1".to_owned()))
}

#[test]
fn a_connection_with_acks_is_read_on_within_the_read_ahead_and_one_without_is_not() {
    // The third message of the queue waits; each that waits takes about 400 bytes.
    for (read_ahead, least) in [(0, 3), (1, 3), (one() / 2, 3), (one() + 1, 4), (10 * one(), 11)] {
        let mut bench = Bench::new(limits(read_ahead));
        bench.subscribe_with(1, "/queue/in", MANUAL);
        let paused = pauses(&mut bench, 30).expect("it is paused at last");
        assert!((least..=least + 3).contains(&paused), "{read_ahead}: paused with message {paused}");
        let mut bench = Bench::new(limits(read_ahead));
        bench.subscribe(1, "/queue/in");
        assert_eq!(pauses(&mut bench, 30), Some(3), "without acks");
    }
    let mut bench = Bench::new(limits(usize::MAX));
    bench.subscribe_with(1, "/queue/in", MANUAL);
    assert_eq!(pauses(&mut bench, 1000), None);
}

#[test]
fn one_whose_own_acks_the_full_queue_waits_for_is_not_paused_on_it() {
    for read_ahead in [0, one(), 4 * one()] {
        let mut bench = Bench::new(limits(read_ahead));
        bench.subscribe_with(1, "/queue/own", MANUAL);
        for number in 0..50 {
            bench.publish(1, "/queue/own", &["x"]);
            let status = bench.broker.status(bench.now, &StatusQuery::top(9));
            let waits = status.connections.iter().any(|row| row.paused.is_some());
            assert!(read_ahead > 0 || !waits, "message {number}");
        }
        assert!(depth(&bench, "/queue/own") > 2);
    }
}

#[test]
fn two_that_consume_what_the_other_sends_do_not_lock_up() {
    let mut bench = Bench::new(limits(one()));
    bench.subscribe_with(1, "/queue/a", MANUAL);
    bench.subscribe_with(2, "/queue/b", MANUAL);
    let (mut paused, mut read) = ([false; 3], 0);
    for _ in 0..100 {
        for (who, to) in [(1, "/queue/b"), (2, "/queue/a")] {
            if paused[who as usize] {
                continue;
            }
            read += 1;
            for line in brief(&bench.publish(who, to, &["x"])) {
                match line.as_str() {
                    "pause 1" => paused[1] = true,
                    "pause 2" => paused[2] = true,
                    "resume 1" => paused[1] = false,
                    "resume 2" => paused[2] = false,
                    _ => {}
                }
            }
        }
        assert!(!paused[1] || !paused[2], "both are paused, and nobody reads their acks");
    }
    assert!(read > 100, "{read}");
}

#[test]
fn a_knot_that_a_leaving_consumer_leaves_behind_is_untied() {
    let mut bench = Bench::new(limits(0));
    bench.subscribe_with(1, "/queue/a", MANUAL);
    bench.subscribe_with(2, "/queue/b", MANUAL);
    // Without acks, and taking nothing: they may yet take what waits.
    bench.subscribe(3, "/queue/a");
    bench.subscribe(4, "/queue/b");
    bench.publish(9, "/queue/a", &["0", "1", "2", "3"]);
    bench.publish(9, "/queue/b", &["0", "1", "2", "3"]);
    let resumes = |lines: Vec<String>| lines.iter().filter(|line| line.starts_with("resume")).count();
    for _ in 0..200 {
        bench.publish(1, "/queue/b", &["x"]);
        bench.publish(2, "/queue/a", &["x"]);
    }
    let status = bench.broker.status(bench.now, &StatusQuery::top(9));
    let paused = status.connections.iter().filter(|row| row.paused.is_some() && [1, 2].contains(&row.id.0)).count();
    assert_eq!(paused, 2, "{status:?}");
    let mut lines = brief(&bench.send(3, Command::Disconnect));
    lines.extend(brief(&bench.send(4, Command::Disconnect)));
    assert!(resumes(lines) >= 1);
}

#[test]
fn a_knot_is_untied_that_is_tied_once_all_that_waits_is_bound_to_a_consumer_without_room() {
    // The other message that waits is taken, or expires; the first of the group came before it, or comes then.
    for (expires, queue, queue_messages) in [(false, 10, 0), (true, 10, 0), (false, 1 << 20, 2), (true, 1 << 20, 2)] {
        let mut bench = Bench::new(Limits { queue, queue_messages, ..limits(0) });
        let publish = |bench: &mut Bench, id: u64, attributes: Attributes, bodies: &[&str]| {
            let mut packer = Packer::default();
            bodies.iter().for_each(|body| packer.push(body.as_bytes()));
            let batch = packer.finish().expect("a message").with_attributes(Arc::new(attributes));
            brief(&bench.send(id, Command::Publish { channel: "/queue/a".into(), batch }))
        };
        bench.subscribe_with(1, "/queue/a", MANUAL);
        bench.subscribe_with(2, "/queue/b", MANUAL);
        assert_eq!(publish(&mut bench, 9, of("g"), &["g"]), ["1:g"]);
        bench.subscribe_with(3, "/queue/a", MANUAL);
        bench.publish(9, "/queue/a", &["x"]);
        let end = bench.now + Duration::from_millis(5);
        let other = Attributes::default().with_expires(expires.then_some(end));
        assert!(publish(&mut bench, 9, other, &["x"]).is_empty());
        // Another waits in front of the one whose acks the queue waits for.
        assert_eq!(publish(&mut bench, 8, of("g"), &["g"; 9]), ["pause 8"]);
        assert_eq!(publish(&mut bench, 2, of("g"), &["g"]), ["pause 2"]);
        let mut lines = brief(&bench.publish(1, "/queue/b", &["y"; 50]));
        assert_eq!(lines.pop().as_deref(), Some("pause 1"), "the third one may yet take what waits");
        bench.credit(3, 5);
        let lines = brief(&if expires { bench.pass(5) } else { bench.send(3, ack(1, 1)) });
        assert!(lines.iter().any(|line| line == "resume 1" || line == "resume 2"), "{expires} {queue}: {lines:?}");
    }
}

#[test]
fn a_queue_without_consumers_pauses_a_consumer_of_another_within_its_bound() {
    let mut bench = Bench::new(limits(2 * one()));
    bench.subscribe_with(1, "/queue/in", MANUAL);
    assert!(pauses(&mut bench, 50).is_some());
    assert_eq!(depth(&bench, "/queue/out"), 2);
}

#[test]
fn a_consumer_that_fills_a_queue_which_an_operator_has_paused_waits_at_its_bound_until_it_is_resumed() {
    for unacked in [0, 1] {
        let mut bench = Bench::new(limits(0));
        bench.subscribe_with(1, "/queue/a", MANUAL);
        (0..unacked).for_each(|_| check(&bench.publish(3, "/queue/a", &["g"]), &["1:g"]));
        assert!(bench.broker.pause_queue(bench.now, b"/queue/a"));
        // Another one waits before it, for more room than the next ack makes.
        assert_eq!(brief(&bench.publish(4, "/queue/a", &["a", "b", "c", "d"])), ["pause 4"]);
        assert_eq!(brief(&bench.publish(1, "/queue/a", &["0", "1", "2", "3", "4"])), ["pause 1"]);
        assert_eq!(depth(&bench, "/queue/a"), 2, "{unacked} unacked");
        assert!(bench.broker.resume_queue(bench.now, b"/queue/a"));
        bench.rest();
        let lines = brief(&bench.events());
        assert!(lines.contains(&"resume 1".to_owned()), "its acks make room from now on: {lines:?}");
        assert_eq!(depth(&bench, "/queue/a"), 7, "{unacked} unacked");
    }
}

#[test]
fn a_consumer_that_has_no_unacked_messages_waits_at_the_bound_of_its_queue_while_all_in_it_is_delayed() {
    let mut bench = Bench::new(limits(0));
    bench.subscribe_with(1, "/queue/a", MANUAL);
    let end = bench.now + Duration::from_secs(1);
    let attributes = Arc::new(Attributes::default().with_deliver_at(Some(end)));
    let delayed = |bench: &mut Bench, id: u64| {
        let batch = Batch::one(b"x").with_attributes(attributes.clone());
        brief(&bench.send(id, Command::Publish { channel: "/queue/a".into(), batch }))
    };
    // Another one waits before it, for more room than the first that is taken makes.
    let lines: Vec<String> = (0..4).flat_map(|_| delayed(&mut bench, 4)).collect();
    assert_eq!(lines, ["pause 4"]);
    let lines: Vec<String> = (0..3).flat_map(|_| delayed(&mut bench, 1)).collect();
    assert_eq!(lines, ["pause 1"]);
    assert_eq!(depth(&bench, "/queue/a"), 1, "no more fit in");
    let lines = brief(&bench.pass(1000));
    assert!(lines.contains(&"resume 1".to_owned()), "its ack makes room from now on: {lines:?}");
    assert_eq!((depth(&bench, "/queue/a"), bench.broker.totals().paused), (4, 1), "{lines:?}");
}

#[test]
fn a_knot_takes_all_consumers_that_are_to_join_a_new_queue() {
    let subscribe = |bench: &mut Bench, id, number, pattern: &'static str| {
        let subscription = SubscriptionId(number);
        bench.send(id, Command::Subscribe { subscription, pattern: pattern.into(), ack: MANUAL });
    };
    for steps in [1, 4096] {
        // The newest joins first: the publisher itself. The other one is read.
        let mut bench = Bench::new(limits(0));
        subscribe(&mut bench, 2, 0, "/queue/n/*");
        subscribe(&mut bench, 1, 0, "/queue/n/*");
        bench.broker.set_steps_per_call(steps);
        bench.publish(1, "/queue/n/a", &["0", "1", "2", "3", "4"]);
        assert!(depth(&bench, "/queue/n/a") <= 2, "in steps of {steps}");
        bench.rest();
        assert_eq!(depth(&bench, "/queue/n/a"), 2, "in steps of {steps}");
        // Nobody but the publisher is to join, and it has all that its prefetch allows.
        let mut bench = Bench::new(limits(0));
        subscribe(&mut bench, 1, 0, "/queue/n/*");
        subscribe(&mut bench, 1, 1, "/queue/n/>");
        bench.publish(3, "/queue/n/b", &["x", "y"]);
        bench.broker.set_steps_per_call(steps);
        // Another one without acks waits before it.
        bench.publish(4, "/queue/n/a", &["0", "1", "2"]);
        bench.publish(1, "/queue/n/a", &["3", "4"]);
        bench.rest();
        assert_eq!((depth(&bench, "/queue/n/a"), bench.broker.totals().paused), (4, 1), "in steps of {steps}");
    }
}
