use super::encode::LARGE;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::IoSlice;
use std::task::{Context, Waker};
use switchboard_wire::zmtp::{Decoder, Found, Limits};

fn outbox(messages: usize, bytes: usize) -> Outbox {
    Outbox::new(HighWaterMark::new(messages, bytes), false)
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
    let dispatched = (0..4).map(|_| by_messages.dispatch("x", &mut wakes)).collect::<Vec<_>>();
    assert_eq!(dispatched, [true, true, true, false]);
    // Each takes 102 bytes; an empty pipe takes any.
    for (limit, room) in [(1, 1), (102, 1), (103, 2), (204, 2), (205, 3)] {
        let mut by_bytes = outbox(0, limit);
        by_bytes.add_pipe(Arc::default());
        assert_eq!((0..9).filter(|_| by_bytes.dispatch(&vec![0; 100], &mut wakes)).count(), room, "{limit}");
    }
    assert!(!outbox(1, 0).dispatch("nobody", &mut wakes));
}

#[test]
fn a_publisher_drops_for_the_slow_peer_only_and_counts_it() {
    let mut outbox = outbox(2, 0);
    let (slow, good) = (outbox.add_pipe(Arc::default()), outbox.add_pipe(Arc::default()));
    for (pipe, subscribed) in [(slow, Subscribed::First), (good, Subscribed::Joined), (good, Subscribed::Repeated)] {
        assert_eq!(outbox.subscribe(pipe, b"", 1000).unwrap(), subscribed);
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
fn a_sender_without_a_limit_is_ahead_once_much_waits_even_for_the_quickest_of_its_peers() {
    let mut wakes = Wakes::default();
    let large = vec![b'x'; 64 << 10];
    for (limit, is_outrun) in [(0, true), (1000, false)] {
        let mut outbox = outbox(limit, 0);
        let (slow, quick) = (outbox.add_pipe(Arc::default()), outbox.add_pipe(Arc::default()));
        for id in [slow, quick] {
            outbox.subscribe(id, b"", 1000).unwrap();
        }
        assert!(!outbox.is_outrun());
        // Each has a header of nine bytes.
        (0..15).for_each(|_| outbox.publish(&large, &mut wakes));
        outbox.publish(&vec![b'x'; (64 << 10) - 16 * 9], &mut wakes);
        assert!(!outbox.is_outrun(), "exactly as much as may wait");
        outbox.publish("x", &mut wakes);
        assert_eq!(outbox.is_outrun(), is_outrun);
        outbox.take(quick, &mut InFlight::default());
        assert!(!outbox.is_outrun(), "the quickest one has taken something");
        // A message for the slow one alone.
        outbox.unsubscribe(quick, b"");
        outbox.publish("x", &mut wakes);
        assert_eq!(outbox.is_outrun(), is_outrun);
    }
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
        outbox.dispatch("x", &mut wakes);
        assert_eq!(wakes.0.len(), expected);
    }
    outbox.take(pipe, &mut flight);
    outbox.take(pipe, &mut flight);
    let mut wakes = Wakes::default();
    outbox.dispatch("x", &mut wakes);
    assert_eq!(wakes.0.len(), 1);
}

#[test]
fn a_flush_covers_what_was_accepted_before_it_and_ends_with_the_last_write() {
    let mut outbox = outbox(0, 0);
    let (one, two) = (outbox.add_pipe(Arc::default()), outbox.add_pipe(Arc::default()));
    assert!(outbox.is_flushed(&mut outbox.flush_target()), "there is nothing to flush");
    (0..4).for_each(|_| assert!(outbox.dispatch("before", &mut Wakes::default())));
    let mut target = outbox.flush_target();
    outbox.dispatch("after", &mut Wakes::default());
    let mut flight = InFlight::default();
    outbox.take(one, &mut flight);
    assert!(!outbox.is_flushed(&mut target), "nothing is written yet");
    write(&mut flight, &mut Wire::default(), usize::MAX);
    outbox.take(one, &mut flight);
    assert!(!outbox.is_flushed(&mut target), "the other peer has taken nothing");
    outbox.remove_pipe(two);
    assert!(outbox.is_flushed(&mut target), "the other peer will never take it");
    // Its number is used again by another peer.
    let again = outbox.add_pipe(Arc::default());
    assert_eq!(again, two);
    (0..2).for_each(|_| assert!(outbox.dispatch("new", &mut Wakes::default())));
    assert!(outbox.is_flushed(&mut target) && !outbox.is_flushed(&mut outbox.flush_target()));
}

#[test]
fn what_is_taken_is_not_flushed_before_it_is_written() {
    let mut outbox = outbox(0, 0);
    let pipe = outbox.add_pipe(Arc::default());
    outbox.dispatch("x", &mut Wakes::default());
    let (mut target, mut flight) = (outbox.flush_target(), InFlight::default());
    outbox.take(pipe, &mut flight);
    assert!(!outbox.is_flushed(&mut target) && !outbox.is_flushed(&mut outbox.flush_target()));
    write(&mut flight, &mut Wire::default(), usize::MAX);
    outbox.take(pipe, &mut flight);
    assert!(outbox.is_flushed(&mut target));
}

#[test]
fn one_that_waits_for_a_flush_is_woken_by_the_write() {
    let core = crate::core::Core::new(switchboard_wire::zmtp::SocketType::Push, crate::Options::default()).unwrap();
    let pipe = core.outbox().add_pipe(Arc::default());
    core.with_outbox(|outbox, wakes| outbox.dispatch("x", wakes));
    let mut flush = crate::flush::FlushState::new(&core);
    let context = Context::from_waker(Waker::noop());
    assert!(flush.poll(&core, &context).is_pending());
    assert_eq!(core.outbox().flushers_to_wake().len(), 1);
    let mut flight = InFlight::default();
    core.outbox().take(pipe, &mut flight);
    write(&mut flight, &mut Wire::default(), usize::MAX);
    core.outbox().take(pipe, &mut flight);
    assert!(flush.poll(&core, &context).is_ready());
    assert!(core.outbox().flushers_to_wake().is_empty());
}

#[test]
fn a_flush_that_waits_for_a_peer_is_woken_when_the_peer_is_gone_for_good() {
    let core = crate::core::Core::new(switchboard_wire::zmtp::SocketType::Push, crate::Options::default()).unwrap();
    let peer = crate::peer::Peer::new(&core);
    core.with_outbox(|outbox, wakes| outbox.dispatch("x", wakes));
    let flushing = crate::Flushing::new(&core);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| flushing.wait_timeout(std::time::Duration::from_secs(60)));
        while core.outbox().flushers_to_wake().is_empty() {
            std::thread::yield_now();
        }
        drop(peer);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(core.outbox().dropped(), 1);
}

#[test]
fn a_pipe_without_room_leaves_the_ring_and_returns_when_it_has_some() {
    let mut outbox = outbox(2, 0);
    let pipes: Vec<_> = (0..3).map(|_| outbox.add_pipe(Arc::default())).collect();
    let mut wakes = Wakes::default();
    assert_eq!((0..7).filter(|_| outbox.dispatch("x", &mut wakes)).count(), 6);
    assert!(outbox.ring.is_empty());
    let mut flight = InFlight::default();
    outbox.take(pipes[1], &mut flight);
    outbox.retire(pipes[2]);
    outbox.take(pipes[2], &mut InFlight::default());
    assert!(outbox.dispatch("x", &mut wakes) && outbox.dispatch("x", &mut wakes) && !outbox.dispatch("x", &mut wakes));
    assert_eq!(pipes.iter().map(|pipe| outbox.waiting(*pipe)).collect::<Vec<_>>(), [2, 2, 0]);
    // A number that is used again stands in the ring once.
    outbox.remove_pipe(pipes[0]);
    for _ in 0..3 {
        let again = outbox.add_pipe(Arc::default());
        assert_eq!(again, pipes[0]);
        outbox.remove_pipe(again);
    }
    assert!(outbox.ring.len() <= 1);
}

#[test]
fn whoever_unsubscribes_takes_nobody_else_with_it() {
    let mut outbox = outbox(0, 0);
    let pipes: Vec<_> = (0..4).map(|_| outbox.add_pipe(Arc::default())).collect();
    for pipe in &pipes {
        outbox.subscribe(*pipe, b"a", 1000).unwrap();
    }
    let mut expected = [0; 4];
    let mut left = vec![0, 1, 2, 3];
    for gone in [0, 3, 1, 2] {
        left.retain(|pipe| *pipe != gone);
        assert_eq!(outbox.unsubscribe(pipes[gone], b"a"), Some(left.is_empty()));
        outbox.publish("a", &mut Wakes::default());
        left.iter().for_each(|pipe| expected[*pipe] += 1);
        assert_eq!(pipes.iter().map(|pipe| outbox.waiting(*pipe)).collect::<Vec<_>>(), expected);
    }
}

/// The cost of an operation, in visited pipes, when all peers have subscribed to one prefix and a few to one of their own.
#[test]
fn nothing_costs_more_among_ten_thousand_peers_than_among_one() {
    let steps = |peers: usize| {
        let mut outbox = outbox(10, 0);
        let pipes: Vec<_> = (0..peers).map(|_| outbox.add_pipe(Arc::default())).collect();
        for pipe in &pipes {
            outbox.subscribe(*pipe, b"all", 10_000).unwrap();
        }
        let mut wakes = Wakes::default();
        outbox.subscribe(pipes[0], b"own", 10_000).unwrap();
        // A sender whose peers are all full, but one.
        while outbox.dispatch("x", &mut wakes) {}
        // Each of these messages costs this once.
        outbox.seal();
        outbox.steps = 0;
        let mut flight = InFlight::default();
        for _ in 0..100 {
            outbox.take(pipes[0], &mut flight);
            write(&mut flight, &mut Wire::default(), usize::MAX);
            outbox.dispatch("x", &mut wakes);
            outbox.publish("own", &mut wakes);
            outbox.publish(&payload(0, LARGE), &mut wakes);
            outbox.unsubscribe(pipes[0], b"all").unwrap();
            outbox.subscribe(pipes[0], b"all", 10_000).unwrap();
            let pipe = outbox.add_pipe(Arc::default());
            outbox.remove_pipe(pipe);
        }
        outbox.steps
    };
    let (one, many) = (steps(1), steps(10_000));
    assert!(many <= one + 10, "{one} steps with one peer, {many} with ten thousand");
}

#[derive(Clone, Debug)]
enum Step {
    /// Publishes a message of a topic, so long, in so many parts.
    Publish(u8, usize, usize),
    /// A peer's connection takes so many bytes.
    Write(usize, usize),
    /// A peer has something to say besides.
    Command(usize),
    /// A peer's connection is cut.
    Cut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![6 => 0usize..80, 1 => 5000usize..9000, 1 => LARGE - 1..LARGE + 2];
    prop_oneof![
        6 => (0u8..3, size, 1usize..4).prop_map(|(topic, size, parts)| Step::Publish(topic, size, parts)),
        4 => (0usize..3, prop_oneof![1usize..200, 1usize..40_000]).prop_map(|(peer, most)| Step::Write(peer, most)),
        1 => (0usize..3).prop_map(Step::Command),
        1 => (0usize..3).prop_map(Step::Cut),
    ]
}

proptest! {
    /// The first peer wants everything, the second most, the third little.
    #[test]
    fn over_all_cuts_each_peer_gets_its_messages_whole_once_and_in_order(steps in vec(step(), 1..150)) {
        let mut outbox = outbox(0, 0);
        let topics: [&[u8]; 3] = [&[0, 1, 2], &[1, 2], &[0]];
        let mut peers: Vec<_> = topics.iter().map(|topics| {
            let pipe = outbox.add_pipe(Arc::default());
            if topics.len() == 3 {
                outbox.subscribe(pipe, b"", 1000).unwrap();
            } else {
                topics.iter().for_each(|topic| { outbox.subscribe(pipe, &[*topic], 1000).unwrap(); });
            }
            (pipe, InFlight::default(), Wire::default(), Vec::new(), Vec::new())
        }).collect();
        let mut number = 0u32;
        for step in steps {
            match step {
                Step::Publish(topic, size, parts) => {
                    number += 1;
                    let first = (u32::from(topic) << 24 | number).to_be_bytes().to_vec();
                    let message: Vec<Vec<u8>> = std::iter::once(first).chain((1..parts).map(|_| vec![7; size])).collect();
                    let message = if parts == 1 { vec![payload(u32::from(topic) << 24 | number, size)] } else { message };
                    outbox.publish(&message, &mut Wakes::default());
                    for (peer, topics) in peers.iter_mut().zip(topics) {
                        if topics.contains(&topic) {
                            peer.3.push(u32::from(topic) << 24 | number);
                        }
                    }
                }
                Step::Write(peer, most) => {
                    let (pipe, flight, wire, ..) = &mut peers[peer];
                    if flight.is_empty() {
                        outbox.take(*pipe, flight);
                    }
                    write(flight, wire, most);
                }
                Step::Command(peer) => {
                    let mut bytes = Vec::new();
                    switchboard_wire::zmtp::Command::Pong(b"").encode(&mut bytes);
                    if peers[peer].1.is_empty() {
                        peers[peer].1.push(Segment::command(bytes));
                    }
                }
                Step::Cut(peer) => {
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
