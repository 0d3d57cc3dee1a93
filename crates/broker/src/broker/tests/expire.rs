//! The time of messages: expiry wherever they stand, and delayed delivery.

use super::retry::{ack, bench, nack};
use super::{Bench, brief, check, manual};
use crate::{
    AckMode, Attributes, Batch, ChannelRule, Command, Delivery, DeliveryRule, DeliveryTag, Event, Limits, Pattern,
    StatusQuery, Time,
};
use std::sync::Arc;
use std::time::Duration;

fn publish(bench: &mut Bench, channel: &'static str, body: &str, attributes: Attributes) -> Vec<Event> {
    let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: channel.into(), batch })
}

/// For so many milliseconds from now on.
fn living(bench: &Bench, millis: u64) -> Attributes {
    Attributes::default().with_expires(bench.now + Duration::from_millis(millis))
}

fn delayed(bench: &Bench, millis: u64) -> Attributes {
    Attributes::default().with_deliver_at(bench.now + Duration::from_millis(millis))
}

fn depth(bench: &Bench, name: &str) -> usize {
    let status = bench.broker.status(bench.now, &StatusQuery::top(100));
    status.channels.iter().find(|channel| channel.name == name).map_or(0, |channel| channel.depth)
}

#[test]
fn a_message_is_delivered_before_it_expires_and_not_from_then_on() {
    for (millis, is_there) in [(0, true), (9, true), (10, false), (11, false)] {
        let mut bench = bench();
        let attributes = living(&bench, 10);
        publish(&mut bench, "/queue/a", "0", attributes);
        bench.pass(millis);
        let expected: &[&str] = if is_there { &["1:0"] } else { &[] };
        check(&bench.subscribe(1, "/queue/a"), expected);
        assert_eq!(bench.broker.totals().expired, u64::from(!is_there), "after {millis} ms");
        bench.credit(1, 5);
        bench.is_at_rest();
    }
}

#[test]
fn what_expires_while_nobody_comes_frees_its_memory_and_wakes_publishers() {
    let mut bench = Bench::with_rules(Limits { queue_messages: 1, ..Limits::default() }, Vec::new());
    let attributes = living(&bench, 10);
    publish(&mut bench, "/queue/a", "0", attributes);
    check(&bench.publish(3, "/queue/a", &["1"]), &["pause 3"]);
    check(&bench.pass(10), &["resume 3"]);
    check(&bench.subscribe(1, "/queue/a"), &["1:1"]);
}

#[test]
fn an_expired_message_is_never_delivered_however_late_the_timer_is() {
    for channel in ["/queue/a", "/topic/a"] {
        let buffer_unsubscribed = Some(10);
        let rule = ChannelRule { buffer_unsubscribed, ..ChannelRule::new(Pattern::new("/topic/a")) };
        let mut bench = Bench::with_rules(Limits::default(), vec![rule]);
        let attributes = living(&bench, 10);
        publish(&mut bench, channel, "0", attributes);
        bench.publish(3, channel, &["1"]);
        // Nobody has called for the timer.
        bench.now = bench.now + Duration::from_secs(1);
        check(&bench.subscribe(1, channel), &["1:1"]);
        assert_eq!(bench.broker.totals().expired, 1, "{channel}");
        bench.credit(1, 5);
        bench.is_at_rest();
    }
}

#[test]
fn an_expired_message_takes_no_tag_and_no_prefetch_however_late_the_timer_is() {
    for prefetch in [1, 2, u32::MAX] {
        let mut bench = bench();
        let attributes = living(&bench, 10);
        publish(&mut bench, "/queue/a", "0", attributes);
        bench.publish(3, "/queue/a", &["1"]);
        bench.now = bench.now + Duration::from_secs(1);
        let events = bench.subscribe_with(1, "/queue/a", manual(prefetch));
        check(&events, &["1:1"]);
        let [Event::Deliver { tag: Some(DeliveryTag(1)), .. }] = &events[..] else { panic!("{prefetch}: {events:?}") };
        assert_eq!(bench.broker.totals().expired, 1, "{prefetch}");
        bench.credit(1, 5);
        check(&bench.send(1, ack(1, 1)), &[]);
        bench.is_at_rest();
    }
}

#[test]
fn a_message_that_expires_in_an_outbox_is_not_handed_out() {
    for (channel, ack) in [("/topic/a", AckMode::Auto), ("/queue/a", manual(10))] {
        let mut bench = Bench::new(Limits { window: 5, write_timeout: Duration::ZERO, ..Limits::default() });
        bench.subscribe_with(1, channel, ack);
        bench.publish(3, channel, &["0"]);
        for (body, millis) in [("1", 10), ("2", 30), ("3", 10)] {
            let attributes = living(&bench, millis);
            check(&publish(&mut bench, channel, body, attributes), &[]);
        }
        bench.publish(3, channel, &["4"]);
        bench.pass(20);
        check(&bench.credit(1, 5), &["1:2"]);
        check(&bench.credit(1, 5), &["1:4"]);
        bench.credit(1, 5);
        bench.pass(0);
        assert_eq!(bench.broker.totals().expired, 2, "{channel}");
        bench.send(1, Command::Disconnect);
        bench.broker.purge(bench.now, channel.as_bytes());
        bench.is_at_rest();
    }
}

#[test]
fn what_comes_back_expired_is_not_delivered_again() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(10));
    let attributes = living(&bench, 1500);
    check(&publish(&mut bench, "/queue/a", "0", attributes.clone()), &["1:0"]);
    check(&publish(&mut bench, "/queue/a", "1", attributes), &["1:1"]);
    bench.credit(1, 10);
    // One in its back-off, which ends in time once and not twice.
    bench.send(1, nack(1, 1));
    check(&bench.pass(1000), &["1:0"]);
    bench.credit(1, 5);
    bench.send(1, nack(3, 3));
    check(&bench.pass(10_000), &[]);
    // And one that its consumer let go too late.
    bench.send(1, Command::Disconnect);
    check(&bench.subscribe(2, "/queue/a"), &[]);
    assert_eq!(bench.broker.totals().expired, 2);
    bench.is_at_rest();
}

#[test]
fn what_has_expired_when_it_is_published_is_counted_and_goes_nowhere() {
    for channel in ["/queue/a", "/topic/a"] {
        let mut bench = bench();
        bench.subscribe(1, channel);
        bench.pass(100);
        let attributes = Attributes::default().with_expires(Time(100_000));
        check(&publish(&mut bench, channel, "0", attributes), &[]);
        let totals = bench.broker.totals();
        assert_eq!((totals.published, totals.expired), (1, 1), "{channel}");
        bench.is_at_rest();
    }
}

#[test]
fn a_channel_limits_the_life_of_messages_and_never_makes_it_longer() {
    let delivery = DeliveryRule { message_ttl: Some(Duration::from_millis(10)), ..DeliveryRule::default() };
    let rule = ChannelRule { delivery, ..ChannelRule::new(Pattern::new("/queue/short")) };
    for (channel, millis, left) in [
        ("/queue/short", 0, vec!["1:none", "1:early", "1:late"]),
        ("/queue/short", 4, vec!["1:none", "1:late"]),
        ("/queue/short", 9, vec!["1:none", "1:late"]),
        ("/queue/short", 10, vec![]),
        ("/queue/long", 99, vec!["1:none", "1:late"]),
        ("/queue/long", 100, vec!["1:none"]),
    ] {
        let mut bench = Bench::with_rules(Limits::default(), vec![rule.clone()]);
        bench.publish(3, channel, &["none"]);
        for (body, life) in [("early", 4), ("late", 100)] {
            let attributes = living(&bench, life);
            publish(&mut bench, channel, body, attributes);
        }
        bench.pass(millis);
        assert_eq!(brief(&bench.subscribe(1, channel)), left, "{channel} after {millis} ms");
    }
}

#[test]
fn expired_messages_become_dead_letters_where_that_is_asked_for() {
    let delivery = Delivery { dead_letter_expired: true, ..Delivery::default() };
    let mut bench = Bench::with_rules(Limits { delivery, ..Limits::default() }, Vec::new());
    let attributes = living(&bench, 10);
    publish(&mut bench, "/queue/a", "0", attributes);
    bench.pass(10);
    assert_eq!((depth(&bench, "/queue/a"), depth(&bench, "/queue/dead/queue/a")), (0, 1));
    // It expires no more.
    bench.pass(100_000);
    let events = bench.subscribe(1, "/queue/dead/>");
    check(&events, &["1:0"]);
    let [Event::Deliver { batch, .. }] = &events[..] else { panic!("{events:?}") };
    let headers = &batch.attributes().unwrap().headers;
    assert_eq!(headers.get(b"dead-letter-reason"), Some(&b"expired"[..]));
    let totals = bench.broker.totals();
    assert_eq!((totals.expired, totals.dead_lettered, totals.failed), (1, 1, 0));
}

#[test]
fn many_that_expire_at_once_are_freed_in_steps() {
    let mut bench = bench();
    let attributes = living(&bench, 10);
    for _ in 0..400 {
        publish(&mut bench, "/queue/a", "0", attributes.clone());
    }
    bench.broker.set_steps_per_call(10);
    bench.now = bench.now + Duration::from_millis(10);
    bench.broker.handle_timeout(bench.now);
    assert!(depth(&bench, "/queue/a") > 300, "one call frees some");
    bench.pass(0);
    assert_eq!(bench.broker.totals().expired, 400);
    bench.is_at_rest();
}

#[test]
fn a_delayed_message_comes_at_its_time_and_others_flow_past_it() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(10));
    let attributes = delayed(&bench, 50);
    check(&publish(&mut bench, "/queue/a", "0", attributes), &[]);
    check(&bench.publish(3, "/queue/a", &["1"]), &["1:1"]);
    check(&bench.pass(49), &[]);
    check(&bench.pass(1), &["1:0"]);
    bench.credit(1, 10);
    bench.send(1, ack(1, 2));
    bench.is_at_rest();
}

#[test]
fn a_delay_that_is_over_is_none() {
    let mut bench = bench();
    bench.subscribe(1, "/queue/a");
    let attributes = delayed(&bench, 0);
    check(&publish(&mut bench, "/queue/a", "0", attributes), &["1:0"]);
}

#[test]
fn delayed_messages_without_consumers_come_in_the_order_in_which_they_were_published_once_they_are_due() {
    let mut bench = bench();
    for (body, millis) in [("0", 50), ("1", 10), ("2", 10_000)] {
        let attributes = delayed(&bench, millis);
        publish(&mut bench, "/queue/a", body, attributes);
    }
    bench.publish(3, "/queue/a", &["3"]);
    bench.pass(100);
    assert_eq!(depth(&bench, "/queue/a"), 4);
    check(&bench.subscribe(1, "/queue/a"), &["1:0", "1:1", "1:3"]);
    bench.credit(1, 15);
    // An empty queue waits for them too.
    bench.send(1, Command::Disconnect);
    bench.pass(20_000);
    check(&bench.subscribe(2, "/queue/a"), &["2:2"]);
}

#[test]
fn what_expires_before_its_delay_is_over_is_freed_when_it_expires() {
    let mut bench = bench();
    let attributes = delayed(&bench, 50).with_expires(Time(20_000));
    publish(&mut bench, "/queue/a", "0", attributes);
    bench.pass(20);
    assert_eq!(bench.broker.totals().expired, 1);
    bench.is_at_rest();
}

#[test]
fn what_expires_in_the_drivers_hands_is_recalled_and_dropped_and_the_rest_comes_again() {
    for ack in [AckMode::Auto, manual(100)] {
        let mut bench = Bench::with_rules(Limits { write_timeout: Duration::ZERO, ..Limits::default() }, Vec::new());
        bench.subscribe_with(1, "/queue/a", ack);
        for (body, seconds) in [(b"0", 9), (b"1", 2), (b"2", 3), (b"3", 9)] {
            let expires = Some(bench.now + Duration::from_secs(seconds));
            let batch = Batch::one(body).with_attributes(Arc::new(Attributes::default().with_expires(expires)));
            bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
        }
        check(&bench.pass(1999), &[]);
        check(&bench.pass(1), &["recall 1"]);
        check(&bench.send(1, Command::Recalled { kept: 0 }), &["1:0", "1:2", "1:3"]);
        assert_eq!(bench.broker.totals().expired, 1);
        // It is not stalled, and a message that was begun is not asked back.
        bench.credit(1, 6);
        check(&bench.pass(999), &[]);
        check(&bench.pass(1), &[]);
        check(&bench.pass(6000), &["recall 1"]);
        check(&bench.send(1, Command::Recalled { kept: 4 }), &[]);
        assert_eq!((bench.broker.totals().expired, bench.broker.totals().delivered > 0), (2, ack == AckMode::Auto));
        bench.credit(1, 4);
        bench.send(1, Command::Disconnect);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn expired_messages_are_recalled_a_tenth_of_a_second_apart() {
    let mut bench = Bench::with_rules(Limits { write_timeout: Duration::ZERO, ..Limits::default() }, Vec::new());
    bench.subscribe(1, "/queue/a");
    for millis in 1..=200 {
        let expires = Some(bench.now + Duration::from_millis(millis));
        let batch = Batch::one(b"x").with_attributes(Arc::new(Attributes::default().with_expires(expires)));
        bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    }
    let mut recalls = 0;
    for _ in 0..1000 {
        if brief(&bench.pass(1)).contains(&"recall 1".to_owned()) {
            recalls += 1;
            bench.send(1, Command::Recalled { kept: 0 });
        }
    }
    assert_eq!((recalls, bench.broker.totals().expired), (3, 200));
    bench.is_at_rest();
}

#[test]
fn what_expires_on_the_way_to_a_topics_subscriber_is_recalled_and_dropped() {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    bench.subscribe(1, "/topic/a");
    for (body, seconds) in [(b"0", 1), (b"1", 9)] {
        let expires = Some(bench.now + Duration::from_secs(seconds));
        let batch = Batch::one(body).with_attributes(Arc::new(Attributes::default().with_expires(expires)));
        bench.send(3, Command::Publish { channel: "/topic/a".into(), batch });
    }
    check(&bench.pass(1000), &["recall 1"]);
    check(&bench.send(1, Command::Recalled { kept: 0 }), &["1:1"]);
    bench.send(1, Command::Disconnect);
    bench.is_at_rest();
    check(&bench.pass(100_000), &[]);
}

#[test]
fn many_expired_messages_of_an_outbox_are_passed_over_in_steps_and_what_is_behind_them_comes() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits { window: 5, ..Limits::default() });
        bench.subscribe(1, "/topic/a");
        check(&bench.publish(3, "/topic/a", &["0"]), &["1:0"]);
        for _ in 0..200 {
            let attributes = living(&bench, 10);
            check(&publish(&mut bench, "/topic/a", "x", attributes), &[]);
        }
        check(&bench.publish(3, "/topic/a", &["last"]), &[]);
        bench.now = bench.now + Duration::from_millis(10);
        bench.broker.set_steps_per_call(steps);
        let mut events = bench.credit(1, 5);
        let calls = bench.rest();
        assert!(steps > 1 || calls > 1, "{calls} calls");
        events.extend(bench.events());
        check(&events, &["1:last"]);
        assert_eq!(bench.broker.totals().expired, 200);
        bench.credit(1, 8);
        bench.send(1, Command::Disconnect);
        bench.rest();
        bench.is_at_rest();
    }
}
