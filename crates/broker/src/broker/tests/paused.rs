//! Publishers that wait, as they are listed: those that are there, and the bound that they wait at.

use super::{Bench, small, with_memory};
use crate::{
    ChannelRule, CloseReason, Command, ConnectionId, DeliveryTag, Event, Limits, Pattern, PauseReason, Refusal,
    StatusQuery,
};

/// Publishers of a queue that wait, by its rows in both listings, and paused connections by the sums.
fn paused(bench: &Bench, queue: &str) -> (usize, usize, usize) {
    let row = bench.broker.queue(bench.now, queue.as_bytes()).expect("a queue");
    let status = bench.broker.status(bench.now, &StatusQuery::top(100));
    let channel = status.channels.iter().find(|channel| channel.name == queue).expect("a channel");
    (row.paused_publishers, channel.paused_publishers, status.totals.paused)
}

#[test]
fn publishers_that_are_gone_do_not_count_as_paused_though_their_messages_wait() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    bench.publish(2, "/queue/a", &["3", "4"]);
    assert_eq!(paused(&bench, "/queue/a"), (2, 2, 2));
    bench.send(1, Command::Disconnect);
    assert_eq!(paused(&bench, "/queue/a"), (1, 1, 1));
    // The figures are the living ones' while the messages of the one that is gone move on, too.
    bench.subscribe(3, "/queue/a");
    assert_eq!(paused(&bench, "/queue/a"), (0, 0, 0));
    bench.credit(3, 25);
    bench.send(3, Command::Disconnect);
    bench.publish(2, "/queue/a", &["5", "6", "7"]);
    bench.send(2, Command::Disconnect);
    assert_eq!(paused(&bench, "/queue/a"), (0, 0, 0));
    bench.subscribe(4, "/queue/a");
    bench.credit(4, 15);
    bench.is_at_rest();
}

#[test]
fn a_connection_that_is_gone_is_listed_with_what_is_left_of_it_until_there_is_room() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    bench.publish(2, "/queue/a", &["3", "4"]);
    bench.publish(2, "/queue/a", &["5"]);
    assert!(bench.broker.gone(bench.now, ConnectionId(2)).is_none(), "it is there");
    bench.send(2, Command::Disconnect);
    let totals = bench.broker.totals();
    assert_eq!((totals.connections, totals.paused, totals.gone), (8, 1, 1));
    let row = bench.broker.gone(bench.now, ConnectionId(2)).expect("it is listed");
    assert_eq!((row.gone, row.pending), (true, 3));
    assert_eq!(row.paused.unwrap().to_string(), "queue /queue/a is at its bound of 10 bytes (limit: queue)");
    for other in [1, 3] {
        assert!(bench.broker.gone(bench.now, ConnectionId(other)).is_none(), "{other} is there, or never was");
    }
    bench.subscribe(3, "/queue/a");
    bench.credit(3, 25);
    bench.credit(3, 5);
    assert_eq!(bench.broker.totals().gone, 0);
    assert!(bench.broker.gone(bench.now, ConnectionId(2)).is_none(), "all is delivered");
    bench.is_at_rest();
}

#[test]
fn a_publisher_that_goes_while_another_bound_stops_it_is_counted_nowhere() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    // Behind the messages of a full queue those of another one wait, which is full, too.
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    bench.publish(2, "/queue/b", &["0", "1"]);
    bench.publish(1, "/queue/b", &["3", "4"]);
    assert_eq!((paused(&bench, "/queue/a").0, paused(&bench, "/queue/b").0), (1, 0));
    bench.send(1, Command::Disconnect);
    bench.subscribe(3, "/queue/a");
    assert_eq!((paused(&bench, "/queue/a").0, paused(&bench, "/queue/b")), (0, (0, 0, 0)));
    bench.subscribe(4, "/queue/b");
    bench.credit(3, 15);
    bench.credit(4, 20);
    bench.is_at_rest();
}

#[test]
fn the_reason_of_a_pause_is_that_of_a_publisher_that_is_not_gone_if_there_is_one() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    bench.send(1, Command::Disconnect);
    let row = bench.broker.queue(bench.now, b"/queue/a").expect("a queue");
    let full = PauseReason::QueueFull { channel: "/queue/a".into(), bound: 10 };
    assert_eq!((row.paused_publishers, row.pause_reason), (0, Some(full)), "all are gone");
    // The rules have changed since: the one that is there waits for another bound.
    let rule = ChannelRule { queue_messages: Some(2), queue: Some(1000), ..ChannelRule::new(Pattern::new("/queue/a")) };
    bench.broker.set_rules(bench.now, vec![rule]);
    bench.rest();
    bench.publish(2, "/queue/a", &["3"]);
    // The first is tried anew, and its reason follows the rule, too: it is made to differ.
    let gone = bench.broker.channels[bench.broker.names[&b"/queue/a"[..]]].waiters.first.expect("a waiter");
    bench.broker.connections.edit(gone).reason = Some(PauseReason::Receipts { limit: 7 });
    let row = bench.broker.queue(bench.now, b"/queue/a").expect("a queue");
    let reason = PauseReason::QueueMessages { channel: "/queue/a".into(), bound: 2 };
    assert_eq!((row.paused_publishers, row.pause_reason), (1, Some(reason)));
}

#[test]
fn a_publisher_that_has_said_that_it_sends_nothing_more_counts_as_gone_while_it_waits_for_room() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    bench.send(1, Command::Finish);
    assert_eq!((paused(&bench, "/queue/a"), bench.broker.totals().gone), ((0, 0, 0), 1));
    let reason = |bench: &Bench| bench.broker.queue(bench.now, b"/queue/a").expect("a queue").pause_reason;
    let why = PauseReason::QueueFull { channel: "/queue/a".into(), bound: 10 };
    assert_eq!(reason(&bench), Some(why), "the queue is full, whoever has filled it");
    let status = bench.broker.status(bench.now, &StatusQuery::top(100));
    let mut rows = status.connections.iter();
    assert!(
        rows.any(|row| row.id.0 == 1 && row.gone && row.paused.is_some()),
        "its row says what its messages wait for"
    );
    bench.subscribe(3, "/queue/a");
    assert_eq!((paused(&bench, "/queue/a"), bench.broker.totals().gone), ((0, 0, 0), 0));
    assert_eq!(reason(&bench), None);
}

#[test]
fn a_queue_names_the_bound_at_which_its_publishers_wait() {
    let reason = |bench: &Bench, name: &str| {
        let row = bench.broker.queue(bench.now, name.as_bytes()).expect("a queue");
        row.pause_reason.map(|reason| reason.to_string())
    };
    let mut bench = Bench::new(Limits { queue: 10, queue_messages: 4, ..small() });
    bench.publish(1, "/queue/a", &["0"]);
    assert_eq!(reason(&bench, "/queue/a"), None);
    bench.publish(1, "/queue/a", &["1", "2"]);
    assert_eq!(reason(&bench, "/queue/a").unwrap(), "queue /queue/a is at its bound of 10 bytes (limit: queue)");
    let mut bench = Bench::new(Limits { queue_messages: 1, ..small() });
    bench.publish(1, "/queue/a", &["0", "1"]);
    let messages = "queue /queue/a is at its bound of 1 message (limit: queue-messages)";
    assert_eq!(reason(&bench, "/queue/a").unwrap(), messages);
}

#[test]
fn where_memory_is_short_the_reason_names_the_part_that_is_for_messages_and_what_raises_it() {
    let mut bench = Bench::new(Limits { queue: 1 << 20, message: 1 << 20, ..with_memory(100_000) });
    let limits = &bench.broker.limits;
    let (memory, set_aside) = (limits.memory, limits.connections * Limits::CONNECTION);
    assert_eq!((limits.memory_for_messages(), bench.broker.totals().memory_for_messages), (100_000, 100_000));
    assert_eq!((memory, bench.broker.totals().memory_budget), (set_aside + 100_000, memory));
    let body = "x".repeat(60_000);
    let events = bench.publish(1, "/queue/a", &[&body]);
    let [Event::Pause { reason, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*reason, PauseReason::Memory { budget: memory, messages: 100_000 });
    let says = format!(
        "memory is short: 100000 bytes of the budget of {memory} are for messages, half of them for a channel that is alone; \
         the rest is for connections (limits: memory, connections)"
    );
    assert_eq!(reason.to_string(), says);
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert_eq!(row.pause_reason.as_ref(), Some(reason));
}

#[test]
fn a_pause_names_its_reason() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    let events = bench.publish(1, "/queue/a", &["0", "1", "2"]);
    let [Event::Pause { reason, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*reason, PauseReason::QueueFull { channel: "/queue/a".into(), bound: 10 });
    assert_eq!(reason.to_string(), "queue /queue/a is at its bound of 10 bytes (limit: queue)");
    assert_eq!(CloseReason::Finished.to_string(), "finished");
    assert!(matches!(
        bench.send(1, Command::Ack { first: DeliveryTag(7), last: DeliveryTag(7) })[..],
        [Event::Refused { refusal: Refusal::UnknownTag { tag: DeliveryTag(7) }, .. }]
    ));
}
