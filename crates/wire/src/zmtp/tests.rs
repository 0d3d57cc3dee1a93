use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::frame::{self, FrameError, Header, header};
use super::*;

const LIMITS: Limits = Limits { message: 600, parts: 4, command: 40 };

/// A message of these parts.
fn message(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        frame::encode(part, number + 1 < parts.len(), &mut bytes);
    }
    bytes
}

fn command(command: Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}

/// The decoded messages, as bytes, and the error at the end.
type Decoded = (Vec<(bool, Vec<u8>)>, Option<DecodeError>);

/// Reads as a connection does: bytes come in `pieces`, and wait until something whole is there.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = Decoder::new(LIMITS);
    let (mut waiting, mut all) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match decoder.next(&waiting) {
                Ok(Found::Message { length, first, parts }) => {
                    assert!(parts > 0 && first.end <= length);
                    all.push((false, waiting.drain(..length).collect()));
                }
                Ok(Found::Command { length, body }) => {
                    all.push((true, waiting[body].to_vec()));
                    waiting.drain(..length);
                }
                Ok(Found::Need(bytes)) => {
                    assert!(bytes > waiting.len(), "asked for what was there already");
                    break;
                }
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

/// Cuts `bytes` at the given points, in whatever order they come.
fn cut<'a>(bytes: &'a [u8], points: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = points.iter().map(|point| point.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
}

#[test]
fn a_frame_is_flags_a_length_and_its_bytes() {
    assert_eq!(message(&[b"hi".to_vec()]), b"\0\x02hi");
    assert_eq!(message(&[vec![], b"x".to_vec()]), b"\x01\0\0\x01x");
    let long = message(&[vec![b'x'; 256]]);
    assert_eq!(long[..9], [2, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(header(&long), Ok(Some(Header { length: 256, size: 9, more: false, command: false })));
    assert_eq!(message(&[vec![b'x'; 255]])[..2], [0, 255]);
    assert_eq!([0, 255, 256].map(frame::size), [2, 257, 265]);
    assert_eq!(command(Command::Pong(b"c")), b"\x04\x06\x04PONGc");
}

#[test]
fn flags_and_lengths_that_do_not_exist_are_refused_at_once() {
    for flags in [8, 0x80, 0xff, 5, 7, b'G'] {
        assert_eq!(header(&[flags]), Err(FrameError::Flags(flags)));
    }
    let mut longest = vec![2];
    longest.extend_from_slice(&[0xff; 8]);
    assert_eq!(header(&longest[..8]), Ok(None));
    assert_eq!(header(&longest), Err(FrameError::Length(u64::MAX)));
}

#[test]
fn a_message_below_or_at_the_limit_is_accepted_and_one_above_refused_with_its_header() {
    for length in [LIMITS.message - 1, LIMITS.message] {
        assert_eq!(decode([&message(&[vec![0; length - 10], vec![0; 10]])[..]]).1, None);
    }
    let error = DecodeError::MessageTooLong { length: 601, limit: 600 };
    let bytes = message(&[vec![0; 591], vec![0; 10]]);
    assert_eq!(decode([&bytes[..bytes.len() - 10]]).1, Some(error));
    assert_eq!(error.to_string(), "message of 601 bytes or more is over the limit of 600 bytes");
}

#[test]
fn parts_and_commands_below_or_at_their_limits_are_accepted() {
    for parts in [3, 4] {
        assert_eq!(decode([&message(&vec![vec![]; parts])[..]]).1, None);
    }
    assert_eq!(decode([&message(&vec![vec![]; 5])[..]]).1, Some(DecodeError::TooManyParts { limit: 4 }));
    for length in [39, 40] {
        assert_eq!(decode([&command(Command::Pong(&vec![0; length - 5]))[..]]).1, None);
    }
    let error = DecodeError::CommandTooLong { length: 41, limit: 40 };
    assert_eq!(decode([&command(Command::Pong(&[0; 36]))[..]]).1, Some(error));
}

#[test]
fn a_command_between_the_parts_of_a_message_is_found_and_counts_for_its_size() {
    let mut bytes = Vec::new();
    frame::encode(b"one", true, &mut bytes);
    bytes.extend(command(Command::Ping { ttl: 1, context: b"" }));
    frame::encode(b"two", false, &mut bytes);
    let expected = vec![(true, b"\x04PING\0\x01".to_vec()), (false, bytes.clone())];
    assert_eq!(decode([&bytes[..]]), (expected.clone(), None));
    assert_eq!(decode(bytes.chunks(1)), (expected, None));
    // Without end they would fill the memory.
    let mut endless = message(&[b"one".to_vec(), vec![]]);
    endless.truncate(5);
    (0..200).for_each(|_| endless.extend(command(Command::Pong(b""))));
    assert!(matches!(decode([&endless[..]]).1, Some(DecodeError::MessageTooLong { limit: 600, .. })));
}

#[test]
fn every_command_is_decoded_as_it_was_encoded() {
    for it in [
        Command::Ready(b"meta"),
        Command::Error(b"why"),
        Command::Hello { username: b"me", password: b"" },
        Command::Welcome,
        Command::Initiate(b""),
        Command::Subscribe(b"a"),
        Command::Cancel(b""),
        Command::Ping { ttl: 513, context: b"0123456789abcdef" },
        Command::Pong(b"x"),
    ] {
        assert_eq!(Command::decode(&command(it)[2..]), Ok(it));
    }
    assert_eq!(Command::decode(b"\x03NEWrest"), Ok(Command::Other(b"NEW")));
    for (body, error) in [
        (&b""[..], CommandError::NoName(0)),
        (b"\0", CommandError::NoName(1)),
        (b"\x05PING", CommandError::NoName(5)),
        (b"\x04PING\0", CommandError::Body("PING")),
        (b"\x04PING\0\x010123456789abcdefg", CommandError::Body("PING")),
        (b"\x05ERROR\x02x", CommandError::Body("ERROR")),
        (b"\x05HELLO\x01a\x02b", CommandError::Body("HELLO")),
        (b"\x05HELLO\x01a\x01bc", CommandError::Body("HELLO")),
    ] {
        assert_eq!(Command::decode(body), Err(error));
    }
}

fn local(socket_type: SocketType, security: Security) -> Local {
    Local { socket_type, identity: b"me".to_vec(), security }
}

/// Lets the two talk, in pieces of so many bytes, until both are done or one has failed.
fn shake(one: Local, other: Local, piece: usize) -> [Result<Option<Peer>, HandshakeError>; 2] {
    let mut sides = [one, other].map(|local| Handshake::new(local, Limits::default()));
    let mut inputs = [Vec::new(), Vec::new()];
    let mut results = [Ok(None), Ok(None)];
    for _ in 0..1000 {
        for side in 0..2 {
            let output = sides[side].take_output();
            inputs[1 - side].extend(output);
        }
        for side in 0..2 {
            let mut given = 0;
            while given < inputs[side].len() && matches!(results[side], Ok(None)) {
                given = inputs[side].len().min(given + piece);
                match sides[side].received(&inputs[side][..given]) {
                    Ok((done, peer)) => {
                        inputs[side].drain(..done);
                        given -= done;
                        results[side] = Ok(peer);
                    }
                    Err(error) => results[side] = Err(error),
                }
            }
        }
    }
    results
}

#[test]
fn two_that_fit_get_acquainted_however_their_bytes_are_cut() {
    use SocketType::{Pub, Pull, Push, Sub, XPub, XSub};
    for (one, other) in [(Pub, Sub), (Pub, XSub), (XPub, Sub), (XPub, XSub), (Push, Pull)] {
        for piece in [1, 7, usize::MAX >> 1] {
            let [first, second] = shake(local(one, Security::Null), local(other, Security::Null), piece);
            let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
            assert_eq!((first.socket_type, second.socket_type), (other, one));
            assert_eq!((first.minor, &first.identity[..]), (1, &b"me"[..]));
        }
    }
}

#[test]
fn no_debug_output_has_a_password() {
    let plain = || Security::plain("me", "s3cret");
    let mut handshake = Handshake::new(local(SocketType::Pull, plain()), LIMITS);
    let greeting = Greeting { minor: 1, mechanism: Mechanism::Plain, as_server: true };
    handshake.received(&greeting.encode()).unwrap();
    let output = handshake.take_output();
    assert!(output.windows(6).any(|window| window == b"s3cret"), "no HELLO yet");
    let again = {
        let mut handshake = Handshake::new(local(SocketType::Pull, plain()), LIMITS);
        handshake.received(&greeting.encode()).unwrap();
        format!("{handshake:?} {handshake:#?}")
    };
    let hello = Command::Hello { username: b"me", password: b"s3cret" };
    let server = Security::plain_server(|_, password| password == b"s3cret");
    let all = format!("{again} {:?} {hello:?} {:?} {server:?}", plain(), local(SocketType::Pull, plain()));
    let as_numbers = format!("{:?}", b"s3cret");
    for secret in ["s3cret", "115, 51", as_numbers.trim_matches(['[', ']'])] {
        assert!(!all.contains(secret), "{all}");
    }
    assert!(all.contains("me") && all.contains("HELLO"));
}

#[test]
fn plain_lets_in_who_has_the_password() {
    let server = || Security::plain_server(|name, password| (name, password) == (b"admin", b"secret"));
    for piece in [1, usize::MAX >> 1] {
        let good = Security::plain("admin", "secret");
        let [first, second] = shake(local(SocketType::Push, server()), local(SocketType::Pull, good), piece);
        assert_eq!(first.unwrap().unwrap().username, b"admin");
        assert_eq!(second.unwrap().unwrap().socket_type, SocketType::Push);
    }
    let bad = Security::plain("admin", "guess");
    let [first, second] = shake(local(SocketType::Push, server()), local(SocketType::Pull, bad), 64);
    assert_eq!(first, Err(HandshakeError::Password(b"admin".to_vec())));
    assert_eq!(second, Err(HandshakeError::Refused(b"wrong name or password".to_vec())));
}

#[test]
fn two_that_do_not_fit_are_told_why() {
    let null = |kind| local(kind, Security::Null);
    let [first, second] = shake(null(SocketType::Push), null(SocketType::Sub), 64);
    let error = first.unwrap_err().to_string();
    assert_eq!(error, "the peer is a SUB, which does not talk to a PUSH");
    assert!(second.is_err());

    let plain = || local(SocketType::Pull, Security::plain("a", "b"));
    let [first, _] = shake(null(SocketType::Push), plain(), 64);
    let error = first.unwrap_err().to_string();
    assert_eq!(error, "the peer demands the mechanism PLAIN, this side NULL; use the same on both");
    let push = local(SocketType::Push, Security::plain("a", "b"));
    let [first, second] = shake(push, plain(), 64);
    assert_eq!((first, second), (Err(HandshakeError::Roles(false)), Err(HandshakeError::Roles(false))));
}

#[test]
fn a_greeting_of_another_world_is_refused_as_soon_as_that_is_known() {
    let good = Greeting { minor: 1, mechanism: Mechanism::Null, as_server: false };
    let bytes = good.encode();
    for have in 0..Greeting::SIZE {
        assert_eq!(Greeting::decode(&bytes[..have]), Ok(None));
    }
    assert_eq!(Greeting::decode(&bytes), Ok(Some(good)));
    let error = |bytes: &[u8]| Greeting::decode(bytes).unwrap_err().to_string();
    for (first, protocol) in [
        (&b"GET / HTTP/1.1"[..], "HTTP"),
        (b"HTTP/1.1 400 Bad Request", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"CONNECT\naccept", "STOMP"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", "PostgreSQL"),
        (b"\0\0\0\x05/null", "Switchboard's native protocol"),
    ] {
        let shown = first[..first.len().min(10)].escape_ascii();
        assert_eq!(error(first), format!("the peer speaks {protocol}, not ZMTP: its first bytes are {shown}"));
    }
    assert!(error(b"hello").starts_with("the peer does not speak ZMTP: its first bytes are hello; is something else"));
    assert!(error(b"\xff\0\0\0\0\0\0\0\x01\x7e").contains("does not speak ZMTP"));
    let mut old = bytes;
    old[10] = 1;
    assert!(error(&old[..11]).starts_with("the peer speaks ZMTP 2, this side 3.0 and 3.1"));
    let mut curve = bytes;
    curve[12..17].copy_from_slice(b"CURVE");
    assert!(error(&curve).starts_with("the peer demands the mechanism CURVE, which is not known here"));
    for (major, minor, counts_as) in [(3, 0, 0), (3, 2, 1), (4, 0, 1)] {
        let mut other = bytes;
        (other[10], other[11]) = (major, minor);
        assert_eq!(Greeting::decode(&other).unwrap().unwrap().minor, counts_as);
    }
}

#[test]
fn what_is_not_due_in_a_handshake_is_named() {
    let after_greeting = |bytes: &[u8]| {
        let mut handshake = Handshake::new(local(SocketType::Pull, Security::Null), LIMITS);
        let mut input = Greeting { minor: 0, mechanism: Mechanism::Null, as_server: false }.encode().to_vec();
        input.extend_from_slice(bytes);
        handshake.received(&input).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(after_greeting(&command(Command::Welcome)), Err("the peer sends WELCOME where READY is due".into()));
    assert_eq!(after_greeting(b"\0\x01x"), Err("the peer sends a message where READY is due".into()));
    assert_eq!(after_greeting(&command(Command::Error(b"go"))), Err("the peer refuses: go".into()));
    assert_eq!(after_greeting(&command(Command::Ready(b""))), Err("the peer does not say its type of socket".into()));
    assert_eq!(after_greeting(&command(Command::Ready(b"\x01"))), Err("the metadata ends within a property".into()));
    let long = "command of 41 bytes is over the limit of 40 bytes";
    assert_eq!(after_greeting(&command(Command::Ready(&[0; 35]))), Err(long.into()));
}

fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 250..260)], 1..=2)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut(
        messages in vec(parts(), 0..12),
        points in vec(any::<Index>(), 0..24),
    ) {
        let encoded: Vec<Vec<u8>> = messages.iter().map(|parts| message(parts)).collect();
        let bytes = encoded.concat();
        let expected: Vec<_> = encoded.into_iter().map(|bytes| (false, bytes)).collect();
        prop_assert_eq!(decode([&bytes[..]]), (expected.clone(), None));
        prop_assert_eq!(decode(cut(&bytes, &points)), (expected, None));
    }

    // Small bytes mostly, or nearly all such input would be refused at once.
    #[test]
    fn arbitrary_bytes_decode_to_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![8 => 0..8u8, 2 => 0..80u8, 1 => any::<u8>()], 0..400),
        points in vec(any::<Index>(), 0..24),
    ) {
        prop_assert_eq!(decode(cut(&bytes, &points)), decode([&bytes[..]]));
    }
}
