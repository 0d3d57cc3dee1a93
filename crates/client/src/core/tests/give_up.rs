//! Messages that no connection survives are given up and reported as rejected.

use super::{TOKEN, answer, back, broker, drain, fire, publish, publisher};
use crate::core::Step;
use crate::{Doubt, Error};
use std::time::Instant;

#[test]
fn a_message_that_no_connection_survives_is_given_up_at_last() {
    let now = Instant::now();
    for resend in [0, 3] {
        let mut core = publisher(&format!("resend={resend}"));
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
        let (messages, barriers) = broker(&drain(&mut core, now));
        assert_eq!(messages, [[2; 10]]);
        core.received(&back(barriers[0]), now).unwrap();
        fire(&mut core);
        let told = answer(&mut flush).unwrap();
        assert!(matches!(told, Err(Error::Rejected { length: 100, in_doubt: Doubt { messages: 1, bytes: 110 } })));
    }
}

#[test]
fn only_disconnects_within_one_message_give_it_up() {
    let now = Instant::now();
    let mut core = publisher("");
    for n in 0..10u8 {
        drop(publish(&mut core, &[n; 10], now));
        core.connected(TOKEN, now);
        assert!(matches!(core.step(now), Step::Write(..)));
        // None of it, or one message and a part of the next: there is progress each time.
        core.written(if n % 2 == 0 { 0 } else { 25 }, now);
        core.disconnected("reset".to_owned().into());
    }
    fire(&mut core);
    core.connected(TOKEN, now);
    let left: Vec<u8> = broker(&drain(&mut core, now)).0.iter().map(|message| message[0]).collect();
    assert_eq!(left, [5, 6, 7, 8, 9]);
}

#[test]
fn a_message_over_the_usual_limit_is_given_up_at_the_first_disconnect_within_it() {
    let now = Instant::now();
    for (length, given_up) in [(16 << 20, false), ((16 << 20) + 1, true)] {
        let mut core = publisher("max_frame=64MiB&buffer=64MiB");
        core.connected(TOKEN, now);
        drop(publish(&mut core, &vec![1; length], now));
        drop(publish(&mut core, b"two", now));
        let mut flush = core.flush("flush", now);
        assert!(matches!(core.step(now), Step::Write(..)));
        core.written(1000, now);
        core.disconnected(crate::Reason::Closed);
        core.connected(TOKEN, now);
        let (messages, barriers) = broker(&drain(&mut core, now));
        assert_eq!(messages.len(), if given_up { 1 } else { 2 });
        core.received(&back(*barriers.last().unwrap()), now).unwrap();
        fire(&mut core);
        match answer(&mut flush).unwrap() {
            Err(Error::Rejected { length: reported, in_doubt }) => {
                assert!(given_up && reported == length && in_doubt.messages == 1);
            }
            result => assert!(!given_up && result.is_ok(), "{result:?}"),
        }
    }
}

#[test]
fn a_rejected_message_is_reported_by_the_next_flush_or_by_close() {
    let now = Instant::now();
    let mut core = publisher("max_frame=64MiB");
    core.connected(TOKEN, now);
    drop(publish(&mut core, &vec![1; (16 << 20) + 1], now));
    assert!(matches!(core.step(now), Step::Write(..)));
    core.written(1000, now);
    core.disconnected(crate::Reason::Closed);
    let mut close = core.close(now);
    core.connected(TOKEN, now);
    let barriers = broker(&drain(&mut core, now)).1;
    core.received(&back(barriers[0]), now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut close), Some(Err(Error::Rejected { .. }))));
}

#[test]
fn a_flush_does_not_wait_for_a_broker_that_closes_every_connection_once_all_that_is_left_is_in_doubt() {
    let now = Instant::now();
    for resend in [0, 1, 4] {
        let mut core = publisher(&format!("resend={resend}&timeout=never"));
        drop(publish(&mut core, &[1; 10], now));
        let (mut flush, mut close) = (core.flush("flush", now), core.close(now));
        for attempt in 0..=resend {
            assert!(answer(&mut flush).is_none() && answer(&mut close).is_none(), "{attempt} of {resend}");
            core.connected(TOKEN, now);
            assert_eq!(broker(&drain(&mut core, now)).0, [[1; 10]]);
            assert!(!core.disconnected("closed".to_owned().into()));
            fire(&mut core);
        }
        for completion in [&mut flush, &mut close] {
            let told = answer(completion).expect("an answer");
            assert!(matches!(told, Err(Error::InDoubt(Doubt { messages: 1, .. }))), "{told:?}");
        }
        assert!(core.is_finished());
    }
}
