use super::{Publisher, Step, Subscriber};
use crate::completion::Completion;
use crate::protocol::{Incoming, Token, barrier, incoming};
use crate::{Doubt, Error, Event, Options, WhenFull};
use bytes::BytesMut;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

mod give_up;
mod over_stomp;
mod rejected;

pub(super) const TOKEN: Token = Token(7);

pub(super) fn options(url: &str) -> Arc<Options> {
    Arc::new(format!("switchboard://h?{url}").parse().unwrap())
}

pub(super) fn publisher(url: &str) -> Publisher {
    Publisher::new(options(url), Arc::default())
}

/// Fires what is due, and returns the events.
pub(super) fn fire(core: &mut Publisher) -> Vec<Event> {
    let due = core.take_due();
    due.completions.into_iter().for_each(|(completer, result)| completer.complete(result));
    due.events
}

pub(super) fn answer(completion: &mut Completion<()>) -> Option<Result<(), Error>> {
    match Pin::new(completion).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn publish(core: &mut Publisher, data: &[u8], now: Instant) -> Completion<()> {
    core.publish(b"/c", data, || now)
}

/// Writes all there is, and returns it.
pub(super) fn drain(core: &mut Publisher, now: Instant) -> Vec<u8> {
    let mut all = Vec::new();
    while let Step::Write(bytes, range) = core.step(now) {
        all.extend_from_slice(&bytes[range.clone()]);
        drop(bytes);
        core.written(range.len(), now);
    }
    all
}

/// Decodes as the broker: the messages, and the numbers of the barriers that it returns.
pub(super) fn broker(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u64>) {
    let (mut messages, mut barriers) = (Vec::new(), Vec::new());
    let mut channel = true;
    while let Ok(frame) = incoming(bytes, TOKEN, usize::MAX) {
        match frame {
            Incoming::Need(_) => break,
            Incoming::Barrier { number, consumed } => {
                barriers.push(number);
                bytes = &bytes[consumed..];
            }
            Incoming::Message { consumed } => {
                if !channel {
                    messages.push(bytes[4..consumed].to_vec());
                }
                bytes = &bytes[consumed..];
                channel = !channel;
                continue;
            }
        }
        channel = true;
    }
    (messages, barriers)
}

/// The frame by which a barrier comes back.
pub(super) fn back(number: u64) -> Vec<u8> {
    let mut asked = Vec::new();
    barrier(TOKEN, number, &mut asked);
    asked.split_off(asked.len() - 28)
}

#[test]
fn what_is_published_goes_out_in_one_piece_with_a_barrier_for_a_flush() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected(TOKEN, now);
    assert!(matches!(core.step(now), Step::Sleep));
    for data in [&b"one"[..], b"", b"three"] {
        assert!(answer(&mut publish(&mut core, data, now)).unwrap().is_ok());
    }
    assert!(core.takes_wake_up() && !core.takes_wake_up());
    let mut flush = core.flush("flush", now);
    let Step::Write(bytes, range) = core.step(now) else { panic!("nothing to write") };
    let (messages, barriers) = broker(&bytes[range.clone()]);
    assert_eq!((messages, barriers), (vec![b"one".to_vec(), b"".to_vec(), b"three".to_vec()], vec![1]));
    drop(bytes);
    core.written(range.len(), now);
    fire(&mut core);
    assert!(answer(&mut flush).is_none());
    core.received(&back(1), now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
}

#[test]
fn unconfirmed_messages_are_those_that_wait_and_those_on_their_way() {
    let now = Instant::now();
    // A message of 10 bytes takes 20: the third one waits for room.
    let mut core = publisher("buffer=40");
    core.connected(TOKEN, now);
    assert_eq!(core.unconfirmed(), 0);
    for count in 1..=3 {
        drop(publish(&mut core, &[0; 10], now));
        assert_eq!(core.unconfirmed(), count);
    }
    let mut flush = core.flush("flush", now);
    let (messages, barriers) = broker(&drain(&mut core, now));
    assert_eq!((messages.len(), core.unconfirmed()), (3, 3));
    core.received(&back(*barriers.last().expect("a barrier")), now).unwrap();
    fire(&mut core);
    assert_eq!(core.unconfirmed(), 0);
    assert!(answer(&mut flush).unwrap().is_ok());
}

#[test]
fn a_mark_is_asked_for_when_nobody_flushes_but_not_for_each_message() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected(TOKEN, now);
    drop(publish(&mut core, b"one", now));
    assert_eq!(broker(&drain(&mut core, now)).1, Vec::<u64>::new());
    let later = core.timeout().instant().unwrap();
    assert!(later < now + Duration::from_secs(1));
    core.handle_timeout(later);
    assert_eq!(broker(&drain(&mut core, later)).1, [1]);
}

#[test]
fn at_the_bound_a_publish_fails_or_waits_and_one_of_any_size_fits_into_an_empty_buffer() {
    let now = Instant::now();
    // A message of 10 bytes takes 20.
    let mut core = publisher("buffer=40&when_full=fail");
    for fits in [true, true, false] {
        assert_eq!(answer(&mut publish(&mut core, &[0; 10], now)).unwrap().is_ok(), fits);
    }
    let error = answer(&mut publish(&mut core, b"", now)).unwrap().unwrap_err();
    assert!(matches!(error, Error::Full { buffered: 40, limit: 40, option: "buffer" }), "{error}");
    let mut large = publisher("buffer=40&when_full=fail");
    assert!(answer(&mut publish(&mut large, &[0; 1000], now)).unwrap().is_ok());

    assert_eq!(options("").when_full, WhenFull::Wait);
    let mut core = publisher("buffer=40&waiting=3&timeout=1s");
    let mut completions: Vec<_> = (0..3).map(|n| publish(&mut core, &[n; 10], now)).collect();
    let mut flush = core.flush("flush", now);
    // A publish queues behind those that wait, though it would fit.
    completions.push(publish(&mut core, b"", now));
    let error = answer(&mut publish(&mut core, b"", now)).unwrap().unwrap_err();
    assert!(matches!(error, Error::Full { buffered: 3, limit: 3, option: "waiting" }), "{error}");
    assert!(completions.iter_mut().skip(2).all(|completion| answer(completion).is_none()));
    core.connected(TOKEN, now);
    let (messages, barriers) = broker(&drain(&mut core, now));
    assert_eq!(messages, [vec![0; 10], vec![1; 10], vec![2; 10], vec![]]);
    fire(&mut core);
    assert!(completions.iter_mut().skip(2).all(|completion| answer(completion).unwrap().is_ok()));
    core.received(&back(*barriers.last().unwrap()), now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
}

#[test]
fn a_disconnect_puts_in_doubt_what_was_wholly_written_and_sends_the_rest_again() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected(TOKEN, now);
    for n in 0..4u8 {
        drop(publish(&mut core, &[n; 10], now));
    }
    let Step::Write(..) = core.step(now) else { panic!("nothing to write") };
    // Two messages, and a part of the third.
    core.written(50, now);
    core.disconnected("cut".to_owned().into());
    let in_doubt = Doubt { messages: 2, bytes: 40 };
    assert!(
        fire(&mut core).iter().any(|event| matches!(event, Event::Disconnected { in_doubt: d, .. } if *d == in_doubt))
    );
    core.connected(TOKEN, now);
    assert_eq!(broker(&drain(&mut core, now)).0, [[2; 10], [3; 10]]);
    // It is told once, to the next who asks, and when all the rest has arrived.
    let mut flushes = [core.flush("flush", now), core.flush("flush", now)];
    let barriers = broker(&drain(&mut core, now)).1;
    assert!(answer(&mut flushes[0]).is_none());
    core.received(&back(barriers[0]), now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut flushes[0]).unwrap(), Err(Error::InDoubt(d)) if d == in_doubt));
    assert!(answer(&mut flushes[1]).unwrap().is_ok());
}

#[test]
fn a_barrier_confirms_what_stands_before_it_and_nothing_behind_it() {
    let now = Instant::now();
    for resend in [0, 3] {
        let mut core = publisher(&format!("resend={resend}"));
        core.connected(TOKEN, now);
        drop(publish(&mut core, &[1; 10], now));
        drop(core.flush("flush", now));
        assert_eq!(broker(&drain(&mut core, now)), (vec![vec![1; 10]], vec![1]));
        // Behind the barrier, and without one of its own yet.
        drop(publish(&mut core, &[2; 10], now));
        assert_eq!(broker(&drain(&mut core, now)), (vec![vec![2; 10]], vec![]));
        core.received(&back(1), now).unwrap();
        core.disconnected("cut".to_owned().into());
        // With `resend` it is sent again instead.
        let in_doubt = if resend > 0 { Doubt::default() } else { Doubt { messages: 1, bytes: 20 } };
        let events = fire(&mut core);
        let of = |event: &Event| matches!(event, Event::Disconnected { in_doubt: told, .. } if *told == in_doubt);
        assert!(events.iter().any(of), "{events:?}");
        core.connected(TOKEN, now);
        let again: &[[u8; 10]] = if resend > 0 { &[[2; 10]] } else { &[] };
        assert_eq!(broker(&drain(&mut core, now)).0, again);
    }
}

#[test]
fn silence_is_checked_then_probed_and_an_answered_probe_ends_the_doubt() {
    let now = Instant::now();
    let mut core = publisher("heartbeat=1s");
    core.connected(TOKEN, now);
    assert!(drain(&mut core, now).is_empty());
    let now = core.timeout().instant().unwrap();
    core.handle_timeout(now);
    assert_eq!(broker(&drain(&mut core, now)).1, [1]);
    assert!(!core.takes_probe());
    let now = core.timeout().instant().unwrap();
    core.handle_timeout(now);
    assert!(core.takes_probe() && !core.takes_probe());
    core.probe_ok(now);
    assert!(fire(&mut core).contains(&Event::Paused));
    core.received(&back(1), now).unwrap();
    let now = core.timeout().instant().unwrap();
    core.handle_timeout(now);
    assert!(!core.takes_probe());
}

#[test]
fn time_outs_come_in_their_time_and_close_ends_everything() {
    let now = Instant::now();
    let mut core = publisher("timeout=2s");
    drop(publish(&mut core, b"one", now));
    let mut flush = core.flush("flush", now);
    let mut close = core.close(now + Duration::from_secs(1));
    assert!(matches!(answer(&mut publish(&mut core, b"late", now)), Some(Err(Error::Closed))));
    core.handle_timeout(now + Duration::from_secs(2));
    fire(&mut core);
    assert!(matches!(answer(&mut flush), Some(Err(Error::TimedOut { what: "flush", .. }))));
    assert!(answer(&mut close).is_none() && !core.is_ended());
    core.handle_timeout(now + Duration::from_secs(3));
    fire(&mut core);
    assert!(matches!(answer(&mut close), Some(Err(Error::TimedOut { what: "close", .. }))));
    assert!(core.is_ended());

    let mut idle = publisher("");
    assert!(answer(&mut idle.close(now)).unwrap().is_ok());
    assert!(matches!(idle.step(now), Step::Finish));
}

#[test]
fn close_sends_what_it_has_also_when_something_is_in_doubt() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected(TOKEN, now);
    drop(publish(&mut core, b"one", now));
    drain(&mut core, now);
    core.disconnected("cut".to_owned().into());
    drop(publish(&mut core, b"two", now));
    let mut close = core.close(now);
    assert!(!core.is_finished());
    core.connected(TOKEN, now);
    let (messages, barriers) = broker(&drain(&mut core, now));
    assert_eq!(messages, [b"two"]);
    assert!(answer(&mut close).is_none());
    core.received(&back(barriers[0]), now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut close), Some(Err(Error::InDoubt(Doubt { messages: 1, .. })))));
    assert!(core.is_finished());
}

#[test]
fn a_late_flush_reports_what_is_in_doubt() {
    let now = Instant::now();
    let mut core = publisher("timeout=2s");
    core.connected(TOKEN, now);
    drop(publish(&mut core, b"one", now));
    let mut waits = core.flush("flush", now);
    drain(&mut core, now);
    core.disconnected("reset".to_owned().into());
    // Nothing was in doubt before this one, for the first has it.
    let mut other = core.flush("flush", now);
    core.handle_timeout(now + Duration::from_secs(2));
    fire(&mut core);
    assert!(matches!(answer(&mut waits), Some(Err(Error::InDoubt(Doubt { messages: 1, bytes: 13 })))));
    assert!(matches!(answer(&mut other), Some(Err(Error::TimedOut { .. }))));
}

#[test]
fn a_connection_that_nobody_needs_retires_and_one_that_is_needed_stays() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected(TOKEN, now);
    assert!(core.retire());
    assert!(matches!(core.step(now), Step::Retire));
    core.retired();
    assert!(!core.is_needed() && core.timeout().instant().is_none());
    assert!(fire(&mut core).iter().all(|event| !matches!(event, Event::Disconnected { .. })));
    drop(publish(&mut core, b"one", now));
    assert!(core.is_needed() && !core.retire());
    core.connected(TOKEN, now);
    assert_eq!(broker(&drain(&mut core, now)).0, [b"one"]);

    // Needed before it has retired.
    let mut core = publisher("");
    core.connected(TOKEN, now);
    assert!(core.retire());
    drop(core.flush("flush", now));
    assert!(matches!(core.step(now), Step::Write(..)));
}

#[test]
fn any_byte_puts_a_subscription_in_force() {
    let now = Instant::now();
    let (mut core, first) = Subscriber::new(b"/queue/a", TOKEN, Duration::from_secs(1), 1000, now);
    assert!(first.starts_with(b"\0\0\0\x08/queue/a"));
    let (mut input, mut messages) = (BytesMut::new(), Vec::new());
    core.received(&mut input, &mut messages, now).unwrap();
    assert!(!core.is_confirmed());
    input.extend_from_slice(&[0]);
    core.received(&mut input, &mut messages, now).unwrap();
    assert!(core.is_confirmed() && messages.is_empty());
}
