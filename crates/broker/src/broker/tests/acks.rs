//! Acks of consumers, and what their machines acknowledged.

use super::{Bench, brief, check, manual, small};
use crate::{Command, Delivery, DeliveryTag, Event, Limits, StatusQuery, SubscriptionId};
use std::time::Duration;

fn ack(first: u64, last: u64) -> Command {
    Command::Ack { first: DeliveryTag(first), last: DeliveryTag(last) }
}

fn nack(first: u64, last: u64) -> Command {
    Command::Nack { first: DeliveryTag(first), last: DeliveryTag(last), requeue: true }
}

/// A consumer of connection 1 that has got so many messages and acked none.
fn unacked(messages: usize) -> Bench {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(1000));
    bench.publish(3, "/queue/a", &vec!["x"; messages]);
    bench.credit(1, 5 * messages);
    bench
}

#[test]
fn a_finish_with_unacked_messages_closes_after_the_last_ack() {
    let last: [(&[Command], &[&str]); 3] = [
        (&[ack(1, 1), ack(2, 2)], &["close 1: finished"]),
        (&[ack(1, 1), nack(2, 2)], &["close 1: finished"]),
        (&[nack(1, 2)], &["close 1: finished"]),
    ];
    for (commands, expected) in last {
        let mut bench = unacked(2);
        check(&bench.send(1, Command::Finish), &[]);
        let events: Vec<Event> = commands.iter().flat_map(|command| bench.send(1, command.clone())).collect();
        check(&events, expected);
    }
}

#[test]
fn a_range_with_unknown_tags_settles_the_known_ones_and_names_the_first_unknown_once() {
    for (first, last, unknown, left) in [
        (0, 3, Some(0), 7),
        (1, 10, None, 0),
        (1, 11, Some(11), 0),
        (4, 3, Some(4), 10),
        (11, u64::MAX, Some(11), 10),
        (0, u64::MAX, Some(0), 0),
    ] {
        let mut bench = unacked(10);
        let expected = unknown.map(|tag| format!("refused: no message waits for an ack under tag {tag}"));
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&bench.send(1, ack(first, last)), &expected);
        let status = bench.broker.status(bench.now, &StatusQuery::top(1));
        assert_eq!(status.connections[0].unacked, left, "{first}..={last}");
        assert_eq!(bench.broker.totals().delivered, 10 - left as u64);
    }
    let mut bench = unacked(10);
    bench.send(1, ack(5, 5));
    check(&bench.send(1, ack(1, 10)), &["refused: no message waits for an ack under tag 5"]);
    bench.is_at_rest();
}

#[test]
fn a_tag_is_unknown_until_its_message_is_handed_out() {
    let unknown = ["refused: no message waits for an ack under tag 2"];
    for settles in [ack, nack] {
        // A window of one message: the others wait in the outbox.
        let mut bench = Bench::new(Limits { window: 5, ..Limits::default() });
        bench.subscribe_with(1, "/queue/a", manual(10));
        for body in ["0", "1", "2"] {
            bench.publish(3, "/queue/a", &[body]);
        }
        check(&bench.send(1, settles(2, 2)), &unknown);
        check(&bench.send(1, settles(2, 3)), &unknown);
        // A message that was handed out may be acked before it is known to be written.
        let events = brief(&bench.send(1, ack(1, 3)));
        assert!(events.contains(&unknown[0].to_owned()), "{events:?}");
        assert_eq!((bench.broker.totals().delivered, bench.broker.totals().requeued), (1, 0));
        check(&bench.credit(1, 5), &["1:1"]);
        check(&bench.send(1, ack(2, 2)), &[]);
        assert_eq!(bench.broker.totals().delivered, 2);
    }
}

#[test]
fn a_tag_that_was_recalled_is_unknown_at_once() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(10));
    for body in ["0", "1", "2"] {
        bench.publish(3, "/queue/a", &[body]);
    }
    bench.credit(1, 5);
    check(&bench.pass(10_000), &["recall 1"]);
    bench.broker.set_steps_per_call(1);
    bench.send(1, Command::Recalled { kept: 0 });
    let mut events = brief(&bench.send(1, ack(1, 3)));
    bench.rest();
    events.extend(brief(&bench.events()));
    assert!(events.contains(&"refused: no message waits for an ack under tag 2".to_owned()), "{events:?}");
    assert_eq!((bench.broker.totals().delivered, bench.broker.totals().requeued), (1, 2));
}

#[test]
fn what_was_nacked_comes_again_in_its_place_and_is_not_counted_as_delivered() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(3));
    bench.publish(3, "/queue/a", &["0", "1", "2", "3"]);
    bench.credit(1, 15);
    check(&bench.send(1, nack(2, 2)), &["1:1"]);
    check(&bench.send(1, ack(1, 1)), &["1:3"]);
    assert_eq!(bench.broker.totals().delivered, 1);
    assert_eq!(bench.broker.totals().requeued, 1);
}

#[test]
fn leases_give_back_what_is_left_of_them_however_it_was_settled() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(2000));
    let numbers: Vec<String> = (0..700).map(|number: u32| number.to_string()).collect();
    bench.publish(3, "/queue/a", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    for tag in (1..=700).filter(|tag| tag % 3 != 0) {
        bench.send(1, ack(tag, tag));
    }
    bench.send(1, Command::Disconnect);
    let left: Vec<String> =
        (0..700).filter(|number| (number + 1) % 3 == 0).map(|number| format!("2:{number}")).collect();
    assert_eq!(brief(&bench.subscribe(2, "/queue/a")), left);
}

#[test]
fn what_went_back_at_its_ack_time_out_has_lapsed_as_far_as_it_was_handed_out() {
    let delivery = Delivery { ack_timeout: Duration::from_millis(50), ..Delivery::default() };
    let limits = Limits { delivery, window: 10, write_timeout: Duration::ZERO, ..Limits::default() };
    let mut bench = Bench::with_rules(limits, Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(10));
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.publish(3, "/queue/a", &["3"]);
    bench.send(1, ack(1, 1));
    let lapsed = |events: Vec<Event>| -> Vec<(u64, u32, u64, u64)> {
        let tags = |event| match event {
            Event::Lapsed { connection, subscription, first, last } => {
                Some((connection.0, subscription.0, first.0, last.0))
            }
            _ => None,
        };
        events.into_iter().filter_map(tags).collect()
    };
    assert_eq!(lapsed(bench.pass(49)), []);
    assert_eq!(lapsed(bench.pass(1)), [(1, 0, 2, 3)]);
    // Messages that are handed out only now have their own time.
    bench.credit(1, 15);
    assert_eq!(lapsed(bench.pass(49)), []);
    assert_eq!(lapsed(bench.pass(1)), [(1, 0, 4, 4)]);
}

#[test]
fn a_queues_message_is_done_when_the_peers_machine_acknowledged_it() {
    let mut bench = Bench::new(Limits::default());
    bench.send(10, Command::Connect { transport_acks: true });
    bench.subscribe(10, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1", "2", "3"]);
    bench.credit(10, 15);
    assert_eq!(bench.broker.totals().delivered, 0);
    bench.send(10, Command::TransportAck { bytes: 9 });
    bench.credit(10, 5);
    bench.send(10, Command::Disconnect);
    assert_eq!(bench.broker.totals().delivered, 1);
    check(&bench.subscribe(2, "/queue/a"), &["2:1", "2:2", "2:3"]);
    bench.credit(2, 15);
    assert_eq!(bench.broker.totals().delivered, 4);
    bench.is_at_rest();
}

#[test]
fn nothing_is_acknowledged_before_it_is_written_and_topics_are_done_when_written() {
    let mut bench = Bench::new(Limits::default());
    bench.send(10, Command::Connect { transport_acks: true });
    bench.subscribe(10, "/topic/a");
    bench.publish(3, "/topic/a", &["0"]);
    bench.send(10, Command::TransportAck { bytes: usize::MAX });
    assert_eq!(bench.broker.totals().delivered, 0);
    bench.credit(10, 5);
    assert_eq!(bench.broker.totals().delivered, 1);
    bench.is_at_rest();
}

#[test]
fn the_window_bounds_what_is_ahead_of_a_consumer_without_acks() {
    for (transport_acks, window, got) in [(true, 1, 1), (true, 9, 1), (true, 10, 2), (true, 14, 2), (false, 10, 2)] {
        let mut bench = Bench::new(Limits { window, ..small() });
        bench.send(10, Command::Connect { transport_acks });
        bench.subscribe(10, "/queue/a");
        let expected: Vec<String> = (0..got).map(|number| format!("10:{number}")).collect();
        assert_eq!(brief(&bench.publish(3, "/queue/a", &["0", "1", "2", "3"])), expected, "a window of {window}");
        let written = brief(&bench.credit(10, 5 * got));
        assert_eq!(written.is_empty(), transport_acks, "{written:?}");
        if transport_acks {
            let more = brief(&bench.send(10, Command::TransportAck { bytes: 5 * got }));
            assert_eq!(more.first(), Some(&format!("10:{got}")), "a window of {window}");
        }
    }
}

#[test]
fn a_window_grows_for_a_consumer_that_is_quick_and_shrinks_again_for_one_that_is_slow() {
    // The greatest power of two is not the end: it stays at `window`.
    let mut bench = Bench::new(Limits { window: 35, first_window: 10, queue: 10_000, ..small() });
    bench.send(10, Command::Connect { transport_acks: true });
    bench.subscribe(10, "/queue/a");
    let jobs: Vec<String> = (0..100).map(|number| format!("{number:04}")).collect();
    bench.publish(3, "/queue/a", &jobs.iter().map(String::as_str).collect::<Vec<_>>());
    let window = |bench: &Bench| bench.broker.window(crate::ConnectionId(10)).unwrap();
    let take = |bench: &mut Bench, after: u64, expected: usize| {
        // Messages of 8 bytes: one is ahead in a window of 10, and four are in one of 35.
        let ahead = window(bench) / 8 * 8;
        bench.pass(after);
        bench.send(10, Command::Credit { bytes: ahead });
        bench.send(10, Command::TransportAck { bytes: ahead });
        assert_eq!(window(bench), expected, "after {after} ms");
    };
    for (after, expected) in
        [(51, 10), (50, 20), (0, 35), (0, 35), (51, 35), (1000, 35), (1001, 17), (1001, 10), (5000, 10)]
    {
        take(&mut bench, after, expected);
    }
}

#[test]
fn what_was_recalled_is_not_counted_as_delivered() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    bench.credit(1, 5);
    bench.pass(10_000);
    bench.send(1, Command::Recalled { kept: 0 });
    let status = bench.broker.status(bench.now, &StatusQuery::top(9));
    assert_eq!((status.totals.delivered, status.totals.requeued), (1, 2));
    assert_eq!((status.channels[0].delivered, status.channels[0].depth), (1, 2));
    assert_eq!(status.connections[0].delivered, 1);
}

#[test]
fn a_paused_connections_acks_nacks_and_unsubscribes_take_effect_at_once() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.subscribe_with(1, "/queue/in", manual(3));
    bench.publish(3, "/queue/in", &["0", "1"]);
    // It is read on.
    check(&bench.publish(1, "/queue/out", &["0", "1", "2"]), &[]);
    bench.send(1, ack(1, 1));
    assert_eq!(bench.broker.totals().delivered, 1);
    check(&bench.send(1, nack(2, 2)), &["1:1"]);
    // Without acks to come, there is no reason to read it on.
    check(&bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) }), &["recall 1"]);
    check(&bench.send(1, Command::Recalled { kept: 0 }), &["pause 1"]);
    check(&bench.subscribe(4, "/queue/in"), &["4:1"]);
}

#[test]
fn acks_that_came_before_the_end_of_their_connection_count_though_no_call_has_carried_them_out_yet() {
    for end in [Command::Disconnect, Command::Finish] {
        for steps in [1, 10, 100] {
            let mut bench = Bench::new(Limits::default());
            bench.subscribe_with(1, "/queue/a", manual(100));
            // A lease for each.
            for _ in 0..40 {
                bench.publish(3, "/queue/a", &["x"]);
            }
            bench.credit(1, 40 * 5);
            bench.broker.set_steps_per_call(steps);
            bench.send(1, ack(1, 40));
            bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
            bench.send(1, end.clone());
            bench.rest();
            let totals = bench.broker.totals();
            assert_eq!((totals.delivered, totals.requeued), (40, 0), "{end:?} in steps of {steps}");
        }
    }
}
