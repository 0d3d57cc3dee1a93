//! Queues that an operator pauses.

use super::retry::ack;
use super::{Bench, check, manual, small};
use crate::{Attributes, Batch, Command, Limits};
use std::sync::Arc;
use std::time::Duration;

fn pause(bench: &mut Bench) -> Vec<crate::Event> {
    assert!(bench.broker.pause_queue(bench.now, b"/queue/a"));
    bench.rest();
    bench.events()
}

fn resume(bench: &mut Bench) -> Vec<crate::Event> {
    assert!(bench.broker.resume_queue(bench.now, b"/queue/a"));
    bench.rest();
    bench.events()
}

#[test]
fn a_paused_queue_takes_messages_and_hands_out_none_until_it_is_resumed() {
    for ack_mode in [crate::AckMode::Auto, manual(10)] {
        let mut bench = Bench::new(Limits::default());
        bench.subscribe_with(1, "/queue/a", ack_mode);
        check(&bench.publish(3, "/queue/a", &["0"]), &["1:0"]);
        check(&pause(&mut bench), &[]);
        check(&pause(&mut bench), &[]);
        check(&bench.publish(3, "/queue/a", &["1"]), &[]);
        check(&bench.publish(3, "/queue/a", &["2", "3"]), &[]);
        check(&bench.publish(3, "/queue/b", &["x"]), &[]);
        check(&bench.subscribe_with(2, "/queue/a", ack_mode), &[]);
        check(&bench.credit(1, 5), &[]);
        check(&resume(&mut bench), &["2:1", "2:3", "1:2"]);
        check(&resume(&mut bench), &[]);
        check(&bench.publish(3, "/queue/a", &["4"]), &["1:4"]);
    }
}

#[test]
fn what_waits_in_the_outboxes_of_a_paused_queue_goes_back_and_what_is_handed_out_is_settled() {
    for steps in [1, 4096] {
        for ack_mode in [crate::AckMode::Auto, manual(10)] {
            let mut bench = Bench::new(Limits { window: 5, write_timeout: Duration::ZERO, ..Limits::default() });
            bench.subscribe_with(1, "/queue/a", ack_mode);
            bench.subscribe_with(2, "/queue/a", ack_mode);
            bench.broker.set_steps_per_call(steps);
            for body in ["0", "1", "2", "3", "4", "5"] {
                bench.publish(3, "/queue/a", &[body]);
            }
            bench.rest();
            pause(&mut bench);
            check(&bench.credit(1, 5), &[]);
            check(&bench.credit(2, 5), &[]);
            if ack_mode != crate::AckMode::Auto {
                check(&bench.send(1, ack(1, 1)), &[]);
                check(&bench.send(2, ack(1, 1)), &[]);
            }
            let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
            assert_eq!((row.depth, row.in_flight, row.delivered, row.returned), (4, 0, 2, 0));
            // Unseen messages come as if they had never left.
            for event in resume(&mut bench) {
                assert!(matches!(event, crate::Event::Deliver { redelivered: false, attempts: 0, .. }), "{event:?}");
            }
            bench.rest();
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}

#[test]
fn a_paused_queue_is_not_forgotten_and_its_publishers_wait_at_its_bound() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.subscribe(1, "/queue/a");
    pause(&mut bench);
    bench.send(1, Command::Disconnect);
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert!(row.is_paused && row.consumers == 0);
    check(&bench.publish(3, "/queue/a", &["0", "1", "2"]), &["pause 3"]);
    check(&bench.subscribe(2, "/queue/a"), &[]);
    check(&resume(&mut bench), &["2:0", "2:1", "2:2", "resume 3"]);
    bench.credit(2, 15);
    bench.send(2, Command::Disconnect);
    assert!(bench.broker.queue(bench.now, b"/queue/a").is_none());
    for missing in [&b"/queue/none"[..], b"/topic/a"] {
        bench.publish(3, "/topic/a", &["x"]);
        assert!(!bench.broker.pause_queue(bench.now, missing) && !bench.broker.resume_queue(bench.now, missing));
    }
    bench.is_at_rest();
}

#[test]
fn an_empty_queue_that_is_resumed_without_consumers_is_forgotten() {
    let mut bench = Bench::new(Limits::default());
    bench.publish(3, "/queue/a", &["0"]);
    pause(&mut bench);
    bench.broker.purge(bench.now, b"/queue/a");
    assert_eq!(bench.broker.totals().channels, 1);
    resume(&mut bench);
    assert_eq!(bench.broker.totals().channels, 0);
}

#[test]
fn messages_of_a_paused_queue_expire() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    pause(&mut bench);
    let expires = Some(bench.now + Duration::from_secs(1));
    let batch = Batch::one(b"0").with_attributes(Arc::new(Attributes::default().with_expires(expires)));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    bench.pass(1000);
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert_eq!((row.depth, row.expired, row.in_flight), (0, 1, 0));
    check(&resume(&mut bench), &[]);
    bench.is_at_rest();
}

#[test]
fn who_comes_and_goes_while_a_queue_is_being_paused_changes_nothing() {
    for calls in 0..40 {
        let mut bench = Bench::new(Limits { window: 5, write_timeout: Duration::ZERO, ..Limits::default() });
        (1..=5).for_each(|id| _ = bench.subscribe(id, "/queue/a"));
        for body in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e"] {
            bench.publish(9, "/queue/a", &[body]);
        }
        bench.broker.set_steps_per_call(1);
        bench.broker.pause_queue(bench.now, b"/queue/a");
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        bench.send(3, Command::Disconnect);
        bench.send(4, Command::Unsubscribe { subscription: crate::SubscriptionId(0) });
        bench.subscribe(6, "/queue/a");
        bench.rest();
        bench.events();
        let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
        // One each is in flight; that of 3 came back, and so did what was with 4 beside it.
        assert_eq!((row.depth as u64 + row.in_flight, row.in_flight), (15, 4), "after {calls} calls");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        resume(&mut bench);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_drain_does_not_wait_for_paused_queues() {
    let mut bench = Bench::new(Limits { outbox: 100, ..small() });
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.credit(1, 5);
    pause(&mut bench);
    bench.broker.drain(bench.now);
    let mut events = bench.events();
    events.extend(bench.send(1, ack(1, 1)));
    bench.rest();
    events.extend(bench.events());
    assert!(super::brief(&events).contains(&"close 1: the broker is shutting down".to_owned()));
}
