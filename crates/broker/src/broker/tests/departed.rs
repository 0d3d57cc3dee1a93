//! Publishers that have left, and wait for room for their last messages, when others come.

use super::*;

fn full() -> Limits {
    Limits { queue_messages: 1, connections: 9, ..small() }
}

fn come(bench: &mut Bench, id: u64) -> Vec<Event> {
    bench.send(id, Command::Connect { transport_acks: false })
}

const LET_GO: &str =
    "it had left, its last messages found no room, and a new connection needed its place (limit: connections)";

#[test]
fn at_the_limit_of_connections_the_publisher_that_left_first_lets_go() {
    let mut bench = Bench::new(full());
    bench.publish(1, "/queue/a", &["0"]);
    for (id, command) in [(1, Command::Depart), (2, Command::Finish), (3, Command::Depart)] {
        bench.publish(id, "/queue/a", &["1", "2"]);
        bench.pass(1);
        check(&bench.send(id, command), &[]);
    }
    for (id, left) in [(10, 1), (11, 2), (12, 3)] {
        check(&come(&mut bench, id), &[&format!("close {left}: {LET_GO}")]);
        bench.send(left, Command::Disconnect);
    }
    check(&come(&mut bench, 13), &["refused: there are 9 connections already (limit: connections)"]);
    let totals = bench.broker.totals();
    assert_eq!((totals.connections, totals.paused, totals.dropped_publisher_gone), (9, 0, 6));
    check(&bench.subscribe(12, "/queue/a"), &["12:0"]);
    bench.credit(12, 5);
    bench.is_at_rest();
}

#[test]
fn below_the_limit_nobody_lets_go_and_at_it_none_that_is_there_or_has_found_room() {
    let mut bench = Bench::new(Limits { connections: 10, ..full() });
    bench.publish(1, "/queue/a", &["0", "1"]);
    bench.send(1, Command::Depart);
    bench.publish(2, "/queue/a", &["2"]);
    check(&come(&mut bench, 10), &[]);
    check(&bench.subscribe(3, "/queue/a"), &["3:0", "3:1", "resume 1", "3:2", "resume 2"]);
    // One that left and waits for nothing ends by itself; one that waits is there.
    bench.publish(4, "/queue/b", &["0", "1"]);
    check(&come(&mut bench, 11), &["refused: there are 10 connections already (limit: connections)"]);
    assert_eq!(bench.broker.totals().dropped_publisher_gone, 0);
}

#[test]
fn what_the_driver_has_read_of_one_that_lets_go_is_dropped_and_counted_with_the_rest() {
    let mut bench = Bench::new(full());
    bench.publish(1, "/queue/a", &["0", "1"]);
    bench.send(1, Command::Depart);
    assert_eq!(come(&mut bench, 10).len(), 1);
    check(&bench.publish(1, "/queue/a", &["2", "3"]), &[]);
    bench.send(1, Command::Disconnect);
    assert_eq!(bench.broker.totals().dropped_publisher_gone, 3);
    check(&bench.subscribe(10, "/queue/a"), &["10:0"]);
    bench.credit(10, 5);
    bench.is_at_rest();
}

#[test]
fn one_that_has_left_and_waits_for_room_is_shown_as_gone() {
    let mut bench = Bench::new(full());
    bench.publish(1, "/queue/a", &["0", "1"]);
    let is_gone = |bench: &Bench| {
        let status = bench.broker.status(bench.now, &StatusQuery::top(99));
        status.connections.iter().find(|row| row.id == ConnectionId(1)).unwrap().gone
    };
    assert!(!is_gone(&bench));
    bench.send(1, Command::Depart);
    assert!(is_gone(&bench));
    bench.subscribe(2, "/queue/a");
    assert!(!is_gone(&bench), "what it sent has found room");
}
