use super::*;
use proptest::prelude::*;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = head(Opcode::Binary, payload.len() as u64).to_vec();
    bytes[0] = first;
    bytes[1] |= 0x80;
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn decode(input: &[u8]) -> (Vec<u8>, Decoded) {
    let mut input = input.to_vec();
    let decoded = Decoder::new().decode(&mut input);
    (input[..decoded.bytes].to_vec(), decoded)
}

#[test]
fn the_specification_s_examples_are_decoded() {
    let masked_hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let (bytes, decoded) = decode(&masked_hello);
    assert_eq!((&bytes[..], decoded.kind), (&b"Hello"[..], Some(Kind::Text)));
    let masked_ping = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(&masked_ping).1.ping.as_deref(), Some(&b"Hello"[..]));
    assert_eq!(&head(Opcode::Text, 5)[..], [0x81, 0x05]);
    assert_eq!(&head(Opcode::Pong, 5)[..], [0x8a, 0x05]);
    assert_eq!(&head(Opcode::Binary, 256)[..], [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(&head(Opcode::Binary, 65536)[..], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(
        (head(Opcode::Text, 125).len(), head(Opcode::Text, 126).len(), head(Opcode::Text, 65535).len()),
        (2, 4, 4)
    );
}

#[test]
fn a_message_in_parts_with_a_ping_between_them_is_one_stream() {
    let mask = [1, 2, 3, 4];
    let parts = [frame(0x01, b"Hel", mask), frame(0x89, b"", mask), frame(0x80, b"lo", mask)].concat();
    let (bytes, decoded) = decode(&parts);
    assert_eq!((&bytes[..], decoded.ping.as_deref(), decoded.end), (&b"Hello"[..], Some(&b""[..]), None));
}

#[test]
fn only_the_last_ping_is_named_and_pongs_are_not() {
    let mask = [9; 4];
    let all = [frame(0x89, b"1", mask), frame(0x8a, b"pong", mask), frame(0x89, b"2", mask)].concat();
    assert_eq!(decode(&all).1, Decoded { ping: Some(b"2".to_vec()), ..Decoded::default() });
}

#[test]
fn what_breaks_the_rules_ends_the_connection_and_what_came_before_it_counts() {
    let mask = [7; 4];
    let long = vec![b'x'; 126];
    for (wrong, error) in [
        (b"\x81\x02Hi".to_vec(), WebSocketError::Unmasked),
        (frame(0xc1, b"", mask), WebSocketError::Reserved),
        (frame(0x83, b"", mask), WebSocketError::UnknownOpcode { opcode: 3 }),
        (frame(0x8f, b"", mask), WebSocketError::UnknownOpcode { opcode: 15 }),
        (frame(0x89, &long, mask), WebSocketError::ControlTooLong { length: 126 }),
        (frame(0x09, b"", mask), WebSocketError::ControlTooLong { length: 0 }),
        (frame(0x80, b"", mask), WebSocketError::OutOfTurn),
        ([frame(0x01, b"", mask), frame(0x81, b"", mask)].concat(), WebSocketError::OutOfTurn),
        (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec(), WebSocketError::TooLong { length: 1 << 63 }),
        (frame(0x88, b"x", mask), WebSocketError::HalfStatus),
        (frame(0x88, b"\x03\xe8\xff", mask), WebSocketError::Reason),
        (frame(0x81, b"\xff", mask), WebSocketError::Text),
    ] {
        let (bytes, decoded) = decode(&[frame(0x82, b"before", mask), wrong, frame(0x82, b"behind", mask)].concat());
        assert_eq!((&bytes[..], decoded.end), (&b"before"[..], Some(End::Broken(error))), "{error}");
    }
    assert_eq!(decode(&frame(0x89, &long[..125], mask)).1.end, None);
}

#[test]
fn text_is_utf_8_across_its_parts_and_what_is_right_of_it_counts() {
    let mask = [5; 4];
    for (parts, bytes, is_right) in [
        (vec![(0x81, &b"h\xc3\xa4"[..])], &b"h\xc3\xa4"[..], true),
        (vec![(0x01, b"h\xc3"), (0x89, b"\xff"), (0x00, b""), (0x80, b"\xa4")], b"h\xc3\xa4", true),
        (vec![(0x01, b"h\xc3"), (0x80, b"x")], b"h\xc3", false),
        (vec![(0x01, b"h\xc3"), (0x80, b"")], b"h\xc3", false),
        (vec![(0x81, b"h\xe2\x82")], b"h\xe2\x82", false),
        (vec![(0x81, b"h\xe2\x82\xe2\x82")], b"h\xe2\x82", false),
        (vec![(0x81, b"whole\0wro\xffng\0")], b"whole\0wro", false),
        // A binary message may have any, also behind one of text.
        (vec![(0x81, b"a"), (0x02, b"\xff"), (0x80, b"\xc3"), (0x81, b"b")], b"a\xff\xc3b", true),
    ] {
        let wire: Vec<u8> = parts.iter().flat_map(|(first, part)| frame(*first, part, mask)).collect();
        for step in 1..=wire.len() {
            let (mut decoder, mut stream, mut end) = (Decoder::new(), Vec::new(), None);
            for piece in wire.chunks(step) {
                let mut piece = piece.to_vec();
                let decoded = decoder.decode(&mut piece);
                stream.extend_from_slice(&piece[..decoded.bytes]);
                end = end.or(decoded.end);
            }
            let expected = (!is_right).then_some(End::Broken(WebSocketError::Text));
            assert_eq!((&stream[..], end), (bytes, expected), "{parts:?} {step}");
        }
    }
    assert_eq!(
        [WebSocketError::Text, WebSocketError::Reason, WebSocketError::Unmasked].map(WebSocketError::status),
        [1007, 1007, 1002]
    );
}

#[test]
fn a_close_has_a_status_that_a_peer_may_send() {
    let ranges = [(1000, 1003), (1007, 1014), (3000, 4999)];
    for status in [0, 1, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 2999, 3000, 4999, 5000, u16::MAX] {
        let allowed = ranges.iter().any(|(first, last)| (*first..=*last).contains(&status));
        let (_, decoded) = decode(&frame(0x88, &status.to_be_bytes(), [3; 4]));
        let expected = if allowed { End::Closed(Some(status)) } else { End::Broken(WebSocketError::Status { status }) };
        assert_eq!(decoded.end, Some(expected));
    }
}

#[test]
fn a_close_is_the_end() {
    let mask = [3; 4];
    for (payload, status) in [(&b""[..], None), (b"\x03\xe8", Some(1000)), (b"\x03\xe9going away", Some(1001))] {
        let (bytes, decoded) = decode(&[frame(0x82, b"a", mask), frame(0x88, payload, mask), vec![0xff; 9]].concat());
        assert_eq!((&bytes[..], decoded.end), (&b"a"[..], Some(End::Closed(status))));
    }
    let mut decoder = Decoder::new();
    decoder.decode(&mut frame(0x88, b"", mask));
    assert_eq!(decoder.decode(&mut frame(0x82, b"behind", mask)), Decoded::default());
}

proptest! {
    #[test]
    fn messages_are_the_same_stream_wherever_the_bytes_are_cut(
        payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<[u8; 4]>(), 0..3u8), 1..20),
        huge in prop_oneof![4 => Just(0_usize), 1 => 65_530..65_545_usize],
        cuts in prop::collection::vec(1..400usize, 1..200),
    ) {
        let mut wire = Vec::new();
        let mut expected = vec![b'h'; huge];
        wire.extend(frame(0x82, &expected, [1, 2, 3, 4]));
        let mut pings = 0;
        for (payload, mask, kind) in &payloads {
            let is_ping = *kind == 2 && payload.len() <= 125;
            let is_text = std::str::from_utf8(payload).is_ok() && kind % 2 == 0;
            wire.extend(frame(if is_ping { 0x89 } else if is_text { 0x81 } else { 0x82 }, payload, *mask));
            if is_ping { pings += 1 } else { expected.extend_from_slice(payload) }
        }
        let (mut decoder, mut stream, mut rest) = (Decoder::new(), Vec::new(), &wire[..]);
        let mut pinged = 0;
        for cut in cuts.iter().cycle() {
            let (now, behind) = rest.split_at((*cut).min(rest.len()));
            let mut now = now.to_vec();
            let decoded = decoder.decode(&mut now);
            prop_assert_eq!(decoded.end, None);
            pinged += usize::from(decoded.ping.is_some());
            stream.extend_from_slice(&now[..decoded.bytes]);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(stream, expected);
        prop_assert!(pinged <= pings && (pings == 0) == (pinged == 0));
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..500), cut in 0..500usize) {
        let mut decoder = Decoder::new();
        let mut whole = bytes.clone();
        let one = Decoder::new().decode(&mut whole);
        let (mut first, mut second) = (bytes[..cut.min(bytes.len())].to_vec(), bytes[cut.min(bytes.len())..].to_vec());
        let (a, b) = (decoder.decode(&mut first), decoder.decode(&mut second));
        let two = [&first[..a.bytes], &second[..b.bytes]].concat();
        prop_assert_eq!(&whole[..one.bytes], two);
        prop_assert_eq!(one.end, a.end.or(b.end));
    }
}
