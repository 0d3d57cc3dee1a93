//! Attributes of a batch's messages: kept apart, handed on, and charged.

use super::{Bench, manual, small};
use crate::{AckMode, Attributes, Batch, Command, Event, Headers, Limits, Packer};
use std::sync::Arc;

pub(super) fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::builder();
    pairs.iter().for_each(|(name, value)| headers.push(name.as_bytes(), value.as_bytes()));
    headers.finish()
}

fn named(name: &str) -> Arc<Attributes> {
    Arc::new(Attributes { headers: headers(&[("name", name)]), ..Attributes::default() })
}

fn batch(bodies: &[&str], attributes: Option<&Arc<Attributes>>) -> Batch {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    packer.finish().unwrap().with_attributes(attributes.cloned())
}

fn publish(bench: &mut Bench, channel: &'static str, batch: Batch) -> Vec<Event> {
    bench.send(3, Command::Publish { channel: channel.into(), batch })
}

/// Deliveries: the name of each batch, and its bodies.
fn delivered(events: &[Event]) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for event in events {
        let Event::Deliver { batch, .. } = event else { panic!("{event:?}") };
        let name = batch.attributes().and_then(|attributes| attributes.headers.get(b"name")).unwrap_or(b"");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        all.push((text(name), batch.iter().map(text).collect()));
    }
    all
}

fn expected(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    all.iter().map(|(name, bodies)| ((*name).to_owned(), bodies.iter().map(ToString::to_string).collect())).collect()
}

/// Two batches of one kind, two of another, and one without attributes.
fn publish_kinds(bench: &mut Bench, channel: &'static str) -> Vec<Event> {
    let (a, b) = (named("a"), named("b"));
    let kinds = [("0", Some(&a)), ("1", Some(&a)), ("2", Some(&b)), ("3", Some(&b)), ("4", None), ("5", None)];
    kinds.iter().flat_map(|(body, kind)| publish(bench, channel, batch(&[body], *kind))).collect()
}

#[test]
fn messages_of_different_attributes_wait_apart_in_a_queue_and_those_that_share_them_together() {
    let mut bench = Bench::new(Limits::default());
    publish_kinds(&mut bench, "/queue/a");
    let events = bench.subscribe(1, "/queue/a");
    assert_eq!(delivered(&events), expected(&[("a", &["0", "1"]), ("b", &["2", "3"]), ("", &["4", "5"])]));
    bench.credit(1, 100);
    bench.is_at_rest();
}

#[test]
fn equal_attributes_that_are_not_shared_are_not_compared() {
    let mut bench = Bench::new(Limits::default());
    for body in ["0", "1"] {
        publish(&mut bench, "/queue/a", batch(&[body], Some(&named("a"))));
    }
    assert_eq!(delivered(&bench.subscribe(1, "/queue/a")), expected(&[("a", &["0"]), ("a", &["1"])]));
}

#[test]
fn messages_of_different_attributes_wait_apart_in_an_outbox() {
    for (channel, ack) in [("/topic/a", AckMode::Auto), ("/queue/a", AckMode::Auto), ("/queue/a", manual(100))] {
        // The first fills the window; the others wait.
        let mut bench = Bench::new(Limits { window: 5, ..Limits::default() });
        bench.subscribe_with(1, channel, ack);
        publish(&mut bench, channel, batch(&["x"], None));
        assert_eq!(publish_kinds(&mut bench, channel), []);
        let mut all = Vec::new();
        for _ in 0..7 {
            all.extend(bench.credit(1, 10));
        }
        let joined = expected(&[("a", &["0", "1"]), ("b", &["2", "3"]), ("", &["4", "5"])]);
        let got = delivered(&all);
        let flat = |all: &[(String, Vec<String>)]| -> Vec<(String, String)> {
            all.iter().flat_map(|(name, bodies)| bodies.iter().map(|body| (name.clone(), body.clone()))).collect()
        };
        assert_eq!(flat(&got), flat(&joined), "{channel} {ack:?}");
        if channel == "/topic/a" {
            assert_eq!(got, joined, "{channel}");
        }
        bench.send(1, Command::Disconnect);
        bench.broker.purge(bench.now, channel.as_bytes());
        bench.is_at_rest();
    }
}

#[test]
fn attributes_stay_with_messages_that_are_split_leased_compacted_and_returned() {
    let mut bench = Bench::new(Limits::default());
    for id in [1, 2] {
        bench.subscribe_with(id, "/queue/a", manual(100));
    }
    let bodies: Vec<String> = (0..20).map(|body| body.to_string()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let events = publish(&mut bench, "/queue/a", batch(&bodies, Some(&named("a"))));
    assert_eq!(events.len(), 2, "one batch for each consumer");
    assert!(delivered(&events).iter().all(|(name, _)| name == "a"));
    // Most of what 1 has is settled, so that its lease is compacted; then both leave.
    bench.send(1, Command::Ack { first: crate::DeliveryTag(2), last: crate::DeliveryTag(9) });
    bench.send(1, Command::Disconnect);
    bench.send(2, Command::Disconnect);
    let back = delivered(&bench.subscribe_with(4, "/queue/a", manual(100)));
    assert!(back.iter().all(|(name, _)| name == "a"), "{back:?}");
    assert_eq!(back.iter().map(|(_, bodies)| bodies.len()).sum::<usize>(), 12);
    bench.send(4, Command::Ack { first: crate::DeliveryTag(1), last: crate::DeliveryTag(12) });
    bench.credit(4, 1000);
    bench.is_at_rest();
}

#[test]
fn the_memory_budget_charges_attributes_for_each_buffer_that_has_them() {
    let large = Arc::new(Attributes { headers: headers(&[("x", &"y".repeat(10_000))]), ..Attributes::default() });
    let memory = |attributes: Option<&Arc<Attributes>>, bodies: usize| {
        let mut bench = Bench::new(Limits::default());
        for _ in 0..bodies {
            // Too large to be copied to its neighbor.
            publish(&mut bench, "/queue/a", batch(&[&"b".repeat(1000)], attributes));
        }
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        bench.broker.totals().memory
    };
    for bodies in [1, 3] {
        let extra = memory(Some(&large), bodies) - memory(None, bodies);
        assert!((10_000 * bodies..10_500 * bodies).contains(&extra), "{extra} bytes for {bodies} batches");
    }
}

#[test]
fn bounds_count_attributes_as_well_as_bodies() {
    let wide = Arc::new(Attributes { headers: headers(&[("x", &"y".repeat(60))]), ..Attributes::default() });
    let mut bench = Bench::new(Limits { queue: 1000, ..small() });
    let mut taken = 0;
    while publish(&mut bench, "/queue/a", batch(&["0"], Some(&Arc::new(Attributes::clone(&wide))))).is_empty() {
        taken += 1;
        assert!(taken < 100, "bodies of 5 bytes alone are counted");
    }
    assert!(taken > 1, "one of any size fits alone");
    // A subscriber that takes nothing: its outbox is full of attributes.
    let mut bench = Bench::new(Limits { outbox: 1000, ..small() });
    bench.subscribe(1, "/topic/a");
    let mut sent = 0;
    while bench.broker.totals().paused == 0 && bench.broker.totals().dropped_slow == 0 {
        publish(&mut bench, "/topic/a", batch(&["0"], Some(&Arc::new(Attributes::clone(&wide)))));
        sent += 1;
        assert!(sent < 100, "bodies of 5 bytes alone are counted");
    }
    // It goes on once there is room.
    bench.credit(1, 5 * (sent - 1));
    assert_eq!(bench.broker.totals().paused, 0);
}

#[test]
fn what_a_topic_buffers_is_charged_for_what_a_protocol_makes_of_its_headers_once_it_is_given() {
    let large = |length: usize| {
        Arc::new(Attributes { headers: headers(&[("x", &"y".repeat(length))]), ..Attributes::default() })
    };
    let mut bench = Bench::new(Limits { buffer_unsubscribed: 100, ..Limits::default() });
    for (body, length) in [("0", 10), ("1", 10_000), ("2", 10)] {
        publish(&mut bench, "/topic/a", batch(&[body], Some(&large(length))));
    }
    publish(&mut bench, "/topic/a", batch(&["3"], None));
    let memory = |bench: &Bench| {
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        bench.broker.totals().memory
    };
    let before = memory(&bench);
    assert_eq!(bench.subscribe(1, "/topic/a").len(), 4);
    assert!(memory(&bench) > before + 19_000, "large headers are there in two forms");
    bench.credit(1, 20);
    bench.send(1, Command::Disconnect);
    bench.is_at_rest();
    assert_eq!(bench.broker.totals().channels, 0);
}
