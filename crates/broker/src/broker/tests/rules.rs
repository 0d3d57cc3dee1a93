//! Rules that change at run time.

mod reach;

use super::*;
use crate::{ChannelRule, OverflowPolicy, Pattern};
use bytes::Bytes;

fn rule(pattern: &'static str) -> ChannelRule {
    ChannelRule::new(Pattern::new(pattern))
}

impl Bench {
    fn set_rules(&mut self, rules: Vec<ChannelRule>) -> Vec<Event> {
        self.broker.set_rules(self.now, rules);
        while self.broker.poll_timeout() == Some(self.now) {
            self.broker.handle_timeout(self.now);
        }
        std::iter::from_fn(|| self.broker.poll()).collect()
    }
}

#[test]
fn a_higher_bound_lets_waiting_publishers_go_on_and_a_lower_one_drops_nothing() {
    for (queue, resumes) in [(0, false), (10, false), (14, false), (15, true), (16, true), (usize::MAX, true)] {
        for steps in [1, 4096] {
            let mut bench = Bench::new(Limits { queue: 10, ..small() });
            bench.broker.set_steps_per_call(steps);
            bench.publish(1, "/queue/a", &["0", "1", "2"]);
            let lines = brief(&bench.set_rules(vec![ChannelRule { queue: Some(queue), ..rule("/queue/a") }]));
            assert_eq!(lines, if resumes { vec!["resume 1"] } else { vec![] }, "a bound of {queue}");
            assert_eq!(bench.broker.waiting(), 3);
        }
    }
}

#[test]
fn every_waiting_publisher_is_told_the_new_bound() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    for who in 1..5 {
        bench.publish(who, "/queue/a", &["0", "1", "2"]);
    }
    bench.set_rules(vec![ChannelRule { queue: Some(9), ..rule("/queue/*") }]);
    let status = bench.broker.status(bench.now, &StatusQuery::top(9));
    let reasons: Vec<_> = status.connections.iter().filter_map(|row| row.paused.clone()).collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons.iter().all(|reason| *reason == PauseReason::QueueFull { channel: "/queue/a".into(), bound: 9 }));
}

#[test]
fn a_channel_that_is_made_while_rules_are_applied_follows_the_new_ones() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0"]);
    bench.broker.set_steps_per_call(1);
    bench.broker.set_rules(bench.now, vec![ChannelRule { queue: Some(5), ..rule("/queue/>") }]);
    let lines = brief(&bench.publish(2, "/queue/b", &["0", "1"]));
    assert!(lines.contains(&"pause 2".to_owned()), "{lines:?}");
}

#[test]
fn what_is_published_while_rules_are_applied_follows_the_new_ones() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0"]);
    bench.publish(1, "/queue/b", &["0"]);
    bench.broker.set_steps_per_call(1);
    bench.broker.set_rules(bench.now, vec![ChannelRule { queue: Some(5), ..rule("/queue/>") }]);
    assert_eq!(bench.broker.poll_timeout(), Some(bench.now), "work is left over");
    for queue in ["/queue/b", "/queue/a"] {
        let publisher = if queue == "/queue/a" { 2 } else { 3 };
        let paused = format!("pause {publisher}");
        assert!(brief(&bench.publish(publisher, queue, &["1"])).contains(&paused), "{queue}");
    }
}

#[test]
fn a_topic_that_buffers_no_more_lets_its_publishers_go_on() {
    let mut bench = Bench::new(Limits { buffer_unsubscribed: 1, ..small() });
    check(&bench.publish(1, "/topic/a", &["0", "1"]), &["pause 1"]);
    let none = ChannelRule { buffer_unsubscribed: Some(0), ..rule("/topic/a") };
    check(&bench.set_rules(vec![none]), &["resume 1"]);
    assert_eq!(bench.broker.totals().dropped_no_subscribers, 1);
    check(&bench.subscribe(2, "/topic/a"), &["2:0"]);
}

#[test]
fn a_policy_that_blocks_no_more_lets_the_publishers_of_a_slow_subscriber_go_on() {
    for (policy, resumes) in [(OverflowPolicy::Block, false), (OverflowPolicy::DropNew, true)] {
        let limits = Limits { policy: OverflowPolicy::Block, grace_period: Duration::ZERO, ..small() };
        let mut bench = Bench::new(limits);
        bench.subscribe(1, "/topic/a");
        let paused = (0..100).any(|_| brief(&bench.publish(2, "/topic/a", &["x"])).contains(&"pause 2".to_owned()));
        assert!(paused);
        let lines = brief(&bench.set_rules(vec![ChannelRule { policy: Some(policy), ..rule("/topic/*") }]));
        assert_eq!(lines.contains(&"resume 2".to_owned()), resumes, "{policy:?}: {lines:?}");
    }
}

#[test]
fn what_is_published_while_the_first_subscriber_is_given_what_was_buffered_comes_to_all_behind_it() {
    for buffer_unsubscribed in [0, 1, 200] {
        let mut bench = Bench::new(Limits { buffer_unsubscribed: 100, ..Limits::default() });
        for number in 0..100 {
            let channel = Bytes::from_static(b"/topic/a");
            let body = vec![number; 2000];
            bench.send(1, Command::Publish { channel, batch: Batch::one(&body) });
        }
        let rule = ChannelRule { buffer_unsubscribed: Some(buffer_unsubscribed), ..rule("/topic/a") };
        bench.set_rules(vec![rule]);
        bench.broker.set_steps_per_call(1);
        bench.subscribe(2, "/topic/a");
        bench.subscribe(3, "/topic/a");
        bench.publish(1, "/topic/a", &["new"]);
        let status = bench.broker.status(bench.now, &StatusQuery::top(9));
        let reason = status.connections.iter().find_map(|row| row.paused.clone());
        assert_eq!(reason, Some(PauseReason::FirstSubscriber { channel: "/topic/a".into() }));
        bench.rest();
        let events = brief(&bench.events());
        assert!(events.contains(&"2:new".to_owned()) && events.contains(&"3:new".to_owned()), "{events:?}");
        assert!(events.contains(&"resume 1".to_owned()), "{events:?}");
        assert_eq!(bench.broker.totals().dropped_no_subscribers, 0);
    }
}

/// Durable subscriptions to other patterns come, one a call, until there is such an event: how many have come.
fn come_until(bench: &mut Bench, line: &str) -> u32 {
    for number in 0..1000 {
        let (subscription, queue) = (SubscriptionId(number), format!("/queue/subscription/me/{number}").into());
        let source = format!("/other/{number}/*").into();
        let events = bench.send(5, Command::SubscribeDurable { subscription, queue, source, ack: AckMode::Auto });
        if brief(&events).contains(&line.to_owned()) {
            return number;
        }
    }
    panic!("{line} never comes while others do");
}

#[test]
fn new_rules_are_applied_while_durable_subscriptions_to_patterns_come() {
    const STEPS: usize = 20;
    let limits = || Limits { queue: 10, subscriptions: 10_000, ..small() };
    // Publisher 1 waits for room in the last of many queues.
    let mut bench = Bench::new(limits());
    for number in 0..300 {
        bench.send(2, Command::Publish { channel: format!("/queue/{number}").into(), batch: Batch::one(b"x") });
    }
    check(&bench.publish(1, "/queue/last", &["0", "1", "2"]), &["pause 1"]);
    bench.broker.set_steps_per_call(STEPS);
    bench.broker.set_rules(bench.now, vec![ChannelRule { queue: Some(20), ..rule("/queue/last") }]);
    assert!(come_until(&mut bench, "resume 1") > 0, "one call does not look at all queues");
    // Publisher 2 waits for a subscriber.
    let blocks = Limits { policy: OverflowPolicy::Block, grace_period: Duration::ZERO, ..limits() };
    let mut bench = Bench::new(blocks);
    bench.subscribe(1, "/topic/a");
    assert!((0..100).any(|_| brief(&bench.publish(2, "/topic/a", &["x"])).contains(&"pause 2".to_owned())));
    bench.broker.set_steps_per_call(STEPS);
    bench.broker.set_rules(bench.now, vec![ChannelRule { policy: Some(OverflowPolicy::DropNew), ..rule("/topic/*") }]);
    come_until(&mut bench, "resume 2");
}

#[test]
fn the_more_rules_there_are_the_fewer_channels_follow_them_in_one_call() {
    for rules in [10, 1000, 10_000] {
        let mut bench = Bench::new(Limits { subscriptions: 10_000, ..small() });
        for number in 0..500 {
            let pattern = format!("/queue/{number}").into();
            bench.send(1, Command::Subscribe { subscription: SubscriptionId(number), pattern, ack: AckMode::Auto });
        }
        bench.rest();
        bench.broker.set_steps_per_call(64);
        let before = crate::slots::looks::so_far();
        bench.broker.set_rules(bench.now, vec![rule("/queue/none"); rules]);
        let looks = crate::slots::looks::so_far() - before;
        assert!(looks < 5000 + 2 * rules as u64, "{looks} for {rules} rules");
        assert!(bench.rest() > 0, "more than one call is needed");
    }
}
