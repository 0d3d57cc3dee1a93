//! Subscribers of a topic that do not keep up.

mod drop_old;

use super::{Bench, brief, check, small};
use crate::{Limits, OverflowPolicy};

/// Time that a subscriber without saved grace may take nothing: grace period, and initial grace.
const UNREAD: u64 = 50 + 200;

fn filled(policy: OverflowPolicy) -> Bench {
    let mut bench = Bench::new(Limits { policy, window: 1, ..small() });
    bench.subscribe(1, "/topic/a");
    let body: &'static str = "x".repeat(40).leak();
    bench.publish(2, "/topic/a", &[body]);
    bench.publish(2, "/topic/a", &[body]);
    check(
        &bench.publish(2, "/topic/a", &["late message"]),
        match policy {
            OverflowPolicy::DropNew | OverflowPolicy::DropOld | OverflowPolicy::Disconnect | OverflowPolicy::Block => {
                &["pause 2"]
            }
        },
    );
    bench
}

#[test]
fn a_draining_subscriber_earns_patience_down_to_half_its_outbox() {
    let mut bench = filled(OverflowPolicy::DropNew);
    check(&bench.credit(1, 30), &[]);
    let events = bench.credit(1, 14);
    assert!(brief(&events).contains(&"resume 2".to_owned()), "{events:?}");
    assert_eq!(bench.broker.totals().dropped_slow, 0);
}

#[test]
fn one_that_needs_longer_than_patience_is_slow_and_earns_no_new_patience_for_ten_seconds() {
    let mut bench = filled(OverflowPolicy::DropNew);
    check(&bench.pass(UNREAD - 1), &[]);
    check(&bench.pass(1), &["slow 1", "resume 2"]);
    assert_eq!(bench.broker.totals().dropped_slow, 1);
    check(&bench.publish(2, "/topic/a", &["dropped as well"]), &[]);
    assert_eq!(bench.broker.totals().dropped_slow, 2);
    bench.credit(1, 1);
    bench.pass(10_000);
    check(&bench.publish(2, "/topic/a", &["a new patience"]), &["pause 2"]);
    // Initial grace is granted once.
    check(&bench.pass(49), &[]);
    check(&bench.pass(1), &["slow 1", "resume 2"]);
}

#[test]
fn with_each_half_of_an_outbox_that_it_takes_a_subscriber_saves_patience_up_to_ten_times() {
    for (halves, millis) in [(0, 50), (1, 50), (2, 100), (9, 450), (10, 500), (20, 500)] {
        let mut bench = Bench::new(Limits { window: 1, ..small() });
        bench.subscribe(1, "/topic/a");
        for _ in 0..halves {
            bench.publish(2, "/topic/a", &["x".repeat(46).as_str()]);
            bench.credit(1, 50);
        }
        bench.publish(2, "/topic/a", &["x".repeat(96).as_str()]);
        check(&bench.publish(2, "/topic/a", &["too much"]), &["pause 2"]);
        check(&bench.pass(millis + UNREAD - 50 - 1), &[]);
        check(&bench.pass(1), &["slow 1", "resume 2"]);
    }
}

#[test]
fn what_it_takes_while_a_publisher_waits_for_it_earns_patience_too() {
    let mut bench = filled(OverflowPolicy::DropNew);
    // A fifth of half an outbox: ten milliseconds.
    bench.credit(1, 10);
    check(&bench.pass(UNREAD + 10 - 1), &[]);
    check(&bench.pass(1), &["slow 1", "resume 2"]);
}

#[test]
fn who_has_saved_nothing_gets_an_advance_once_and_more_of_it_while_it_takes_something() {
    let mut bench = filled(OverflowPolicy::DropNew);
    for _ in 0..10 {
        bench.credit(1, 1);
        check(&bench.pass(50), &[]);
        check(&bench.pass(1), &[]);
    }
    check(&bench.pass(50), &["slow 1", "resume 2"]);
}

#[test]
fn who_takes_nothing_gets_no_advance_where_all_others_keep_up() {
    for (keeps_up, millis) in [(true, 50), (false, UNREAD)] {
        let mut bench = Bench::new(Limits { window: 1000, ..small() });
        bench.subscribe(1, "/topic/a");
        bench.subscribe(3, "/topic/a");
        bench.publish(2, "/topic/a", &["x".repeat(96).as_str()]);
        bench.publish(2, "/topic/a", &["too much"]);
        bench.credit(3, if keeps_up { 100 } else { 99 });
        check(&bench.pass(millis - 1), &[]);
        let events = brief(&bench.pass(1));
        assert_eq!((&*events[0], events.last().unwrap().as_str()), ("slow 1", "resume 2"), "{events:?}");
    }
}

#[test]
fn drop_old_drops_what_was_not_begun() {
    let mut bench = filled(OverflowPolicy::DropOld);
    check(&bench.pass(UNREAD), &["slow 1", "resume 2"]);
    check(&bench.credit(1, 44), &["1:late message"]);
}

#[test]
fn disconnect_closes_the_slow_one() {
    let mut bench = filled(OverflowPolicy::Disconnect);
    let slow = "close 1: too slow for a channel whose policy is to disconnect";
    check(&bench.pass(UNREAD), &["slow 1", slow, "resume 2"]);
}

#[test]
fn block_holds_the_publisher_for_as_long_as_it_takes() {
    let mut bench = filled(OverflowPolicy::Block);
    check(&bench.pass(1_000_000), &[]);
    let events = bench.credit(1, 44);
    assert!(brief(&events).contains(&"resume 2".to_owned()), "{events:?}");
}
