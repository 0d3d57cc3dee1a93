//! The ways past the decoder: an ACK at a look, and a head that comes again.

use super::{LIMITS, decode, one};
use crate::stomp::{DecodeError, Decoder, Found, Limits, Version};
use Version::{V1_0, V1_2};

#[test]
fn a_bare_ack_is_what_would_be_decoded_there() {
    for version in Version::ALL {
        let mut decoder = Decoder::new(LIMITS);
        decoder.set_version(version);
        let longest = "x".repeat(LIMITS.line - 3);
        for (bytes, expected) in [
            ("ACK\nid:5-0-1\n\n\0", Some("5-0-1")),
            ("ACK\nid:5-0-t1\n\n\0ACK\nid:5-0-2\n\n\0", Some("5-0-t1")),
            ("ACK\nid:\n\n\0", Some("")),
            (&*format!("ACK\nid:{longest}\n\n\0"), Some(&*longest)),
            (&*format!("ACK\nid:{longest}x\n\n\0"), None),
            ("ACK\nid:5\n\nbody\0", None),
            ("ACK\nid:5\nreceipt:1\n\n\0", None),
            ("ACK\nid:5\\c1\n\n\0", None),
            ("ACK\r\nid:5\r\n\r\n\0", None),
            ("\nACK\nid:5\n\n\0", None),
            ("NACK\nid:5\n\n\0", None),
            ("ACK\nid:5\n\n", None),
        ] {
            let found = decoder.bare_ack(bytes.as_bytes()).map(|(id, length)| (id.to_vec(), length));
            let expected = expected.filter(|_| version == V1_2).map(str::as_bytes);
            assert_eq!(found.as_ref().map(|(id, _)| &id[..]), expected, "{version}: {bytes:?}");
            let Some((id, bare_length)) = found else { continue };
            let Ok(Found::Frame { frame, length }) = decoder.next(bytes.as_bytes()) else { panic!("{bytes:?}") };
            assert_eq!(
                (frame.command, frame.header(b"id").as_deref(), length),
                (&b"ACK"[..], Some(&id[..]), bare_length)
            );
            assert_eq!((frame.headers().count(), frame.body.len()), (1, 0));
        }
    }
    // In the middle of a frame it is part of that.
    let mut decoder = Decoder::new(LIMITS);
    decoder.set_version(V1_2);
    let ack = b"ACK\nid:5\n\n\0";
    assert!(matches!(decoder.next(&ack[..6]), Ok(Found::Need { .. })));
    assert_eq!(decoder.bare_ack(ack), None);
    let mut without = Decoder::new(Limits { headers: 0, ..LIMITS });
    without.set_version(V1_2);
    assert_eq!(without.bare_ack(ack), None);
}

#[test]
fn a_head_that_comes_again_is_taken_as_the_first_one_was_however_it_is_cut() {
    let frames: [&[u8]; 8] = [
        b"SEND\nx:1\ncontent-length:2\n\na\0\0",
        b"\nSEND\nx:1\ncontent-length:2\n\n\n\n\0",
        b"SEND\nx:1\ncontent-length:3\n\nabc\0",
        b"SEND\nx:1\ncontent-length:3\n\n\nbc\0\r\n",
        b"SEND\nx:\\n\n\nab\0",
        b"SEND\nx:\\n\n\n\0",
        // It begins as the one before does.
        b"SEND\nx:\\n\ny:1\n\n\0",
        b"SEND\nx:\\n\n\nlonger\0",
    ];
    let alone: Vec<_> = frames.iter().flat_map(|frame| one(V1_2, frame).unwrap()).collect();
    let stream = frames.concat();
    for size in 1..=stream.len() {
        assert_eq!(decode(V1_2, LIMITS, stream.chunks(size)), (alone.clone(), None), "{size}");
    }
    // Limits hold for what comes again, too.
    let long = [b"SEND\nx:1\n\n\0".to_vec(), [&b"SEND\nx:1\n\n"[..], &[b'b'; 65], b"\0"].concat()].concat();
    let error = Some(DecodeError::BodyTooLong { length: 65, limit: 64 });
    assert_eq!(decode(V1_2, LIMITS, [&long[..]]).1, error);
    let wrong = b"SEND\ncontent-length:1\n\na\0SEND\ncontent-length:1\n\nab\0";
    assert_eq!(decode(V1_2, LIMITS, [&wrong[..]]).1, Some(DecodeError::NoNul { length: 1 }));
}

#[test]
fn a_head_from_before_the_version_was_agreed_on_is_not_remembered() {
    let mut decoder = Decoder::new(LIMITS);
    let bytes = b"SEND\nx: a\n\n\0";
    for (version, value) in [(V1_0, b"a".to_vec()), (V1_2, b" a".to_vec()), (V1_0, b"a".to_vec())] {
        decoder.set_version(version);
        for _ in 0..2 {
            let Ok(Found::Frame { frame, .. }) = decoder.next(bytes) else { panic!("a whole frame") };
            assert_eq!(frame.header(b"x").as_deref(), Some(&value[..]));
        }
    }
}
