use super::*;
use proptest::prelude::*;
use switchboard_broker::Packer;
use switchboard_wire::stomp::{Decoder, Found, Limits};

fn messages(bodies: &[Vec<u8>], tag: Option<u64>) -> Entry {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body));
    Entry::Messages {
        subscription: (SubscriptionId(3), b"subscription:s\n".as_slice().into()),
        channel: "/queue/a".into(),
        batch: packer.finish().unwrap(),
        tag,
        redelivered: false,
    }
}

fn outbox() -> Outbox {
    let mut outbox = Outbox::new(9);
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

#[test]
fn a_message_has_the_headers_of_its_version() {
    for (version, ack) in [(Version::V1_1, ""), (Version::V1_2, "ack:9-3-7\n")] {
        let mut outbox = Outbox::new(9);
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
                expected.push(("RECEIPT".to_owned(), Vec::new()));
                packed += PREFIX + 1;
                outbox.push(Entry::Skipped(11));
                packed += 11;
            }
        }
        let (bytes, credit) = write_all(&mut outbox, most);
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
