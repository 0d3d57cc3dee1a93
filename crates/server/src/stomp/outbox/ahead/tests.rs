use super::super::super::{Entry, Framing};
use super::super::{AHEAD, Outbox};
use super::*;
use bytes::Bytes;
use switchboard_broker::{Packer, SubscriptionId};
use switchboard_wire::stomp::Version;

/// An outbox with many messages of 100 bytes, whose frames are made.
fn made(all: &Arc<AllAhead>) -> Outbox {
    let mut outbox = Outbox::new(9, Framing::Plain, all.clone());
    outbox.push(Entry::Connected(Version::V1_2, Vec::new()));
    let mut packer = Packer::default();
    (0..500).for_each(|_| packer.push(&[b'x'; 100]));
    outbox.push(Entry::Messages {
        subscription: (SubscriptionId(3), b"subscription:s\n".as_slice().into()),
        channel: "/queue/a".into(),
        batch: packer.finish().expect("messages"),
        headers: None,
        tag: None,
        redelivered: false,
    });
    outbox.prepare();
    outbox
}

fn size(outbox: &Outbox) -> usize {
    outbox.pieces.iter().map(Bytes::len).sum()
}

fn bytes(all: &AllAhead) -> usize {
    all.bytes.load(Ordering::Relaxed)
}

#[test]
fn what_stalled_connections_have_made_is_bounded_and_then_each_makes_its_next_frame_alone() {
    for (most, is_over) in [(AHEAD - 1, true), (AHEAD, true), (AHEAD + 1, false)] {
        let all = Arc::new(AllAhead::new(16 * most));
        let mut first = made(&all);
        assert!(size(&first) >= AHEAD);
        assert_eq!(bytes(&all), 0, "it may be written at once");
        first.stall();
        assert_eq!(bytes(&all), AHEAD);
        let mut second = made(&all);
        assert_eq!(size(&second) < 400, is_over, "{most}");
        // It has no more room than the frame takes, but for a few bytes.
        if is_over {
            let piece = std::mem::take(&mut second.pieces[0]).try_into_mut().expect("it is its own");
            assert!(piece.capacity() < 500, "{}", piece.capacity());
        }
        first.advance(1);
        assert_eq!(bytes(&all), 0);
        assert!(size(&made(&all)) >= AHEAD, "there is room again");
    }
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
