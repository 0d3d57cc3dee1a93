//! Ends of programs in Python: the broker's end, with and without those that do not read,
//! and their own.

mod common;

use common::{Broker, Program, listening};

/// With so many bytes, some wait in the broker whatever the sockets take.
const SIZE: &str = "65536";
const COUNT: usize = 300;

/// A queue of 19 MiB, whose only worker reads nothing yet. No patience is to end while a test runs.
fn full_queue() -> (Broker, Program) {
    let broker = Broker::start(&["--drain", "1h", "--set", "write-timeout=1h"]);
    let worker = broker.listen_as(&["--listen", "/queue/foo", "--paused"]);
    broker.send_as(&["--channel", "/queue/foo", "--count", &COUNT.to_string(), "--size", SIZE]);
    (broker, worker)
}

fn interrupt(broker: &Broker) {
    broker.program.signal("-INT");
    broker.log.find(&["Stopping: connections have "]);
}

#[test]
fn an_interrupt_drains_what_waits_for_one_that_reads() {
    let (mut broker, mut worker) = full_queue();
    let status = broker.status();
    let queue = status["channels"].as_array().expect("a list").iter().find(|channel| channel["name"] == "/queue/foo");
    assert!(queue.is_some_and(|queue| queue["depth"].as_u64() > Some(0)), "{status}");
    interrupt(&broker);
    worker.resume();
    assert_eq!(worker.numbers_to_the_end(), (0..COUNT).collect::<Vec<_>>());
    assert_eq!(broker.program.end().code(), Some(0));
    broker.log.find(&["Stopped."]);
    assert!(!broker.log.all().iter().any(|line| line.contains("Messages left")));
}

#[test]
fn an_interrupt_drains_beside_one_that_does_not_read() {
    let (mut broker, mut worker) = full_queue();
    let stalled = broker.listen_as(&["--listen", "/queue/bar", "--paused"]);
    let mut idle = broker.listen("/topic/foo");
    broker.send_as(&["--channel", "/queue/bar", "--count", &COUNT.to_string(), "--size", SIZE]);
    interrupt(&broker);
    worker.resume();
    assert_eq!(worker.numbers_to_the_end(), (0..COUNT).collect::<Vec<_>>());
    assert_eq!(idle.numbers_to_the_end(), Vec::<usize>::new());
    // Nothing but this one keeps the broker waiting.
    assert!(broker.program.child.try_wait().expect("a process").is_none());
    drop(stalled);
    assert_eq!(broker.program.end().code(), Some(0));
    // Unsent messages went back, and no consumer is left to take them.
    broker.log.find(&["Messages left in queues, which are lost: "]);
    broker.log.find(&["Stopped."]);
}

#[test]
fn a_drain_ends_at_its_limit_and_says_who_is_cut() {
    let mut broker = Broker::start(&["--drain", "300ms", "--set", "write-timeout=1h"]);
    let stalled = broker.listen_as(&["--listen", "/queue/foo", "--paused"]);
    broker.send_as(&["--channel", "/queue/foo", "--count", &COUNT.to_string(), "--size", SIZE]);
    broker.program.signal("-INT");
    assert_eq!(broker.program.end().code(), Some(0));
    broker.log.find(&["Messages left in queues, which are lost: "]);
    broker.log.find(&["Connections that had not read or acked all their messages in time: 1."]);
    broker.log.find(&["Stopped."]);
    drop(stalled);
}

#[test]
fn what_a_killed_worker_had_not_been_sent_goes_to_the_others() {
    const ROUND: usize = 90;
    // The window would hold it back long before: it is to have more than the sockets take.
    let broker = Broker::start(&["--set", "write-timeout=1h", "--set", "window=64MiB", "--set", "first-window=64MiB"]);
    let workers = [broker.listen("/queue/foo"), broker.listen("/queue/foo")];
    // A pattern, so that the status tells it from the others. It is the newest: its turn is first.
    let killed = broker.listen_as(&["--listen", "/queue/*", "--paused"]);
    let mut sent = 0;
    let mut got: [Vec<usize>; 2] = Default::default();
    let mut waiting = 0;
    // Never more at once than the outbox of one that reads has room for: so nobody loses a turn.
    while waiting < 1 << 20 {
        assert!(sent < 20 * ROUND, "the sockets' buffers take more than any have");
        let (count, first) = (ROUND.to_string(), sent.to_string());
        broker.send_as(&["--channel", "/queue/foo", "--count", &count, "--first", &first, "--size", SIZE]);
        for (worker, got) in workers.iter().zip(&mut got) {
            got.extend(worker.numbers(ROUND / 3));
        }
        sent += ROUND;
        waiting = listening(&broker.status(), "/queue/*")["outbox"].as_u64().expect("a number");
    }
    let turns = |turn: usize| (turn..sent).step_by(3).collect::<Vec<_>>();
    assert_eq!(got, [turns(2), turns(1)]);

    killed.signal("-KILL");
    drop(killed);
    broker.settles_at(2);
    let status = broker.status();
    let written = sent / 3 - status["totals"]["requeued"].as_u64().expect("a number") as usize;
    let back = [0, 1].map(|worker| {
        let delivered = status["connections"][worker]["delivered"].as_u64().expect("a number") as usize;
        workers[worker].numbers(delivered - got[worker].len())
    });
    // The one that was begun comes back too, so there are some in any case.
    assert!(written < sent / 3);
    assert!(back.iter().all(|numbers| numbers.is_sorted()), "{back:?}");
    let mut all = back.concat();
    all.sort_unstable();
    assert_eq!(all, turns(0)[written..]);

    // The turns of those who are left go on.
    broker.send_as(&["--channel", "/queue/foo", "--count", "10", "--first", "1000000"]);
    let mut rest = [workers[0].numbers(5), workers[1].numbers(5)];
    rest.sort();
    assert_eq!(rest, [0, 1].map(|turn| (1_000_000 + turn..1_000_010).step_by(2).collect::<Vec<_>>()));
    broker.settles_at(2);
    broker.stop(workers.into());
}
