//! Random lives of a publisher, beside a broker that counts.

use super::tests::{TOKEN, answer, back, broker, drain, fire, publisher};
use super::{Step, Subscriber};
use crate::protocol::{self, Token};
use crate::{Error, Event};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
enum Action {
    Publish(usize),
    /// The socket takes so many bytes.
    Write(usize),
    /// All barriers that the broker has seen come back.
    Answer,
    Flush,
    /// The broker has got this part, of 255, of what was written and is not confirmed.
    Cut(u8),
    Connect,
    Wait,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0usize..40).prop_map(Action::Publish),
        4 => (1usize..120).prop_map(Action::Write),
        2 => Just(Action::Answer),
        1 => Just(Action::Flush),
        1 => any::<u8>().prop_map(Action::Cut),
        2 => Just(Action::Connect),
        1 => Just(Action::Wait),
    ]
}

/// Everything that a connection was given, and what of it has surely arrived.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    sure: usize,
}

proptest! {
    #[test]
    fn nothing_comes_twice_nor_out_of_order_and_no_more_is_lost_than_was_in_doubt(
        actions in vec(action(), 1..120),
        resend in any::<bool>(),
        buffer in prop_oneof![Just(100), Just(100_000)],
    ) {
        let mut now = Instant::now();
        let limit = if resend { 1000 } else { 0 };
        let mut core = publisher(&format!("buffer={buffer}&resend={limit}&waiting=1000&timeout=60m"));
        let (mut up, mut wire, mut barriers_back) = (false, Wire::default(), 0);
        let (mut accepted, mut received, mut in_doubt) = (0u32, Vec::<u32>::new(), 0);
        let (mut published, mut flushes) = (Vec::new(), Vec::new());
        let number = |message: &Vec<u8>| u32::from_be_bytes(*message.first_chunk().unwrap());
        let mut end = vec![Action::Connect, Action::Flush];
        end.extend(std::iter::repeat_n([Action::Write(usize::MAX), Action::Answer], 200).flatten());
        for action in actions.into_iter().chain(end) {
            match action {
                Action::Publish(size) => {
                    let mut data = accepted.to_be_bytes().to_vec();
                    data.resize(4 + size, 0);
                    published.push(core.publish(b"/c", &data, || now));
                    accepted += 1;
                }
                Action::Write(bytes) => {
                    if let Step::Write(all, range) = core.step(now) {
                        let bytes = bytes.min(range.len());
                        wire.bytes.extend_from_slice(&all[range.start..range.start + bytes]);
                        drop(all);
                        core.written(bytes, now);
                    }
                }
                Action::Answer => {
                    for barrier in broker(&wire.bytes).1 {
                        if up && barrier > barriers_back {
                            barriers_back = barrier;
                            core.received(&back(barrier), now).unwrap();
                            wire.sure = wire.bytes.len();
                        }
                    }
                }
                Action::Flush => flushes.push(core.flush("flush", now)),
                Action::Cut(part) => if up {
                    let unsure = wire.bytes.len() - wire.sure;
                    let got = wire.sure + unsure * usize::from(part) / 255;
                    received.extend(broker(&wire.bytes[..got]).0.iter().map(number));
                    (up, wire) = (false, Wire::default());
                    core.disconnected("cut".to_owned().into());
                },
                Action::Connect => if !up {
                    up = true;
                    core.connected(TOKEN, now);
                },
                Action::Wait => {
                    now += Duration::from_millis(120);
                    core.handle_timeout(now);
                }
            }
            for event in fire(&mut core) {
                if let Event::Disconnected { in_doubt: doubt, .. } = event {
                    in_doubt += doubt.messages;
                }
            }
        }
        received.extend(broker(&wire.bytes).0.iter().map(number));
        // All are accepted, and every flush was answered.
        prop_assert!(published.iter_mut().all(|completion| matches!(answer(completion), Some(Ok(())))));
        let mut reported = 0;
        for flush in &mut flushes {
            let answer = answer(flush);
            if let Some(Err(Error::InDoubt(doubt))) = &answer {
                reported += doubt.messages;
            }
            prop_assert!(matches!(answer, Some(Ok(()) | Err(Error::InDoubt(_) | Error::Rejected { .. }))), "{answer:?}");
        }
        // At least one was reported of each.
        prop_assert!(reported >= in_doubt);
        if resend {
            // At least once each, first in order.
            prop_assert_eq!(in_doubt, 0);
            let mut next = 0;
            for number in received {
                prop_assert!(number <= next, "{} before {}", number, next);
                next = next.max(number + 1);
            }
            prop_assert_eq!(next, accepted);
        } else {
            prop_assert!(received.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", received);
            prop_assert!(u64::from(accepted) <= received.len() as u64 + in_doubt);
        }
        // Nothing is left behind that would count against the bound.
        prop_assert!(drain(&mut core, now).is_empty());
        prop_assert_eq!(core.buffered_bytes(), 0);
    }

    #[test]
    fn a_subscriber_hands_over_the_same_messages_however_they_are_cut(
        bodies in vec(vec(any::<u8>(), 0..40), 0..20),
        barriers in vec(0usize..20, 0..4),
        pieces in vec(1usize..60, 1..40),
    ) {
        let now = Instant::now();
        let (mut core, _) = Subscriber::new(b"/c", Token(7), Duration::from_secs(1), 1000, now);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (i, body) in bodies.iter().enumerate() {
            if barriers.contains(&i) {
                bytes.extend(back(1));
            }
            switchboard_wire::native::encode(body, &mut bytes);
            switchboard_wire::native::encode(body, &mut expected);
        }
        let (mut input, mut messages) = (BytesMut::new(), Vec::new());
        let (mut rest, mut pieces) = (&bytes[..], pieces.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(pieces.next().unwrap().min(rest.len()));
            input.extend_from_slice(piece);
            let need = core.received(&mut input, &mut messages, now).unwrap();
            prop_assert!(need > input.len());
            rest = after;
        }
        prop_assert!(input.is_empty());
        prop_assert_eq!(messages.concat(), expected);
        prop_assert_eq!(core.is_confirmed(), !bytes.is_empty());
        prop_assert_eq!(protocol::first(b""), 0);
    }
}
