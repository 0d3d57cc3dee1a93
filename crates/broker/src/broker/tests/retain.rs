//! Retained values: who gets them, when, and what bounds them.

use super::attributes::headers;
use super::{Bench, brief, check, small};
use crate::{
    AckMode, Attributes, Batch, ChannelRule, Command, Delivery, Event, Limits, Packer, Pattern, StatusQuery,
    SubscriptionId, Time,
};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn retain_at(bench: &mut Bench, channel: &str, bodies: &[&str], expires: Option<Time>) -> Vec<Event> {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let headers = headers(&[("retained", "forged"), ("color", "red")]);
    let attributes = Attributes { retain: true, headers, ..Attributes::default() }.with_expires(expires);
    let batch = packer.finish().unwrap().with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: channel.to_owned().into(), batch })
}

pub(super) fn retain(bench: &mut Bench, channel: &str, bodies: &[&str]) -> Vec<Event> {
    retain_at(bench, channel, bodies, None)
}

/// "1:a retained": whether each message says so.
pub(super) fn marked(events: &[Event]) -> Vec<String> {
    let mut lines = Vec::new();
    for event in events {
        let Event::Deliver { connection, batch, .. } = event else { panic!("{event:?}") };
        let headers = batch.attributes().map(|attributes| attributes.headers.clone()).unwrap_or_default();
        let mark = if headers.get(b"retained") == Some(b"true") { " retained" } else { "" };
        lines.extend(batch.iter().map(|body| format!("{}:{}{mark}", connection.0, body.escape_ascii())));
    }
    lines
}

fn count(bench: &Bench) -> usize {
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    bench.broker.totals().retained
}

#[test]
fn a_new_subscriber_gets_the_last_retained_value_first_and_marked() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/a");
    assert_eq!(marked(&retain(&mut bench, "/topic/a", &["old"])), ["1:old"]);
    retain(&mut bench, "/topic/a", &["new", "newer"]);
    bench.publish(3, "/topic/a", &["plain"]);
    let events = bench.subscribe(2, "/topic/a");
    assert_eq!(marked(&events), ["2:newer retained"]);
    let Event::Deliver { batch, .. } = &events[0] else { panic!("{events:?}") };
    let attributes = batch.attributes().unwrap();
    let all: Vec<_> = attributes.headers.iter().collect();
    assert_eq!(all, [(&b"retained"[..], &b"true"[..]), (b"color", b"red")]);
    assert!(!attributes.retain);
    assert_eq!(marked(&bench.publish(3, "/topic/a", &["next"])), ["1:next", "2:next"]);
    let again = Command::Subscribe { subscription: SubscriptionId(7), pattern: "/topic/*".into(), ack: AckMode::Auto };
    assert_eq!(marked(&bench.send(1, again)), ["1:newer retained"]);
    assert_eq!(count(&bench), 1);
}

#[test]
fn an_empty_retained_message_is_delivered_and_clears_the_value() {
    let mut bench = Bench::new(Limits::default());
    retain(&mut bench, "/topic/a", &["value"]);
    let status = bench.broker.status(bench.now, &StatusQuery::top(9));
    assert_eq!(status.channels.len(), 1, "a topic with a value is not forgotten");
    assert_eq!(bench.broker.totals().dropped_no_subscribers, 0);
    bench.subscribe(1, "/topic/a");
    bench.credit(1, 9);
    assert_eq!(marked(&retain(&mut bench, "/topic/a", &[""])), ["1:"]);
    bench.credit(1, 4);
    assert_eq!(count(&bench), 0);
    check(&bench.subscribe(2, "/topic/a"), &[]);
    bench.send(1, Command::Disconnect);
    bench.send(2, Command::Disconnect);
    bench.is_at_rest();
    assert_eq!(bench.broker.totals().channels, 0);
    retain(&mut bench, "/topic/a", &[""]);
    assert_eq!((count(&bench), bench.broker.totals().channels), (0, 0));
}

#[test]
fn more_topics_than_the_limit_are_refused_and_a_value_may_be_replaced_and_cleared_at_it() {
    for limit in [0, 1, 2] {
        let mut bench = Bench::new(Limits { retained: limit, ..Limits::default() });
        for topic in 0..limit {
            check(&retain(&mut bench, &format!("/topic/{topic}"), &["x"]), &[]);
        }
        let refused =
            format!("rejected 1 of 3 to /topic/more: {limit} topics have a retained value already (limit: retained)");
        check(&retain(&mut bench, "/topic/more", &["x"]), &[&refused]);
        assert_eq!((count(&bench), bench.broker.totals().channels), (limit, limit));
        if limit > 0 {
            check(&retain(&mut bench, "/topic/0", &["y"]), &[]);
            check(&retain(&mut bench, "/topic/0", &[""]), &[]);
            check(&retain(&mut bench, "/topic/more", &["x"]), &[]);
        }
        check(&retain(&mut bench, "/topic/none", &[""]), &[]);
        assert_eq!(count(&bench), limit);
    }
}

#[test]
fn values_have_no_more_of_the_memory_than_is_free() {
    let limits = small();
    let memory = 100_000 + limits.connections * Limits::CONNECTION;
    let mut bench = Bench::new(Limits { memory, channels: 1000, message: 5000, ..limits });
    let body = "x".repeat(900);
    let mut events = Vec::new();
    let mut topics = 0;
    while events.is_empty() {
        events = retain(&mut bench, &format!("/topic/{topics}"), &[&body]);
        topics += 1;
    }
    let is_told = |events: &[Event]| {
        let [told] = &brief(events)[..] else { return false };
        told.starts_with("rejected 1 of 3 to /topic/")
            && told.contains(": the value takes ")
            && told.ends_with(&format!(" of memory = {memory} bytes (limit: memory)"))
    };
    assert!(is_told(&events), "{events:?}");
    assert!((20..60).contains(&topics), "{topics} topics");
    assert_eq!(count(&bench), topics - 1);
    // One in place of another takes nothing more, and one that is longer does.
    check(&retain(&mut bench, "/topic/0", &[&body[100..]]), &[]);
    assert!(is_told(&retain(&mut bench, "/topic/0", &[&body.repeat(5)])));
    // A publisher of others is not paused for them.
    check(&bench.publish(2, "/queue/a", &["x"]), &[]);
}

#[test]
fn a_pattern_gets_the_values_of_all_topics_that_it_matches_some_a_step() {
    for steps in [1, 10, 100_000] {
        let mut bench = Bench::new(Limits::default());
        for topic in 0..200 {
            retain(&mut bench, &format!("/topic/{topic}"), &[&topic.to_string()]);
        }
        retain(&mut bench, "/other/1", &["other"]);
        bench.broker.set_steps_per_call(steps);
        let mut lines = marked(&bench.subscribe(1, "/topic/*"));
        while bench.broker.poll_timeout() == Some(bench.now) {
            bench.broker.handle_timeout(bench.now);
            lines.extend(marked(&bench.events()));
        }
        lines.sort();
        let mut expected: Vec<String> = (0..200).map(|topic| format!("1:{topic} retained")).collect();
        expected.sort();
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_pattern_waits_for_room_in_its_outbox_and_misses_no_value() {
    let mut bench = Bench::new(small());
    let body = "x".repeat(60);
    for topic in 0..20 {
        retain(&mut bench, &format!("/topic/{topic}"), &[&format!("{topic:02}{body}")]);
    }
    let mut lines = marked(&bench.subscribe(1, "/topic/*"));
    // One that comes before its topic was joined is not overtaken by that topic's value.
    retain(&mut bench, "/topic/19", &["live"]);
    loop {
        let is_busy = bench.broker.poll_timeout().is_some_and(|due| due <= bench.now);
        assert!(!is_busy, "nothing is to be done while it waits");
        let rows = bench.broker.status(bench.now, &StatusQuery::top(100)).connections;
        let outbox: usize = rows.iter().map(|row| row.outbox).sum();
        assert!(outbox <= 100);
        if outbox == 0 {
            break;
        }
        lines.extend(marked(&bench.credit(1, outbox)));
    }
    lines.sort();
    let mut expected: Vec<String> = (0..19).map(|topic| format!("1:{topic:02}{body} retained")).collect();
    expected.push("1:live retained".into());
    assert_eq!(lines, expected);
    assert_eq!(bench.broker.totals().dropped_slow, 0);
}

#[test]
fn a_subscriber_whose_outbox_is_full_misses_the_value_and_that_is_counted() {
    let mut bench = Bench::new(small());
    retain(&mut bench, "/topic/b", &["value"]);
    bench.subscribe(1, "/topic/a");
    bench.publish(2, "/topic/a", &[&"x".repeat(96)]);
    let other = Command::Subscribe { subscription: SubscriptionId(1), pattern: "/topic/b".into(), ack: AckMode::Auto };
    check(&bench.send(1, other), &[]);
    assert_eq!(bench.broker.totals().dropped_slow, 1);
}

#[test]
fn the_value_is_never_newer_than_a_message_that_follows() {
    // The topic buffers two messages, and its publisher waits with the third.
    let mut bench = Bench::new(Limits { buffer_unsubscribed: 2, ..Limits::default() });
    check(&retain(&mut bench, "/topic/a", &["0", "1", "2"]), &["pause 3"]);
    assert_eq!(brief(&bench.subscribe(1, "/topic/a")), ["1:0", "1:1", "1:2", "resume 3"]);
    assert_eq!(marked(&bench.subscribe(2, "/topic/a")), ["2:2 retained"]);
    bench.credit(1, 15);
    bench.credit(2, 5);
    bench.send(1, Command::Disconnect);
    bench.send(2, Command::Disconnect);
    // The message that is buffered now is newer than the value.
    bench.publish(3, "/topic/a", &["3"]);
    assert_eq!(marked(&bench.subscribe(4, "/topic/a")), ["4:2 retained", "4:3"]);
}

#[test]
fn a_value_whose_time_is_over_is_given_to_nobody_and_makes_room() {
    let mut bench = Bench::new(Limits { retained: 1, ..Limits::default() });
    let at = |millis: u64| Some(Time::ZERO + Duration::from_millis(millis));
    retain_at(&mut bench, "/topic/a", &["x"], at(10));
    assert_eq!(marked(&bench.subscribe(1, "/topic/a")), ["1:x retained"]);
    bench.credit(1, 5);
    bench.send(1, Command::Disconnect);
    bench.pass(9);
    assert_eq!(count(&bench), 1);
    bench.pass(1);
    assert_eq!((count(&bench), bench.broker.totals().channels), (0, 0));
    retain_at(&mut bench, "/topic/b", &["late"], at(5));
    assert_eq!(count(&bench), 0);
    retain(&mut bench, "/topic/b", &["y"]);
    bench.pass(1_000_000);
    assert_eq!(marked(&bench.subscribe(2, "/topic/b")), ["2:y retained"]);
}

#[test]
fn a_value_lives_as_long_as_its_topics_messages() {
    let message_ttl = Some(Duration::from_millis(20));
    let mut rule = ChannelRule::new(Pattern::new("/topic/short"));
    rule.delivery.message_ttl = message_ttl;
    let delivery = Delivery::default();
    let mut bench = Bench::with_rules(Limits { delivery, ..Limits::default() }, vec![rule]);
    retain(&mut bench, "/topic/short", &["x"]);
    retain(&mut bench, "/topic/long", &["y"]);
    bench.pass(20);
    assert_eq!(count(&bench), 1);
    check(&bench.subscribe(1, "/topic/>"), &["1:y"]);
}

#[test]
fn a_queue_has_no_value_to_retain() {
    let mut bench = Bench::new(Limits { retained: 0, ..Limits::default() });
    let attributes = Arc::new(Attributes { retain: true, ..Attributes::default() });
    let batch = Batch::one(b"0").with_attributes(attributes);
    check(&bench.send(3, Command::Publish { channel: "/queue/a".into(), batch }), &[]);
    check(&bench.subscribe(1, "/queue/a"), &["1:0"]);
    check(&bench.subscribe(2, "/queue/a"), &[]);
    bench.credit(1, 5);
    bench.is_at_rest();
}
