//! Found by the simulator.

use super::*;

fn explicit(prefetch: u32) -> AckMode {
    AckMode::Manual { prefetch }
}

#[test]
fn what_goes_back_keeps_its_place_though_what_was_behind_it_goes_back_later() {
    let mut bench = Bench::new(Limits { outbox: 20, window: 1000, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", explicit(9));
    bench.publish(3, "/queue/a", &["0", "longer than the outbox is", "2", "3", "4", "5"]);
    bench.credit(1, 5);
    bench.credit(1, 29);
    // The first to go back finds no room, and waits at the front of what was never dealt.
    bench.send(1, Command::Nack { first: DeliveryTag(2), last: DeliveryTag(2), requeue: true });
    bench.send(1, Command::Disconnect);
    let events = bench.subscribe(2, "/queue/a");
    check(&events, &["2:0"]);
    check(&bench.credit(2, 5), &["2:longer than the outbox is"]);
}

#[test]
fn an_ack_lets_every_queue_of_its_subscription_go_on() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/*", explicit(1));
    check(&bench.publish(3, "/queue/a", &["a"]), &["1:a"]);
    check(&bench.publish(3, "/queue/b", &["b"]), &[]);
    bench.credit(1, 5);
    check(&bench.send(1, Command::Ack { first: DeliveryTag(1), last: DeliveryTag(1) }), &["1:b"]);
}

#[test]
fn a_recall_at_the_bound_of_a_message_leaves_nothing_that_is_written() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.credit(1, 5);
    bench.pass(10_000);
    bench.subscribe(2, "/queue/a");
    check(&bench.send(1, Command::Recalled { kept: 0 }), &["2:1"]);
    assert_eq!(bench.broker.totals().delivered, 1);
    bench.credit(2, 5);
    bench.is_at_rest();
}

#[test]
fn a_size_that_waits_for_memory_is_replaced_by_the_next() {
    let mut bench = Bench::new(with_memory(1000));
    bench.send(1, Command::Reserve { bytes: 600, whole: 600 });
    check(&bench.send(2, Command::Reserve { bytes: 600, whole: 600 }), &["pause 2"]);
    check(&bench.send(2, Command::Reserve { bytes: 0, whole: 0 }), &["resume 2"]);
    bench.send(1, Command::Reserve { bytes: 0, whole: 0 });
    bench.is_at_rest();
}

#[test]
fn a_message_that_was_begun_goes_back_when_its_socket_failed() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/queue/a");
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.credit(1, 3);
    bench.pass(10_000);
    bench.subscribe(2, "/queue/a");
    check(&bench.send(1, Command::Recalled { kept: 0 }), &["2:0", "2:1"]);
    assert_eq!(bench.broker.status(bench.now, &StatusQuery::top(9)).connections[0].outbox, 0);
}

#[test]
fn those_who_left_with_messages_that_wait_keep_nobody_out_and_are_bounded() {
    let mut bench = Bench::new(Limits { queue: 10, connections: 9, ..small() });
    for id in 10..30 {
        bench.send(9, Command::Disconnect);
        bench.send(id - 1, Command::Disconnect);
        check(&bench.send(id, Command::Connect { transport_acks: false }), &[]);
        bench.publish(id, "/queue/a", &["0", "1", "2"]);
    }
    let totals = bench.broker.totals();
    // Two of the first fit into the queue. Ten left while others waited, the last is there, and counts alone.
    assert_eq!((totals.connections, totals.paused, totals.dropped_publisher_gone), (9, 1, 30));
    assert_eq!(bench.broker.waiting() as u64, 20 * 3 - totals.dropped_publisher_gone);
}

#[test]
fn what_waits_for_room_is_dropped_when_its_sender_leaves_while_memory_is_used_up() {
    let mut bench = Bench::new(Limits { queue: 10, ..with_memory(2 * cost::CHANNEL + 1500) });
    bench.publish(1, "/queue/a", &["0", "1", "2", "3"]);
    bench.publish(2, "/queue/b", &["0", "1", "2"]);
    assert!(bench.broker.memory_pressed());
    bench.send(1, Command::Disconnect);
    assert_eq!((bench.broker.totals().dropped_publisher_gone, bench.broker.waiting()), (2, 5));
}
