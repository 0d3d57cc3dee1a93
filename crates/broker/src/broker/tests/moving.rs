//! Messages that an operator moves.

use super::attributes::headers;
use super::retry::ack;
use super::{Bench, brief, check, manual, small};
use crate::{Attributes, Batch, ChannelRule, Command, DeliveryTag, Event, Limits, MoveError, Pattern, Refusal};
use std::sync::Arc;
use std::time::Duration;

pub(super) const ALL: usize = usize::MAX;

impl Bench {
    pub(super) fn order(&mut self, from: &str, to: Option<&str>, most: usize) -> Result<usize, MoveError> {
        let result = self.broker.move_messages(self.now, from.as_bytes(), to.map(str::as_bytes), most);
        self.rest();
        result.map(|order| order.messages)
    }

    fn depth(&self, name: &str) -> Option<usize> {
        self.broker.queue(self.now, name.as_bytes()).map(|row| row.depth)
    }
}

#[test]
fn messages_are_moved_behind_those_of_the_other_queue_in_order_and_as_many_as_is_said() {
    for (most, moved) in [(0, 0), (1, 1), (3, 3), (4, 4), (5, 5), (6, 5), (ALL, 5)] {
        for steps in [1, 4096] {
            let mut bench = Bench::new(Limits::default());
            bench.publish(3, "/queue/a", &["0", "1", "2"]);
            bench.publish(3, "/queue/a", &["3"]);
            bench.publish(3, "/queue/a", &["4"]);
            bench.publish(3, "/queue/b", &["x"]);
            bench.broker.set_steps_per_call(steps);
            assert_eq!(bench.order("/queue/a", Some("/queue/b"), most), Ok(moved));
            bench.broker.set_steps_per_call(4096);
            assert_eq!(bench.broker.totals().moved, moved as u64);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
            let all: Vec<String> = (0..5).map(|body| body.to_string()).collect();
            let there = std::iter::once("1:x".to_owned()).chain(all[..moved].iter().map(|body| format!("1:{body}")));
            assert_eq!(brief(&bench.subscribe(1, "/queue/b")), there.collect::<Vec<_>>());
            let here: Vec<String> = all[moved..].iter().map(|body| format!("2:{body}")).collect();
            assert_eq!(brief(&bench.subscribe(2, "/queue/a")), here);
            bench.credit(1, 30);
            bench.credit(2, 30);
            bench.is_at_rest();
        }
    }
}

#[test]
fn nothing_is_dispatched_from_a_queue_whose_messages_are_being_moved_and_what_comes_meanwhile_stays() {
    let mut bench = Bench::new(Limits::default());
    for body in ["0", "1", "2", "3"] {
        let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(Attributes::default()));
        bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    }
    bench.broker.set_steps_per_call(1);
    assert_eq!(
        bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), ALL).map(|order| order.messages),
        Ok(4)
    );
    check(&bench.subscribe(1, "/queue/a"), &[]);
    check(&bench.publish(3, "/queue/a", &["new"]), &[]);
    bench.rest();
    check(&bench.events(), &["1:new"]);
    assert_eq!((bench.depth("/queue/a"), bench.depth("/queue/b")), (Some(0), Some(4)));
}

#[test]
fn what_finds_no_room_in_the_other_queue_stays_where_it_is() {
    for (messages, steps) in [(1, 1), (2, 1), (3, 1), (1, 4096), (2, 4096), (3, 4096)] {
        let mut bench = Bench::new(Limits { queue_messages: messages, ..Limits::default() });
        for body in ["0", "1", "2"].iter().take(messages) {
            bench.publish(3, "/queue/a", &[body]);
        }
        bench.publish(3, "/queue/b", &["x"]);
        bench.broker.set_steps_per_call(steps);
        bench.order("/queue/a", Some("/queue/b"), ALL).unwrap();
        assert_eq!((bench.depth("/queue/a"), bench.depth("/queue/b")), (Some(1), Some(messages)));
        bench.broker.set_steps_per_call(4096);
        let last = (messages - 1).to_string();
        check(&bench.subscribe(1, "/queue/a"), &[&format!("1:{last}")]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

/// Of each order that is carried out: messages that were moved, those that stay, and why.
pub(super) fn ends(bench: &mut Bench) -> Vec<(usize, usize, String)> {
    let ends = bench.events().into_iter().filter_map(|event| match event {
        Event::Moved { moved, stayed, reason, .. } => {
            let reason = reason.map(|reason| format!("{}: {}", reason.0.escape_ascii(), reason.1));
            Some((moved, stayed, reason.unwrap_or_default()))
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn the_end_of_a_move_tells_how_many_were_moved_and_why_the_others_stay() {
    for steps in [1, 4096] {
        for (bound, moved, stayed) in [(2, 1, 2), (3, 2, 1), (4, 3, 0), (5, 3, 0)] {
            let mut bench = Bench::new(Limits { queue_messages: 5, ..Limits::default() });
            for (body, kind) in [("0", "a"), ("1", "b"), ("2", "c")] {
                // So that each stands alone.
                let attributes = Attributes { headers: headers(&[("kind", kind)]), ..Attributes::default() };
                let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(attributes));
                bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
            }
            let rule = ChannelRule { queue_messages: Some(bound), ..ChannelRule::new(Pattern::new("/queue/b")) };
            bench.broker.set_rules(bench.now, vec![rule]);
            bench.rest();
            bench.publish(3, "/queue/b", &["x"]);
            bench.broker.set_steps_per_call(steps);
            let order = bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), ALL).unwrap();
            bench.rest();
            let found = bench.events();
            let Some(Event::Moved { order: number, .. }) = found.last() else { panic!("{found:?}") };
            assert_eq!((*number, order.messages), (order.number, 3));
            assert_eq!((bench.depth("/queue/a").unwrap_or(0), bench.depth("/queue/b")), (stayed, Some(1 + moved)));
            bench.order("/queue/b", Some("/queue/a"), 0).unwrap();
            assert_eq!(ends(&mut bench), [(0, 0, String::new())]);
            bench.order("/queue/a", Some("/queue/b"), ALL).unwrap_or_default();
            let why =
                format!("/queue/b: the queue is at its bound of {bound} messages (limits: queue-messages, overflow)");
            let expected: Vec<_> = (stayed > 0).then_some((0, stayed, why)).into_iter().collect();
            assert_eq!(ends(&mut bench), expected);
        }
    }
}

#[test]
fn a_bound_in_bytes_is_the_reason_where_it_is_reached_first() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.publish(3, "/queue/b", &["x"]);
    bench.order("/queue/a", Some("/queue/b"), ALL).unwrap();
    let why = "/queue/b: the queue is at its bound of 10 bytes (limits: queue, overflow)";
    assert_eq!(ends(&mut bench), [(1, 1, why.to_owned())]);
}

#[test]
fn a_message_without_an_origin_stays_and_the_end_of_its_move_says_so() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits::default());
        bench.publish(3, "/queue/a", &["0", "1"]);
        bench.broker.set_steps_per_call(steps);
        bench.order("/queue/a", None, ALL).unwrap();
        let why = ": messages that are no dead letters do not say where they came from";
        assert_eq!(ends(&mut bench), [(0, 2, why.to_owned())]);
        assert_eq!(bench.depth("/queue/a"), Some(2));
    }
}

#[test]
fn messages_that_are_purged_while_they_are_moved_are_neither_moved_nor_stay() {
    for calls in 0..20 {
        let mut bench = Bench::new(Limits::default());
        ["0", "1", "2"].iter().for_each(|body| _ = bench.publish(3, "/queue/a", &[body]));
        bench.broker.set_steps_per_call(1);
        let to: Option<&[u8]> = if calls % 2 == 0 { None } else { Some(b"/queue/b") };
        bench.broker.move_messages(bench.now, b"/queue/a", to, ALL).unwrap();
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        if !ends(&mut bench).is_empty() {
            continue;
        }
        let purged = bench.broker.purge(bench.now, b"/queue/a").unwrap_or_default();
        bench.rest();
        let [(moved, 0, _)] = &ends(&mut bench)[..] else { panic!("all were purged or moved, after {calls} calls") };
        assert_eq!(moved + purged, 3, "after {calls} calls");
    }
}

#[test]
fn a_move_that_cannot_be_carried_out_says_why() {
    let mut bench = Bench::new(Limits { channels: 2, channel_name: 10, ..small() });
    bench.publish(3, "/queue/a", &["0"]);
    bench.subscribe(1, "/topic/a");
    assert_eq!(bench.order("/queue/b", Some("/queue/a"), ALL), Err(MoveError::NoQueue));
    assert_eq!(bench.order("/topic/a", Some("/queue/a"), ALL), Err(MoveError::NoQueue));
    assert_eq!(bench.order("/queue/a", Some("/topic/a"), ALL), Err(MoveError::NotAQueue));
    assert_eq!(bench.order("/queue/a", Some("/queue/a"), ALL), Err(MoveError::Same));
    let long = Refusal::NameTooLong { length: 11, limit: 10 };
    assert_eq!(bench.order("/queue/a", Some("/queue/long"), ALL), Err(MoveError::Refused(long)));
    let many = Refusal::Channels { limit: 2 };
    assert_eq!(bench.order("/queue/a", Some("/queue/b"), ALL), Err(MoveError::Refused(many)));
    assert_eq!(bench.depth("/queue/a"), Some(1));
}

#[test]
fn nothing_to_move_makes_no_queue() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    assert_eq!(bench.order("/queue/a", Some("/queue/b"), ALL), Ok(0));
    assert_eq!(bench.depth("/queue/b"), None);
}

#[test]
fn a_moved_message_keeps_its_attributes_its_delay_and_that_it_was_seen_but_not_its_tries() {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(10));
    let deliver_at = Some(bench.now + Duration::from_secs(100));
    let attributes = Arc::new(Attributes { priority: 7, ..Attributes::default() }.with_deliver_at(deliver_at));
    let batch = Batch::one(b"late").with_attributes(attributes.clone());
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    bench.publish(3, "/queue/a", &["0"]);
    bench.credit(1, 5);
    bench.send(1, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(1), requeue: true });
    bench.send(1, Command::Disconnect);
    // Both wait for their time, one in a back-off, which does not go with it.
    assert_eq!(bench.order("/queue/a", Some("/queue/b"), ALL), Ok(2));
    bench.events();
    let events = bench.subscribe_with(2, "/queue/b", manual(10));
    let [Event::Deliver { redelivered: true, attempts: 0, .. }] = &events[..] else { panic!("{events:?}") };
    check(&events, &["2:0"]);
    bench.credit(2, 5);
    let events = bench.pass(100_000);
    let [Event::Deliver { redelivered: false, batch, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(batch.attributes(), Some(&attributes));
    bench.credit(2, 8);
    bench.send(2, ack(1, 2));
    bench.is_at_rest();
}

#[test]
fn what_is_purged_expires_or_ends_while_it_is_moved_is_accounted_for() {
    for calls in 0..30 {
        for what in 0..3 {
            let mut bench = Bench::new(Limits { queue_messages: 6, ..Limits::default() });
            for body in ["0", "1", "2", "3", "4", "5"] {
                let expires = (body > "2").then_some(crate::Time(5));
                let attributes = Attributes::default().with_expires(expires);
                let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(attributes));
                bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
            }
            bench.publish(3, "/queue/b", &["x", "y", "z", "w"]);
            bench.broker.set_steps_per_call(1);
            bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), ALL).unwrap();
            (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
            match what {
                0 => _ = bench.broker.purge(bench.now, b"/queue/a"),
                1 => bench.now = crate::Time(5),
                _ => _ = bench.broker.purge(bench.now, b"/queue/b"),
            }
            bench.rest();
            bench.pass(1);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
            bench.broker.purge(bench.now, b"/queue/a");
            bench.broker.purge(bench.now, b"/queue/b");
            bench.rest();
            bench.is_at_rest();
            assert_eq!(bench.broker.totals().channels, 0);
        }
    }
}

#[test]
fn dead_letters_that_find_no_room_in_their_origin_do_not_keep_others_from_theirs() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits { queue_messages: 2, ..Limits::default() });
        for (id, queue) in [(1, "/queue/a"), (2, "/queue/b")] {
            bench.subscribe_with(id, queue, manual(10));
            bench.publish(3, queue, &["0", "1"]);
            bench.credit(id, 10);
            let reject = Command::Nack { first: DeliveryTag(1), last: DeliveryTag(2), requeue: false };
            bench.send(id, reject);
            bench.send(id, Command::Disconnect);
        }
        // Both kinds in one queue, which has room for them.
        bench.order("/queue/dead/queue/b", Some("/queue/x"), ALL).unwrap();
        bench.order("/queue/dead/queue/a", Some("/queue/x"), ALL).unwrap();
        assert_eq!((bench.depth("/queue/x"), bench.depth("/queue/dead/queue/a")), (Some(2), Some(2)));
        bench.publish(3, "/queue/a", &["full", "full"]);
        bench.broker.set_steps_per_call(steps);
        assert_eq!(bench.order("/queue/dead/queue/a", None, ALL), Ok(2));
        assert_eq!(bench.order("/queue/x", None, ALL), Ok(2));
        assert_eq!((bench.depth("/queue/b"), bench.depth("/queue/x")), (Some(2), None));
        assert_eq!(bench.depth("/queue/dead/queue/a"), Some(2));
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_move_takes_the_messages_that_were_there_whatever_priority_others_have_that_come_meanwhile() {
    for steps in [1, 4096] {
        let mut bench = Bench::new(Limits::default());
        let publish = |bench: &mut Bench, body: &str, priority, deliver_at| {
            let attributes = Attributes { priority, ..Attributes::default() }.with_deliver_at(deliver_at);
            let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(attributes));
            bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
        };
        for (body, priority) in [("a1", 1), ("a7", 7), ("b1", 1), ("b7", 7), ("a4", 4)] {
            publish(&mut bench, body, priority, None);
        }
        bench.publish(3, "/queue/a", &["plain"]);
        let late = Some(bench.now + Duration::from_secs(1));
        publish(&mut bench, "late", 1, late);
        bench.broker.set_steps_per_call(1);
        assert_eq!(
            bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), ALL).map(|order| order.messages),
            Ok(7)
        );
        // These come before the order has taken the most.
        for (body, priority) in [("x9", 9), ("x0", 0)] {
            publish(&mut bench, body, priority, None);
        }
        let early = Some(bench.now + Duration::from_millis(500));
        publish(&mut bench, "x-early", 9, early);
        bench.publish(3, "/queue/a", &["x-plain"]);
        assert!(bench.depth("/queue/a") > Some(6), "the order is not carried out yet");
        bench.broker.set_steps_per_call(steps);
        bench.rest();
        bench.broker.set_steps_per_call(4096);
        assert_eq!((bench.depth("/queue/a"), bench.depth("/queue/b")), (Some(4), Some(7)));
        check(&bench.subscribe(1, "/queue/a"), &["1:x9", "1:x-plain", "1:x0"]);
        check(&bench.subscribe(2, "/queue/b"), &["2:a7", "2:b7", "2:a4", "2:plain", "2:a1", "2:b1"]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn what_a_move_has_set_aside_is_purged_with_its_queue() {
    for calls in 0..20 {
        let mut bench = Bench::new(Limits::default());
        // They have no origin, so that each of them stays.
        for body in ["0", "1", "2"] {
            let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(Attributes::default()));
            bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
        }
        bench.broker.set_steps_per_call(1);
        assert_eq!(bench.broker.move_messages(bench.now, b"/queue/a", None, ALL).map(|order| order.messages), Ok(3));
        (0..calls).for_each(|_| bench.broker.handle_timeout(bench.now));
        assert_eq!(bench.broker.purge(bench.now, b"/queue/a"), Some(3), "after {calls} calls");
        bench.rest();
        assert_eq!((bench.depth("/queue/a"), bench.broker.totals().channels), (None, 0));
        bench.is_at_rest();
    }
}
