//! Messages of a group, and of an exclusive consumer, that are not acked in time: another consumer gets them.

use super::groups::{is_right, of};
use super::retry::ack;
use super::*;
use std::sync::Arc;

const CLAIM: Command = Command::Claim { subscription: SubscriptionId(0) };

fn bench() -> Bench {
    let ack_timeout = Duration::from_millis(100);
    let delivery =
        Delivery { ack_timeout, max_deliveries: 9, redelivery_backoff: Duration::ZERO, ..Delivery::default() };
    Bench::new(Limits { delivery, ..Limits::default() })
}

fn publish(bench: &mut Bench, group: &'static str, bodies: &[&str]) -> Vec<Event> {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let batch = packer.finish().expect("a message").with_attributes(Arc::new(of(group)));
    bench.send(9, Command::Publish { channel: "/queue/a".into(), batch })
}

#[test]
fn a_group_whose_consumer_does_not_ack_in_time_goes_to_another_once_nothing_of_it_is_there() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    bench.subscribe_with(2, "/queue/a", manual(9));
    check(&publish(&mut bench, "g", &["0", "1"]), &["2:0", "2:1"]);
    bench.credit(2, 10);
    check(&bench.pass(50), &[]);
    check(&publish(&mut bench, "g", &["2"]), &["2:2"]);
    bench.credit(2, 5);
    // The third is with it still, and no other may have some of the group meanwhile.
    check(&bench.pass(50), &[]);
    is_right(&bench);
    check(&bench.pass(50), &["1:0", "1:1", "1:2"]);
    bench.credit(1, 15);
    check(&publish(&mut bench, "g", &["3"]), &["1:3"]);
    bench.credit(1, 5);
    bench.send(1, ack(1, 4));
    bench.is_at_rest();
}

#[test]
fn an_ack_of_what_a_consumer_still_has_frees_its_group_too_once_a_message_of_it_came_back() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    bench.subscribe_with(2, "/queue/a", manual(9));
    check(&publish(&mut bench, "g", &["0"]), &["2:0"]);
    bench.credit(2, 5);
    bench.pass(50);
    check(&publish(&mut bench, "g", &["1"]), &["2:1"]);
    bench.credit(2, 5);
    check(&bench.pass(50), &[]);
    check(&bench.send(2, ack(2, 2)), &["1:0"]);
    is_right(&bench);
}

#[test]
fn an_exclusive_consumer_that_does_not_ack_in_time_is_the_last_to_be_it_again() {
    let mut bench = bench();
    for id in 1..=3 {
        bench.subscribe_with(id, "/queue/a", manual(2));
    }
    bench.send(1, CLAIM);
    bench.send(2, CLAIM);
    check(&bench.publish(9, "/queue/a", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.pass(50), &[]);
    check(&bench.publish(9, "/queue/a", &["1"]), &["1:1"]);
    bench.credit(1, 5);
    // It has one message still.
    check(&bench.pass(50), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.pass(50), &["1:1"]);
    bench.credit(1, 5);
    bench.send(1, ack(3, 3));
    check(&bench.pass(100), &["2:1"]);
    bench.credit(2, 5);
    check(&bench.pass(100), &["1:1"]);
    bench.credit(1, 5);
    bench.send(1, ack(5, 5));
    bench.is_at_rest();
}

#[test]
fn an_exclusive_consumer_keeps_its_queue_where_no_other_asked_for_it() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(2));
    bench.subscribe_with(2, "/queue/a", manual(2));
    bench.send(1, CLAIM);
    check(&bench.publish(9, "/queue/a", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.pass(100), &["1:0"]);
}
