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
    // It has one message still, and gets no others.
    check(&bench.pass(50), &[]);
    check(&bench.pass(50), &["2:0", "2:1"]);
    bench.credit(2, 10);
    bench.send(2, ack(1, 1));
    check(&bench.pass(100), &["1:1"]);
    bench.credit(1, 5);
    bench.send(1, ack(3, 3));
    // The prefetch is what it was.
    check(&bench.publish(9, "/queue/a", &["2", "3", "4"]), &["1:2", "1:3"]);
    bench.credit(1, 10);
    check(&bench.send(1, ack(4, 5)), &["1:4"]);
    bench.credit(1, 5);
    bench.send(1, ack(6, 6));
    bench.is_at_rest();
}

/// Publishes a message each 10 ms, for a second. Consumer 2 acks what it gets: gives that, and when it got the first, in ms.
fn steady_inflow(
    bench: &mut Bench,
    first_does: impl Fn(&mut Bench, &[Event]) -> Vec<Event>,
) -> (Vec<String>, Option<u64>) {
    let (mut got, mut first) = (Vec::new(), None);
    for number in 100..200 {
        let mut events = bench.publish(9, "/queue/a", &[&number.to_string()]);
        events.extend(bench.pass(10));
        while !events.is_empty() {
            let lines = brief(&events);
            let of_second = lines.into_iter().filter_map(|line| line.strip_prefix("2:").map(str::to_owned));
            let mut more = Vec::new();
            for body in of_second {
                first = first.or(Some((number - 100) * 10));
                got.push(body);
                more.extend(bench.credit(2, 7));
                more.extend(bench.send(2, ack(got.len() as u64, got.len() as u64)));
            }
            more.extend(first_does(bench, &events));
            events = more;
        }
    }
    (got, first)
}

#[test]
fn an_exclusive_consumer_that_hangs_passes_its_claim_on_however_steady_the_inflow_is() {
    for prefetch in [1, 2, 7, 100] {
        for steps in [64, 4096] {
            // Of the messages that it has, all are handed out, or few.
            for window in [8, 1 << 20] {
                let limits = Limits { window, ..bench().broker.limits.clone() };
                let mut bench = Bench::with_rules(limits, Vec::new());
                bench.broker.set_steps_per_call(steps);
                bench.subscribe_with(1, "/queue/a", manual(prefetch));
                bench.subscribe_with(2, "/queue/a", manual(5));
                bench.send(1, CLAIM);
                bench.send(2, CLAIM);
                let (got, first) = steady_inflow(&mut bench, |_, _| Vec::new());
                let case = format!("a prefetch of {prefetch}, a window of {window}");
                assert!(first.is_some_and(|first| first <= 210), "{first:?}, {case}");
                assert!(got.is_sorted() && got.len() == 100, "{got:?}, {case}");
            }
        }
    }
}

#[test]
fn an_exclusive_consumer_that_acks_all_but_one_message_passes_its_claim_on_as_well() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(9));
    bench.subscribe_with(2, "/queue/a", manual(9));
    bench.send(1, CLAIM);
    bench.send(2, CLAIM);
    let acks = |bench: &mut Bench, events: &[Event]| {
        let tags = events.iter().filter_map(|event| match event {
            Event::Deliver { connection: ConnectionId(1), tag, batch, .. } => {
                tag.map(|tag| (tag.0, batch.len() as u64))
            }
            _ => None,
        });
        let mut more = Vec::new();
        for (tag, count) in tags.collect::<Vec<_>>() {
            more.extend(bench.credit(1, 7 * count as usize));
            if tag > 1 {
                more.extend(bench.send(1, ack(tag, tag + count - 1)));
            }
        }
        more
    };
    let (got, first) = steady_inflow(&mut bench, acks);
    assert!(first.is_some_and(|first| first <= 110) && got[0] == "100", "{first:?}: {got:?}");
}

#[test]
fn an_exclusive_consumer_goes_on_if_nobody_is_left_to_pass_its_claim_on_to() {
    let mut bench = bench();
    for id in 1..=3 {
        bench.subscribe_with(id, "/queue/a", manual(2));
    }
    bench.send(1, CLAIM);
    bench.send(2, CLAIM);
    check(&bench.publish(9, "/queue/a", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    bench.pass(50);
    check(&bench.publish(9, "/queue/a", &["1"]), &["1:1"]);
    bench.credit(1, 5);
    check(&bench.pass(50), &[]);
    bench.send(2, Command::Disconnect);
    check(&bench.send(1, ack(2, 2)), &["1:0"]);
    bench.credit(1, 5);
    bench.send(1, ack(3, 3));
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

/// A full queue whose publishers are not read once they wait. Publisher 8 waits before publisher 2, which has a message to ack.
fn paused_consumer(bench: &mut Bench, group: Option<&'static str>) {
    let publish = |bench: &mut Bench, id: u64, messages: usize| {
        let mut packer = Packer::default();
        (0..messages).for_each(|_| packer.push(b"x"));
        let batch = packer.finish().expect("a message").with_attributes(group.map(|group| Arc::new(of(group))));
        brief(&bench.send(id, Command::Publish { channel: "/queue/a".into(), batch }))
    };
    assert_eq!(publish(bench, 9, 2), [""; 0]);
    assert_eq!(publish(bench, 8, 9), ["pause 8"]);
    assert_eq!(publish(bench, 2, 1), ["pause 2"]);
}

fn unread() -> Bench {
    let limits = Limits { queue_messages: 2, read_ahead: 0, ..bench().broker.limits.clone() };
    Bench::with_rules(limits, Vec::new())
}

#[test]
fn a_publisher_goes_on_once_it_is_the_only_consumer_of_the_full_queue_that_it_waits_for() {
    let mut bench = unread();
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.subscribe_with(2, "/queue/a", manual(1));
    bench.send(1, CLAIM);
    bench.send(2, CLAIM);
    check(&bench.publish(9, "/queue/a", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    paused_consumer(&mut bench, None);
    check(&bench.pass(99), &[]);
    // It gets the message, and nobody else can take what waits.
    check(&bench.pass(1), &["2:0", "resume 2"]);
    assert_eq!(bench.broker.totals().paused, 1);
}

#[test]
fn a_publisher_goes_on_once_no_consumer_that_is_read_has_the_group_of_all_that_waits() {
    let mut bench = unread();
    bench.subscribe_with(1, "/queue/a", manual(2));
    check(&publish(&mut bench, "g", &["0"]), &["1:0"]);
    bench.pass(50);
    check(&publish(&mut bench, "g", &["1"]), &["1:1"]);
    bench.credit(1, 10);
    bench.subscribe_with(2, "/queue/a", manual(1));
    check(&bench.publish(9, "/queue/a", &["2"]), &["2:2"]);
    bench.credit(2, 5);
    paused_consumer(&mut bench, Some("g"));
    check(&bench.pass(49), &[]);
    check(&bench.pass(1), &["resume 2"]);
}
