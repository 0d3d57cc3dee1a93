//! Queues that are full: who waits, who is told, and what is dropped.

use super::{Bench, brief, check, manual, small};
use crate::{Attributes, Batch, ChannelRule, Command, Event, Limits, Packer, Pattern, QueueOverflow, Refusal, cost};
use std::sync::Arc;
use std::time::Duration;

fn full(overflow: QueueOverflow, messages: usize) -> Bench {
    Bench::new(Limits { queue: 1 << 20, queue_messages: messages, outbox: 10_000, overflow, ..small() })
}

fn with_receipt(bodies: &[&str], receipt: &str) -> Command {
    with_receipt_to("/queue/a", bodies, receipt)
}

pub(super) fn with_receipt_to(channel: &'static str, bodies: &[&str], receipt: &str) -> Command {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let (batch, receipt) = (packer.finish().unwrap(), Batch::one(receipt.as_bytes()));
    Command::PublishWithReceipt { channel: channel.into(), batch, receipt }
}

pub(super) fn depth(bench: &Bench, name: &str) -> usize {
    bench.broker.queue(bench.now, name.as_bytes()).map_or(0, |row| row.depth)
}

#[test]
fn a_queue_that_rejects_takes_what_fits_tells_the_publisher_of_the_rest_and_lets_it_go_on() {
    for (messages, rejected) in [(1, 2), (2, 1), (3, 0), (0, 0)] {
        let mut bench = full(QueueOverflow::Reject, messages);
        let bound = if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") };
        let reason = format!("the queue is at its bound of {bound} (limits: queue-messages, overflow)");
        let told = (rejected > 0).then(|| format!("rejected {rejected} of 3 to /queue/a: {reason}"));
        assert_eq!(brief(&bench.publish(3, "/queue/a", &["0", "1", "2"])), told.into_iter().collect::<Vec<_>>());
        let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
        assert_eq!((row.depth, row.rejected, row.published), (3 - rejected, rejected as u64, 3 - rejected as u64));
        assert_eq!(bench.broker.totals().rejected, rejected as u64);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        check(&bench.publish(3, "/queue/b", &["x"]), &[]);
        bench.broker.purge(bench.now, b"/queue/a");
        check(&bench.publish(3, "/queue/a", &["3"]), &[]);
    }
}

#[test]
fn a_queue_that_rejects_by_bytes_says_so_and_takes_one_message_of_any_size() {
    let mut bench = Bench::new(Limits { queue: 10, overflow: QueueOverflow::Reject, ..small() });
    let told = "rejected 1 of 3 to /queue/a: the queue is at its bound of 10 bytes (limits: queue, overflow)";
    check(&bench.publish(3, "/queue/a", &["longer than the bound"]), &[]);
    check(&bench.publish(3, "/queue/a", &["x"]), &[told]);
}

#[test]
fn a_receipt_comes_for_what_was_taken_and_is_unconfirmed_for_what_was_not() {
    let mut bench = full(QueueOverflow::Reject, 2);
    check(&bench.send(3, with_receipt(&["0"], "r0")), &["receipt 3"]);
    let told =
        "rejected 1 of 3 to /queue/a: the queue is at its bound of 2 messages (limits: queue-messages, overflow)";
    check(&bench.send(3, with_receipt(&["1", "2"], "r1")), &[told, "unconfirmed 3: r1"]);
    check(&bench.send(3, with_receipt(&["3"], "r2")), &[told, "unconfirmed 3: r2"]);
    // Refused messages are unconfirmed, too.
    let long = "x".repeat(1001);
    let refused = "refused: a message of 1001 bytes is over the limit of 1000 (limit: message)";
    check(&bench.send(3, with_receipt(&[&long], "r3")), &[refused, "unconfirmed 3: r3"]);
    // A rejection says nothing of what comes later.
    check(&bench.publish(3, "/topic/none", &["x"]), &[]);
    bench.broker.purge(bench.now, b"/queue/a");
    check(&bench.send(3, with_receipt(&["4"], "r4")), &["receipt 3"]);
    bench.send(3, Command::ReceiptsWritten { receipts: 5, bytes: 30 + 3 * cost::reason(8) });
    bench.broker.purge(bench.now, b"/queue/a");
    bench.is_at_rest();
}

#[test]
fn a_receipt_of_several_publishes_says_if_any_of_them_was_rejected_and_nothing_of_earlier_ones() {
    for (ago, publishes) in (1..4).flat_map(|ago| (0..5).map(move |publishes| (ago, publishes))) {
        let mut bench = full(QueueOverflow::Reject, 1);
        bench.publish(3, "/queue/a", &["0"]);
        bench.publish(3, "/queue/a", &["1"]);
        (1..ago).for_each(|_| _ = bench.publish(3, "/topic/none", &["x"]));
        let receipt = || Command::Receipt { batch: Batch::one(b"r"), covers: 0, publishes };
        let is_confirmed = publishes < ago;
        check(&bench.send(3, receipt()), &[if is_confirmed { "receipt 3" } else { "unconfirmed 3: r" }]);
        // It is said once.
        check(
            &bench.send(3, Command::Receipt { batch: Batch::one(b"r"), covers: 0, publishes: ago - 1 }),
            &["receipt 3"],
        );
    }
}

#[test]
fn an_unconfirmed_receipt_names_what_was_rejected_of_its_own_connection_and_its_reason_is_charged() {
    let mut bench = full(QueueOverflow::Reject, 1);
    for (id, queue) in [(3, "/queue/a"), (4, "/queue/b")] {
        bench.publish(id, queue, &["0"]);
        bench.publish(id, queue, &["1"]);
    }
    let before = bench.broker.totals().memory;
    let events = bench.send(3, Command::Receipt { batch: Batch::one(b"r"), covers: 0, publishes: 1 });
    let [Event::Unconfirmed { rejected, bytes, .. }] = &events[..] else { panic!("{events:?}") };
    let (channel, refusal) = &**rejected;
    assert_eq!((&channel[..], *refusal), (&b"/queue/a"[..], Refusal::QueueMessages { bound: 1 }));
    // Each byte of the name may be escaped.
    assert!(*bytes > 4 * channel.len() + refusal.to_string().len());
    assert_eq!(bench.broker.totals().memory, before + cost::receipts(1, *bytes));
    bench.send(3, Command::ReceiptsWritten { receipts: 1, bytes: *bytes });
    assert_eq!(bench.broker.totals().memory, before);
}

#[test]
fn a_receipt_waits_with_its_messages_and_a_rejection_comes_in_their_order() {
    let mut bench = full(QueueOverflow::Throttle, 1);
    bench.publish(3, "/queue/a", &["0"]);
    check(&bench.send(3, with_receipt(&["1"], "r1")), &["pause 3"]);
    check(&bench.send(3, with_receipt(&["2"], "r2")), &[]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    let rule = ChannelRule {
        overflow: Some(QueueOverflow::Reject),
        queue_messages: Some(2),
        ..ChannelRule::new(Pattern::new("/queue/a"))
    };
    bench.broker.set_rules(bench.now, vec![rule]);
    let told =
        "rejected 1 of 3 to /queue/a: the queue is at its bound of 2 messages (limits: queue-messages, overflow)";
    check(&bench.events(), &["receipt 3", told, "unconfirmed 3: r2", "resume 3"]);
}

#[test]
fn a_queue_that_drops_its_oldest_takes_everything_and_they_become_dead_letters() {
    for steps in [1, 4096] {
        for (messages, kept) in [(0, 10), (1, 1), (9, 9), (10, 10), (11, 10)] {
            let mut bench = full(QueueOverflow::DropOld, messages);
            bench.broker.set_steps_per_call(steps);
            let bodies: Vec<String> = (0..10).map(|body| body.to_string()).collect();
            let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
            check(&bench.publish(3, "/queue/a", &bodies[..6]), &[]);
            bodies[6..].iter().for_each(|body| check(&bench.publish(3, "/queue/a", &[body]), &[]));
            bench.rest();
            bench.broker.set_steps_per_call(4096);
            assert_eq!(depth(&bench, "/queue/a"), kept, "a bound of {messages}");
            // Dead letters have the same bound, and drop their own oldest.
            let dead = if messages == 0 { 0 } else { (10 - kept).min(messages) };
            assert_eq!(depth(&bench, "/queue/dead/queue/a"), dead);
            let totals = bench.broker.totals();
            assert_eq!((totals.dead_lettered, totals.dropped_dead), (10 - kept as u64, (10 - kept - dead) as u64));
            assert_eq!(totals.memory, bench.broker.audit());
            let left: Vec<String> = bodies[10 - kept..].iter().map(|body| format!("1:{body}")).collect();
            assert_eq!(brief(&bench.subscribe(1, "/queue/a")), left);
        }
    }
}

#[test]
fn a_dead_letter_of_a_full_queue_says_why_and_without_room_for_one_it_is_dropped_and_counted() {
    let mut bench = full(QueueOverflow::DropOld, 1);
    bench.publish(3, "/queue/a", &["0", "1"]);
    let dead = bench.subscribe(1, "/queue/dead/queue/a");
    let [Event::Deliver { batch, .. }] = &dead[..] else { panic!("{dead:?}") };
    let headers = &batch.attributes().unwrap().headers;
    assert_eq!(headers.get(b"dead-letter-reason"), Some(&b"overflow"[..]));
    let mut bench = Bench::new(Limits { channels: 1, queue_messages: 1, overflow: QueueOverflow::DropOld, ..small() });
    bench.publish(3, "/queue/a", &["0", "1"]);
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert_eq!((row.depth, row.dropped, bench.broker.totals().dropped_overflow), (1, 1, 1));
    bench.broker.purge(bench.now, b"/queue/a");
    bench.is_at_rest();
}

#[test]
fn a_rule_of_a_channel_says_how_it_overflows_and_from_when_on() {
    let rule = |pattern: &'static str, overflow, queue_messages| ChannelRule {
        overflow,
        queue_messages,
        ..ChannelRule::new(Pattern::new(pattern))
    };
    let rules = vec![
        rule("/queue/old", Some(QueueOverflow::DropOld), Some(1)),
        rule("/queue/reject", Some(QueueOverflow::Reject), Some(1)),
        rule("/queue/unbounded", None, Some(0)),
    ];
    let limits = Limits { queue: 1 << 20, queue_messages: 2, ..small() };
    let mut bench = Bench::with_rules(limits, rules);
    check(&bench.publish(1, "/queue/old", &["0", "1", "2"]), &[]);
    let told =
        "rejected 2 of 2 to /queue/reject: the queue is at its bound of 1 message (limits: queue-messages, overflow)";
    check(&bench.publish(2, "/queue/reject", &["0", "1", "2"]), &[told]);
    check(&bench.publish(3, "/queue/unbounded", &["0", "1", "2"]), &[]);
    check(&bench.publish(4, "/queue/other", &["0", "1", "2"]), &["pause 4"]);
    // A topic is not a queue, and dead letters drop their oldest in any case.
    let reject = rule(">", Some(QueueOverflow::Reject), Some(1));
    let dead = rule("/queue/dead/>", Some(QueueOverflow::Reject), Some(1));
    bench.broker.set_rules(bench.now, vec![reject, dead]);
    bench.events();
    assert_eq!(depth(&bench, "/queue/dead/queue/old"), 1);
}

#[test]
fn a_topic_that_buffers_drops_nothing_for_the_bounds_of_queues() {
    let mut bench = Bench::new(Limits {
        buffer_unsubscribed: 3,
        queue_messages: 1,
        overflow: QueueOverflow::DropOld,
        ..Limits::default()
    });
    check(&bench.publish(3, "/topic/a", &["0", "1", "2"]), &[]);
    assert_eq!(bench.broker.totals().dead_lettered, 0);
    check(&bench.subscribe(1, "/topic/a"), &["1:0", "1:1", "1:2"]);
}

#[test]
fn what_is_left_of_delayed_messages_of_which_some_are_dropped_is_still_delayed() {
    let mut bench = full(QueueOverflow::DropOld, 2);
    let deliver_at = Some(bench.now + Duration::from_secs(1));
    let mut packer = Packer::default();
    ["0", "1", "2"].iter().for_each(|body| packer.push(body.as_bytes()));
    let attributes = Attributes::default().with_deliver_at(deliver_at);
    let batch = packer.finish().expect("messages").with_attributes(Arc::new(attributes));
    bench.subscribe(1, "/queue/a");
    check(&bench.send(3, Command::Publish { channel: "/queue/a".into(), batch }), &[]);
    assert_eq!(depth(&bench, "/queue/a"), 2);
    check(&bench.pass(999), &[]);
    check(&bench.pass(1), &["1:1", "1:2"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_purge_drops_what_waits_and_resumes_who_was_paused() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    assert_eq!(bench.broker.purge(bench.now, b"/queue/a"), Some(2));
    check(&bench.events(), &["resume 1"]);
    assert_eq!(bench.broker.purge(bench.now, b"/queue/none"), None);
}

/// Messages of a priority to `/queue/a`.
fn publish_with(bench: &mut Bench, bodies: &[&str], attributes: Attributes) -> Vec<Event> {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let batch = packer.finish().unwrap().with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch })
}

#[test]
fn a_queue_rejects_nothing_of_a_higher_priority_that_its_consumers_have_room_for() {
    for (room, rejected) in [(2, 1), (3, 0), (4, 0)] {
        for steps in [1, 4096] {
            let mut bench = full(QueueOverflow::Reject, 1);
            bench.broker.set_steps_per_call(steps);
            bench.subscribe_with(1, "/queue/a", manual(1 + room));
            bench.publish(3, "/queue/a", &["0"]);
            bench.credit(1, 5);
            let urgent = Attributes { priority: 9, ..Attributes::default() };
            let mut events = publish_with(&mut bench, &["1", "2", "3", "4"], urgent);
            bench.rest();
            events.extend(bench.events());
            let given = brief(&events).iter().filter(|line| line.starts_with("1:")).count();
            assert_eq!((given, bench.broker.totals().rejected), (room as usize, rejected), "{room}: {events:?}");
            assert_eq!(depth(&bench, "/queue/a"), 4 - room as usize - rejected as usize);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}

#[test]
fn a_queue_rejects_nothing_while_what_comes_back_to_it_is_on_its_way_to_a_consumer_with_room() {
    let mut bench = full(QueueOverflow::Reject, 1);
    bench.subscribe_with(1, "/queue/a", manual(100));
    (0..20).for_each(|number| drop(bench.publish(3, "/queue/a", &[&number.to_string()])));
    bench.broker.set_steps_per_call(1);
    bench.send(1, Command::Disconnect);
    bench.subscribe_with(2, "/queue/a", manual(100));
    while depth(&bench, "/queue/a") == 0 {
        bench.broker.handle_timeout(bench.now);
    }
    bench.publish(3, "/queue/a", &["new"]);
    bench.rest();
    let given: Vec<String> = brief(&bench.events()).into_iter().filter(|line| line.starts_with("2:")).collect();
    assert_eq!((given.len(), given[20].as_str()), (21, "2:new"));
    assert_eq!(bench.broker.totals().rejected, 0);
}

#[test]
fn a_paused_queue_that_is_full_rejects_at_once() {
    let mut bench = full(QueueOverflow::Reject, 1);
    bench.subscribe(1, "/queue/a");
    assert!(bench.broker.pause_queue(bench.now, b"/queue/a"));
    check(&bench.publish(3, "/queue/a", &["0"]), &[]);
    let told = "rejected 1 of 3 to /queue/a: the queue is at its bound of 1 message (limits: queue-messages, overflow)";
    check(&bench.publish(3, "/queue/a", &["1"]), &[told]);
}

#[test]
fn a_queue_that_rejects_takes_nothing_over_its_bound_from_its_own_consumer() {
    let limits = Limits { queue: 1 << 20, queue_messages: 1, outbox: 10_000, read_ahead: 0, ..small() };
    let mut bench = Bench::new(Limits { overflow: QueueOverflow::Reject, ..limits });
    bench.subscribe_with(3, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(3, 5);
    let urgent = Attributes { priority: 9, ..Attributes::default() };
    publish_with(&mut bench, &["1", "2", "3"], urgent);
    assert_eq!((depth(&bench, "/queue/a"), bench.broker.totals().rejected), (1, 2));
    assert_eq!(bench.broker.totals().paused, 0);
}

#[test]
fn a_publisher_of_a_queue_that_rejects_is_answered_when_a_long_move_from_it_ends() {
    // All that is moved finds room, or none of it does.
    for (bound, told) in [(1000, None), (1, Some("rejected 1 of 1"))] {
        let rule = ChannelRule { queue_messages: Some(bound), ..ChannelRule::new(Pattern::new("/queue/b")) };
        let limits = Limits { overflow: QueueOverflow::Reject, queue_messages: 300, queue: 1 << 20, ..small() };
        let mut bench = Bench::with_rules(limits, vec![rule]);
        bench.publish(2, "/queue/b", &["x"]);
        // Larger than what is kept together.
        let body = "x".repeat(900);
        (0..300).for_each(|_| check(&bench.publish(2, "/queue/a", &[&body]), &[]));
        bench.broker.set_steps_per_call(1);
        let order = bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), usize::MAX);
        assert_eq!(order.map(|order| order.messages), Ok(300));
        check(&bench.send(1, with_receipt(&["new"], "r")), &["pause 1"]);
        let mut calls = 0;
        let mut events = Vec::new();
        while bench.broker.poll_timeout() == Some(bench.now) {
            bench.broker.handle_timeout(bench.now);
            let lines = brief(&bench.events());
            let is_rejected = lines.iter().any(|line| line.starts_with("rejected"));
            assert!(!is_rejected || bench.broker.moving.is_empty(), "a move that goes on may make room");
            events.extend(lines);
            calls += 1;
            assert!(calls < 10_000, "it never ends");
        }
        assert!(events.contains(&"resume 1".to_owned()), "{bound}: {events:?}");
        let rejected = events.iter().find(|line| line.starts_with("rejected"));
        assert_eq!(rejected.is_some(), told.is_some(), "{bound}: {events:?}");
        assert!(rejected.is_none_or(|line| told.is_some_and(|told| line.starts_with(told))), "{rejected:?}");
        let receipt = if told.is_some() { "unconfirmed 1: r" } else { "receipt 1" };
        assert!(events.iter().any(|line| line.starts_with(receipt)), "{bound}: {events:?}");
    }
}
