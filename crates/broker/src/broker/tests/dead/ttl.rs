//! The time of dead letters and of messages that are moved, and publishers of full queues of dead letters.

use super::{depth, rejected};
use crate::broker::tests::{Bench, brief, check, manual};
use crate::{Attributes, Batch, ChannelRule, Command, Delivery, DeliveryRule, Limits, Pattern, QueueOverflow};
use std::sync::Arc;
use std::time::Duration;

const DEAD: &str = "/queue/dead/queue/a";

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn living(pattern: &'static str, ttl: u64) -> ChannelRule {
    let delivery = DeliveryRule { message_ttl: Some(millis(ttl)), ..DeliveryRule::default() };
    ChannelRule { delivery, ..ChannelRule::new(Pattern::new(pattern)) }
}

fn publish_living(bench: &mut Bench, channel: &'static str, ttl: u64) {
    let attributes = Attributes::default().with_expires(bench.now + millis(ttl));
    let batch = Batch::one(b"0").with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: channel.into(), batch });
}

#[test]
fn a_dead_letter_lives_from_when_it_became_one_as_long_as_a_rule_for_dead_letters_says() {
    for (rules, wait, is_there) in [
        (vec![], 1_000_000, true),
        (vec![living(">", 10), living("/queue/a", 10)], 1_000_000, true),
        (vec![living("/queue/dead/>", 100)], 99, true),
        (vec![living("/queue/dead/>", 100)], 100, false),
        (vec![living("/queue/dead/>", 100)], 101, false),
        (vec![living("/queue/dead/>", 0)], 1_000_000, true),
    ] {
        // The time of the broker's own settings is for what lives.
        let delivery = Delivery { message_ttl: millis(500), ..Delivery::default() };
        let mut bench = Bench::with_rules(Limits { delivery, ..Limits::default() }, rules);
        rejected(&mut bench, &["0", "1"]);
        bench.pass(wait);
        assert_eq!(depth(&bench, DEAD), is_there.then_some(2), "after {wait} ms");
        assert_eq!(bench.broker.totals().expired, if is_there { 0 } else { 2 });
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn an_expired_message_gets_the_time_of_a_dead_letter_and_has_no_dead_letter_of_its_own() {
    let delivery = Delivery { dead_letter_expired: true, ..Delivery::default() };
    let rules = vec![living("/queue/a", 10), living("/queue/dead/>", 100)];
    let mut bench = Bench::with_rules(Limits { delivery, ..Limits::default() }, rules);
    bench.publish(3, "/queue/a", &["0"]);
    bench.pass(10);
    assert_eq!(depth(&bench, DEAD), Some(1));
    bench.pass(99);
    assert_eq!(depth(&bench, DEAD), Some(1));
    bench.pass(1);
    assert_eq!(depth(&bench, DEAD), None);
    assert_eq!(bench.broker.totals().expired, 2);
    bench.is_at_rest();
}

#[test]
fn what_is_moved_expires_when_its_own_time_is_over_or_that_of_the_queue_that_it_comes_to() {
    for (own, ttl, lives) in [(None, 0, None), (None, 50, Some(50)), (Some(40), 50, Some(40)), (Some(60), 50, Some(50))]
    {
        let mut bench = Bench::with_rules(Limits::default(), vec![living("/queue/b", ttl)]);
        match own {
            // Its time runs from its publishing on.
            Some(own) => publish_living(&mut bench, "/queue/a", own + 7),
            None => _ = bench.publish(3, "/queue/a", &["0"]),
        }
        bench.pass(7);
        assert_eq!(bench.order("/queue/a", Some("/queue/b"), 9), Ok(1));
        let case = format!("own {own:?}, of the queue {ttl}");
        bench.pass(lives.map_or(1_000_000, |lives| lives - 1));
        assert_eq!(depth(&bench, "/queue/b"), Some(1), "{case}");
        bench.pass(1);
        assert_eq!(depth(&bench, "/queue/b"), lives.is_none().then_some(1), "{case}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_dead_letter_that_is_moved_leaves_the_time_of_dead_letters_behind() {
    for to in [None, Some("/queue/b")] {
        let mut bench = Bench::with_rules(Limits::default(), vec![living("/queue/dead/>", 100)]);
        rejected(&mut bench, &["0"]);
        bench.send(1, Command::Disconnect);
        assert_eq!(bench.order(DEAD, to, 9), Ok(1));
        bench.pass(1_000_000);
        check(&bench.subscribe(2, to.unwrap_or("/queue/a")), &["2:0"]);
    }
    // It lives as long there as what is published.
    let mut bench = Bench::with_rules(Limits::default(), vec![living("/queue/dead/>", 100), living("/queue/a", 200)]);
    rejected(&mut bench, &["0"]);
    bench.send(1, Command::Disconnect);
    bench.pass(99);
    assert_eq!(bench.order(DEAD, None, 9), Ok(1));
    bench.pass(199);
    assert_eq!(depth(&bench, "/queue/a"), Some(1));
    bench.pass(1);
    assert_eq!(depth(&bench, "/queue/a"), None);
}

#[test]
fn a_publisher_of_a_full_queue_of_dead_letters_is_told_and_never_waits() {
    for (overflow, told) in
        [(QueueOverflow::Throttle, true), (QueueOverflow::Reject, true), (QueueOverflow::DropOld, false)]
    {
        for steps in [1, 4096] {
            let rule = ChannelRule {
                overflow: Some(overflow),
                queue_messages: Some(2),
                ..ChannelRule::new(Pattern::new("/queue/dead/>"))
            };
            let mut bench = Bench::with_rules(Limits::default(), vec![rule]);
            bench.broker.set_steps_per_call(steps);
            for body in ["0", "1"] {
                check(&bench.publish(3, DEAD, &[body]), &[]);
            }
            let line = format!(
                "rejected 1 of 3 to {DEAD}: the queue is at its bound of 2 messages (limits: queue-messages, overflow)"
            );
            let mut lines = brief(&bench.publish(3, DEAD, &["2"]));
            bench.rest();
            lines.extend(brief(&bench.events()));
            assert_eq!(lines, if told { vec![line] } else { vec![] }, "{overflow:?}");
            // It is full for a dead letter, too, which comes in nevertheless.
            rejected(&mut bench, &["dead"]);
            bench.rest();
            let kept: &[&str] = if told { &["2:1", "2:dead"] } else { &["2:2", "2:dead"] };
            let mut events = bench.subscribe_with(2, DEAD, manual(9));
            bench.rest();
            events.extend(bench.events());
            check(&events, kept);
        }
    }
}
