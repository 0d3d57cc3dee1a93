//! Message groups of durable subscriptions and temporary queues, and what becomes of them when their queue ends.

use super::durable::{QUEUE, durable_as, end};
use super::groups::{is_right, of};
use super::retry::{ack, nack};
use super::{Bench, brief, check, manual};
use crate::{AckMode, Attributes, Command, DeliveryTag, Event, Limits, Packer, SubscriptionId};
use std::sync::Arc;
use std::time::Duration;

const OWN: &str = "/queue/temp/1/x";

fn publish_with(bench: &mut Bench, channel: &'static str, attributes: Attributes, bodies: &[&str]) -> Vec<Event> {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let batch = packer.finish().expect("a message").with_attributes(Arc::new(attributes));
    bench.send(9, Command::Publish { channel: channel.into(), batch })
}

fn publish(bench: &mut Bench, channel: &'static str, group: &'static str, bodies: &[&str]) -> Vec<Event> {
    publish_with(bench, channel, of(group), bodies)
}

#[test]
fn a_durable_subscription_keeps_the_groups_of_what_feeds_it() {
    let mut bench = Bench::new(Limits::default());
    for id in [1, 2] {
        durable_as(&mut bench, id, QUEUE, "/topic/a", manual(1));
    }
    check(&publish(&mut bench, "/topic/a", "g", &["0", "1"]), &["2:0"]);
    check(&bench.publish(9, "/topic/a", &["x"]), &["1:x"]);
    bench.credit(1, 5);
    check(&bench.send(1, ack(1, 1)), &[]);
    bench.credit(2, 5);
    check(&bench.send(2, ack(1, 1)), &["2:1"]);
    is_right(&bench);
    // Both are away meanwhile: what comes back goes first.
    bench.send(1, Command::Disconnect);
    check(&publish(&mut bench, "/topic/a", "g", &["2", "3"]), &[]);
    bench.send(2, Command::Disconnect);
    durable_as(&mut bench, 3, QUEUE, "/topic/a", manual(2));
    check(&durable_as(&mut bench, 4, QUEUE, "/topic/a", manual(2)), &[]);
    bench.credit(3, 10);
    check(&bench.send(3, ack(1, 1)), &["3:3"]);
    is_right(&bench);
}

#[test]
fn the_topics_own_subscribers_share_its_messages_whatever_their_group() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    bench.subscribe(2, "/topic/a");
    durable_as(&mut bench, 3, QUEUE, "/topic/a", AckMode::Auto);
    check(&publish(&mut bench, "/topic/a", "g", &["0"]), &["1:0", "2:0", "3:0"]);
    is_right(&bench);
}

/// One message of a group is with a consumer, one waits, one is delayed, and one of another group waits.
fn fill(bench: &mut Bench, channel: &'static str) {
    publish(bench, channel, "g", &["0", "1"]);
    publish(bench, channel, "h", &["2"]);
    if channel.starts_with("/queue") {
        let deliver_at = Some(bench.now + Duration::from_secs(1));
        publish_with(bench, channel, of("k").with_deliver_at(deliver_at), &["3"]);
    }
    bench.rest();
    is_right(bench);
}

#[test]
fn the_groups_of_a_durable_subscription_end_with_it() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits::default());
        bench.broker.set_steps_per_call(steps);
        durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(1));
        bench.rest();
        fill(&mut bench, "/topic/a");
        bench.credit(1, 5);
        end(&mut bench, 2);
        bench.rest();
        is_right(&bench);
        // It comes again under the same name, with the same groups.
        durable_as(&mut bench, 3, QUEUE, "/topic/a", manual(1));
        bench.rest();
        fill(&mut bench, "/topic/a");
        bench.send(1, ack(1, 1));
        bench.rest();
        is_right(&bench);
        bench.send(3, Command::Disconnect);
        end(&mut bench, 2);
        bench.rest();
        assert_eq!(bench.broker.totals().dropped_ended, 5);
        bench.is_at_rest();
    }
}

#[test]
fn the_groups_of_a_temporary_queue_end_with_its_connection() {
    for steps in [1, 4096] {
        for returns in [false, true] {
            let mut bench = Bench::new(Limits::default());
            bench.broker.set_steps_per_call(steps);
            bench.subscribe_with(1, OWN, manual(1));
            bench.rest();
            fill(&mut bench, OWN);
            bench.credit(1, 5);
            if returns {
                bench.send(1, nack(1, 1));
                bench.rest();
                is_right(&bench);
            }
            bench.send(1, Command::Disconnect);
            bench.rest();
            assert_eq!(bench.broker.totals().dropped_ended, 4);
            bench.is_at_rest();
        }
    }
}

#[test]
fn what_is_rejected_in_a_temporary_queue_leaves_its_group() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, OWN, manual(1));
    check(&publish(&mut bench, OWN, "g", &["0", "1"]), &["1:0"]);
    bench.credit(1, 5);
    let reject = |tag| Command::Nack { first: DeliveryTag(tag), last: DeliveryTag(tag), requeue: false };
    check(&bench.send(1, reject(1)), &["1:1"]);
    is_right(&bench);
    bench.credit(1, 5);
    check(&bench.send(1, reject(2)), &[]);
    is_right(&bench);
    bench.send(1, Command::Disconnect);
    bench.is_at_rest();
}

#[test]
fn a_group_whose_consumer_was_excluded_waits_for_what_that_has_also_if_it_may_consume_again() {
    for comes_back in [false, true] {
        let mut bench = Bench::new(Limits::default());
        bench.subscribe_with(1, "/queue/a", manual(9));
        check(&publish(&mut bench, "/queue/a", "g", &["0"]), &["1:0"]);
        bench.credit(1, 5);
        bench.subscribe_with(2, "/queue/a", manual(9));
        bench.send(2, Command::Claim { subscription: SubscriptionId(0) });
        check(&publish(&mut bench, "/queue/a", "g", &["1"]), &[]);
        check(&publish(&mut bench, "/queue/a", "h", &["2"]), &["2:2"]);
        if comes_back {
            bench.credit(2, 5);
            bench.send(2, ack(1, 1));
            check(&bench.send(2, Command::Disconnect), &[]);
        }
        is_right(&bench);
        check(&bench.send(1, ack(1, 1)), if comes_back { &["1:1"] } else { &["2:1"] });
        is_right(&bench);
    }
}

#[test]
fn a_consumer_that_takes_nothing_loses_a_group_of_which_it_has_nothing_whatever_it_waits_for() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::from_millis(10), ..Limits::default() });
    bench.subscribe_with(1, "/queue/*", manual(1));
    check(&publish(&mut bench, "/queue/a", "g", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.publish(3, "/queue/b", &["x"]), &[]);
    // The message that comes back is still its own, and waits for the ack of the other.
    check(&bench.send(1, nack(1, 1)), &["1:x"]);
    check(&bench.subscribe_with(2, "/queue/a", manual(10)), &[]);
    check(&bench.pass(10), &["recall 1", "2:0"]);
}

#[test]
fn many_subscriptions_lose_their_groups_in_steps() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::from_millis(10), ..Limits::default() });
    for number in 0..50 {
        let (subscription, pattern) = (SubscriptionId(number), format!("/queue/{number}").into());
        bench.send(1, Command::Subscribe { subscription, pattern, ack: manual(1) });
    }
    let (subscription, pattern) = (SubscriptionId(50), "/queue/*".into());
    bench.send(1, Command::Subscribe { subscription, pattern, ack: manual(1) });
    check(&publish(&mut bench, "/queue/a", "g", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    bench.publish(3, "/queue/b", &["x"]);
    check(&bench.send(1, nack(1, 1)), &["1:x"]);
    check(&bench.subscribe_with(2, "/queue/a", manual(10)), &[]);
    bench.broker.set_steps_per_call(3);
    let mut events = bench.pass(10);
    // None of these subscriptions is passed over, and one that ends meanwhile is no stumbling block.
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(20) });
    bench.broker.handle_timeout(bench.now);
    events.extend(bench.pass(0));
    check(&events, &["recall 1", "2:0"]);
    bench.send(1, Command::Disconnect);
    bench.pass(0);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_consumer_that_takes_nothing_loses_every_group_of_which_it_has_nothing_whatever_waits_before_it() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits { write_timeout: Duration::from_millis(10), ..Limits::default() });
        bench.subscribe_with(1, "/queue/a", manual(2));
        check(&publish(&mut bench, "/queue/a", "g", &["a1"]), &["1:a1"]);
        check(&publish(&mut bench, "/queue/a", "h", &["b1"]), &["1:b1"]);
        check(&publish(&mut bench, "/queue/a", "g", &["a2", "a3"]), &[]);
        check(&publish(&mut bench, "/queue/a", "h", &["b2"]), &[]);
        bench.credit(1, 12);
        check(&bench.send(1, ack(2, 2)), &["1:a2"]);
        bench.subscribe_with(2, "/queue/a", manual(1));
        bench.broker.set_steps_per_call(steps);
        let taken = brief(&bench.pass(10));
        assert!(taken.contains(&"2:b2".to_owned()), "{taken:?}");
        is_right(&bench);
        // Messages that it was not written come back, and the rest of their group waits for the ack of the first.
        let mut lines = brief(&bench.send(1, Command::Recalled { kept: 0 }));
        bench.credit(2, 6);
        lines.extend(brief(&bench.send(2, ack(1, 1))));
        bench.rest();
        lines.extend(brief(&bench.events()));
        assert!(!lines.iter().any(|line| line.contains(":a")), "{lines:?}");
        is_right(&bench);
        bench.send(1, ack(1, 1));
        bench.rest();
        is_right(&bench);
    }
}

#[test]
fn a_message_of_no_group_shuts_no_group_of_a_consumer_that_takes_nothing() {
    let mut bench = Bench::new(Limits { write_timeout: Duration::from_millis(10), ..Limits::default() });
    bench.subscribe_with(2, "/queue/a", manual(9));
    bench.subscribe_with(1, "/queue/*", manual(9));
    check(&publish(&mut bench, "/queue/a", "h", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    assert!(bench.broker.pause_queue(bench.now, b"/queue/a"));
    check(&bench.publish(3, "/queue/a", &["x", "y"]), &[]);
    check(&publish(&mut bench, "/queue/a", "h", &["1"]), &[]);
    check(&bench.send(1, ack(1, 1)), &[]);
    check(&bench.publish(3, "/queue/b", &["z"]), &["1:z"]);
    check(&bench.pass(10), &["recall 1"]);
    // The consumer still has its turn, and is passed over now.
    assert!(bench.broker.resume_queue(bench.now, b"/queue/a"));
    bench.rest();
    check(&bench.events(), &["2:x", "2:y", "2:1"]);
    is_right(&bench);
}
