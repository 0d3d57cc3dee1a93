//! The counts at the end of a move, and the bound of moves that wait.

use super::attributes::headers;
use super::overflow::depth;
use super::{Bench, check};
use crate::{Attributes, Batch, Command, Event, Limits, MoveError, Time};
use std::sync::Arc;

const ALL: usize = usize::MAX;
const SOON: Time = Time(5);

/// A message that stands alone.
fn publish(bench: &mut Bench, body: &'static str, expires: Option<Time>) {
    let attributes = Attributes { headers: headers(&[("body", body)]), ..Attributes::default() }.with_expires(expires);
    let batch = Batch::one(body.as_bytes()).with_attributes(Arc::new(attributes));
    check(&bench.send(3, Command::Publish { channel: "/queue/a".into(), batch }), &[]);
}

/// The end of the order that is carried out, if it is.
fn end(bench: &mut Bench) -> Option<(usize, usize)> {
    counts(bench.events())
}

fn counts(events: Vec<Event>) -> Option<(usize, usize)> {
    events.into_iter().find_map(|event| match event {
        Event::Moved { moved, stayed, .. } => Some((moved, stayed)),
        _ => None,
    })
}

#[test]
fn what_expires_while_messages_are_moved_is_neither_moved_nor_stays() {
    let (mut before, mut after) = (0, 0);
    // Without another queue all stay, for they name no origin; those are not back before as many calls.
    for (to, most) in [(Some(&b"/queue/b"[..]), 20), (None, 5)] {
        for calls in 0..most {
            let mut bench = Bench::new(Limits { queue_messages: 8, ..Limits::default() });
            for (body, expires) in
                [("0", None), ("1", Some(SOON)), ("2", None), ("3", Some(SOON)), ("4", None), ("5", Some(SOON))]
            {
                publish(&mut bench, body, expires);
            }
            // There is room for two.
            bench.publish(3, "/queue/b", &["x", "x", "x", "x", "x", "x"]);
            bench.broker.set_steps_per_call(1);
            bench.broker.move_messages(bench.now, b"/queue/a", to, ALL).unwrap();
            publish(&mut bench, "later", Some(SOON));
            publish(&mut bench, "latest", None);
            let mut found = end(&mut bench);
            for _ in 0..calls {
                bench.broker.handle_timeout(bench.now);
                found = found.or(end(&mut bench));
            }
            if found.is_none() {
                bench.now = SOON;
            }
            for _ in 0..200 {
                if found.is_some() {
                    break;
                }
                bench.broker.handle_timeout(bench.now);
                found = end(&mut bench);
            }
            let (moved, stayed) = found.expect("it is carried out");
            let later = if bench.now == SOON { 1 } else { 2 };
            let expected = (bench.broker.totals().moved as usize, depth(&bench, "/queue/a") - later);
            assert_eq!((moved, stayed), expected, "to {to:?}, after {calls} calls");
            before += usize::from(bench.now < SOON);
            after += usize::from(bench.now == SOON);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
    assert!(before > 0 && after > 5, "{before} moves ended before the time was over, {after} later");
}

#[test]
fn what_has_expired_is_not_moved_though_its_timer_is_late() {
    for steps in [1, 4096] {
        for (to, moved) in [(Some(&b"/queue/b"[..]), 2), (None, 0)] {
            let mut bench = Bench::new(Limits::default());
            for (body, expires) in [("0", Some(SOON)), ("1", None), ("2", Some(SOON)), ("3", None)] {
                publish(&mut bench, body, expires);
            }
            bench.now = SOON;
            bench.broker.set_steps_per_call(steps);
            bench.broker.move_messages(bench.now, b"/queue/a", to, ALL).unwrap();
            bench.rest();
            assert_eq!(end(&mut bench), Some((moved, 2 - moved)));
            assert_eq!((depth(&bench, "/queue/a"), depth(&bench, "/queue/b")), (2 - moved, moved));
            assert_eq!(bench.broker.totals().expired, 2);
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}

#[test]
fn what_comes_and_expires_while_others_are_moved_is_in_no_count() {
    let mut bench = Bench::new(Limits { queue_messages: 8, ..Limits::default() });
    for body in ["0", "1", "2", "3"] {
        publish(&mut bench, body, None);
    }
    bench.publish(3, "/queue/b", &["x", "x", "x", "x", "x", "x", "x"]);
    bench.now = SOON;
    bench.broker.set_steps_per_call(1);
    bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), 3).unwrap();
    // Its time is over when it comes.
    publish(&mut bench, "late", Some(SOON));
    bench.rest();
    assert_eq!(end(&mut bench), Some((1, 2)), "of three, for one there is room");
    assert_eq!(depth(&bench, "/queue/a"), 3);
}

#[test]
fn what_one_order_finds_expired_is_in_no_count_of_the_next_one() {
    let mut bench = Bench::new(Limits { queue_messages: 20, ..Limits::default() });
    for body in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        publish(&mut bench, body, None);
    }
    bench.publish(3, "/queue/b", &["x"; 20]);
    bench.broker.set_steps_per_call(1);
    for (to, count) in [("/queue/c", 6), ("/queue/b", ALL)] {
        bench.broker.move_messages(bench.now, b"/queue/a", Some(to.as_bytes()), count).unwrap();
    }
    publish(&mut bench, "later", Some(SOON));
    bench.now = SOON;
    // The work goes on in any call, and the timer is late.
    let ends: Vec<_> = (0..25).filter_map(|_| counts(bench.credit(3, 0))).collect();
    assert_eq!(ends, [(6, 0), (0, 4)]);
    assert_eq!((depth(&bench, "/queue/a"), bench.broker.totals().expired), (4, 1));
}

#[test]
fn a_bounded_number_of_moves_may_wait() {
    let limit = crate::broker::moving::ORDERS;
    let mut bench = Bench::new(Limits::default());
    for number in 0..3 * limit {
        // Larger than what is copied together.
        let batch = Batch::one(&[number as u8; 600]);
        bench.send(3, Command::Publish { channel: "/queue/long".into(), batch });
    }
    bench.publish(3, "/queue/a", &["x"]);
    bench.broker.set_steps_per_call(1);
    let order = |bench: &mut Bench, from: &[u8]| {
        bench.broker.move_messages(bench.now, from, Some(b"/queue/b"), ALL).map(|order| order.messages)
    };
    assert_eq!(order(&mut bench, b"/queue/long"), Ok(3 * limit));
    for _ in 1..limit {
        assert_eq!(order(&mut bench, b"/queue/a"), Ok(1));
    }
    assert_eq!(order(&mut bench, b"/queue/a"), Err(MoveError::Orders { limit }));
    bench.broker.set_steps_per_call(100_000);
    bench.rest();
    bench.publish(3, "/queue/a", &["y"]);
    assert_eq!(order(&mut bench, b"/queue/a"), Ok(1));
    bench.rest();
    assert_eq!(bench.broker.queue(bench.now, b"/queue/b").map(|row| row.depth), Some(3 * limit + 2));
}
