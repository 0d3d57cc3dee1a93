//! Messages that come in pieces while memory is short.

use super::*;
use std::collections::VecDeque;

const MESSAGE: usize = 1000;

/// Memory for two messages, and publishers 1 to 8 of as many.
fn limits() -> Limits {
    let memory = 10 * cost::CONNECTION + 4 * MESSAGE + 4096;
    Limits { connections: 10, message: MESSAGE, memory, write_timeout: Duration::from_secs(10), ..Limits::default() }
}

/// The commands of a publisher's frame that comes in parts.
fn frame(number: u64) -> VecDeque<Command> {
    let mut packer = Packer::default();
    packer.push(&[b'x'; MESSAGE - 4]);
    let channel = format!("/queue/{}", number % 2).into();
    let sizes = (1..=8).map(|part| Command::Reserve { bytes: MESSAGE * part / 8, whole: MESSAGE });
    let publish = Command::Publish { channel, batch: packer.finish().expect("a message") };
    sizes.chain([publish, Command::Reserve { bytes: 0, whole: 0 }]).collect()
}

#[test]
fn a_frame_reserves_its_length_and_waits_when_memory_is_short() {
    let mut bench = Bench::new(with_memory(1000));
    bench.send(1, Command::Reserve { bytes: 600, whole: 600 });
    check(&bench.send(2, Command::Reserve { bytes: 600, whole: 600 }), &["pause 2"]);
    let idle = 9 * cost::CONNECTION;
    assert_eq!(bench.broker.totals().memory, idle + 600 + cost::PENDING);
    check(&bench.send(1, Command::Reserve { bytes: 0, whole: 0 }), &["resume 2"]);
    assert_eq!(bench.broker.totals().memory, idle + 600);
    bench.send(2, Command::Disconnect);
    bench.is_at_rest();
}

#[test]
fn publishers_whose_unfinished_messages_hold_all_memory_finish_one_after_the_other() {
    for frames in [1, 5] {
        let mut bench = Bench::new(limits());
        bench.subscribe(9, "/queue/>");
        let mut streams: Vec<VecDeque<Command>> =
            (1..=8).map(|id| (0..frames).flat_map(|at| frame(id + at)).collect()).collect();
        let (mut paused, mut delivered) = ([false; 10], 0);
        loop {
            let mut moved = false;
            for id in 1..=8 {
                if paused[id] {
                    continue;
                }
                let Some(command) = streams[id - 1].pop_front() else { continue };
                moved = true;
                let mut events: VecDeque<Event> = bench.send(id as u64, command).into();
                while let Some(event) = events.pop_front() {
                    match event {
                        Event::Pause { connection, .. } => paused[connection.0 as usize] = true,
                        Event::Resume { connection } => paused[connection.0 as usize] = false,
                        Event::Deliver { connection, batch, .. } => {
                            delivered += batch.len() as u64;
                            events.extend(bench.credit(connection.0, batch.bytes()));
                        }
                        other => panic!("{other:?}"),
                    }
                }
                let used = bench.broker.totals().memory;
                assert_eq!(used, bench.broker.audit());
                assert!(used <= limits().memory + MESSAGE + 8 * cost::PENDING, "{used}");
            }
            if !moved {
                break;
            }
        }
        assert_eq!(delivered, 8 * frames, "{paused:?}");
        bench.is_at_rest();
    }
}

/// Publishers 1 to 8 have parts that use up all memory, and one of them goes on.
fn stuck(write_timeout: Duration) -> Bench {
    let consumer = |limits| {
        let mut bench = Bench::new(limits);
        bench.subscribe(9, "/queue/a");
        bench
    };
    let used = consumer(limits()).broker.budget.used();
    // A sixteenth of it is left for what is smaller.
    let memory = 10 * cost::CONNECTION + ((used + 8 * MESSAGE / 2) * 16).div_ceil(15);
    let mut bench = consumer(Limits { memory, write_timeout, ..limits() });
    for id in 1..=8 {
        check(&bench.send(id, Command::Reserve { bytes: MESSAGE / 2, whole: MESSAGE }), &[]);
    }
    let more = Command::Reserve { bytes: MESSAGE / 4 * 3, whole: MESSAGE };
    for id in 1..8 {
        check(&bench.send(id, more.clone()), &[&format!("pause {id}")]);
    }
    // Nobody is left who could finish: the one that has waited for longest goes on.
    check(&bench.send(8, more), &["pause 8", "resume 1"]);
    bench
}

#[test]
fn the_one_that_goes_on_does_so_until_its_message_is_there() {
    let mut bench = stuck(Duration::from_secs(10));
    check(&bench.send(1, Command::Reserve { bytes: MESSAGE, whole: MESSAGE }), &[]);
    let mut packer = Packer::default();
    packer.push(&[b'x'; MESSAGE - 4]);
    let publish = Command::Publish { channel: "/queue/a".into(), batch: packer.finish().expect("a message") };
    let events = brief(&bench.send(1, publish));
    assert!(events.iter().any(|line| line.starts_with("9:")) && events.contains(&"resume 2".to_owned()), "{events:?}");
}

#[test]
fn who_needs_least_goes_first_where_some_memory_is_freed() {
    let mut bench = stuck(Duration::from_secs(10));
    check(&bench.send(9, Command::Reserve { bytes: 50, whole: 50 }), &["pause 9"]);
    let events: Vec<Event> = (3..=6).flat_map(|id| bench.send(id, Command::Disconnect)).collect();
    let lines = brief(&events);
    let place = |line: &str| lines.iter().position(|other| other == line).unwrap_or_else(|| panic!("{lines:?}"));
    assert!(place("resume 9") < place("resume 2") && place("resume 2") < place("resume 7"), "{lines:?}");
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn one_that_has_waited_for_the_write_timeout_goes_on_though_others_come_and_go() {
    let mut bench = Bench::new(limits());
    let bytes = bench.broker.budget.free();
    bench.send(1, Command::Reserve { bytes, whole: bytes });
    check(&bench.send(2, Command::Reserve { bytes: MESSAGE / 2, whole: MESSAGE }), &["pause 2"]);
    bench.pass(9_999);
    check(&bench.send(1, Command::Reserve { bytes: bytes - 1, whole: bytes - 1 }), &[]);
    bench.pass(1);
    check(&bench.send(1, Command::Reserve { bytes: bytes - 2, whole: bytes - 2 }), &["resume 2"]);
}

#[test]
fn one_that_does_not_finish_is_closed_once_others_wait_for_as_long_as_the_write_timeout() {
    let mut bench = stuck(Duration::from_secs(10));
    check(&bench.pass(9_999), &[]);
    check(&bench.pass(2), &[&format!("close 1: {}", CloseReason::Unfinished)]);
    let events = bench.send(1, Command::Disconnect);
    assert!(brief(&events).contains(&"resume 2".to_owned()), "{events:?}");
}

#[test]
fn one_that_does_not_finish_stays_where_nobody_waits_or_without_a_write_timeout() {
    let mut bench = stuck(Duration::from_secs(10));
    (2..=8).for_each(|id| drop(bench.send(id, Command::Disconnect)));
    check(&bench.pass(60_000), &[]);
    let mut bench = stuck(Duration::ZERO);
    check(&bench.pass(3_600_000), &[]);
}

/// Large messages of which parts have come use up what they may, and nobody finishes them.
fn held(parts: u64) -> Bench {
    let memory = 2000 * cost::CONNECTION + (16 << 20);
    let mut bench = Bench::new(Limits { connections: 2000, message: 2 << 20, memory, ..Limits::default() });
    (10..2000).for_each(|id| drop(bench.send(id, Command::Connect { transport_acks: false })));
    bench.subscribe(1, "/queue/a");
    for step in 1..=64 {
        for id in 2..2 + parts {
            bench.send(id, Command::Reserve { bytes: step << 15, whole: 2 << 20 });
        }
    }
    bench
}

fn is_paused(bench: &Bench, id: u64) -> bool {
    let status = bench.broker.status(bench.now, &StatusQuery::top(usize::MAX));
    status.connections.iter().any(|connection| connection.id.0 == id && connection.paused.is_some())
}

#[test]
fn small_messages_go_on_beside_any_number_of_large_ones_that_nobody_finishes() {
    for parts in [7, 8, 100, 1000] {
        let mut bench = held(parts);
        assert_eq!((2..2 + parts).any(|id| is_paused(&bench, id)), parts > 7, "{parts} parts");
        for id in 1500..1600 {
            for bytes in [2000, 5000, 10_000, 0] {
                check(&bench.send(id, Command::Reserve { bytes, whole: bytes.max(10_000) }), &[]);
            }
            assert_eq!(bench.publish(id, "/queue/a", &["small"]).len(), 1);
            bench.credit(1, 9);
        }
        let used = bench.broker.totals().memory;
        assert!(used <= bench.broker.budget.limit() + (2 << 20), "{used} bytes");
        assert_eq!(used, bench.broker.audit());
    }
}

#[test]
fn smaller_parts_find_room_where_larger_ones_find_none() {
    let mut bench = held(100);
    let mut sizes: Vec<usize> = (8..=17).rev().map(|bits| 1 << bits).collect();
    let mut id = 1000;
    while let Some(&bytes) = sizes.first() {
        bench.send(id, Command::Reserve { bytes, whole: bytes });
        if !is_paused(&bench, id) {
            id += 1;
            continue;
        }
        bench.send(id, Command::Reserve { bytes: 0, whole: 0 });
        assert!(!is_paused(&bench, id));
        // No part of this size has room any more. Eight of the next one do.
        sizes.remove(0);
        for (&bytes, id) in sizes.first().into_iter().cycle().zip(id..id + 8) {
            check(&bench.send(id, Command::Reserve { bytes, whole: bytes }), &[]);
        }
        id += 9;
    }
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_lone_message_may_take_all_memory() {
    let mut bench = Bench::new(limits());
    let bytes = bench.broker.budget.free();
    check(&bench.send(1, Command::Reserve { bytes, whole: bytes }), &[]);
}

#[test]
fn what_one_has_beyond_the_budget_is_no_less_free_for_others_and_ends_with_its_message() {
    let mut bench = held(100);
    let free = bench.broker.budget.free();
    let finisher = (2..102).find(|&id| !is_paused(&bench, id)).expect("one goes on");
    assert!(bench.broker.budget.granted() > 0);
    bench.send(finisher, Command::Reserve { bytes: 2 << 20, whole: 2 << 20 });
    assert_eq!(bench.broker.budget.free(), free);
    let used = bench.broker.totals().memory;
    assert_eq!(used, bench.broker.audit());
    (2..102).for_each(|id| drop(bench.send(id, Command::Disconnect)));
    assert_eq!(bench.broker.budget.granted(), 0);
    bench.is_at_rest();
}
