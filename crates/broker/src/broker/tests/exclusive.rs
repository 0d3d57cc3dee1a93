//! Consumers that ask to be the only one of their queue.

use super::retry::ack;
use super::{Bench, brief, check, manual};
use crate::{AckMode, Command, Limits, QueueOverflow, SubscriptionId};

const CLAIM: Command = Command::Claim { subscription: SubscriptionId(0) };
const END: Command = Command::Unsubscribe { subscription: SubscriptionId(0) };

#[test]
fn the_oldest_that_asked_is_the_only_consumer_and_the_next_takes_over_and_at_last_all() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits::default());
        bench.broker.set_steps_per_call(steps);
        (1..=4).for_each(|id| _ = bench.subscribe(id, "/queue/a"));
        for id in [2, 3, 2] {
            check(&bench.send(id, CLAIM), &[]);
            bench.rest();
        }
        let publish = |bench: &mut Bench, bodies: &[&str]| {
            let mut events = bench.publish(9, "/queue/a", bodies);
            bench.rest();
            events.extend(bench.events());
            brief(&events)
        };
        assert_eq!(publish(&mut bench, &["0", "1", "2"]), ["2:0", "2:1", "2:2"]);
        bench.subscribe(5, "/queue/a");
        bench.rest();
        assert_eq!(publish(&mut bench, &["3"]), ["2:3"]);
        // Its unwritten messages go to the next.
        bench.credit(2, 15);
        let mut events = bench.send(2, Command::Disconnect);
        bench.rest();
        events.extend(bench.events());
        check(&events, &["3:3"]);
        assert_eq!(publish(&mut bench, &["4", "5"]), ["3:4", "3:5"]);
        let is_asked_back = brief(&bench.send(3, END)).contains(&"recall 3".to_owned());
        assert!(is_asked_back);
        bench.send(3, Command::Recalled { kept: 0 });
        bench.rest();
        bench.events();
        let mut all = publish(&mut bench, &["6", "7", "8"]);
        all.sort();
        assert_eq!(all.iter().map(|line| &line[..2]).collect::<Vec<_>>(), ["1:", "4:", "5:"]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn the_only_consumer_keeps_its_queue_also_while_it_has_no_room() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.subscribe_with(2, "/queue/a", manual(1));
    bench.send(1, CLAIM);
    check(&bench.publish(3, "/queue/a", &["0", "1"]), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.send(1, ack(1, 1)), &["1:1"]);
    bench.credit(1, 5);
    bench.send(1, ack(2, 2));
    // One that was without room when it was excluded stays so once it has some again.
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(1));
    check(&bench.publish(3, "/queue/a", &["0", "1"]), &["1:0"]);
    bench.credit(1, 5);
    check(&bench.subscribe_with(2, "/queue/a", manual(1)), &["2:1"]);
    bench.send(2, CLAIM);
    check(&bench.publish(3, "/queue/a", &["2"]), &[]);
    check(&bench.send(1, ack(1, 1)), &[]);
    bench.credit(2, 5);
    check(&bench.send(2, ack(1, 1)), &["2:2"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_subscription_to_a_pattern_is_the_only_consumer_of_each_queue_that_is_and_that_comes() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits::default());
        for queue in ["/queue/a", "/queue/b", "/topic/c"] {
            bench.subscribe(1, queue);
            bench.send(1, END);
            bench.subscribe(1, queue);
            let other =
                Command::Subscribe { subscription: SubscriptionId(7), pattern: queue.into(), ack: AckMode::Auto };
            bench.send(4, other);
            bench.send(4, Command::Unsubscribe { subscription: SubscriptionId(7) });
            bench.send(1, END);
        }
        bench.broker.set_steps_per_call(steps);
        bench.subscribe(2, "/queue/*");
        bench.subscribe(5, "/queue/a");
        bench.rest();
        bench.send(2, CLAIM);
        bench.rest();
        for queue in ["/queue/a", "/queue/new"] {
            bench.subscribe(6, queue);
            bench.rest();
            bench.events();
            let mut events = bench.publish(3, queue, &["0", "1"]);
            bench.rest();
            events.extend(bench.events());
            check(&events, &["2:0", "2:1"]);
            bench.send(6, END);
        }
        (1..=9).for_each(|id| _ = bench.send(id, Command::Disconnect));
        bench.rest();
        bench.broker.purge(bench.now, b"/queue/a");
        bench.broker.purge(bench.now, b"/queue/new");
        bench.rest();
        bench.is_at_rest();
        assert_eq!(bench.broker.totals().channels, 0);
    }
}

#[test]
fn a_claim_of_a_topic_or_of_nobody_changes_nothing() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    bench.subscribe(2, "/topic/a");
    check(&bench.send(1, CLAIM), &[]);
    check(&bench.send(5, CLAIM), &[]);
    check(&bench.publish(3, "/topic/a", &["x"]), &["1:x", "2:x"]);
}

#[test]
fn who_comes_and_goes_while_a_queue_changes_its_only_consumer_changes_nothing() {
    for calls in 0..40 {
        let mut bench = Bench::new(Limits::default());
        (1..=6).for_each(|id| _ = bench.subscribe(id, "/queue/a"));
        bench.broker.set_steps_per_call(1);
        bench.send(5, CLAIM);
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        bench.send(2, END);
        bench.send(3, CLAIM);
        bench.send(5, Command::Disconnect);
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        bench.subscribe(7, "/queue/a");
        bench.rest();
        bench.events();
        let mut events = bench.publish(9, "/queue/a", &["0", "1"]);
        bench.rest();
        events.extend(bench.events());
        check(&events, &["3:0", "3:1"]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_publish_that_makes_a_queue_finds_its_only_consumer_told() {
    for steps in [1, 4096] {
        for overflow in [QueueOverflow::Reject, QueueOverflow::DropOld] {
            let mut bench = Bench::new(Limits { overflow, queue_messages: 1, ..Limits::default() });
            bench.subscribe(1, "/queue/*");
            bench.subscribe(2, "/queue/*");
            bench.send(2, CLAIM);
            bench.rest();
            bench.broker.set_steps_per_call(steps);
            let mut events = bench.publish(3, "/queue/a", &["0", "1", "2"]);
            bench.rest();
            events.extend(bench.events());
            // With one step a call, its consumers join it later. It rejects nothing meanwhile.
            let waits: &[&str] = &["pause 3", "2:0", "2:1", "2:2", "resume 3"];
            check(
                &events,
                if steps == 1 && overflow == QueueOverflow::Reject { waits } else { &["2:0", "2:1", "2:2"] },
            );
            assert_eq!((bench.broker.totals().rejected, bench.broker.totals().dead_lettered), (0, 0));
        }
    }
}
