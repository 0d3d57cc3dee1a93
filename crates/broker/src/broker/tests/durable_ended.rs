//! Subscriptions whose durable queue another connection has ended.

use super::durable::{QUEUE, durable_as, end};
use super::retry::ack;
use super::*;

#[test]
fn one_whose_durable_subscription_another_has_ended_is_told_and_may_subscribe_again_with_the_same_id() {
    for mode in [AckMode::Auto, manual(2)] {
        let mut bench = Bench::new(Limits::default());
        durable_as(&mut bench, 1, QUEUE, "/topic/a", mode);
        bench.publish(3, "/topic/a", &["0", "1", "2"]);
        bench.credit(1, 5);
        let events = end(&mut bench, 2);
        assert_eq!(brief(&events), ["recall 1", "ended 1: 0"], "{mode:?}");
        bench.send(1, Command::Recalled { kept: 0 });
        check(&durable_as(&mut bench, 1, QUEUE, "/topic/a", mode), &[]);
        check(&bench.publish(3, "/topic/a", &["3"]), &["1:3"]);
        bench.credit(1, 5);
        if mode != AckMode::Auto {
            // An ack of what it was given before settles still.
            check(&bench.send(1, ack(1, 1)), &[]);
        }
        assert_eq!(bench.broker.totals().dropped_ended, 2);
        assert_eq!(bench.broker.totals().subscriptions, 1);
        bench.send(1, Command::Disconnect);
        end(&mut bench, 2);
        bench.is_at_rest();
    }
}

#[test]
fn a_subscription_to_a_pattern_goes_on_when_one_of_its_queues_ends() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, QUEUE, "/topic/a", AckMode::Auto);
    bench.subscribe(2, "/queue/subscription/>");
    check(&end(&mut bench, 1), &["ended 1: 0"]);
    check(&durable_as(&mut bench, 1, QUEUE, "/topic/a", AckMode::Auto), &[]);
    check(&bench.publish(3, "/topic/a", &["0", "1"]), &["1:0", "2:1"]);
}

#[test]
fn what_a_consumer_of_a_queue_that_has_ended_did_not_ack_is_dropped_when_it_finishes_and_it_is_closed() {
    for (pattern, told) in [(None, vec!["ended 1: 0"]), (Some("/queue/subscription/>"), vec![])] {
        for steps in [1, 4096] {
            let mut bench = Bench::new(Limits::default());
            match pattern {
                None => _ = durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(9)),
                Some(pattern) => {
                    durable_as(&mut bench, 5, QUEUE, "/topic/a", manual(9));
                    bench.send(5, Command::Disconnect);
                    bench.subscribe_with(1, pattern, manual(9));
                }
            }
            bench.publish(3, "/topic/a", &["0", "1"]);
            bench.credit(1, 10);
            check(&end(&mut bench, 2), &told);
            bench.broker.set_steps_per_call(steps);
            bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
            let mut events = bench.send(1, Command::Finish);
            bench.rest();
            events.extend(bench.events());
            check(&events, &["close 1: finished"]);
            assert_eq!(bench.broker.totals().dropped_ended, 2);
            bench.send(1, Command::Disconnect);
            bench.is_at_rest();
        }
    }
}
