use super::{Publisher, Step};
use crate::protocol::{Incoming, Token, incoming, mark};
use crate::reply::Reply;
use crate::{Doubt, Error, Event, Options, WhenFull};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(super) const TOKEN: Token = Token(7);

pub(super) fn options(url: &str) -> Arc<Options> {
    Arc::new(format!("switchboard://h?{url}").parse().unwrap())
}

/// Fires what is due, and returns the events.
pub(super) fn fire(core: &mut Publisher) -> Vec<Event> {
    let due = core.take_due();
    due.replies.into_iter().for_each(|(promise, result)| promise.fulfil(result));
    due.events
}

pub(super) fn answer(reply: &mut Reply<()>) -> Option<Result<(), Error>> {
    match Pin::new(reply).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn publish(core: &mut Publisher, data: &[u8], now: Instant) -> Reply<()> {
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

/// What the broker makes of it: the messages, and the numbers of the marks that it returns.
pub(super) fn broker(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u64>) {
    let (mut messages, mut marks) = (Vec::new(), Vec::new());
    let mut channel = true;
    while let Ok(frame) = incoming(bytes, TOKEN, usize::MAX) {
        match frame {
            Incoming::Need(_) => break,
            Incoming::Mark { number, consumed } => {
                marks.push(number);
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
    (messages, marks)
}

/// The frame by which a mark comes back.
pub(super) fn back(number: u64) -> Vec<u8> {
    let mut asked = Vec::new();
    mark(TOKEN, number, &mut asked);
    asked.split_off(asked.len() - 28)
}

#[test]
fn what_is_published_goes_out_in_one_piece_with_a_mark_for_who_flushes() {
    let now = Instant::now();
    let mut core = Publisher::new(options(""));
    core.connected(TOKEN, now);
    assert!(matches!(core.step(now), Step::Sleep));
    for data in [&b"one"[..], b"", b"three"] {
        assert!(answer(&mut publish(&mut core, data, now)).unwrap().is_ok());
    }
    assert!(core.takes_wake_up() && !core.takes_wake_up());
    let mut flush = core.flush("flush", now);
    let Step::Write(bytes, range) = core.step(now) else { panic!("nothing to write") };
    let (messages, marks) = broker(&bytes[range.clone()]);
    assert_eq!((messages, marks), (vec![b"one".to_vec(), b"".to_vec(), b"three".to_vec()], vec![1]));
    drop(bytes);
    core.written(range.len(), now);
    fire(&mut core);
    assert!(answer(&mut flush).is_none());
    core.received(&back(1), now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
}

#[test]
fn a_mark_is_asked_for_when_nobody_flushes_but_not_for_each_message() {
    let now = Instant::now();
    let mut core = Publisher::new(options(""));
    core.connected(TOKEN, now);
    drop(publish(&mut core, b"one", now));
    assert_eq!(broker(&drain(&mut core, now)).1, Vec::<u64>::new());
    let later = core.timeout().unwrap();
    assert!(later < now + Duration::from_secs(1));
    core.handle_timeout(later);
    assert_eq!(broker(&drain(&mut core, later)).1, [1]);
}

#[test]
fn at_the_bound_a_publish_fails_or_waits_and_one_of_any_size_fits_into_an_empty_buffer() {
    let now = Instant::now();
    // A message of 10 bytes takes 20.
    let mut core = Publisher::new(options("buffer=40&when_full=fail"));
    for fits in [true, true, false] {
        assert_eq!(answer(&mut publish(&mut core, &[0; 10], now)).unwrap().is_ok(), fits);
    }
    let error = answer(&mut publish(&mut core, b"", now)).unwrap().unwrap_err();
    assert!(matches!(error, Error::Full { buffered: 40, limit: 40, option: "buffer" }), "{error}");
    let mut large = Publisher::new(options("buffer=40&when_full=fail"));
    assert!(answer(&mut publish(&mut large, &[0; 1000], now)).unwrap().is_ok());

    assert_eq!(options("").when_full, WhenFull::Wait);
    let mut core = Publisher::new(options("buffer=40&waiting=3&timeout=1s"));
    let mut replies: Vec<_> = (0..3).map(|n| publish(&mut core, &[n; 10], now)).collect();
    let mut flush = core.flush("flush", now);
    // What is published while others wait waits behind them, though it would fit.
    replies.push(publish(&mut core, b"", now));
    let error = answer(&mut publish(&mut core, b"", now)).unwrap().unwrap_err();
    assert!(matches!(error, Error::Full { buffered: 3, limit: 3, option: "waiting" }), "{error}");
    assert!(replies.iter_mut().skip(2).all(|reply| answer(reply).is_none()));
    core.connected(TOKEN, now);
    let (messages, marks) = broker(&drain(&mut core, now));
    assert_eq!(messages, [vec![0; 10], vec![1; 10], vec![2; 10], vec![]]);
    fire(&mut core);
    assert!(replies.iter_mut().skip(2).all(|reply| answer(reply).unwrap().is_ok()));
    core.received(&back(*marks.last().unwrap()), now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
}

#[test]
fn a_cut_puts_in_doubt_what_was_wholly_written_and_sends_the_rest_again() {
    let now = Instant::now();
    let mut core = Publisher::new(options(""));
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
    let marks = broker(&drain(&mut core, now)).1;
    assert!(answer(&mut flushes[0]).is_none());
    core.received(&back(marks[0]), now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut flushes[0]).unwrap(), Err(Error::InDoubt(d)) if d == in_doubt));
    assert!(answer(&mut flushes[1]).unwrap().is_ok());
}

#[test]
fn a_message_that_no_connection_survives_is_given_up_at_last() {
    let now = Instant::now();
    for resend in [0, 3] {
        let mut core = Publisher::new(options(&format!("resend={resend}")));
        drop(publish(&mut core, &[1; 100], now));
        drop(publish(&mut core, &[2; 10], now));
        let mut flush = core.flush("flush", now);
        for _ in 0..5 {
            core.connected(TOKEN, now);
            let Step::Write(..) = core.step(now) else { panic!("nothing to write") };
            core.written(10, now);
            core.disconnected("too long".to_owned().into());
            fire(&mut core);
        }
        core.connected(TOKEN, now);
        let (messages, marks) = broker(&drain(&mut core, now));
        assert_eq!(messages, [[2; 10]]);
        core.received(&back(marks[0]), now).unwrap();
        fire(&mut core);
        let told = answer(&mut flush).unwrap();
        assert!(matches!(told, Err(Error::InDoubt(Doubt { messages: 1, bytes: 110 }))));
    }
}

#[test]
fn silence_is_a_question_then_a_suspicion_and_a_witness_clears_it() {
    let now = Instant::now();
    let mut core = Publisher::new(options("heartbeat=1s"));
    core.connected(TOKEN, now);
    assert!(drain(&mut core, now).is_empty());
    let now = core.timeout().unwrap();
    core.handle_timeout(now);
    assert_eq!(broker(&drain(&mut core, now)).1, [1]);
    assert!(!core.takes_suspicion());
    let now = core.timeout().unwrap();
    core.handle_timeout(now);
    assert!(core.takes_suspicion() && !core.takes_suspicion());
    core.vouched(now);
    assert!(fire(&mut core).contains(&Event::Held));
    core.received(&back(1), now).unwrap();
    let now = core.timeout().unwrap();
    core.handle_timeout(now);
    assert!(!core.takes_suspicion());
}

#[test]
fn time_outs_come_in_their_time_and_close_ends_everything() {
    let now = Instant::now();
    let mut core = Publisher::new(options("timeout=2s"));
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

    let mut idle = Publisher::new(options(""));
    assert!(answer(&mut idle.close(now)).unwrap().is_ok());
    assert!(matches!(idle.step(now), Step::Finish));
}

#[test]
fn close_sends_what_it_has_also_when_something_is_in_doubt() {
    let now = Instant::now();
    let mut core = Publisher::new(options(""));
    core.connected(TOKEN, now);
    drop(publish(&mut core, b"one", now));
    drain(&mut core, now);
    core.disconnected("cut".to_owned().into());
    drop(publish(&mut core, b"two", now));
    let mut close = core.close(now);
    assert!(!core.is_finished());
    core.connected(TOKEN, now);
    let (messages, marks) = broker(&drain(&mut core, now));
    assert_eq!(messages, [b"two"]);
    assert!(answer(&mut close).is_none());
    core.received(&back(marks[0]), now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut close), Some(Err(Error::InDoubt(Doubt { messages: 1, .. })))));
    assert!(core.is_finished());
}
