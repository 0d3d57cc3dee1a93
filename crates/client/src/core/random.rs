//! Random lives of a publisher, beside a broker that counts.

use super::tests::{TOKEN, answer, back, broker, drain, fire, options};
use super::{Publisher, Step, Subscriber};
use crate::protocol::{self, Token};
use crate::{Error, Event};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
enum Deed {
    Publish(usize),
    /// The socket takes so many bytes.
    Write(usize),
    /// All marks that the broker has seen come back.
    Answer,
    Flush,
    /// The broker has got this part, of 255, of what was written and is not confirmed.
    Cut(u8),
    Connect,
    Wait,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0usize..40).prop_map(Deed::Publish),
        4 => (1usize..120).prop_map(Deed::Write),
        2 => Just(Deed::Answer),
        1 => Just(Deed::Flush),
        1 => any::<u8>().prop_map(Deed::Cut),
        2 => Just(Deed::Connect),
        1 => Just(Deed::Wait),
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
        deeds in vec(deed(), 1..120),
        resend in any::<bool>(),
        buffer in prop_oneof![Just(100), Just(100_000)],
    ) {
        let mut now = Instant::now();
        let limit = if resend { 1000 } else { 0 };
        let mut core = Publisher::new(options(&format!("buffer={buffer}&resend={limit}&waiting=1000&timeout=60m")));
        let (mut up, mut wire, mut marks_back) = (false, Wire::default(), 0);
        let (mut accepted, mut received, mut in_doubt) = (0u32, Vec::<u32>::new(), 0);
        let (mut published, mut flushes) = (Vec::new(), Vec::new());
        let number = |message: &Vec<u8>| u32::from_be_bytes(*message.first_chunk().unwrap());
        let mut end = vec![Deed::Connect, Deed::Flush];
        end.extend(std::iter::repeat_n([Deed::Write(usize::MAX), Deed::Answer], 200).flatten());
        for deed in deeds.into_iter().chain(end) {
            match deed {
                Deed::Publish(size) => {
                    let mut data = accepted.to_be_bytes().to_vec();
                    data.resize(4 + size, 0);
                    published.push(core.publish(b"/c", &data, || now));
                    accepted += 1;
                }
                Deed::Write(bytes) => {
                    if let Step::Write(all, range) = core.step(now) {
                        let bytes = bytes.min(range.len());
                        wire.bytes.extend_from_slice(&all[range.start..range.start + bytes]);
                        drop(all);
                        core.written(bytes, now);
                    }
                }
                Deed::Answer => {
                    for mark in broker(&wire.bytes).1 {
                        if up && mark > marks_back {
                            marks_back = mark;
                            core.received(&back(mark), now).unwrap();
                            wire.sure = wire.bytes.len();
                        }
                    }
                }
                Deed::Flush => flushes.push(core.flush("flush", now)),
                Deed::Cut(part) => if up {
                    let unsure = wire.bytes.len() - wire.sure;
                    let got = wire.sure + unsure * usize::from(part) / 255;
                    received.extend(broker(&wire.bytes[..got]).0.iter().map(number));
                    (up, wire) = (false, Wire::default());
                    core.disconnected("cut".to_owned().into());
                },
                Deed::Connect => if !up {
                    up = true;
                    core.connected(TOKEN, now);
                },
                Deed::Wait => {
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
        prop_assert!(published.iter_mut().all(|reply| matches!(answer(reply), Some(Ok(())))));
        let mut told = 0;
        for flush in &mut flushes {
            let answer = answer(flush);
            if let Some(Err(Error::InDoubt(doubt))) = &answer {
                told += doubt.messages;
            }
            prop_assert!(matches!(answer, Some(Ok(()) | Err(Error::InDoubt(_)))), "{answer:?}");
        }
        // At least one was told of each.
        prop_assert!(told >= in_doubt);
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
        marks in vec(0usize..20, 0..4),
        pieces in vec(1usize..60, 1..40),
    ) {
        let now = Instant::now();
        let (mut core, _) = Subscriber::new(b"/c", Token(7), Duration::from_secs(1), 1000, now);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (i, body) in bodies.iter().enumerate() {
            if marks.contains(&i) {
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
