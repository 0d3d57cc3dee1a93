//! Found by the simulator.

use super::*;

fn explicit(prefetch: u32) -> AckMode {
    AckMode::Explicit { prefetch }
}

#[test]
fn what_goes_back_keeps_its_place_though_what_was_behind_it_goes_back_later() {
    let mut bench = Bench::new(Limits { outbox: 20, window: 1000, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", explicit(9));
    bench.publish(3, "/queue/a", &["0", "longer than the outbox is", "2", "3", "4", "5"]);
    bench.credit(1, 5);
    bench.credit(1, 29);
    // The first to go back finds no room, and waits at the front of what was never dealt.
    bench.send(1, Command::Nack { tag: DeliveryTag(2) });
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
    check(&bench.send(1, Command::Ack { tag: DeliveryTag(1) }), &["1:b"]);
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
    assert_eq!(bench.broker.totals().memory, 0);
}

#[test]
fn a_size_that_waits_for_memory_is_replaced_by_the_next() {
    let mut bench = Bench::new(Limits { memory: 100, ..small() });
    bench.send(1, Command::Reserve { bytes: 60 });
    check(&bench.send(2, Command::Reserve { bytes: 60 }), &["hold 2"]);
    check(&bench.send(2, Command::Reserve { bytes: 0 }), &["release 2"]);
    bench.send(1, Command::Reserve { bytes: 0 });
    assert_eq!(bench.broker.totals().memory, 0);
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
    assert_eq!(bench.broker.status(bench.now, 9).connections[0].outbox, 0);
}
