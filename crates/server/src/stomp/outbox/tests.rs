use super::super::{SharedLines, Signal};
use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use switchboard_broker::{Attributes, Headers, Packer};
use switchboard_wire::stomp::{Decoder, Found, Limits};

fn messages(bodies: &[Vec<u8>], tag: Option<u64>) -> Entry {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body));
    Entry::Messages {
        subscription: (SubscriptionId(3), b"subscription:s\n".as_slice().into()),
        channel: "/queue/a".into(),
        batch: packer.finish().unwrap(),
        headers: None,
        tag,
        redelivered: false,
    }
}

fn all(memory: usize) -> Arc<AllAhead> {
    Arc::new(AllAhead::new(memory))
}

fn outbox() -> Outbox {
    let mut outbox = Outbox::new(9, Framing::Plain, all(1 << 30));
    outbox.push(Entry::Connected(Version::V1_2, b"CONNECTED\n\n\0".to_vec()));
    outbox
}

/// Writes at most so many bytes, and gives them with their credit.
fn write(outbox: &mut Outbox, most: usize) -> (Vec<u8>, usize) {
    let mut credit = outbox.prepare();
    if outbox.is_empty() {
        return (Vec::new(), credit);
    }
    let mut slices = [IoSlice::new(&[]); 4];
    let used = outbox.slices(&mut slices);
    let mut bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
    bytes.truncate(most);
    credit += outbox.advance(bytes.len());
    (bytes, credit)
}

fn write_all(outbox: &mut Outbox, most: usize) -> (Vec<u8>, usize) {
    let (mut all, mut total) = (Vec::new(), 0);
    loop {
        let (bytes, credit) = write(outbox, most);
        all.extend_from_slice(&bytes);
        total += credit;
        if outbox.is_empty() {
            return (all, total);
        }
    }
}

/// Commands and bodies of whole frames.
fn decode(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    let (mut rest, mut frames) = (bytes, Vec::new());
    loop {
        match decoder.next(rest).unwrap() {
            Found::Frame { frame, length } => {
                frames.push((String::from_utf8_lossy(frame.command).into_owned(), frame.body.to_vec()));
                rest = &rest[length..];
            }
            Found::Need { skip, .. } => {
                assert_eq!(skip, rest.len(), "a frame that is not whole");
                return frames;
            }
        }
    }
}

/// Whole frames, where the last one may have been begun only.
fn decode_begun(bytes: &[u8]) -> Vec<()> {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    let (mut rest, mut frames) = (bytes, Vec::new());
    while let Found::Frame { length, .. } = decoder.next(rest).unwrap() {
        rest = &rest[length..];
        frames.push(());
    }
    frames
}

/// First bytes and payloads of frames of WebSocket.
fn web_socket_frames(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let (mut rest, mut frames) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (head, length) = match rest[1] {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            127 => (10, u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize),
            short => (2, usize::from(short)),
        };
        frames.push((rest[0], &rest[head..head + length]));
        rest = &rest[head + length..];
    }
    frames
}

#[test]
fn a_message_has_the_headers_of_its_version() {
    for (version, ack) in [(Version::V1_1, ""), (Version::V1_2, "ack:9-3-7\n")] {
        let mut outbox = Outbox::new(9, Framing::Plain, all(1 << 30));
        outbox.push(Entry::Connected(version, Vec::new()));
        outbox.push(messages(&[b"hi".to_vec()], Some(7)));
        let text = String::from_utf8(write_all(&mut outbox, 1000).0).unwrap();
        let expected =
            format!("MESSAGE\nsubscription:s\ndestination:/queue/a\nmessage-id:9-3-7\n{ack}content-length:2\n\nhi\0");
        assert_eq!(text, expected);
    }
}

proptest! {
    #[test]
    fn every_frame_is_whole_and_every_packed_byte_is_credited_once_however_it_is_written(
        sizes in prop::collection::vec(prop::collection::vec(prop_oneof![8 => 0..200usize, 1 => 4090..4100usize, 1 => 9000..20_000usize], 1..6), 1..8),
        most in 1..9000usize,
        every in 1..4usize,
    ) {
        let mut outbox = outbox();
        let (mut expected, mut packed) = (vec![("CONNECTED".to_owned(), Vec::new())], 0);
        let mut tag = 1;
        for (index, sizes) in sizes.iter().enumerate() {
            let bodies: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
            packed += sizes.iter().map(|size| size + PREFIX).sum::<usize>();
            expected.extend(bodies.iter().map(|body| ("MESSAGE".to_owned(), body.clone())));
            outbox.push(messages(&bodies, (index % 2 == 0).then_some(tag)));
            tag += bodies.len() as u64;
            if index % every == 0 {
                outbox.push(Entry::Receipts(Batch::one(b"r")));
                expected.insert(1, ("RECEIPT".to_owned(), Vec::new()));
                outbox.push(Entry::Skipped(11));
                packed += 11;
            }
        }
        let receipts = expected.iter().filter(|(command, _)| command == "RECEIPT").count();
        let (bytes, credit) = write_all(&mut outbox, most);
        prop_assert_eq!(outbox.take_receipts(), (receipts, receipts * (PREFIX + 1)));
        prop_assert_eq!(decode(&bytes), expected);
        prop_assert_eq!(credit, packed);
        prop_assert!(outbox.is_empty());
    }

    #[test]
    fn a_recall_keeps_the_rest_of_the_frame_that_was_begun_and_names_the_first_tag_that_it_takes_back(
        sizes in prop::collection::vec(prop_oneof![4 => 0..300usize, 1 => 4090..9000usize], 1..40),
        written in 0..20_000usize,
    ) {
        let bodies: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
        let mut outbox = outbox();
        outbox.push(messages(&bodies, Some(1)));
        let (mut before, mut credit) = (Vec::new(), 0);
        while before.len() < written && !outbox.is_empty() {
            let (bytes, more) = write(&mut outbox, written - before.len());
            before.extend(bytes);
            credit += more;
        }
        let (kept, first) = outbox.recall();
        // A second one changes nothing.
        prop_assert_eq!(outbox.recall(), (kept, None));
        let (rest, more) = write_all(&mut outbox, 100);
        before.extend(rest);
        let whole = decode(&before).len().saturating_sub(1);
        prop_assert_eq!(more, kept);
        prop_assert_eq!(credit + kept, sizes[..whole].iter().map(|size| size + PREFIX).sum::<usize>());
        prop_assert_eq!(first, (whole < sizes.len()).then_some(whole as u64 + 1));
        // It goes on with what comes then.
        outbox.push(messages(&[b"new".to_vec()], Some(99)));
        before.extend(write_all(&mut outbox, 100).0);
        prop_assert_eq!(decode(&before).last().unwrap().1.clone(), b"new".to_vec());
    }

    #[test]
    fn a_receipt_goes_before_what_was_not_begun(written in 0..6000usize, sizes in prop::collection::vec(0..300usize, 1..20)) {
        let bodies: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
        let mut outbox = outbox();
        outbox.push(messages(&bodies, None));
        let mut bytes = Vec::new();
        while bytes.len() < written && !outbox.is_empty() {
            bytes.extend(write(&mut outbox, written - bytes.len()).0);
        }
        let begun = if outbox.begun > 0 || outbox.control_written > 0 { 1 } else { 0 };
        let whole = decode_begun(&bytes).len();
        outbox.push(Entry::Receipts(Batch::one(b"r")));
        // A recall takes back messages alone.
        if written % 2 == 0 {
            outbox.recall();
        }
        bytes.extend(write_all(&mut outbox, 50).0);
        let frames = decode(&bytes);
        let at = frames.iter().position(|(command, _)| command == "RECEIPT");
        // Behind CONNECTED, which is of the control lane as well.
        prop_assert_eq!(at, Some((whole + begun).max(1)));
    }

    #[test]
    fn messages_of_a_topic_whose_subscription_ends_are_not_written_unless_begun_and_count_as_written(
        written in 0..30_000usize,
        sizes in prop::collection::vec(prop_oneof![6 => 0..300usize, 1 => 4090..9000usize], 1..40),
        behind in any::<bool>(),
    ) {
        let mut outbox = outbox();
        let (mut packed, mut credit) = (0, 0);
        for (index, &size) in sizes.iter().enumerate() {
            let mut entry = messages(&[vec![b'x'; size]], None);
            if let Entry::Messages { subscription, channel, .. } = &mut entry {
                *channel = "/topic/a".into();
                subscription.0 = SubscriptionId((index % 2) as u32);
            }
            packed += size + PREFIX;
            outbox.push(entry);
        }
        // A queue's are never left out: whoever counts them as written loses them.
        let mut of_queue = messages(&[b"queue".to_vec()], None);
        if let Entry::Messages { subscription, .. } = &mut of_queue {
            subscription.0 = SubscriptionId(0);
        }
        outbox.push(of_queue);
        packed += 5 + PREFIX;
        let mut bytes = Vec::new();
        while bytes.len() < written && !outbox.is_empty() {
            let (more, due) = write(&mut outbox, written - bytes.len());
            bytes.extend(more);
            credit += due;
        }
        let before = bytes.len();
        outbox.push(Entry::Ended(SubscriptionId(0)));
        outbox.push(Entry::Receipts(Batch::one(b"r")));
        if behind {
            outbox.push(messages(&[b"new".to_vec()], None));
            packed += 3 + PREFIX;
        }
        let (rest, due) = write_all(&mut outbox, 100);
        bytes.extend(rest);
        prop_assert_eq!(credit + due, packed);
        let text = String::from_utf8_lossy(&bytes[before..]).into_owned();
        let receipt = text.find("RECEIPT").unwrap();
        prop_assert!(!text[receipt..].contains("message-id:9-0-t") || text[receipt..].matches("message-id:9-0-t").count() == 1);
        // The end may have come in the middle of it.
        prop_assert_eq!(bytes.windows(7).filter(|part| part == b"\n\nqueue").count(), 1);
        decode(&bytes);
    }

    #[test]
    fn over_web_socket_each_frame_is_a_message_and_a_close_is_the_last(
        sizes in prop::collection::vec(prop_oneof![8 => 0..200usize, 1 => 4090..4100usize, 1 => 65_000..66_000usize], 1..8),
        most in 1..9000usize,
        is_text in any::<bool>(),
        has_error in any::<bool>(),
        written in prop_oneof![Just(usize::MAX), 0..9000usize],
    ) {
        let mut outbox = Outbox::new(9, Framing::web_socket(), all(1 << 30));
        if is_text {
            outbox.push(Entry::WebSocket(Signal::Text));
        }
        outbox.push(Entry::Connected(Version::V1_2, b"CONNECTED\n\n\0".to_vec()));
        let bodies: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![if size % 3 == 0 { 0xff } else { b'x' }; size]).collect();
        outbox.push(messages(&bodies, None));
        outbox.push(Entry::Receipts(Batch::one(b"r")));
        for ping in 0..3 {
            outbox.push(Entry::WebSocket(Signal::Pong(vec![ping])));
        }
        let mut bytes = Vec::new();
        while !outbox.is_empty() && bytes.len() < written {
            bytes.extend(write(&mut outbox, most).0);
        }
        let is_waiting = !outbox.is_empty();
        if has_error {
            outbox.push(Entry::Error(StompError::new("wrong")));
        }
        outbox.push(Entry::WebSocket(Signal::Close(1000)));
        outbox.push(Entry::WebSocket(Signal::Close(1001)));
        bytes.extend(write_all(&mut outbox, most).0);
        outbox.push(messages(&bodies, None));
        outbox.push(Entry::Beat);
        prop_assert!(outbox.is_empty(), "nothing follows a close");
        let mut frames = web_socket_frames(&bytes);
        let status = if has_error { 1002_u16 } else { 1000 };
        prop_assert_eq!(frames.pop(), Some((0x88, &status.to_be_bytes()[..])));
        let pongs: Vec<_> = frames.extract_if(.., |(kind, _)| *kind == 0x8a).map(|(_, payload)| payload).collect();
        prop_assert_eq!(pongs, [[2]]);
        // Messages that wait give way to an error.
        if !has_error || !is_waiting {
            prop_assert_eq!(frames.len(), 2 + sizes.len() + usize::from(has_error));
        }
        for (kind, payload) in frames {
            prop_assert_eq!(decode(payload).len(), 1, "one frame each");
            let is_utf8 = std::str::from_utf8(payload).is_ok();
            prop_assert_eq!(kind, if is_text && is_utf8 { 0x81 } else { 0x82 });
        }
    }

    #[test]
    fn an_error_is_the_last_frame_behind_all_receipts(
        written in 0..3000usize,
        after in any::<bool>(),
    ) {
        let mut outbox = outbox();
        let bodies = vec![vec![b'x'; 200]; 20];
        outbox.push(Entry::Receipts(Batch::one(b"1")));
        outbox.push(messages(&bodies, Some(1)));
        outbox.push(Entry::Receipts(Batch::one(b"2")));
        let mut before = Vec::new();
        while before.len() < written && !outbox.is_empty() {
            before.extend(write(&mut outbox, written - before.len()).0);
        }
        outbox.push(Entry::Error(StompError::new("wrong")));
        if after {
            outbox.push(messages(&bodies, Some(50)));
            outbox.push(Entry::Beat);
            if written % 2 == 0 {
                outbox.recall();
            }
        }
        before.extend(write_all(&mut outbox, 77).0);
        let frames = decode(&before);
        prop_assert_eq!(frames.last().unwrap(), &("ERROR".to_owned(), b"wrong".to_vec()));
        prop_assert_eq!(frames.iter().filter(|(command, _)| command == "RECEIPT").count(), 2);
        prop_assert_eq!(frames.iter().filter(|(command, _)| command == "ERROR").count(), 1);
    }
}

#[test]
fn a_beat_is_written_only_where_nothing_else_is() {
    let mut outbox = outbox();
    outbox.push(Entry::Beat);
    assert_eq!(write_all(&mut outbox, 100).0, b"CONNECTED\n\n\0");
    outbox.push(Entry::Beat);
    outbox.push(Entry::Beat);
    assert_eq!(write_all(&mut outbox, 100).0, b"\n");
}

#[test]
fn an_idle_outbox_keeps_no_buffer() {
    let mut outbox = outbox();
    outbox.push(messages(&vec![vec![b'x'; 100]; 1000], Some(1)));
    write_all(&mut outbox, 100_000);
    assert_eq!((outbox.control.capacity(), outbox.lines.capacity()), (0, 0));
    assert_eq!((outbox.entries.capacity(), outbox.pieces.capacity(), outbox.marks.capacity()), (0, 0, 0));
}

#[test]
fn large_headers_stand_in_every_frame_and_are_made_once_for_all_subscribers() {
    let mut headers = Headers::builder();
    let value = vec![b'v'; 5000];
    headers.push(b"large", &value);
    headers.push(b"small", b"1:2");
    let mut attributes = Attributes::default();
    attributes.headers = headers.finish();
    let attributes = Arc::new(attributes);
    let lines = [b"\nlarge:", &value[..], b"\nsmall:1\\c2\ncontent-length:"].concat();
    let bodies = [0, 10, COPIED, COPIED + 1, 9000].map(|size| vec![b'x'; size]);
    let mut shared = SharedLines::default();
    // Another subscriber, which is written nothing meanwhile.
    let _stalled = shared.find(&Batch::one(b"x").with_attributes(attributes.clone()));
    for most in [1, 100, 5000, usize::MAX] {
        let mut made = Vec::new();
        for framing in [Framing::Plain, Framing::Plain, Framing::web_socket()] {
            let is_plain = matches!(framing, Framing::Plain);
            let mut outbox = Outbox::new(9, framing, all(1 << 30));
            outbox.push(Entry::Connected(Version::V1_2, Vec::new()));
            let mut entry = messages(&bodies, Some(1));
            if let Entry::Messages { batch, headers, .. } = &mut entry {
                *batch = batch.clone().with_attributes(attributes.clone());
                *headers = shared.find(batch);
            }
            outbox.push(entry);
            outbox.prepare();
            made.extend(outbox.pieces.iter().find(|piece| piece.starts_with(b"large")).cloned());
            let (bytes, credit) = write_all(&mut outbox, most);
            assert_eq!(credit, bodies.iter().map(|body| body.len() + PREFIX).sum::<usize>());
            assert_eq!(bytes.windows(lines.len()).filter(|part| *part == lines).count(), bodies.len());
            let frames = if is_plain {
                decode(&bytes)
            } else {
                web_socket_frames(&bytes).into_iter().flat_map(|(_, frame)| decode(frame)).collect()
            };
            assert!(frames.iter().map(|(_, body)| body).eq(&bodies), "{most} bytes at a time");
        }
        let [one, other, third] = &made[..] else { panic!("{} pieces", made.len()) };
        assert_eq!([one.as_ptr(), one.as_ptr()], [other.as_ptr(), third.as_ptr()]);
    }
}
