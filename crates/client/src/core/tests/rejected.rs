//! Messages that a server over STOMP rejects, and whether its session goes on behind that.

use super::over_stomp::{AGREED, publish_three, server};
use super::*;
use crate::Reason;
use crate::options::Receipts;

/// The answers of a server that rejects those of these places, and says whether its session goes on.
fn answers(receipts: Vec<u8>, rejected: &[usize], goes_on: bool) -> Vec<u8> {
    let error = if goes_on { "ERROR\nfatal:false\nmessage:full\n" } else { "ERROR\nmessage:full\n" };
    let frames = String::from_utf8(receipts).unwrap();
    let frames = frames.split_inclusive('\0').enumerate();
    let answer = |(at, frame): (usize, &str)| match rejected.contains(&at) {
        true => frame.replace("RECEIPT\n", error),
        false => frame.to_owned(),
    };
    frames.map(answer).collect::<String>().into_bytes()
}

/// The first `count` frames.
fn first(frames: &[u8], count: usize) -> &[u8] {
    let end =
        frames.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1).nth(count.wrapping_sub(1));
    &frames[..end.unwrap_or(0)]
}

fn connected(url: &str, now: Instant) -> Publisher {
    let mut core = publisher(url);
    Arc::make_mut(&mut core.options).receipts = Receipts::Message;
    core.connected_by_stomp(TOKEN, AGREED, now);
    core
}

fn doubts(core: &mut Publisher) -> u64 {
    let doubt = |event: &Event| if let Event::Disconnected { in_doubt, .. } = event { in_doubt.messages } else { 0 };
    fire(core).iter().map(doubt).sum()
}

#[test]
fn a_rejected_message_is_not_sent_again_after_a_disconnect_and_is_told_once() {
    let now = Instant::now();
    let all = [&b"one"[..], b"", b"three"];
    for url in ["resend=3", ""] {
        for (rejected, answered) in [(&[0][..], 1), (&[0], 2), (&[1], 2), (&[0, 1], 2), (&[0, 1, 2], 3)] {
            let mut core = connected(url, now);
            publish_three(&mut core, now);
            let mut flush = core.flush("flush", now);
            let (_, receipts) = server(&drain(&mut core, now));
            core.received(first(&answers(receipts, rejected, true), answered), now).unwrap();
            core.disconnected(Reason::Closed);
            let left: Vec<_> = (0..3).filter(|at| !rejected.contains(at)).map(|at| all[at].to_vec()).collect();
            let in_doubt = if url.is_empty() { left.len() } else { 0 };
            assert_eq!(doubts(&mut core), in_doubt as u64, "{url} {rejected:?}");
            core.connected_by_stomp(Token(8), AGREED, now);
            let (bodies, receipts) = server(&drain(&mut core, now));
            assert_eq!(bodies, if url.is_empty() { Vec::new() } else { left }, "{rejected:?}");
            core.received(&receipts, now).unwrap();
            fire(&mut core);
            if let Some(Err(Error::Server { message, in_doubt: told })) = answer(&mut flush) {
                assert_eq!((message.as_str(), told.messages), ("full", (rejected.len() + in_doubt) as u64));
            } else {
                panic!("{url} {rejected:?}: it is not told");
            }
            assert_eq!(core.buffered_bytes(), 0);
        }
    }
}

#[test]
fn a_message_that_was_sent_again_and_then_rejected_is_not_sent_a_third_time() {
    let now = Instant::now();
    let mut core = connected("resend=9", now);
    publish_three(&mut core, now);
    drain(&mut core, now);
    core.disconnected(Reason::Closed);
    for (token, sent) in [(8, 3), (9, 2), (10, 1), (11, 0)] {
        core.connected_by_stomp(Token(token), AGREED, now);
        let (bodies, receipts) = server(&drain(&mut core, now));
        assert_eq!(bodies.len(), sent);
        core.received(first(&answers(receipts, &[0], true), 1), now).unwrap();
        core.disconnected(Reason::Closed);
        assert_eq!(doubts(&mut core), 0);
    }
    assert_eq!(core.buffered_bytes(), 0);
}

#[test]
fn a_message_that_is_rejected_while_it_is_written_is_not_begun_again() {
    let now = Instant::now();
    for url in ["resend=3", ""] {
        let mut core = connected(url, now);
        assert!(answer(&mut core.publish_with(b"/queue/a", &[], &[b'x'; 1000], || now)).unwrap().is_ok());
        assert!(answer(&mut core.publish_with(b"/queue/a", &[], b"next", || now)).unwrap().is_ok());
        let Step::Write(bytes, _) = core.step(now) else { panic!("nothing to write") };
        drop(bytes);
        core.written(100, now);
        core.received(b"ERROR\nreceipt-id:7-1-0\nmessage:too long\n\n\0", now).unwrap();
        core.disconnected(Reason::Closed);
        assert_eq!(doubts(&mut core), 0);
        core.connected_by_stomp(Token(8), AGREED, now);
        let mut flush = core.flush("flush", now);
        let (bodies, receipts) = server(&drain(&mut core, now));
        assert_eq!(bodies, [b"next".to_vec()]);
        core.received(&receipts, now).unwrap();
        fire(&mut core);
        assert!(matches!(answer(&mut flush), Some(Err(Error::Server { .. }))));
        assert_eq!(core.buffered_bytes(), 0);
    }
}

#[test]
fn behind_an_error_that_does_not_say_that_the_session_goes_on_nothing_is_published_until_that_is_certain() {
    let now = Instant::now();
    for (says_so, closes) in [(true, false), (false, false), (false, true)] {
        let mut core = connected("", now);
        publish_three(&mut core, now);
        let (_, receipts) = server(&drain(&mut core, now));
        core.received(&answers(receipts, &[1], says_so), now).unwrap();
        fire(&mut core);
        assert!(answer(&mut core.publish_with(b"/queue/a", &[], b"next", || now)).unwrap().is_ok());
        let mut flush = core.flush("flush", now);
        let (mut bodies, mut receipts) = server(&drain(&mut core, now));
        if !says_so {
            assert!(bodies.is_empty() && !receipts.is_empty(), "it asks, and publishes nothing");
            if closes {
                core.disconnected(Reason::Closed);
                assert_eq!(doubts(&mut core), 0, "nothing was published");
                core.connected_by_stomp(Token(8), AGREED, now);
            } else {
                core.received(&receipts, now).unwrap();
            }
            fire(&mut core);
            assert!(answer(&mut flush).is_none());
            (bodies, receipts) = server(&drain(&mut core, now));
        }
        assert_eq!(bodies, [b"next".to_vec()], "{says_so} {closes}");
        core.received(&receipts, now).unwrap();
        fire(&mut core);
        // The rejection was of a message before, and no flush had told it.
        assert!(matches!(answer(&mut flush), Some(Err(Error::Server { in_doubt, .. })) if in_doubt.messages == 1));
        assert_eq!(core.buffered_bytes(), 0);
    }
}

#[test]
fn a_server_that_rejects_more_than_was_sent_takes_no_memory() {
    let now = Instant::now();
    let mut core = connected("resend=3", now);
    publish_three(&mut core, now);
    drain(&mut core, now);
    for part in 0..100 {
        for token in ["7", "8"] {
            let error = format!("ERROR\nfatal:false\nreceipt-id:{token}-1-{part}\n\n\0");
            core.received(error.as_bytes(), now).unwrap();
        }
        assert!(core.rejected.len() <= 3);
    }
}
