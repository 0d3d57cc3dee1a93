use super::super::super::{Entry, Framing};
use super::super::Outbox;
use super::*;
use bytes::Bytes;
use switchboard_broker::{Packer, SubscriptionId};
use switchboard_wire::stomp::Version;

/// An outbox with many messages of 100 bytes, whose frames are made.
fn made(all: &Arc<AllAhead>) -> Outbox {
    let mut outbox = Outbox::new(9, Framing::Plain, all.clone());
    outbox.push(Entry::Connected(Version::V1_2, Vec::new()));
    make(&mut outbox, 500);
    outbox
}

/// It gets so many messages, and makes frames of what waits.
fn make(outbox: &mut Outbox, messages: usize) {
    let mut packer = Packer::default();
    (0..messages).for_each(|_| packer.push(&[b'x'; 100]));
    outbox.push(Entry::Messages {
        subscription: (SubscriptionId(3), b"subscription:s\n".as_slice().into()),
        channel: "/queue/a".into(),
        batch: packer.finish().expect("messages"),
        headers: None,
        tag: None,
        redelivered: false,
    });
    outbox.prepare();
}

fn size(outbox: &Outbox) -> usize {
    outbox.pieces.iter().map(Bytes::len).sum()
}

fn bytes(all: &AllAhead) -> usize {
    all.bytes.load(Ordering::Relaxed)
}

#[test]
fn what_stalled_connections_have_made_is_bounded_and_then_others_make_a_few_frames() {
    for (most, is_over) in [(AHEAD - 1, true), (AHEAD, true), (AHEAD + 1, false)] {
        let all = Arc::new(AllAhead::new(16 * most));
        let mut first = made(&all);
        assert!(size(&first) >= AHEAD);
        assert_eq!(bytes(&all), 0, "it may be written at once");
        first.stall();
        assert_eq!(bytes(&all), AHEAD);
        let mut second = made(&all);
        assert_eq!(size(&second) < FEW_AHEAD + 400, is_over, "{most}");
        assert!(size(&second) >= FEW_AHEAD, "not one frame a write");
        // It has no more room than its frames take, but for that of one more.
        if is_over {
            let piece = std::mem::take(&mut second.pieces[0]).try_into_mut().expect("it is its own");
            assert!(piece.capacity() < FEW_AHEAD + 500, "{}", piece.capacity());
        }
        first.advance(1);
        assert_eq!(bytes(&all), 0);
        assert!(size(&made(&all)) >= AHEAD, "there is room again");
    }
}

#[test]
fn one_whose_last_write_found_no_room_makes_no_more_frames_while_many_have_stalled() {
    let all = Arc::new(AllAhead::new(16 * AHEAD));
    let mut outbox = Outbox::new(9, Framing::Plain, all.clone());
    outbox.push(Entry::Connected(Version::V1_2, Vec::new()));
    make(&mut outbox, 1);
    let one = size(&outbox);
    outbox.stall();
    let mut other = made(&all);
    other.stall();
    make(&mut outbox, 500);
    assert_eq!(size(&outbox), one);
    // A byte that is written says that its peer reads.
    outbox.advance(1);
    outbox.prepare();
    assert!((FEW_AHEAD..FEW_AHEAD + 400).contains(&size(&outbox)), "{}", size(&outbox));
    drop(other);
    outbox.prepare();
    assert!(size(&outbox) >= AHEAD);
}

#[test]
fn what_was_made_is_given_back_when_it_is_written_taken_back_or_dropped() {
    let all = Arc::new(AllAhead::new(1 << 30));
    let ends: [fn(Outbox); 3] =
        [|mut outbox| _ = outbox.advance(1), |mut outbox| _ = outbox.recall(), |outbox| drop(outbox)];
    for end in ends {
        let mut outbox = made(&all);
        outbox.stall();
        outbox.stall();
        assert_eq!(bytes(&all), AHEAD);
        end(outbox);
        assert_eq!(bytes(&all), 0);
    }
}
