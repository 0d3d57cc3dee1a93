//! Names under `/queue/subscription/`: those of durable subscriptions, and of nothing else.

use super::durable::{QUEUE, durable_as};
use super::moving::{ALL, ends};
use super::overflow::with_receipt_to;
use super::{Bench, check, manual};
use crate::{AckMode, Command, DeliveryTag, Limits, MoveError, Refusal, SubscriptionId};

const NONE: &str = "there is no durable subscription of this name";

#[test]
fn a_publish_to_the_name_of_no_durable_subscription_is_not_taken_and_told() {
    let mut bench = Bench::new(Limits::default());
    for name in
        [QUEUE, "/queue/subscription/", "/queue/subscription/x", "/queue/subscription/a/b/c", "/queue/subscription/>"]
    {
        let told = format!("rejected 1 of 2 to {name}: {NONE}");
        check(&bench.publish(2, name, &["0"]), &[&told]);
        check(&bench.send(2, with_receipt_to(name, &["1"], "r")), &[&told, "unconfirmed 2: r"]);
    }
    assert_eq!((bench.broker.totals().rejected, bench.broker.totals().channels), (10, 0));
    // These are ordinary names.
    for name in ["/queue/subscription", "/queue/subscriptions/x"] {
        check(&bench.publish(2, name, &["0"]), &[]);
    }
    bench.subscribe(3, "/queue/subscription");
    let other = Command::Subscribe {
        subscription: SubscriptionId(1),
        pattern: "/queue/subscriptions/x".into(),
        ack: AckMode::Auto,
    };
    check(&bench.send(3, other), &["3:0"]);
}

#[test]
fn a_subscription_to_the_name_of_no_durable_subscription_is_refused_and_a_pattern_makes_none() {
    let mut bench = Bench::new(Limits::default());
    check(&bench.subscribe(1, QUEUE), &[&format!("refused: {NONE}")]);
    check(&bench.subscribe(2, "/queue/subscription/>"), &[]);
    assert_eq!(bench.broker.totals().channels, 0);
    // The durable subscription may come later.
    check(&durable_as(&mut bench, 3, QUEUE, "/topic/a", AckMode::Auto), &[]);
    check(&bench.publish(4, "/topic/a", &["0", "1"]), &["3:0", "2:1"]);
}

#[test]
fn what_is_published_to_a_durable_subscription_by_its_name_goes_into_its_queue() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, QUEUE, "/topic/a", AckMode::Auto);
    check(&bench.send(2, with_receipt_to(QUEUE, &["0"], "r")), &["1:0", "receipt 2"]);
    bench.credit(1, 5);
    // One that consumes it by its name shares it.
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    check(&bench.subscribe(3, QUEUE), &[]);
    check(&bench.publish(2, "/topic/a", &["1"]), &["3:1"]);
}

#[test]
fn a_publisher_that_waits_for_a_durable_subscription_is_told_when_that_ends() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, QUEUE, "/topic/a", AckMode::Auto);
    check(&bench.publish(2, QUEUE, &["0"]), &["1:0"]);
    bench.credit(1, 5);
    bench.send(1, Command::EndDurable { queue: QUEUE.into() });
    // The one that remembers the queue.
    check(&bench.publish(2, QUEUE, &["1"]), &[&format!("rejected 1 of 2 to {QUEUE}: {NONE}")]);
    assert_eq!(bench.broker.totals().channels, 0);
    bench.is_at_rest();
}

#[test]
fn messages_are_moved_to_a_durable_subscription_that_is_there_and_to_no_other_name() {
    let mut bench = Bench::new(Limits::default());
    bench.publish(2, "/queue/b", &["0"]);
    let refused = bench.order("/queue/b", Some(QUEUE), ALL).unwrap_err();
    assert_eq!(refused, MoveError::Refused(Refusal::NoDurable));
    durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(9));
    bench.order("/queue/b", Some(QUEUE), ALL).unwrap();
    assert_eq!(ends(&mut bench), [(1, 0, String::new())]);
}

#[test]
fn dead_letters_of_a_durable_subscription_that_has_ended_stay_and_the_move_says_why() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(9));
    bench.publish(2, "/topic/a", &["0"]);
    bench.credit(1, 5);
    bench.send(1, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(1), requeue: false });
    bench.send(1, Command::EndDurable { queue: QUEUE.into() });
    let dead = format!("/queue/dead{QUEUE}");
    bench.order(dead.clone().leak(), None, ALL).unwrap();
    assert_eq!(ends(&mut bench), [(0, 1, format!("{QUEUE}: {NONE}"))]);
    durable_as(&mut bench, 3, QUEUE, "/topic/a", manual(9));
    bench.order(dead.leak(), None, ALL).unwrap();
    assert_eq!(ends(&mut bench), [(1, 0, String::new())]);
}
