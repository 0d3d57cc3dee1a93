//! A publisher over STOMP.

use super::*;
use crate::options::Receipts;
use crate::stomp::{Agreed, receipt};
use crate::{Link, Reason};
use switchboard_wire::stomp::{Decoder, Found, Limits, Version};

pub(super) const AGREED: Agreed = Agreed { version: Version::V1_2, sends: None, expects: None };

/// Decodes as a server: the bodies of whole messages, and the receipts that it gives.
pub(super) fn server(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    let (mut bodies, mut receipts, mut at) = (Vec::new(), Vec::new(), 0);
    while let Ok(Found::Frame { frame, length }) = decoder.next(&bytes[at..]) {
        if frame.command == b"SEND" {
            bodies.push(frame.body.to_vec());
        }
        if let Some(id) = frame.header(b"receipt") {
            receipts.extend_from_slice(b"RECEIPT\nreceipt-id:");
            receipts.extend_from_slice(&id);
            receipts.extend_from_slice(b"\n\n\0");
        }
        at += length;
    }
    (bodies, receipts)
}

pub(super) fn publish_three(core: &mut Publisher, now: Instant) {
    for data in [&b"one"[..], b"", b"three"] {
        assert!(answer(&mut core.publish_with(b"/queue/a", b"kind:x\n", data, || now)).unwrap().is_ok());
    }
}

#[test]
fn a_write_that_breaks_anywhere_loses_no_more_than_is_in_doubt_and_the_rest_follows_in_order() {
    let now = Instant::now();
    for (resend, at_least_once) in [("", false), ("resend=9", true)] {
        for cut in 0.. {
            let mut core = publisher(resend);
            core.connected_by_stomp(TOKEN, AGREED, now);
            publish_three(&mut core, now);
            let Step::Write(bytes, range) = core.step(now) else { panic!("nothing to write") };
            let whole = cut >= range.len();
            let (mut received, _) = server(&bytes[..cut.min(range.len())]);
            drop(bytes);
            core.written(cut.min(range.len()), now);
            core.disconnected("cut".to_owned().into());
            core.connected_by_stomp(Token(8), AGREED, now);
            let in_doubt: u64 = fire(&mut core)
                .iter()
                .map(|event| if let Event::Disconnected { in_doubt, .. } = event { in_doubt.messages } else { 0 })
                .sum();
            let mut flush = core.flush("flush", now);
            let written = drain(&mut core, now);
            let (rest, receipts) = server(&written);
            received.extend(rest);
            core.received(&receipts, now).unwrap();
            fire(&mut core);
            assert_eq!(answer(&mut flush).unwrap().is_ok(), in_doubt == 0, "{cut}");
            if at_least_once {
                assert_eq!(in_doubt, 0);
                assert!(received.ends_with(&[b"three".to_vec()]) && received.len() >= 3, "{cut}: {received:?}");
            } else {
                // Received bodies are in doubt, too.
                assert_eq!(received, [&b"one"[..], b"", b"three"], "{cut}");
            }
            assert_eq!(core.buffered_bytes(), 0, "{cut}");
            if whole {
                break;
            }
        }
    }
}

#[test]
fn an_error_within_a_message_may_be_about_the_connection_and_a_second_one_is_about_the_message() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected_by_stomp(TOKEN, AGREED, now);
    assert!(answer(&mut core.publish_with(b"/queue/a", &[], &[b'x'; 1000], || now)).unwrap().is_ok());
    for (token, lost) in [(8, 0), (9, 1)] {
        let Step::Write(bytes, _) = core.step(now) else { panic!("nothing to write") };
        drop(bytes);
        core.written(100, now);
        core.disconnected(Reason::Error("asked for over HTTP".into()));
        let in_doubt: u64 = fire(&mut core)
            .iter()
            .map(|event| if let Event::Disconnected { in_doubt, .. } = event { in_doubt.messages } else { 0 })
            .sum();
        assert_eq!(in_doubt, lost);
        core.connected_by_stomp(Token(token), AGREED, now);
    }
    let mut flush = core.flush("flush", now);
    let (bodies, receipts) = server(&drain(&mut core, now));
    assert!(bodies.is_empty());
    core.received(&receipts, now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut flush), Some(Err(Error::Server { .. }))));
    assert_eq!(core.buffered_bytes(), 0);
}

#[test]
fn an_error_behind_which_the_session_goes_on_is_an_event_and_any_other_the_end() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected_by_stomp(TOKEN, AGREED, now);
    fire(&mut core);
    core.received(b"ERROR\nfatal:false\nmessage:late\n\n\0", now).unwrap();
    assert_eq!(fire(&mut core), [Event::ServerError { link: Link::Publisher, message: "late".into() }]);
    for fatal in ["", "fatal:true\n"] {
        let error = format!("ERROR\n{fatal}message:late\n\n\0");
        assert_eq!(core.received(error.as_bytes(), now), Err(Reason::Error("late".into())));
    }
}

#[test]
fn an_error_that_names_a_message_is_about_it_alone_and_it_is_not_sent_again() {
    let now = Instant::now();
    for resend in ["", "resend=3"] {
        let mut core = publisher(resend);
        core.connected_by_stomp(TOKEN, AGREED, now);
        let mut answers = Vec::new();
        for refused in [false, true, false] {
            assert!(answer(&mut core.publish_with(b"/queue/a", &[], b"x", || now)).unwrap().is_ok());
            let flush = core.flush("flush", now);
            let (bodies, receipt) = server(&drain(&mut core, now));
            assert_eq!(bodies.len(), 1);
            let receipt = String::from_utf8(receipt).unwrap();
            let frame =
                if refused { receipt.replace("RECEIPT\n", "ERROR\nfatal:false\nmessage:full\n") } else { receipt };
            core.received(frame.as_bytes(), now).unwrap();
            fire(&mut core);
            answers.push(flush);
        }
        let mut answers = answers.iter_mut().map(|flush| answer(flush).unwrap());
        assert!(answers.next().unwrap().is_ok());
        let error = answers.next().unwrap().unwrap_err();
        let Error::Server { message, in_doubt } = &error else { panic!("{error}") };
        assert_eq!((message.as_str(), in_doubt.messages), ("full", 1));
        assert!(answers.next().unwrap().is_ok());
        assert_eq!(core.buffered_bytes(), 0);
        // The server may close behind it; nothing is left to be sent again.
        core.disconnected(Reason::Closed);
        core.connected_by_stomp(Token(8), AGREED, now);
        let mut flush = core.flush("flush", now);
        let (bodies, receipts) = server(&drain(&mut core, now));
        assert!(bodies.is_empty());
        core.received(&receipts, now).unwrap();
        fire(&mut core);
        assert!(answer(&mut flush).unwrap().is_ok());
    }
}

#[test]
fn with_a_receipt_of_each_message_any_that_is_rejected_is_told_and_the_others_have_arrived() {
    let now = Instant::now();
    for rejected in [&[][..], &[0], &[1], &[2], &[0, 1], &[0, 1, 2]] {
        let mut core = publisher("resend=3");
        Arc::make_mut(&mut core.options).receipts = Receipts::Message;
        core.connected_by_stomp(TOKEN, AGREED, now);
        publish_three(&mut core, now);
        let mut flush = core.flush("flush", now);
        let (bodies, receipts) = server(&drain(&mut core, now));
        assert_eq!(bodies.len(), 3);
        let frames = String::from_utf8(receipts).unwrap();
        for (index, frame) in frames.split_inclusive('\0').enumerate() {
            assert!(answer(&mut flush).is_none(), "{rejected:?}");
            let error = frame.replace("RECEIPT\n", "ERROR\nfatal:false\nmessage:full\n");
            core.received(if rejected.contains(&index) { &error } else { frame }.as_bytes(), now).unwrap();
            fire(&mut core);
        }
        match answer(&mut flush).unwrap() {
            Ok(()) => assert!(rejected.is_empty()),
            Err(Error::Server { message, in_doubt }) => {
                assert_eq!((message.as_str(), in_doubt.messages), ("full", rejected.len() as u64));
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(core.buffered_bytes(), 0);
    }
}

#[test]
fn a_flush_that_waits_behind_a_publish_without_room_tells_what_was_rejected_before_it() {
    let now = Instant::now();
    // Room is given back when messages are confirmed.
    let mut core = publisher("resend=3&buffer=100");
    core.connected_by_stomp(TOKEN, AGREED, now);
    let publish = |core: &mut Publisher| core.publish_with(b"/queue/a", &[], &[b'x'; 60], || now);
    assert!(answer(&mut publish(&mut core)).unwrap().is_ok());
    let (_, receipts) = server(&drain(&mut core, now));
    let mut parked = publish(&mut core);
    assert!(answer(&mut parked).is_none());
    let mut flush = core.flush("flush", now);
    let error = String::from_utf8(receipts).unwrap().replace("RECEIPT\n", "ERROR\nfatal:false\nmessage:full\n");
    core.received(error.as_bytes(), now).unwrap();
    fire(&mut core);
    assert!(answer(&mut parked).unwrap().is_ok());
    // The message, and then the flush's own question.
    for _ in 0..2 {
        let (_, receipts) = server(&drain(&mut core, now));
        core.received(&receipts, now).unwrap();
        fire(&mut core);
    }
    let told = answer(&mut flush);
    assert!(matches!(told, Some(Err(Error::Server { .. }))), "{told:?}");
}

#[test]
fn a_message_that_is_sent_again_and_then_rejected_is_told() {
    let now = Instant::now();
    let mut core = publisher("resend=3");
    Arc::make_mut(&mut core.options).receipts = Receipts::Message;
    core.connected_by_stomp(TOKEN, AGREED, now);
    publish_three(&mut core, now);
    let mut flush = core.flush("flush", now);
    drain(&mut core, now);
    core.disconnected(Reason::Closed);
    core.connected_by_stomp(Token(8), AGREED, now);
    let (bodies, receipts) = server(&drain(&mut core, now));
    assert_eq!(bodies.len(), 3);
    let frames = String::from_utf8(receipts).unwrap().replacen("RECEIPT\n", "ERROR\nfatal:false\nmessage:full\n", 1);
    core.received(frames.as_bytes(), now).unwrap();
    fire(&mut core);
    assert!(matches!(answer(&mut flush), Some(Err(Error::Server { .. }))));
}

#[test]
fn an_answer_that_comes_a_byte_at_a_time_is_one_and_that_of_another_connection_is_none() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected_by_stomp(TOKEN, AGREED, now);
    core.received(b"\n", now).unwrap();
    publish_three(&mut core, now);
    let mut flush = core.flush("flush", now);
    let (_, receipts) = server(&drain(&mut core, now));
    core.received(b"\nRECEIPT\nreceipt-id:8-1\n\n\0\nMESSAGE\nsubscription:0\n\n\0", now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).is_none());
    for byte in &receipts {
        core.received(std::slice::from_ref(byte), now).unwrap();
    }
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
    let error = core.received(b"ERROR\nmessage:no\n\n\0", now).unwrap_err();
    assert_eq!(error, Reason::Error("no".into()));
    let mut decoder = Decoder::new(Limits::default());
    let Ok(Found::Frame { frame, .. }) = decoder.next(b"RECEIPT\nreceipt-id:7-x\n\n\0") else { panic!("a frame") };
    assert_eq!(receipt(TOKEN, &frame), None);
}

#[test]
fn a_flush_behind_a_written_message_waits_for_its_receipt_and_asks_for_no_other() {
    let now = Instant::now();
    let mut core = publisher("");
    core.connected_by_stomp(TOKEN, AGREED, now);
    publish_three(&mut core, now);
    let (_, receipts) = server(&drain(&mut core, now));
    let mut flush = core.flush("flush", now);
    assert!(drain(&mut core, now).is_empty());
    core.received(&receipts, now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
    // Nothing is on its way: the server is asked.
    let mut flush = core.flush("flush", now);
    let (bodies, receipts) = server(&drain(&mut core, now));
    assert!(bodies.is_empty());
    core.received(&receipts, now).unwrap();
    fire(&mut core);
    assert!(answer(&mut flush).unwrap().is_ok());
}

#[test]
fn a_server_that_lives_and_confirms_nothing_pauses_the_publisher_and_that_is_told_once() {
    let second = Duration::from_secs(1);
    let mut now = Instant::now();
    let mut core = publisher("heartbeat=1s");
    core.connected_by_stomp(TOKEN, Agreed { expects: Some(second), ..AGREED }, now);
    fire(&mut core);
    let pass = |core: &mut Publisher, now: &mut Instant| {
        *now += second / 2;
        core.received(b"\n", *now).unwrap();
        core.handle_timeout(*now);
        fire(core).iter().filter(|event| **event == Event::Paused).count()
    };
    // Nothing waits for an answer: silence about it is no pause.
    assert_eq!((0..5).map(|_| pass(&mut core, &mut now)).sum::<usize>(), 0);
    for _ in 0..2 {
        publish_three(&mut core, now);
        let (_, receipts) = server(&drain(&mut core, now));
        assert_eq!(core.timeout().instant(), Some(now + second));
        assert_eq!(pass(&mut core, &mut now), 0);
        assert_eq!(pass(&mut core, &mut now), 1);
        assert_eq!((0..5).map(|_| pass(&mut core, &mut now)).sum::<usize>(), 0);
        core.received(&receipts, now).unwrap();
        fire(&mut core);
    }
}

#[test]
fn a_server_that_confirms_slowly_does_not_pause_the_publisher() {
    let second = Duration::from_secs(1);
    let mut now = Instant::now();
    let mut core = publisher("heartbeat=1s");
    core.connected_by_stomp(TOKEN, Agreed { expects: Some(second), ..AGREED }, now);
    let mut write = || {
        publish_three(&mut core, now);
        server(&drain(&mut core, now)).1
    };
    let receipts: Vec<Vec<u8>> = (0..4).map(|_| write()).collect();
    fire(&mut core);
    for receipt in &receipts {
        now += second * 3 / 4;
        core.received(receipt, now).unwrap();
        core.handle_timeout(now);
        assert!(!fire(&mut core).contains(&Event::Paused));
    }
}

#[test]
fn signs_of_life_are_due_after_half_of_the_interval_and_a_silent_server_is_dead() {
    let second = Duration::from_secs(1);
    let mut now = Instant::now();
    let mut core = publisher("heartbeat=1s");
    let agreed = Agreed { sends: Some(second), expects: Some(second), ..AGREED };
    core.connected_by_stomp(TOKEN, agreed, now);
    assert!(matches!(core.step(now), Step::Sleep));
    now = core.timeout().instant().unwrap();
    assert!(matches!(core.step(now), Step::Beat));
    // While it is not written, nothing else is due for it.
    assert!(core.timeout().instant().unwrap() > now);
    core.beat_written(now);
    assert!(matches!(core.step(now), Step::Sleep));
    let mut checks = 0;
    while !core.is_dead() {
        now = core.timeout().instant().unwrap();
        core.handle_timeout(now);
        checks += server(&drain(&mut core, now)).1.len().min(1);
        if matches!(core.step(now), Step::Beat) {
            core.beat_written(now);
        }
        assert!(!core.takes_probe());
    }
    assert_eq!(checks, 1);
}
