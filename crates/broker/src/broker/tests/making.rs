//! A new channel, which the subscriptions whose patterns match join in steps.

use super::{Bench, brief, check, manual};
use crate::cost;
use crate::{AckMode, Command, Event, Limits, PauseReason, StatusQuery, SubscriptionId};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Connection 1 has so many subscriptions to a pattern, from number 0 on.
fn with_patterns(patterns: u32, pattern: &'static str, limits: Limits) -> Bench {
    let mut bench = Bench::new(Limits { subscriptions: 1000, ..limits });
    (0..patterns).for_each(|number| subscribe(&mut bench, number, pattern));
    bench
}

fn subscribe(bench: &mut Bench, number: u32, pattern: &'static str) {
    let subscription = SubscriptionId(number);
    check(&bench.send(1, Command::Subscribe { subscription, pattern: pattern.into(), ack: AckMode::Auto }), &[]);
}

/// Bodies that each subscription got.
fn given(events: &[Event]) -> BTreeMap<u32, Vec<Bytes>> {
    let mut given: BTreeMap<u32, Vec<Bytes>> = BTreeMap::new();
    for event in events {
        if let Event::Deliver { subscription, batch, .. } = event {
            let bodies = batch.iter().map(Bytes::copy_from_slice);
            given.entry(subscription.0).or_default().extend(bodies);
        }
    }
    given
}

/// Why a connection is paused.
fn paused(bench: &Bench, id: u64) -> Option<PauseReason> {
    let status = bench.broker.status(bench.now, &StatusQuery::top(usize::MAX));
    status.connections.into_iter().find(|row| row.id.0 == id)?.paused
}

#[test]
fn no_subscription_misses_what_is_published_to_a_new_topic_while_others_join_it() {
    // As many as one search finds, one fewer, and one more.
    for patterns in [1, 2, 31, 32, 33, 64, 65, 200] {
        for steps in [1, 7, 100, 4096] {
            let mut bench = with_patterns(patterns, "/topic/>", Limits::default());
            bench.broker.set_steps_per_call(steps);
            let mut events = bench.publish(3, "/topic/new", &["0"]);
            let reason = PauseReason::Patterns { channel: "/topic/new".into() };
            let waits = (patterns as usize > steps.div_ceil(4)).then_some(reason);
            assert_eq!(paused(&bench, 3), waits, "{patterns} in {steps}");
            events.extend(bench.publish(4, "/topic/new", &["1"]));
            bench.rest();
            events.extend(bench.events());
            let each: Vec<Bytes> = vec!["0".into(), "1".into()];
            assert_eq!(given(&events), (0..patterns).map(|number| (number, each.clone())).collect(), "in {steps}");
            assert_eq!(bench.broker.totals().paused, 0);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}

#[test]
fn a_new_queue_dispatches_once_all_its_consumers_have_joined_the_newest_first() {
    for (patterns, steps) in [(3, 1), (3, 4096), (40, 1), (40, 9), (40, 4096)] {
        let mut bench = with_patterns(patterns, "/queue/>", Limits::default());
        bench.broker.set_steps_per_call(steps);
        let bodies: Vec<String> = (0..=patterns).map(|number| number.to_string()).collect();
        let mut events = bench.publish(3, "/queue/new", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
        bench.rest();
        events.extend(bench.events());
        let given = given(&events);
        let turns: Vec<&[Bytes]> = given.values().rev().map(Vec::as_slice).collect();
        let expected: Vec<Vec<Bytes>> = (0..patterns)
            .map(|number| {
                let again = (number == 0).then(|| patterns.to_string().into());
                [number.to_string().into()].into_iter().chain(again).collect()
            })
            .collect();
        assert_eq!(turns, expected, "{patterns} in {steps}");
    }
}

#[test]
fn one_that_subscribes_to_a_new_queue_by_its_name_is_the_next_whoever_still_joins_it() {
    for steps in [1, 9, 4096] {
        let mut bench = with_patterns(40, "/queue/>", Limits::default());
        bench.broker.set_steps_per_call(steps);
        bench.subscribe(2, "/queue/new");
        bench.publish(3, "/queue/new", &["0", "1"]);
        bench.rest();
        let events = brief(&bench.events());
        let expected: &[&str] = if steps == 4096 { &[] } else { &["2:0", "1:1"] };
        assert_eq!(events, expected, "in {steps}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn the_only_consumer_gets_all_of_a_new_queue_though_it_joins_last() {
    for steps in [1, 9, 4096] {
        let mut bench = with_patterns(1, "/queue/>", Limits::default());
        check(&bench.send(1, Command::Claim { subscription: SubscriptionId(0) }), &[]);
        (1..40).for_each(|number| subscribe(&mut bench, number, "/queue/>"));
        bench.broker.set_steps_per_call(steps);
        let mut events = bench.publish(3, "/queue/new", &["0", "1", "2"]);
        bench.rest();
        events.extend(bench.events());
        assert_eq!(given(&events).into_keys().collect::<Vec<_>>(), [0], "in {steps}");
    }
}

#[test]
fn subscriptions_that_end_while_a_channel_is_joined_get_nothing_and_leave_nothing_behind() {
    for (ends, pattern, channel) in [
        (Command::Unsubscribe { subscription: SubscriptionId(3) }, "/topic/>", "/topic/new"),
        (Command::Unsubscribe { subscription: SubscriptionId(38) }, "/queue/>", "/queue/new"),
        (Command::Disconnect, "/topic/>", "/topic/new"),
        (Command::Finish, "/queue/>", "/queue/new"),
    ] {
        let mut bench = with_patterns(40, pattern, Limits::default());
        bench.broker.set_steps_per_call(1);
        bench.publish(3, channel, &["0"]);
        bench.send(1, ends.clone());
        bench.rest();
        let ended = match ends {
            Command::Unsubscribe { subscription } => vec![subscription.0],
            _ => (0..40).collect(),
        };
        let given = given(&bench.events());
        assert!(ended.iter().all(|number| !given.contains_key(number)), "{ends:?}: {given:?}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit(), "{ends:?}");
        bench.send(1, Command::Disconnect);
        bench.rest();
        bench.broker.purge(bench.now, channel.as_bytes());
        bench.rest();
        bench.is_at_rest();
        assert_eq!(bench.broker.totals().channels, 0, "{ends:?}");
    }
}

#[test]
fn a_temporary_queue_that_ends_while_it_is_joined_leaves_nothing_behind() {
    let mut bench = with_patterns(40, "/queue/temp/1/>", Limits::default());
    bench.broker.set_steps_per_call(1);
    let (subscription, pattern) = (SubscriptionId(40), "/queue/temp/1/x".into());
    bench.send(1, Command::Subscribe { subscription, pattern, ack: manual(1) });
    bench.send(1, Command::Disconnect);
    bench.rest();
    assert_eq!(bench.broker.totals().channels, 0);
    bench.is_at_rest();
}

#[test]
fn a_new_channel_waits_for_the_memory_of_all_that_are_to_join_it() {
    let need = cost::channel("/topic/new".len()) + 100 * cost::MEMBER;
    for (free, waits) in [(need - 1, true), (need, false), (need + 1, false)] {
        let mut bench = with_patterns(100, "/topic/>", Limits::default());
        let used = bench.broker.budget.free() - free;
        bench.broker.budget.charge(used);
        bench.broker.set_steps_per_call(1);
        check(&bench.publish(4, "/topic/new", &[""]), &["pause 4"]);
        let reason = paused(&bench, 4);
        let by_memory = matches!(reason, Some(PauseReason::Memory { .. }));
        assert_eq!(by_memory, waits, "{free} free, {need} needed: {reason:?}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit() + used);
        bench.broker.budget.release(used);
        bench.broker.handle_timeout(bench.now);
        bench.rest();
        assert_eq!(given(&bench.events()).len(), 100);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}
