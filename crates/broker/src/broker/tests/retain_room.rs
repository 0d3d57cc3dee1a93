//! Retained values that find no room, that come behind what is older, and those that clear.

use super::retain::{marked, retain, retain_at};
use super::{Bench, brief, check, small};
use crate::{AckMode, Command, Event, Limits, OverflowPolicy, SubscriptionId, Time};

/// A further subscription of a connection.
fn subscribe(bench: &mut Bench, id: u64, number: u32, pattern: &'static str) -> Vec<Event> {
    let subscription = SubscriptionId(number);
    bench.send(id, Command::Subscribe { subscription, pattern: pattern.into(), ack: AckMode::Auto })
}

#[test]
fn a_value_that_fits_beside_nothing_else_lets_a_busy_subscriber_to_a_pattern_join() {
    for policy in [OverflowPolicy::DropNew, OverflowPolicy::DropOld, OverflowPolicy::Disconnect, OverflowPolicy::Block]
    {
        // Longer than the outbox, and nearly as long as it is.
        for (outbox, length) in [(100, 300), (1000, 700)] {
            let mut bench = Bench::new(Limits { outbox, policy, ..small() });
            retain(&mut bench, "/topic/value", &["v".repeat(length).as_str()]);
            bench.subscribe(1, "/live");
            let body = "x".repeat(outbox / 5 - 4);
            let mut waiting: std::collections::VecDeque<usize> = Default::default();
            let (mut lines, mut is_paused, mut rounds) = (Vec::new(), false, 0);
            let mut take = |events: Vec<Event>, waiting: &mut std::collections::VecDeque<usize>| {
                for event in &events {
                    match event {
                        Event::Deliver { batch, .. } => {
                            waiting.push_back(batch.bytes());
                            lines.extend(marked(std::slice::from_ref(event)));
                        }
                        Event::Pause { connection, .. } => is_paused |= connection.0 == 2,
                        Event::Resume { connection } => is_paused &= connection.0 != 2,
                        other => panic!("{other:?}"),
                    }
                }
                (lines.iter().any(|line| line.ends_with("retained")), is_paused)
            };
            for _ in 0..3 {
                take(bench.publish(2, "/live", &[&body]), &mut waiting);
            }
            let (mut is_there, mut is_held) = take(subscribe(&mut bench, 1, 1, "/topic/*"), &mut waiting);
            assert!(!is_there, "there is no room for it");
            while !is_there {
                rounds += 1;
                assert!(rounds < 30, "it never joins: {policy:?}");
                if !is_held {
                    take(bench.publish(2, "/live", &[&body]), &mut waiting);
                }
                let first = waiting.pop_front().expect("the outbox is never empty before");
                (is_there, is_held) = take(bench.credit(1, first), &mut waiting);
            }
            assert!(rounds > 1, "it was busy");
            while let Some(first) = waiting.pop_front() {
                (_, is_held) = take(bench.credit(1, first), &mut waiting);
            }
            assert!(!is_held, "its publisher goes on");
            assert_eq!(brief(&bench.publish(2, "/topic/value", &["joined"])), ["1:joined"]);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}

#[test]
fn room_that_is_kept_for_a_value_is_given_back_when_its_subscription_ends() {
    let unsubscribe = Command::Unsubscribe { subscription: SubscriptionId(1) };
    let ends: [(Command, &[&str], &[&str]); 3] =
        [(unsubscribe, &["1:1"], &[]), (Command::Finish, &[], &["4:1"]), (Command::Disconnect, &[], &["4:0", "4:1"])];
    for (end, at_once, later) in ends {
        let mut bench = Bench::new(small());
        retain(&mut bench, "/topic/value", &["v".repeat(300).as_str()]);
        bench.subscribe(1, "/queue/a");
        bench.publish(2, "/queue/a", &["0"]);
        check(&subscribe(&mut bench, 1, 1, "/topic/*"), &[]);
        check(&bench.publish(2, "/queue/a", &["1"]), &[]);
        check(&bench.send(1, end), at_once);
        bench.credit(1, 10);
        bench.send(1, Command::Disconnect);
        retain(&mut bench, "/topic/value", &[""]);
        check(&bench.subscribe(4, "/queue/a"), later);
        bench.credit(4, 10);
        bench.is_at_rest();
    }
}

#[test]
fn where_publishers_wait_for_subscribers_no_value_is_missed() {
    for (policy, waits) in [(OverflowPolicy::Block, true), (OverflowPolicy::DropNew, false)] {
        let mut bench = Bench::new(Limits { policy, ..small() });
        retain(&mut bench, "/topic/b", &["value"]);
        bench.subscribe(1, "/topic/a");
        bench.publish(2, "/topic/a", &[&"x".repeat(96)]);
        check(&subscribe(&mut bench, 1, 1, "/topic/b"), &[]);
        let got = marked(&bench.credit(1, 100));
        assert_eq!((got.len(), bench.broker.totals().dropped_slow), if waits { (1, 0) } else { (0, 1) });
        bench.credit(1, 9);
        assert_eq!(brief(&bench.publish(2, "/topic/b", &["next"])), ["1:next"]);
        bench.credit(1, 8);
        // It is taken out as any other.
        bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(1) });
        check(&bench.publish(2, "/topic/b", &["gone"]), &[]);
        retain(&mut bench, "/topic/b", &[""]);
        bench.send(1, Command::Disconnect);
        bench.is_at_rest();
        assert_eq!(bench.broker.totals().channels, 0);
    }
}

#[test]
fn a_topic_that_is_forgotten_while_its_value_waits_for_room_is_joined_when_it_comes_again() {
    let mut bench = Bench::new(Limits { policy: OverflowPolicy::Block, ..small() });
    retain(&mut bench, "/topic/b", &["value"]);
    bench.subscribe(1, "/topic/a");
    bench.publish(2, "/topic/a", &[&"x".repeat(96)]);
    subscribe(&mut bench, 1, 1, "/topic/b");
    retain(&mut bench, "/topic/b", &[""]);
    assert_eq!(bench.broker.totals().channels, 1);
    check(&bench.credit(1, 100), &[]);
    assert_eq!(brief(&bench.publish(2, "/topic/b", &["new"])), ["1:new"]);
}

#[test]
fn a_message_whose_time_is_over_clears_the_value_before_it_and_leaves_none() {
    for limit in [1, 2] {
        let mut bench = Bench::new(Limits { retained: limit, ..Limits::default() });
        bench.pass(10);
        let now = Some(bench.now);
        retain(&mut bench, "/topic/a", &["value"]);
        check(&retain_at(&mut bench, "/topic/a", &["late"], now), &[]);
        assert_eq!((bench.broker.totals().retained, bench.broker.totals().expired), (0, 1));
        check(&bench.subscribe(1, "/topic/a"), &[]);
        // At the limit, too.
        retain(&mut bench, "/topic/b", &["value"]);
        check(&retain_at(&mut bench, "/topic/c", &["late"], now), &[]);
        check(&retain_at(&mut bench, "/topic/a", &["late"], now), &[]);
        assert_eq!(bench.broker.totals().retained, 1);
        let soon = Some(Time(bench.now.0 + 1));
        assert_eq!(retain_at(&mut bench, "/topic/c", &["soon"], soon).is_empty(), limit > 1);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn what_only_clears_a_value_makes_no_channel() {
    let mut bench = Bench::new(Limits { channels: 1, ..Limits::default() });
    bench.subscribe(1, "/topic/a");
    bench.pass(10);
    let now = Some(bench.now);
    check(&retain(&mut bench, "/topic/new", &[""]), &[]);
    check(&retain(&mut bench, "/topic/new", &["", ""]), &[]);
    check(&retain_at(&mut bench, "/topic/new", &["late"], now), &[]);
    let full = "refused: there are 1 channels already (limit: channels)";
    check(&retain(&mut bench, "/topic/new", &["value"]), &[full]);
    check(&retain(&mut bench, "/topic/new", &["", "value"]), &[full]);
    // It is still delivered, as every message is.
    check(&retain(&mut bench, "/topic/a", &[""]), &["1:"]);
    bench.send(1, Command::Disconnect);
    bench.subscribe(4, "/topic/*");
    check(&retain(&mut bench, "/topic/new", &[""]), &["4:"]);
}

#[test]
fn nobody_gets_what_is_older_behind_the_value_though_the_first_subscriber_leaves() {
    let (mut shared, mut alone) = (0, 0);
    for calls in 0..120 {
        let mut bench = Bench::new(Limits { buffer_unsubscribed: 100, ..Limits::default() });
        let body = |number: usize| format!("{number:02}{}", "x".repeat(600));
        (0..20).for_each(|number| _ = bench.publish(3, "/topic/a", &[&body(number)]));
        retain(&mut bench, "/topic/a", &[&body(20)]);
        (21..25).for_each(|number| _ = bench.publish(3, "/topic/a", &[&body(number)]));
        bench.broker.set_steps_per_call(1);
        let mut events = bench.subscribe(1, "/topic/a");
        events.extend(bench.subscribe(2, "/topic/a"));
        events.extend(bench.subscribe(4, "/topic/a"));
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        events.extend(bench.events());
        events.extend(bench.send(1, Command::Disconnect));
        bench.rest();
        events.extend(bench.publish(3, "/topic/a", &[&body(25)]));
        bench.rest();
        events.extend(bench.events());
        for id in [2, 4] {
            let own = |event: &&Event| matches!(event, Event::Deliver { connection, .. } if connection.0 == id);
            let got: Vec<Event> = events.iter().filter(own).cloned().collect();
            let numbers: Vec<usize> = brief(&got).iter().map(|line| line[2..4].parse().unwrap()).collect();
            assert!(numbers.is_sorted(), "{id} got {numbers:?} after {calls} calls");
            let values = numbers.iter().filter(|number| **number == 20).count();
            assert_eq!((values, numbers.last()), (1, Some(&25)), "{id} got {numbers:?} after {calls} calls");
            shared += usize::from(numbers.len() > 2 && id == 2);
            alone += usize::from(numbers.len() == 2 && id == 2);
        }
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
    assert!(shared > 0 && alone > 0, "it left while the buffer was given out {shared} times, and later {alone} times");
}

#[test]
fn a_purge_of_the_buffer_leaves_the_value_to_those_that_came_meanwhile() {
    let mut bench = Bench::new(Limits { buffer_unsubscribed: 100, ..Limits::default() });
    let body = |number: usize| format!("{number:02}{}", "x".repeat(600));
    (0..10).for_each(|number| _ = bench.publish(3, "/topic/a", &[&body(number)]));
    retain(&mut bench, "/topic/a", &["value"]);
    bench.broker.set_steps_per_call(1);
    bench.subscribe(1, "/topic/a");
    bench.subscribe(2, "/topic/a");
    bench.events();
    assert!(bench.broker.purge(bench.now, b"/topic/a").unwrap() > 0);
    bench.rest();
    assert_eq!(marked(&bench.events()), ["1:value retained", "2:value retained"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_publisher_whose_subscription_waits_for_room_lets_others_go_on_that_wait_for_the_same() {
    // Both wait for a full queue, or for the subscriber of a topic.
    for (channel, fill) in [("/queue/a", 2), ("/live", 12)] {
        let mut bench = Bench::new(Limits { queue: 10, outbox: 60, policy: OverflowPolicy::Block, ..small() });
        retain(&mut bench, "/topic/value", &["v".repeat(300).as_str()]);
        bench.subscribe(3, "/queue/in");
        bench.publish(9, "/queue/in", &["unread"]);
        if channel == "/live" {
            bench.subscribe(5, channel);
        }
        check(&bench.publish(9, channel, &vec!["0"; fill][..]), &vec!["5:0"; if fill == 12 { 12 } else { 0 }]);
        check(&bench.publish(3, channel, &["1"]), &["pause 3"]);
        check(&bench.publish(4, channel, &["2"]), &["pause 4"]);
        check(&subscribe(&mut bench, 3, 1, "/topic/*"), &[]);
        let events = if fill == 12 { bench.credit(5, 60) } else { bench.subscribe(5, channel) };
        let others: Vec<String> = brief(&events).into_iter().filter(|line| line != "5:0").collect();
        assert_eq!(others, ["5:2", "resume 4"], "{channel}");
        check(&bench.credit(3, 10), &[&format!("3:{}", "v".repeat(300)), "5:1", "resume 3"]);
    }
}

#[test]
fn a_knot_of_one_whose_subscription_waits_for_room_is_untied_once_it_is_joined() {
    let mut bench = Bench::new(Limits { queue: 10, read_ahead: 0, window: 5, ..small() });
    retain(&mut bench, "/topic/value", &["v".repeat(300).as_str()]);
    bench.subscribe_with(1, "/queue/a", AckMode::Manual { prefetch: 1 });
    bench.subscribe(2, "/queue/a");
    check(&bench.publish(1, "/queue/a", &["0", "1", "2", "3", "4"]), &["2:0", "1:1", "pause 1"]);
    check(&subscribe(&mut bench, 1, 1, "/topic/*"), &[]);
    // The only other consumer leaves: nobody but the publisher itself drains the queue.
    check(&bench.send(2, Command::Disconnect), &[]);
    assert!(!bench.broker.has_work(), "there is nothing to do until there is room");
    let events = brief(&bench.credit(1, 5));
    assert!(events.contains(&"resume 1".to_owned()), "{events:?}");
}

#[test]
fn a_message_that_clears_a_value_is_not_lost_where_nobody_subscribes_whether_there_is_a_value_or_not() {
    // The last of a run clears; one whose time is over does not. Those before it are lost.
    for (has_value, bodies, expires, lost) in [
        (true, &[""][..], None, 0),
        (false, &[""], None, 0),
        (true, &["", ""], None, 1),
        (false, &["", ""], None, 1),
        (false, &[""], Some(Time::ZERO), 1),
    ] {
        let mut bench = Bench::new(Limits::default());
        if has_value {
            retain(&mut bench, "/topic/a", &["value"]);
        }
        retain_at(&mut bench, "/topic/a", bodies, expires);
        assert_eq!(bench.broker.totals().dropped_no_subscribers, lost, "{has_value} {bodies:?} {expires:?}");
        assert_eq!(bench.broker.totals().channels, 0);
    }
}
