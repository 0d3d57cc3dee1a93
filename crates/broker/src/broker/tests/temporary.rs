//! Temporary queues: who owns them, and how they end.

use super::durable::{QUEUE, durable_as};
use super::overflow::with_receipt_to;
use super::retry::ack;
use super::{Bench, brief, check, manual, small};
use crate::{AckMode, Command, ConnectionId, Delivery, DeliveryTag, Limits, Refusal, StatusQuery, SubscriptionId};

const OWN: &str = "/queue/temp/1/x";
const ENDED: &str = "the temporary queue has ended with its connection";

fn channels(bench: &Bench) -> Vec<String> {
    let status = bench.broker.status(bench.now, &StatusQuery::top(100));
    status.channels.iter().map(|channel| channel.name.escape_ascii().to_string()).collect()
}

#[track_caller]
fn has_ended(bench: &Bench, dropped: u64) {
    let totals = bench.broker.totals();
    assert_eq!((totals.dropped_ended, totals.dead_lettered), (dropped, 0));
    assert_eq!(channels(bench), Vec::<String>::new());
    bench.is_at_rest();
}

#[test]
fn only_its_owner_may_subscribe_to_a_temporary_queue() {
    let mut bench = Bench::new(Limits::default());
    let refused = format!("refused: {}", Refusal::NotOwner);
    for pattern in [OWN, "/queue/temp/1/*", "/queue/temp/>", "/queue/temp/*/x", "/queue/temp/01/x", "/queue/temp/x"] {
        check(&bench.subscribe(2, pattern), &[&refused]);
    }
    check(&bench.subscribe(1, OWN), &[]);
    let all =
        Command::Subscribe { subscription: SubscriptionId(1), pattern: "/queue/temp/1/>".into(), ack: AckMode::Auto };
    check(&bench.send(1, all), &[]);
    check(&bench.publish(2, "/queue/temp/1/other", &["0"]), &["1:0"]);
}

#[test]
fn what_is_sent_to_a_temporary_queue_waits_for_its_owner_whoever_listens_to_all_queues() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(2, "/queue/>");
    check(&bench.publish(3, OWN, &["0"]), &[]);
    check(&bench.publish(1, OWN, &["1"]), &[]);
    check(&bench.subscribe(1, OWN), &["1:0", "1:1"]);
    bench.credit(1, 10);
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    // It comes again while its owner is there.
    assert_eq!(channels(&bench), Vec::<String>::new());
    check(&bench.publish(3, OWN, &["2"]), &[]);
    check(&bench.subscribe(1, OWN), &["1:2"]);
}

#[test]
fn a_temporary_queue_ends_with_its_connection_and_its_messages_are_freed_and_no_dead_letters() {
    let delivery = Delivery { max_deliveries: 1, dead_letter_expired: true, ..Delivery::default() };
    for ack_mode in [AckMode::Auto, manual(1), manual(100)] {
        for steps in [1, 7, 10_000] {
            let mut bench = Bench::with_rules(Limits { delivery, window: 10, ..Limits::default() }, Vec::new());
            bench.broker.set_steps_per_call(steps);
            bench.subscribe_with(1, OWN, ack_mode);
            bench.rest();
            bench.publish(2, OWN, &["0", "1", "2", "3"]);
            bench.publish(3, "/queue/temp/1/other", &["4"]);
            bench.rest();
            bench.credit(1, 7);
            bench.rest();
            bench.send(1, Command::Disconnect);
            bench.rest();
            let done = bench.broker.totals().delivered;
            assert_eq!(done, u64::from(ack_mode == AckMode::Auto), "one message was wholly written");
            has_ended(&bench, 5 - done);
        }
    }
}

#[test]
fn a_message_that_its_owner_rejects_is_dropped_and_no_dead_letter() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, OWN, manual(10));
    bench.publish(2, OWN, &["0", "1"]);
    bench.credit(1, 10);
    bench.send(1, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(1), requeue: false });
    bench.send(1, ack(2, 2));
    let totals = bench.broker.totals();
    assert_eq!((totals.dropped_dead, totals.dead_lettered, totals.dropped_ended), (1, 0, 0));
    assert_eq!(channels(&bench), [OWN]);
    bench.is_at_rest();
}

#[test]
fn a_publisher_that_waits_for_a_temporary_queue_goes_on_when_that_ends() {
    let mut bench = Bench::new(Limits { queue_messages: 1, ..Limits::default() });
    check(&bench.publish(2, OWN, &["0", "1", "2"]), &["pause 2"]);
    check(&bench.publish(3, OWN, &["3"]), &["pause 3"]);
    bench.publish(3, "/queue/b", &["later"]);
    let events = bench.send(1, Command::Disconnect);
    let told = |messages: usize, id: u64| format!("rejected {messages} of {id} to {OWN}: {ENDED}");
    check(&events, &[&told(2, 2), "resume 2", &told(1, 3), "resume 3"]);
    assert_eq!(channels(&bench), ["/queue/b"]);
    assert_eq!((bench.broker.totals().rejected, bench.broker.totals().dropped_ended), (3, 1));
    check(&bench.subscribe(4, "/queue/b"), &["4:later"]);
    bench.credit(4, 9);
    bench.is_at_rest();
}

#[test]
fn one_that_answers_too_late_is_told_and_goes_on() {
    let mut bench = Bench::new(Limits::default());
    check(&bench.publish(2, OWN, &["0"]), &[]);
    bench.send(1, Command::Disconnect);
    let told = format!("rejected 1 of 2 to {OWN}: {ENDED}");
    // The one that remembers the queue, too.
    check(&bench.publish(2, OWN, &["1"]), &[&told]);
    check(&bench.send(2, with_receipt_to(OWN, &["2"], "r")), &[&told, "unconfirmed 2: r"]);
    check(&bench.send(2, with_receipt_to("/queue/a", &["3"], "s")), &["receipt 2"]);
    assert_eq!(bench.broker.totals().rejected, 2);
}

#[test]
fn names_that_no_connection_owns_are_of_no_queue() {
    let mut bench = Bench::new(Limits::default());
    for name in
        ["/queue/temp/99/x", "/queue/temp/x", "/queue/temp/", "/queue/temp/1/", "/queue/temp/1", "/queue/temp/01/x"]
    {
        check(&bench.publish(2, name, &["0"]), &[&format!("rejected 1 of 2 to {name}: {ENDED}")]);
    }
    bench.is_at_rest();
    assert_eq!(channels(&bench), Vec::<String>::new());
}

#[test]
fn temporary_queues_are_bounded_as_channels_are() {
    let mut bench = Bench::new(Limits { channels: 2, ..Limits::default() });
    check(&bench.publish(2, "/queue/temp/1/a", &["0"]), &[]);
    check(&bench.publish(2, "/queue/temp/1/b", &["0"]), &[]);
    let refused = "refused: there are 2 channels already (limit: channels)";
    check(&bench.publish(2, "/queue/temp/1/c", &["0"]), &[refused]);
    bench.send(1, Command::Disconnect);
    has_ended(&bench, 2);
    check(&bench.publish(3, "/queue/temp/3/c", &["0"]), &[]);
}

#[test]
fn a_temporary_queue_that_topics_feed_ends_with_its_connection_too() {
    let mut bench = Bench::new(Limits::default());
    let (subscription, queue, source) = (SubscriptionId(0), OWN.into(), "/topic/a".into());
    check(&bench.send(1, Command::SubscribeDurable { subscription, queue, source, ack: AckMode::Auto }), &[]);
    bench.publish(2, "/topic/a", &["0"]);
    bench.send(1, Command::Disconnect);
    bench.publish(2, "/topic/a", &["1"]);
    has_ended(&bench, 1);
    assert_eq!(bench.broker.totals().dropped_no_subscribers, 1);
}

#[test]
fn many_temporary_queues_end_in_steps_and_none_comes_meanwhile() {
    let mut bench = Bench::new(Limits::default());
    for number in 0..500 {
        bench.publish(2, format!("/queue/temp/1/{number}").leak(), &["0"]);
    }
    bench.broker.set_steps_per_call(40);
    bench.send(1, Command::Disconnect);
    let told = format!("rejected 1 of 2 to /queue/temp/1/meanwhile: {ENDED}");
    check(&bench.publish(2, "/queue/temp/1/meanwhile", &["0"]), &[&told]);
    assert!(bench.broker.totals().channels > 400);
    let mut calls = 0;
    while bench.broker.poll_timeout() == Some(bench.now) {
        bench.broker.handle_timeout(bench.now);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        calls += 1;
    }
    assert!(calls > 50, "{calls} calls");
    has_ended(&bench, 500);
    assert_eq!(brief(&bench.publish(2, "/queue/temp/1/new", &["0"])).len(), 1);
    has_ended(&bench, 500);
}

#[test]
fn a_temporary_queue_ends_also_while_an_operator_has_paused_it_or_moves_its_messages() {
    for steps in [1, 5, 1000] {
        let mut bench = Bench::new(small());
        bench.subscribe_with(1, OWN, manual(2));
        bench.publish(2, OWN, &["0", "1", "2", "3"]);
        assert!(bench.broker.pause_queue(bench.now, OWN.as_bytes()));
        bench.broker.set_steps_per_call(steps);
        assert_eq!(bench.broker.move_messages(bench.now, OWN.as_bytes(), None, 10).map(|order| order.messages), Ok(2));
        bench.send(1, Command::Disconnect);
        bench.rest();
        has_ended(&bench, 4);
    }
    // Nothing is moved to one that has ended.
    let mut bench = Bench::new(small());
    bench.publish(2, "/queue/a", &["0"]);
    let moved = bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/temp/77/x"), 10);
    assert_eq!(moved, Err(crate::MoveError::Refused(Refusal::Ended)));
}

#[test]
fn a_connection_that_finishes_has_its_temporary_queues_until_it_is_gone() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, OWN);
    bench.publish(2, OWN, &["0"]);
    bench.send(1, Command::Finish);
    check(&bench.publish(2, OWN, &["1"]), &[]);
    check(&bench.credit(1, 5), &["close 1: finished"]);
    bench.broker.handle(bench.now, ConnectionId(1), Command::Disconnect);
    bench.rest();
    has_ended(&bench, 1);
}

#[test]
fn the_end_of_a_subscription_recalls_also_what_it_has_of_a_queue_that_has_ended() {
    for window in [10, 1 << 20] {
        let mut bench = Bench::with_rules(Limits { window, ..Limits::default() }, Vec::new());
        durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(100));
        let bodies = ["0", "1", "2", "3"];
        bench.publish(2, "/topic/a", &bodies);
        // Its subscription ends with the queue.
        let events = brief(&bench.send(3, Command::EndDurable { queue: QUEUE.into() }));
        assert_eq!(events, ["recall 1", "ended 1: 0"], "in a window of {window}");
        check(&bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) }), &[]);
        check(&bench.send(1, Command::Recalled { kept: 0 }), &[]);
        bench.rest();
        assert_eq!(bench.broker.totals().dropped_ended, bodies.len() as u64);
        bench.is_at_rest();
    }
}
