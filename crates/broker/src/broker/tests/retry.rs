//! Tries without success: what counts as one, back-off, and where messages go meanwhile.

use super::{Bench, brief, check, manual};
use crate::{
    AckMode, ChannelRule, Command, Delivery, DeliveryRule, DeliveryTag, Event, Limits, Pattern, StatusQuery,
    SubscriptionId,
};
use std::time::Duration;

pub(super) fn ack(first: u64, last: u64) -> Command {
    Command::Ack { first: DeliveryTag(first), last: DeliveryTag(last) }
}

pub(super) fn nack(first: u64, last: u64) -> Command {
    Command::Nack { first: DeliveryTag(first), last: DeliveryTag(last), requeue: true }
}

/// With the settings of redelivery as they are by default, and peers that may take as long as they like.
pub(super) fn bench() -> Bench {
    Bench::with_rules(Limits { write_timeout: Duration::ZERO, ..Limits::default() }, Vec::new())
}

/// "0 again 2": each message, whether it may have been seen, and how often it was tried.
pub(super) fn tries(events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    for event in events.iter().filter(|event| !matches!(event, Event::Lapsed { .. })) {
        let Event::Deliver { batch, redelivered, attempts, .. } = event else { panic!("{event:?}") };
        let again = if *redelivered { " again" } else { "" };
        lines.extend(batch.iter().map(|body| format!("{}{again} {attempts}", body.escape_ascii())));
    }
    lines
}

#[test]
fn a_nacked_message_comes_again_after_a_back_off_that_doubles_and_its_tries_are_counted() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1));
    assert_eq!(tries(&bench.publish(3, "/queue/a", &["0"])), ["0 0"]);
    bench.credit(1, 5);
    for (tag, seconds) in (1..).zip([1, 2, 4, 8, 16, 32]) {
        check(&bench.send(1, nack(tag, tag)), &[]);
        check(&bench.pass(seconds * 1000 - 1), &[]);
        assert_eq!(tries(&bench.pass(1)), [format!("0 again {tag}")]);
        bench.credit(1, 5);
    }
    bench.send(1, ack(7, 7));
    bench.is_at_rest();
    assert_eq!(bench.broker.totals().failed, 6);
}

#[test]
fn the_longest_back_off_is_a_minute() {
    let never = Delivery { max_deliveries: 0, ..Delivery::default() };
    let mut bench =
        Bench::with_rules(Limits { delivery: never, write_timeout: Duration::ZERO, ..Limits::default() }, Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0"]);
    for tag in 1..=20 {
        check(&bench.send(1, nack(tag, tag)), &[]);
        assert_eq!(tries(&bench.pass(60_000)), [format!("0 again {tag}")]);
        bench.credit(1, 5);
    }
}

#[test]
fn messages_flow_past_one_that_waits_for_its_back_off_and_it_then_comes_in_its_place() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0", "1", "2", "3"]);
    check(&bench.send(1, nack(1, 1)), &["1:1"]);
    bench.credit(1, 10);
    check(&bench.send(1, ack(2, 2)), &["1:2"]);
    // It is due while the consumer is busy, and then it is before what was behind it.
    check(&bench.pass(1000), &[]);
    bench.credit(1, 5);
    assert_eq!(tries(&bench.send(1, ack(3, 3))), ["0 again 1"]);
    bench.credit(1, 5);
    assert_eq!(tries(&bench.send(1, ack(4, 4))), ["3 0"]);
}

#[test]
fn of_what_a_disconnect_returns_the_oldest_unacked_message_of_each_subscription_alone_counts_as_tried() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(100));
    let other = SubscriptionId(7);
    bench.send(1, Command::Subscribe { subscription: other, pattern: "/queue/b".into(), ack: manual(100) });
    bench.publish(3, "/queue/a", &["0", "1", "2", "3"]);
    bench.publish(3, "/queue/a", &["4", "5"]);
    bench.publish(3, "/queue/b", &["6", "7"]);
    bench.credit(1, 40);
    bench.send(1, ack(1, 1));
    bench.send(1, ack(3, 3));
    bench.send(1, Command::Disconnect);
    // No back-off after a disconnect.
    let again = tries(&bench.subscribe_with(2, "/queue/a", manual(100)));
    assert_eq!(again, ["1 again 1", "3 again 0", "4 again 0", "5 again 0"]);
    assert_eq!(tries(&bench.subscribe_with(4, "/queue/b", manual(100))), ["6 again 1", "7 again 0"]);
    assert_eq!(bench.broker.totals().failed, 2);
}

#[test]
fn a_prefetch_of_100_and_seven_restarts_dead_letter_nothing_that_nobody_touched() {
    let mut bench = bench();
    let bodies: Vec<String> = (0..100).map(|body| body.to_string()).collect();
    bench.publish(3, "/queue/a", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    for restart in 0..7 {
        let got = tries(&bench.subscribe_with(10 + restart, "/queue/a", manual(100)));
        assert!(got.is_empty(), "it is not connected");
        bench.send(10 + restart, Command::Connect { transport_acks: false });
        let got = tries(&bench.subscribe_with(10 + restart, "/queue/a", manual(100)));
        assert_eq!(got.len(), 100);
        assert!(got[1..].iter().all(|line| line.ends_with(" 0")), "{got:?}");
        bench.credit(10 + restart, 10_000);
        bench.send(10 + restart, Command::Disconnect);
    }
    // The first alone was tried seven times.
    assert_eq!(bench.broker.totals().dead_lettered, 1);
    let got = tries(&bench.subscribe_with(2, "/queue/a", manual(100)));
    assert_eq!((got.len(), got[0].as_str()), (99, "1 again 0"));
}

#[test]
fn what_was_not_wholly_written_comes_back_as_it_was() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.credit(1, 5 + 4);
    bench.send(1, Command::Disconnect);
    assert_eq!(tries(&bench.subscribe_with(2, "/queue/a", manual(100))), ["0 again 1", "1 0", "2 0"]);
}

#[test]
fn what_a_recall_takes_back_is_no_redelivery() {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0", "1"]);
    check(&bench.pass(10_000), &["recall 1"]);
    bench.send(1, Command::Recalled { kept: 0 });
    assert_eq!(tries(&bench.subscribe_with(2, "/queue/a", manual(100))), ["0 0", "1 0"]);
}

#[test]
fn without_acks_what_the_peers_machine_did_not_acknowledge_is_marked_and_never_counted_as_tried() {
    let mut bench = bench();
    bench.send(10, Command::Connect { transport_acks: true });
    bench.subscribe(10, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.credit(10, 10);
    bench.send(10, Command::TransportAck { bytes: 5 });
    bench.send(10, Command::Disconnect);
    assert_eq!(tries(&bench.subscribe(2, "/queue/a")), ["1 again 0", "2 0"]);
}

#[test]
fn messages_with_different_tries_are_delivered_apart() {
    for (mode, topic_bytes) in [(manual(100), 0), (manual(100), 26), (AckMode::Auto, 0), (AckMode::Auto, 26)] {
        let limits = Limits { window: 30, write_timeout: Duration::ZERO, ..Limits::default() };
        let mut bench = Bench::with_rules(limits, Vec::new());
        bench.subscribe_with(1, "/queue/a", manual(100));
        bench.publish(3, "/queue/a", &["0", "1", "2", "3", "4", "5"]);
        bench.credit(1, 30);
        for tag in [2, 4, 6] {
            bench.send(1, nack(tag, tag));
        }
        bench.pass(1000);
        bench.credit(1, 15);
        bench.send(1, nack(9, 9));
        bench.pass(2000);
        bench.credit(1, 5);
        // The oldest unacked one is tried once more by this.
        bench.send(1, Command::Disconnect);
        // Behind a window full of a topic's, they wait in the outbox, where small ones of a kind are joined.
        let (subscription, pattern) = (SubscriptionId(1), "/topic/a".into());
        bench.send(2, Command::Subscribe { subscription, pattern, ack: AckMode::Auto });
        if topic_bytes > 0 {
            bench.publish(3, "/topic/a", &[&"x".repeat(topic_bytes)]);
        }
        let mut all = bench.subscribe_with(2, "/queue/a", mode);
        assert_eq!(all.is_empty(), topic_bytes > 0, "{all:?}");
        if topic_bytes > 0 {
            all.extend(bench.credit(2, 4 + topic_bytes));
        }
        let expected = ["0 again 1", "1 again 1", "2 again 0", "3 again 1", "4 again 0", "5 again 2"];
        assert_eq!(tries(&all), expected, "{topic_bytes} {mode:?}");
        bench.credit(2, 30);
        if mode != AckMode::Auto {
            bench.send(2, ack(1, 6));
        }
        bench.is_at_rest();
    }
}

#[test]
fn a_rule_says_how_its_queues_are_tried_again() {
    let delivery = DeliveryRule {
        max_deliveries: Some(2),
        redelivery_backoff: Some(Duration::from_millis(5)),
        redelivery_backoff_max: Some(Duration::from_millis(7)),
        ..DeliveryRule::default()
    };
    let rule = ChannelRule { delivery, ..ChannelRule::new(Pattern::new("/queue/a")) };
    let mut bench = Bench::with_rules(Limits::default(), vec![rule]);
    bench.subscribe_with(1, "/queue/*", manual(100));
    bench.publish(3, "/queue/a", &["0"]);
    bench.publish(3, "/queue/b", &["1"]);
    check(&bench.send(1, nack(1, 2)), &[]);
    assert_eq!(tries(&bench.pass(5)), ["0 again 1"]);
    check(&bench.send(1, nack(3, 3)), &[]);
    assert_eq!(bench.broker.totals().dead_lettered, 1);
    assert_eq!(tries(&bench.pass(1000)), ["1 again 1"]);
}

#[test]
fn settings_of_redelivery_are_checked_at_their_bounds() {
    for (backoff, is_allowed) in [(0, true), (1, false), (999, false), (1000, true), (u64::MAX, true)] {
        let micros = Duration::from_micros(backoff);
        for delivery in [
            Delivery { redelivery_backoff: micros, ..Delivery::default() },
            Delivery { redelivery_backoff_max: micros, ..Delivery::default() },
            Delivery { message_ttl: micros, ..Delivery::default() },
            Delivery { ack_timeout: micros, ..Delivery::default() },
        ] {
            let limits = Limits { delivery, ..Limits::default() };
            assert_eq!(limits.check().is_ok(), is_allowed, "{delivery:?}");
        }
    }
}

#[test]
fn a_purge_takes_what_waits_for_its_back_off_too() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.credit(1, 10);
    bench.send(1, nack(1, 1));
    bench.send(1, ack(2, 2));
    assert_eq!(bench.broker.status(bench.now, &StatusQuery::top(1)).channels[0].depth, 1);
    assert_eq!(bench.broker.purge(bench.now, b"/queue/a"), Some(1));
    assert_eq!(bench.broker.poll_timeout().filter(|&due| due > bench.now), None, "nothing is waited for");
    bench.is_at_rest();
    check(&bench.pass(100_000), &[]);
}

#[test]
fn a_broker_that_drains_does_not_wait_for_a_back_off() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(1, 5);
    check(&bench.send(1, nack(1, 1)), &[]);
    bench.broker.drain(bench.now);
    let closed = brief(&bench.events());
    assert!(closed.contains(&"close 1: the broker is shutting down".to_owned()), "{closed:?}");
}

#[test]
fn many_back_offs_that_end_at_once_are_dealt_with_in_steps_and_in_order() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(1000));
    let bodies: Vec<String> = (0..400).map(|body| format!("{body:03}")).collect();
    bodies.iter().for_each(|body| _ = bench.publish(3, "/queue/a", &[body]));
    bench.credit(1, 400 * 7);
    (1..=400).rev().for_each(|tag| _ = bench.send(1, nack(tag, tag)));
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    bench.broker.set_steps_per_call(10);
    bench.now = bench.now + Duration::from_secs(1);
    bench.broker.handle_timeout(bench.now);
    let ready = bench.broker.status(bench.now, &StatusQuery::top(1)).channels[0].depth;
    assert_eq!(ready, 400);
    assert!(bench.broker.poll_timeout().is_some_and(|due| due <= bench.now), "there is more to do");
    bench.pass(0);
    let all = tries(&bench.subscribe_with(2, "/queue/a", manual(1000)));
    let mut all: Vec<String> = all.into_iter().chain(tries(&bench.pass(0))).collect();
    all.iter_mut().for_each(|line| line.truncate(3));
    assert_eq!(all, bodies);
}

fn timed(millis: u64) -> Bench {
    let delivery = Delivery { ack_timeout: Duration::from_millis(millis), ..Delivery::default() };
    Bench::with_rules(Limits { delivery, write_timeout: Duration::ZERO, ..Limits::default() }, Vec::new())
}

#[test]
fn an_ack_that_came_in_time_counts_though_no_call_has_carried_it_out_yet() {
    for steps in [1, 10, 100] {
        let mut bench = timed(50);
        bench.subscribe_with(1, "/queue/a", manual(100));
        for _ in 0..40 {
            bench.publish(3, "/queue/a", &["x"]);
        }
        bench.credit(1, 40 * 5);
        bench.broker.set_steps_per_call(steps);
        bench.now = bench.now + Duration::from_millis(50);
        // In the call at whose time the time-out ends.
        bench.send(1, ack(1, 40));
        bench.broker.handle_timeout(bench.now);
        bench.rest();
        check(&bench.events(), &[]);
        assert_eq!((bench.broker.totals().failed, bench.broker.totals().delivered), (0, 40), "in steps of {steps}");
        bench.is_at_rest();
    }
}

#[test]
fn a_message_that_is_not_acked_in_time_goes_to_another_consumer_and_its_connection_lives() {
    let mut bench = timed(50);
    bench.subscribe_with(1, "/queue/a", manual(10));
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.pass(30);
    bench.publish(3, "/queue/a", &["2"]);
    bench.credit(1, 15);
    bench.send(1, ack(1, 1));
    check(&bench.pass(19), &[]);
    assert_eq!(bench.broker.totals().failed, 0);
    bench.pass(1);
    assert_eq!(bench.broker.totals().failed, 1);
    bench.send(1, ack(3, 3));
    bench.subscribe_with(2, "/queue/a", manual(10));
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    check(&bench.pass(999), &[]);
    let again = bench.pass(1);
    check(&again, &["2:1"]);
    assert_eq!(tries(&again), ["1 again 1"]);
    // The ack that comes too late is refused.
    check(&bench.send(1, ack(2, 2)), &["refused: no message waits for an ack under tag 2"]);
    bench.credit(2, 5);
    bench.send(2, ack(1, 1));
    bench.is_at_rest();
    check(&bench.pass(100_000), &[]);
}

#[test]
fn the_time_for_an_ack_begins_when_a_message_is_handed_out() {
    let delivery = Delivery { ack_timeout: Duration::from_millis(50), ..Delivery::default() };
    let limits = Limits { delivery, window: 5, write_timeout: Duration::ZERO, ..Limits::default() };
    let mut bench = Bench::with_rules(limits, Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(10));
    bench.publish(3, "/queue/a", &["0"]);
    bench.publish(3, "/queue/a", &["1"]);
    bench.send(1, ack(1, 1));
    bench.pass(100);
    check(&bench.credit(1, 5), &["1:1"]);
    bench.pass(49);
    assert_eq!(bench.broker.totals().failed, 0);
    bench.pass(1);
    assert_eq!(bench.broker.totals().failed, 1);
}

#[test]
fn many_ack_time_outs_at_once_are_dealt_with_in_steps_and_end_in_dead_letters() {
    let mut bench = timed(50);
    bench.subscribe_with(1, "/queue/a", manual(1000));
    (0..100).for_each(|_| _ = bench.publish(3, "/queue/a", &["0"]));
    bench.credit(1, 100_000);
    bench.broker.set_steps_per_call(10);
    bench.now = bench.now + Duration::from_millis(50);
    bench.broker.handle_timeout(bench.now);
    assert!(bench.broker.totals().failed < 50, "one call takes back some");
    for _ in 0..7 {
        bench.pass(70_000);
        bench.credit(1, 100_000);
    }
    assert_eq!((bench.broker.totals().failed, bench.broker.totals().dead_lettered), (700, 100));
    bench.broker.purge(bench.now, b"/queue/dead/queue/a");
    bench.pass(0);
    bench.is_at_rest();
}
