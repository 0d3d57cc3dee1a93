//! Connections with acks whose messages wait for memory, which their own acks may free.

use super::knot::{MANUAL, depth, one};
use super::*;
use crate::AckMode;
use std::collections::VecDeque;

/// Connection that takes nothing.
const STALLED: u64 = 9;

/// Connections with acks that each send a result for what they get, and its ack behind it in the same stream.
struct Workers {
    bench: Bench,
    /// Commands that each has sent and nobody has read.
    streams: Vec<VecDeque<Command>>,
    paused: Vec<bool>,
    acked: usize,
}

impl Workers {
    /// They work for the queues of these names.
    fn new(limits: Limits, queues: &[&'static str]) -> Workers {
        let mut bench = Bench::new(limits);
        for (at, queue) in queues.iter().enumerate() {
            bench.subscribe_with(at as u64 + 1, queue, AckMode::Manual { prefetch: 4 });
        }
        let streams = queues.iter().map(|_| VecDeque::new()).collect();
        Workers { bench, streams, paused: vec![false; queues.len()], acked: 0 }
    }

    /// Somebody else fills a queue until he has to wait.
    fn fill(&mut self, id: u64, queue: &'static str, size: usize, answer: fn(usize) -> String) {
        let (body, paused) = ("x".repeat(size), format!("pause {id}"));
        loop {
            let events = self.bench.publish(id, queue, &[&body]);
            self.note(&events, size, answer);
            if brief(&events).contains(&paused) {
                return;
            }
        }
    }

    fn note(&mut self, events: &[Event], size: usize, answer: fn(usize) -> String) {
        let mut events: VecDeque<Event> = events.iter().cloned().collect();
        while let Some(event) = events.pop_front() {
            let at = |connection: &ConnectionId| (connection.0 as usize).checked_sub(1);
            match event {
                Event::Pause { connection, .. } | Event::Resume { connection } => {
                    let is_pause = matches!(event, Event::Pause { .. });
                    at(&connection).and_then(|at| self.paused.get_mut(at)).into_iter().for_each(|p| *p = is_pause);
                }
                Event::Deliver { connection, batch, tag, .. } => {
                    let bytes = batch.bytes();
                    if let Some(DeliveryTag(first)) = tag {
                        let stream = &mut self.streams[at(&connection).expect("a worker")];
                        for tag in first..first + batch.len() as u64 {
                            let mut packer = Packer::default();
                            packer.push(&vec![b'x'; size]);
                            let channel = answer(self.acked + stream.len()).into();
                            stream.push_back(Command::Publish { channel, batch: packer.finish().unwrap() });
                            stream.push_back(Command::Ack { first: DeliveryTag(tag), last: DeliveryTag(tag) });
                        }
                    }
                    if connection.0 != STALLED {
                        events.extend(self.bench.credit(connection.0, bytes));
                    }
                }
                Event::Refused { refusal, .. } => panic!("{refusal}"),
                _ => {}
            }
        }
    }

    /// Reads those that are not paused by turns, for so many acks; false if all are paused before.
    fn work(&mut self, acks: usize, size: usize, answer: fn(usize) -> String) -> bool {
        let goal = self.acked + acks;
        while self.acked < goal {
            let mut moved = false;
            for at in 0..self.streams.len() {
                if self.paused[at] {
                    continue;
                }
                let Some(command) = self.streams[at].pop_front() else { continue };
                moved = true;
                self.acked += usize::from(matches!(command, Command::Ack { .. }));
                let events = self.bench.send(at as u64 + 1, command);
                self.note(&events, size, answer);
                let events = self.bench.pass(0);
                self.note(&events, size, answer);
            }
            if !moved {
                return false;
            }
        }
        true
    }

    fn used(&self) -> usize {
        assert_eq!(self.bench.broker.totals().memory, self.bench.broker.audit());
        self.bench.broker.totals().memory
    }
}

/// 1 MiB for messages, which queues do not bound.
fn short(read_ahead: usize) -> Limits {
    let memory = 10 * cost::CONNECTION + (1 << 20);
    Limits { read_ahead, connections: 10, memory, queue: 1 << 30, ..Limits::default() }
}

/// A sixteenth over the budget, and the buffer that small messages grow into.
fn most(bench: &Bench) -> usize {
    let limit = bench.broker.budget.limit();
    limit + limit / 16 + 2 * crate::backlog::OPEN
}

#[test]
fn consumers_whose_results_find_no_memory_go_on_when_their_own_acks_free_it() {
    const OWN: fn(usize) -> String = |_| "/queue/a".to_owned();
    const OTHER: fn(usize) -> String = |number| format!("/queue/{}", ["a", "b"][number / 2 % 2]);
    for read_ahead in [0, one(), 4 * one(), usize::MAX] {
        for (queues, answer) in [(&["/queue/a"][..], OWN), (&["/queue/a", "/queue/b"], OTHER)] {
            for size in [1, 100, 30_000] {
                let mut workers = Workers::new(short(read_ahead), queues);
                for (id, queue) in (5..).zip(queues) {
                    workers.fill(id, queue, size, answer);
                }
                let free = workers.bench.broker.budget.free();
                assert!(workers.work(500, size, answer), "{queues:?}, {size} B, {read_ahead}, {free} B free");
                assert!(workers.used() <= most(&workers.bench), "{} B", workers.used());
            }
        }
    }
}

#[test]
fn consumers_whose_results_go_to_a_topic_over_its_share_go_on_when_their_own_acks_free_memory() {
    const TOPIC: fn(usize) -> String = |_| "/topic/results".to_owned();
    for read_ahead in [0, one(), usize::MAX] {
        let mut workers = Workers::new(short(read_ahead), &["/queue/a"]);
        workers.bench.subscribe(STALLED, "/topic/results");
        workers.fill(5, "/queue/a", 1000, TOPIC);
        // With nobody to take it, this leaves the topic a share that half of the results fill.
        workers.fill(6, "/queue/b", 1000, TOPIC);
        let waiting = depth(&workers.bench, "/queue/a");
        assert!(workers.work(waiting, 1000, TOPIC), "{read_ahead}: {} of {waiting}", workers.acked);
        assert!(workers.used() <= most(&workers.bench), "{} B", workers.used());
    }
}

#[test]
fn a_consumer_whose_results_go_to_new_queues_goes_on_when_memory_is_short() {
    const NEW: fn(usize) -> String = |number| format!("/queue/result/{number}");
    for read_ahead in [0, one(), usize::MAX] {
        let mut workers = Workers::new(short(read_ahead), &["/queue/a"]);
        workers.bench.subscribe(3, "/queue/result/>");
        workers.fill(5, "/queue/a", 100, NEW);
        workers.bench.fill_memory(4);
        assert!(workers.work(200, 100, NEW), "{read_ahead}");
    }
}

#[test]
fn one_that_never_acks_is_paused_within_a_sixteenth_over_the_budget_and_goes_on_after_a_purge() {
    let mut bench = Bench::new(short(0));
    never_acks(&mut bench);
    let limit = bench.broker.budget.limit();
    let used = bench.broker.totals().memory;
    assert!((limit..most(&bench)).contains(&used), "{used} of {limit}");
    bench.broker.purge(bench.now, b"/queue/a");
    assert!(brief(&bench.pass(0)).contains(&"resume 1".to_owned()));
}

#[test]
fn a_queue_that_an_operator_has_paused_is_over_its_share_of_memory_only_for_acks_that_may_come() {
    for unacked in [0, 1] {
        let mut bench = Bench::new(short(0));
        bench.subscribe_with(1, "/queue/a", MANUAL);
        (0..unacked).for_each(|_| check(&bench.publish(3, "/queue/a", &["g"]), &["1:g"]));
        assert!(bench.broker.pause_queue(bench.now, b"/queue/a"));
        let body = "x".repeat(100);
        while !is_left_paused(&bench.publish(1, "/queue/a", &[&body]), 1) {}
        let (limit, used) = (bench.broker.budget.limit(), bench.broker.totals().memory);
        assert_eq!(used >= limit, unacked > 0, "{used} of {limit} with {unacked} unacked");
        assert!(used < most(&bench), "{used} of {limit}");
    }
}

/// Connection 1 consumes what it sends, acks nothing, and is paused at last.
fn never_acks(bench: &mut Bench) {
    bench.subscribe_with(1, "/queue/a", MANUAL);
    let body = "x".repeat(100);
    while !is_left_paused(&bench.publish(1, "/queue/a", &[&body]), 1) {}
}

fn is_left_paused(events: &[Event], id: u64) -> bool {
    let count = |what: &str| brief(events).iter().filter(|line| **line == format!("{what} {id}")).count();
    count("pause") > count("resume")
}

#[test]
fn one_that_no_memory_was_left_for_goes_on_as_soon_as_there_is_some_for_knots() {
    let mut bench = Bench::new(short(0));
    bench.send(4, Command::Reserve { bytes: 100 << 10, whole: 100 << 10 });
    never_acks(&mut bench);
    let events = bench.send(4, Command::Reserve { bytes: 0, whole: 0 });
    assert!(brief(&events).contains(&"resume 1".to_owned()), "{events:?}");
    assert!(bench.broker.budget.free() < 100 << 10, "its queue's share is less than it has");
}

#[test]
fn a_leaving_consumer_leaves_a_knot_behind_that_waits_for_memory() {
    let mut bench = Bench::new(short(0));
    bench.subscribe_with(1, "/queue/a", MANUAL);
    // Without acks, and taking nothing: it may yet take what waits.
    bench.subscribe(3, "/queue/a");
    let body = "x".repeat(100);
    while !is_left_paused(&bench.publish(1, "/queue/a", &[&body]), 1) {}
    // Now it is far over the queue's share.
    bench.send(4, Command::Reserve { bytes: 200 << 10, whole: 200 << 10 });
    let events = bench.send(3, Command::Disconnect);
    assert!(brief(&events).contains(&"resume 1".to_owned()), "{events:?}");
}

/// Messages without acks of connection 1 have more than the share of a queue, of which others have written theirs.
fn with_unread_acks(consumers: &[(u64, u32, AckMode)], prefetch: u32) -> Bench {
    let mut bench = Bench::new(Limits { window: 1, ..short(0) });
    bench.subscribe_with(1, "/queue/a", AckMode::Manual { prefetch });
    for &(id, subscription, ack) in consumers {
        let subscription = SubscriptionId(subscription);
        bench.send(id, Command::Subscribe { subscription, pattern: "/queue/a".into(), ack });
    }
    let body = "x".repeat(10_000);
    loop {
        let events = bench.publish(5, "/queue/a", &[&body]);
        for event in &events {
            if let Event::Deliver { connection, batch, tag, .. } = event {
                bench.credit(connection.0, batch.bytes());
                let done = tag.filter(|_| connection.0 != 1);
                done.into_iter().for_each(|tag| _ = bench.send(connection.0, Command::Ack { first: tag, last: tag }));
            }
        }
        if bench.broker.totals().paused > 0 {
            return bench;
        }
    }
}

#[test]
fn one_whose_own_unread_acks_have_a_queues_share_goes_on_whoever_else_consumes_the_queue() {
    let others: [&[(u64, u32, AckMode)]; 4] =
        [&[], &[(1, 1, AckMode::Auto)], &[(2, 0, AckMode::Auto)], &[(2, 0, AckMode::Manual { prefetch: 1 })]];
    for consumers in others {
        let mut bench = with_unread_acks(consumers, 1000);
        let events = bench.publish(1, "/queue/a", &["x"]);
        assert!(brief(&events).contains(&"pause 1".to_owned()), "its queue has more than its share: {events:?}");
        assert!(!is_left_paused(&events, 1), "{consumers:?}: {events:?}");
    }
}

#[test]
fn a_knot_of_memory_is_untied_that_is_tied_once_nothing_waits() {
    // As many as give the queue more than its share, and two more.
    let rows = with_unread_acks(&[], 1000).broker.status(Time::ZERO, &StatusQuery::top(9)).connections;
    let prefetch = rows.iter().map(|row| row.unacked).sum::<usize>() + 2;
    let mut bench = with_unread_acks(&[], prefetch as u32);
    let body = "x".repeat(10_000);
    for id in [6, 7] {
        check(&bench.publish(id, "/queue/a", &[&body]), &[&format!("1:{body}"), &format!("pause {id}")]);
        bench.credit(1, 10_004);
    }
    check(&bench.subscribe(3, "/queue/a"), &[]);
    // One takes what its window holds, and the next waits.
    check(&bench.publish(8, "/queue/a", &[&body]), &[&format!("3:{body}"), "pause 8"]);
    check(&bench.publish(9, "/queue/a", &[&body]), &["pause 9"]);
    assert!(is_left_paused(&bench.publish(1, "/queue/a", &["x"]), 1), "another one may yet take what waits");
    check(&bench.credit(3, 10_004), &[&format!("3:{body}")]);
    let events = brief(&bench.credit(3, 10_004));
    assert!(events.contains(&"3:x".to_owned()) && events.contains(&"resume 1".to_owned()), "{events:?}");
    assert!(bench.broker.budget.free() < prefetch * 10_000, "its queue still has more than its share");
}

#[test]
fn where_memory_is_full_one_with_acks_gets_a_buffer_and_its_own_full_queue_a_message() {
    let full = |id: u64| {
        let mut bench = Bench::new(Limits { queue: 10, ..short(0) });
        bench.subscribe_with(1, "/queue/a", MANUAL);
        bench.publish(1, "/queue/a", &["x", "x", "x"]);
        // It may yet finish, so that nobody else goes on in its place.
        bench.send(3, Command::Reserve { bytes: 1, whole: 1 });
        bench.fill_memory(4);
        (bench.send(id, Command::Reserve { bytes: 1000, whole: 1000 }), bench)
    };
    assert!(is_left_paused(&full(2).0, 2), "one without acks waits");
    let (events, mut bench) = full(1);
    assert!(!is_left_paused(&events, 1), "{events:?}");
    let before = depth(&bench, "/queue/a");
    let events = bench.publish(1, "/queue/a", &["x"]);
    assert!(!is_left_paused(&events, 1), "{events:?}");
    assert_eq!(depth(&bench, "/queue/a"), before + 1);
}
