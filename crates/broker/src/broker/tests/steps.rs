//! The bound on one call's work, and that everything is right in between.

mod overtaking;

use super::retry::ack;
use super::{Bench, brief, manual, small};
use crate::{AckMode, Batch, Command, Limits, Packer, Page, PauseReason, StatusQuery, SubscriptionId};
use bytes::Bytes;
use std::time::Duration;

impl Bench {
    /// Goes on with what calls have left over; how many calls that takes.
    pub(super) fn rest(&mut self) -> usize {
        let mut calls = 0;
        while self.broker.poll_timeout() == Some(self.now) {
            self.broker.handle_timeout(self.now);
            calls += 1;
            assert!(calls < 100_000, "it never ends");
        }
        calls
    }
}

/// A queue whose consumer has 300 messages in 100 entries and leaves; steps of so much.
fn leaving(steps: usize) -> Bench {
    let mut bench = Bench::new(Limits { window: 1 << 30, ..Limits::default() });
    bench.subscribe(1, "/queue/a");
    for first in 0..100 {
        let bodies: Vec<String> = (0..3).map(|i| format!("{:03}", first * 3 + i)).collect();
        bench.publish(3, "/queue/a", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    }
    bench.broker.set_steps_per_call(steps);
    bench
}

#[test]
fn a_disconnect_takes_steps_and_the_order_stays_whatever_is_done_in_between() {
    let all = |last: &str| -> Vec<String> {
        (0..300).map(|number| format!("2:{number:03}")).chain([format!("2:{last}")]).collect()
    };
    for steps in [1, 7, 50, 1 << 20] {
        let mut bench = leaving(steps);
        bench.send(1, Command::Disconnect);
        // Another's publish goes behind, and a new consumer gets what is at the head.
        let mut events = bench.publish(4, "/queue/a", &["new"]);
        events.extend(bench.subscribe(2, "/queue/a"));
        let calls = bench.rest();
        assert!(steps > 50 || calls > 1, "{calls} calls in steps of {steps}");
        events.extend(bench.events());
        assert_eq!(brief(&events), all("new"), "in steps of {steps}");
        let totals = bench.broker.totals();
        assert_eq!((totals.requeued, totals.delivered), (300, 0));
        assert_eq!(totals.memory, bench.broker.audit());
    }
}

#[test]
fn who_has_room_while_another_is_taken_down_gets_the_first_that_comes_back() {
    let cases = (0..60).flat_map(|calls| [3, 10, 20, 40].map(|steps| (calls, steps)));
    for (calls, steps, acks_before) in cases.flat_map(|(calls, steps)| [(calls, steps, true), (calls, steps, false)]) {
        let mut bench = Bench::new(Limits { window: 1 << 30, write_timeout: Duration::ZERO, ..Limits::default() });
        bench.subscribe_with(2, "/queue/a", manual(1));
        bench.publish(3, "/queue/a", &["000"]);
        bench.credit(2, 7);
        bench.subscribe_with(1, "/queue/a", manual(1000));
        for number in 1..=40 {
            bench.publish(3, "/queue/a", &[&format!("{number:03}")]);
        }
        // The later half is in the outbox, from which it comes back before the other half, which is written.
        bench.credit(1, 7 * 20);
        let mut events = if acks_before { bench.send(2, ack(1, 1)) } else { Vec::new() };
        bench.broker.set_steps_per_call(steps);
        events.extend(bench.send(1, Command::Disconnect));
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        events.extend(if acks_before { bench.publish(3, "/queue/a", &["new"]) } else { bench.send(2, ack(1, 1)) });
        bench.rest();
        events.extend(bench.events());
        assert_eq!(brief(&events), ["2:001"], "{calls} calls of {steps} steps, {acks_before}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_purge_counts_at_once_and_frees_in_steps() {
    let mut bench = leaving(3);
    bench.send(1, Command::Disconnect);
    bench.rest();
    assert_eq!(bench.broker.purge(bench.now, b"/queue/a"), Some(300));
    assert_eq!(bench.broker.waiting(), 0);
    assert!(bench.rest() > 10);
    bench.is_at_rest();
    assert_eq!(bench.broker.totals().channels, 0);
}

#[test]
fn a_pattern_joins_the_channels_that_are_there_in_steps_and_nothing_overtakes_it() {
    let mut bench = Bench::new(small());
    for number in 0..200 {
        let pattern = Bytes::from(format!("/topic/{number}"));
        let subscription = SubscriptionId(number);
        bench.send(1, Command::Subscribe { subscription, pattern, ack: AckMode::Auto });
    }
    bench.broker.set_steps_per_call(10);
    let mut events = bench.subscribe(2, "/topic/*");
    events.extend(bench.send(2, Command::Barrier { batch: Batch::one(b"joined") }));
    assert!(brief(&events).contains(&"pause 2".to_owned()), "{events:?}");
    let status = bench.broker.status(bench.now, &StatusQuery::top(1));
    assert_eq!(status.connections[0].paused, Some(PauseReason::Subscribing { pattern: "/topic/*".into() }));
    assert!(bench.rest() > 10);
    let events = brief(&bench.events());
    assert_eq!(events, ["barrier 2", "resume 2"]);
    bench.broker.set_steps_per_call(1000);
    bench.publish(3, "/topic/199", &["x"]);
    bench.send(2, Command::Unsubscribe { subscription: SubscriptionId(0) });
    bench.send(1, Command::Disconnect);
    bench.send(2, Command::Disconnect);
    assert_eq!(bench.broker.totals().channels, 0);
    bench.is_at_rest();
}

#[test]
fn a_channel_that_is_made_while_a_pattern_joins_is_joined_once() {
    let mut bench = Bench::new(small());
    for number in 0..50 {
        let pattern = Bytes::from(format!("/topic/{number}"));
        bench.send(1, Command::Subscribe { subscription: SubscriptionId(number), pattern, ack: AckMode::Auto });
    }
    bench.broker.set_steps_per_call(1);
    bench.subscribe(2, "/topic/*");
    bench.subscribe(3, "/topic/new");
    assert!(bench.rest() > 10);
    assert_eq!(brief(&bench.publish(4, "/topic/new", &["x"])), ["2:x", "3:x"]);
}

#[test]
fn ranges_of_acks_are_settled_in_steps() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", AckMode::Manual { prefetch: 1000 });
    for _ in 0..300 {
        bench.publish(3, "/queue/a", &["x"]);
    }
    bench.broker.set_steps_per_call(5);
    let last = crate::DeliveryTag(300);
    assert!(brief(&bench.send(1, Command::Ack { first: crate::DeliveryTag(1), last })).is_empty());
    assert!(bench.rest() > 50);
    assert_eq!(bench.broker.totals().delivered, 300);
    assert!(bench.events().is_empty(), "nothing was unknown");
}

#[test]
fn the_pages_of_a_status_list_every_row_once_and_are_bounded() {
    let mut bench = Bench::new(Limits::default());
    for number in 0..2500 {
        let channel = Bytes::from(format!("/queue/{number}"));
        bench.send(1, Command::Publish { channel, batch: Batch::one(b"x") });
    }
    let (mut cursor, mut names, mut pages) = (Some(0), std::collections::BTreeSet::new(), 0);
    while let Some(at) = cursor {
        let channels = Page::After { cursor: at, limit: usize::MAX };
        let status = bench.broker.status(bench.now, &StatusQuery { channels, ..StatusQuery::top(0) });
        assert!(status.channels.len() <= Page::MAX && status.connections.is_empty());
        status.channels.iter().for_each(|channel| assert!(names.insert(channel.name.clone())));
        (cursor, pages) = (status.next_channel, pages + 1);
    }
    assert_eq!((names.len(), pages), (2500, 3));
    assert_eq!(bench.broker.status(bench.now, &StatusQuery::top(usize::MAX)).channels.len(), Page::MAX);
}

#[test]
fn what_is_published_while_an_unused_channel_is_being_forgotten_comes_to_everybody() {
    const PATTERNS: u32 = 40;
    let unused = crate::broker::forget::UNUSED;
    let mut bench = Bench::new(Limits::default());
    let publish = |bench: &mut Bench, number: usize| {
        let mut packer = Packer::default();
        packer.push(b"x");
        let channel = format!("/topic/{number}").into();
        // The publisher of the first names no other, and must find the new one when that is forgotten.
        let publisher = if number == 0 { 3 } else { 2 };
        let mut events = bench.send(publisher, Command::Publish { channel, batch: packer.finish().unwrap() });
        // A new topic is joined in steps, and its publisher waits for that.
        while bench.broker.totals().paused > 0 {
            bench.broker.handle_timeout(bench.now);
            events.extend(bench.events());
        }
        let got = brief(&events).iter().filter(|line| *line == "1:x").count();
        bench.credit(1, 5 * got);
        got
    };
    for id in 0..PATTERNS {
        let subscription = SubscriptionId(id);
        bench.send(1, Command::Subscribe { subscription, pattern: "/topic/>".into(), ack: AckMode::Auto });
    }
    for number in (0..unused).chain([0]) {
        assert_eq!(publish(&mut bench, number), PATTERNS as usize);
    }
    let listed = |bench: &Bench| {
        let (mut rows, mut next) = (0, Some(0));
        while let Some(cursor) = next {
            let channels = Page::After { cursor, limit: Page::MAX };
            let status = bench.broker.status(bench.now, &StatusQuery { channels, connections: Page::Top(0) });
            (rows, next) = (rows + status.channels.len(), status.next_channel);
        }
        rows
    };
    assert_eq!(listed(&bench), unused);
    // The first is forgotten for this one, in more than one step.
    bench.broker.set_steps_per_call(20);
    assert_eq!(publish(&mut bench, unused), PATTERNS as usize);
    assert_eq!((bench.broker.totals().channels, listed(&bench)), (unused + 1, unused), "one is half forgotten");
    assert_eq!(publish(&mut bench, 0), PATTERNS as usize);
    // One that comes meanwhile finds what there is, and nothing else.
    let subscription = SubscriptionId(PATTERNS);
    bench.send(1, Command::Subscribe { subscription, pattern: "/topic/>".into(), ack: AckMode::Auto });
    bench.rest();
    assert_eq!(publish(&mut bench, 0), PATTERNS as usize + 1);
    bench.rest();
    assert_eq!(bench.broker.totals().channels, unused);
    bench.is_at_rest();
}
