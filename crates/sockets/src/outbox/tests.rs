use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::IoSlice;
use switchboard_wire::zmtp::{Decoder, Found, Limits};

fn outbox(messages: usize, bytes: usize) -> Outbox {
    Outbox::new(Bound::new(messages, bytes), false)
}

fn payload(number: u32, size: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(size.max(4), 0);
    bytes
}

/// One connection of a peer: what was written to it.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    /// The numbers of the messages that came whole.
    fn numbers(&self) -> Vec<u32> {
        let (mut decoder, mut at, mut numbers) = (Decoder::new(Limits::default()), 0, Vec::new());
        loop {
            match decoder.next(&self.0[at..]).expect("what was written is a stream of frames") {
                Found::Message { length, first, .. } => {
                    numbers.push(u32::from_be_bytes(self.0[at..][first][..4].try_into().unwrap()));
                    at += length;
                }
                Found::Command { length, .. } => at += length,
                Found::Need(_) => return numbers,
            }
        }
    }
}

/// Writes as much as the socket takes.
fn write(flight: &mut InFlight, wire: &mut Wire, most: usize) -> usize {
    let mut slices = [IoSlice::new(&[]); 4];
    let count = flight.slices(&mut slices);
    let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
    wire.0.extend_from_slice(&bytes);
    flight.advance(bytes.len());
    bytes.len()
}

#[test]
fn a_pipe_has_room_below_its_bound_in_messages_and_in_bytes() {
    let mut wakes = Wakes::default();
    let mut by_messages = outbox(3, 0);
    by_messages.add_pipe(Arc::default());
    let dealt = (0..4).map(|_| by_messages.deal("x", &mut wakes)).collect::<Vec<_>>();
    assert_eq!(dealt, [true, true, true, false]);
    // Each takes 102 bytes; an empty pipe takes any.
    for (limit, room) in [(1, 1), (102, 1), (103, 2), (204, 2), (205, 3)] {
        let mut by_bytes = outbox(0, limit);
        by_bytes.add_pipe(Arc::default());
        assert_eq!((0..9).filter(|_| by_bytes.deal(&vec![0; 100], &mut wakes)).count(), room, "{limit}");
    }
    assert!(!outbox(1, 0).deal("nobody", &mut wakes));
}

#[test]
fn a_publisher_drops_for_the_slow_peer_only_and_counts_it() {
    let mut outbox = outbox(2, 0);
    let (slow, good) = (outbox.add_pipe(Arc::default()), outbox.add_pipe(Arc::default()));
    for pipe in [slow, good] {
        assert_eq!(outbox.subscribe(pipe, b"", 1000).unwrap(), Some(pipe == slow));
    }
    let (mut flight, mut wire) = (InFlight::default(), Wire::default());
    for number in 0..10 {
        outbox.publish(&payload(number, 10), &mut Wakes::default());
        outbox.take(good, &mut flight);
        write(&mut flight, &mut wire, usize::MAX);
    }
    assert_eq!(wire.numbers(), (0..10).collect::<Vec<_>>());
    assert_eq!((outbox.dropped(), outbox.waiting(slow)), (8, 2));
    outbox.take(slow, &mut flight);
    let mut wire = Wire::default();
    while write(&mut flight, &mut wire, usize::MAX) > 0 {}
    assert_eq!(wire.numbers(), [0, 1]);
}

#[test]
fn a_message_comes_once_also_where_several_subscriptions_match() {
    let mut outbox = outbox(0, 0);
    let pipe = outbox.add_pipe(Arc::default());
    for prefix in [&b""[..], b"a", b"ab"] {
        outbox.subscribe(pipe, prefix, 1000).unwrap();
    }
    outbox.publish("abc", &mut Wakes::default());
    assert_eq!(outbox.waiting(pipe), 1);
    assert_eq!(outbox.unsubscribe(pipe, b""), Some(true));
    assert_eq!(outbox.unsubscribe(pipe, b""), None);
    outbox.publish("xbc", &mut Wakes::default());
    assert_eq!(outbox.waiting(pipe), 1);
    assert_eq!(outbox.unsubscribe_all(pipe).len(), 2);
    outbox.publish("abc", &mut Wakes::default());
    assert_eq!(outbox.remove_pipe(pipe), 1);
}

#[test]
fn only_a_task_that_sleeps_is_woken() {
    let mut outbox = outbox(0, 0);
    let pipe = outbox.add_pipe(Arc::default());
    let mut flight = InFlight::default();
    for expected in [1, 0, 0] {
        let mut wakes = Wakes::default();
        outbox.deal("x", &mut wakes);
        assert_eq!(wakes.0.len(), expected);
    }
    outbox.take(pipe, &mut flight);
    outbox.take(pipe, &mut flight);
    let mut wakes = Wakes::default();
    outbox.deal("x", &mut wakes);
    assert_eq!(wakes.0.len(), 1);
}

#[derive(Clone, Debug)]
enum Deed {
    /// Publishes a message of a topic, so long, in so many parts.
    Publish(u8, usize, usize),
    /// A peer's connection takes so many bytes.
    Write(usize, usize),
    /// A peer has something to say besides.
    Command(usize),
    /// A peer's connection is cut.
    Cut(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let size = prop_oneof![6 => 0usize..80, 1 => 5000usize..9000, 1 => LARGE - 1..LARGE + 2];
    prop_oneof![
        6 => (0u8..3, size, 1usize..4).prop_map(|(topic, size, parts)| Deed::Publish(topic, size, parts)),
        4 => (0usize..3, prop_oneof![1usize..200, 1usize..40_000]).prop_map(|(peer, most)| Deed::Write(peer, most)),
        1 => (0usize..3).prop_map(Deed::Command),
        1 => (0usize..3).prop_map(Deed::Cut),
    ]
}

proptest! {
    /// The first peer wants everything, the second most, the third little.
    #[test]
    fn over_all_cuts_each_peer_gets_its_messages_whole_once_and_in_order(deeds in vec(deed(), 1..150)) {
        let mut outbox = outbox(0, 0);
        let wants: [&[u8]; 3] = [&[0, 1, 2], &[1, 2], &[0]];
        let mut peers: Vec<_> = wants.iter().map(|topics| {
            let pipe = outbox.add_pipe(Arc::default());
            if topics.len() == 3 {
                outbox.subscribe(pipe, b"", 1000).unwrap();
            } else {
                topics.iter().for_each(|topic| { outbox.subscribe(pipe, &[*topic], 1000).unwrap(); });
            }
            (pipe, InFlight::default(), Wire::default(), Vec::new(), Vec::new())
        }).collect();
        let mut number = 0u32;
        for deed in deeds {
            match deed {
                Deed::Publish(topic, size, parts) => {
                    number += 1;
                    let first = (u32::from(topic) << 24 | number).to_be_bytes().to_vec();
                    let message: Vec<Vec<u8>> = std::iter::once(first).chain((1..parts).map(|_| vec![7; size])).collect();
                    let message = if parts == 1 { vec![payload(u32::from(topic) << 24 | number, size)] } else { message };
                    outbox.publish(&message, &mut Wakes::default());
                    for (peer, topics) in peers.iter_mut().zip(wants) {
                        if topics.contains(&topic) {
                            peer.3.push(u32::from(topic) << 24 | number);
                        }
                    }
                }
                Deed::Write(peer, most) => {
                    let (pipe, flight, wire, ..) = &mut peers[peer];
                    if flight.is_empty() {
                        outbox.take(*pipe, flight);
                    }
                    write(flight, wire, most);
                }
                Deed::Command(peer) => {
                    let mut bytes = Vec::new();
                    switchboard_wire::zmtp::Command::Pong(b"").encode(&mut bytes);
                    if peers[peer].1.is_empty() {
                        peers[peer].1.push(Segment::command(bytes));
                    }
                }
                Deed::Cut(peer) => {
                    let (_, flight, wire, _, got) = &mut peers[peer];
                    got.extend(std::mem::take(wire).numbers());
                    flight.rewind();
                }
            }
        }
        for (pipe, flight, wire, sent, got) in &mut peers {
            prop_assert_eq!(outbox.waiting(*pipe) + flight.messages() >= sent.len() - got.len() - wire.numbers().len(), true);
            loop {
                while write(flight, wire, usize::MAX) > 0 {}
                outbox.take(*pipe, flight);
                if flight.is_empty() {
                    break;
                }
            }
            got.extend(wire.numbers());
            prop_assert_eq!(&*got, &*sent);
            prop_assert_eq!((outbox.waiting(*pipe), flight.messages()), (0, 0));
        }
    }
}
