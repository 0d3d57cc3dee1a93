//! Full queues that drop their oldest, some of which wait for a time or a back-off.

use super::overflow::depth;
use super::*;
use crate::{Attributes, QueueOverflow};
use std::sync::Arc;

const HOUR: Duration = Duration::from_secs(3600);

fn bench(messages: usize) -> Bench {
    let delivery = Delivery { redelivery_backoff: HOUR, redelivery_backoff_max: HOUR, ..Delivery::default() };
    let overflow = QueueOverflow::DropOld;
    let limits = Limits { queue: 1 << 20, queue_messages: messages, outbox: 10_000, overflow, delivery, ..small() };
    Bench::with_rules(limits, Vec::new())
}

fn publish_with(bench: &mut Bench, channel: &'static str, bodies: &[&str], attributes: Attributes) -> Vec<Event> {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    let batch = packer.finish().unwrap().with_attributes(Arc::new(attributes));
    bench.send(3, Command::Publish { channel: channel.into(), batch })
}

/// One that is delayed by so many hours.
fn delay(bench: &mut Bench, body: &str, hours: u32) {
    let deliver_at = Some(bench.now + HOUR * hours);
    check(&publish_with(bench, "/queue/a", &[body], Attributes::default().with_deliver_at(deliver_at)), &[]);
}

/// Takes messages of a queue, which are in a back-off from now on.
fn nack_all(bench: &mut Bench, channel: &'static str, count: u64) {
    let messages = bench.subscribe_with(1, channel, manual(100));
    assert_eq!(brief(&messages).len() as u64, count);
    bench.credit(1, 1000);
    check(&bench.send(1, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(count), requeue: true }), &[]);
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
}

/// Bodies of the messages that are dead letters by now, and of those that wait.
fn bodies(bench: &mut Bench, channel: &'static str) -> [Vec<String>; 2] {
    let dead: &'static str = format!("/queue/dead{channel}").leak();
    bench.pass(100 * 3_600_000);
    let mut taken = |id, channel| {
        let lines = brief(&bench.subscribe(id, channel));
        lines.iter().map(|line| line[2..].to_owned()).collect::<Vec<_>>()
    };
    let lists = [taken(8, dead), taken(9, channel)];
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    lists
}

#[test]
fn a_full_queue_drops_its_oldest_whether_they_are_delayed_or_not_and_never_what_has_just_come() {
    for hours in [[1, 1, 1], [1, 2, 3], [3, 2, 1]] {
        let mut bench = bench(3);
        ["d0", "d1", "d2"].iter().zip(hours).for_each(|(body, hours)| delay(&mut bench, body, hours));
        bench.publish(3, "/queue/a", &["0", "1"]);
        assert_eq!(depth(&bench, "/queue/a"), 3);
        delay(&mut bench, "d3", 1);
        assert_eq!(bodies(&mut bench, "/queue/a"), [["d0", "d1", "d2"], ["0", "1", "d3"]], "{hours:?}");
    }
}

#[test]
fn a_consumer_with_room_for_what_comes_gets_it_though_all_that_waits_is_delayed() {
    let mut bench = bench(3);
    ["d0", "d1", "d2"].iter().for_each(|body| delay(&mut bench, body, 1));
    bench.subscribe_with(1, "/queue/a", manual(1));
    check(&bench.publish(3, "/queue/a", &["0"]), &["1:0"]);
    check(&bench.publish(3, "/queue/a", &["1"]), &[]);
    bench.credit(1, 5);
    check(&bench.send(1, Command::Ack { first: DeliveryTag(1), last: DeliveryTag(1) }), &["1:1"]);
}

#[test]
fn a_full_queue_drops_what_waits_for_a_back_off_before_what_came_later() {
    let mut bench = bench(3);
    bench.publish(3, "/queue/a", &["0", "1", "2"]);
    nack_all(&mut bench, "/queue/a", 3);
    bench.publish(3, "/queue/a", &["3", "4"]);
    assert_eq!(bodies(&mut bench, "/queue/a"), [vec!["0", "1"], vec!["2", "3", "4"]]);
}

#[test]
fn a_full_durable_subscription_misses_what_waits_for_a_back_off_before_what_came_later() {
    const QUEUE: &str = "/queue/subscription/me/a";
    let mut bench = bench(3);
    let subscription = SubscriptionId(5);
    let command = |ack| Command::SubscribeDurable { subscription, queue: QUEUE.into(), source: "/topic/a".into(), ack };
    bench.send(2, command(manual(100)));
    bench.publish(3, "/topic/a", &["0", "1", "2"]);
    bench.credit(2, 1000);
    bench.send(2, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(3), requeue: true });
    bench.send(2, Command::Disconnect);
    bench.publish(3, "/topic/a", &["3", "4"]);
    bench.pass(100 * 3_600_000);
    check(&bench.send(4, command(AckMode::Auto)), &["4:2", "4:3", "4:4"]);
    assert_eq!(bench.broker.totals().dropped_overflow, 2);
}

#[test]
fn full_dead_letters_drop_what_waits_for_a_back_off_before_what_came_later() {
    const DEAD: &str = "/queue/dead/queue/a";
    let mut bench = bench(3);
    let die = |bench: &mut Bench, bodies: &[&str], id: u64| {
        let count = bodies.len() as u64;
        bench.publish(3, "/queue/a", bodies);
        assert_eq!(bench.subscribe_with(id, "/queue/a", manual(100)).len() as u64, 1);
        bench.credit(id, 1000);
        bench.send(id, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(count), requeue: false });
        bench.send(id, Command::Disconnect);
    };
    die(&mut bench, &["0", "1", "2"], 4);
    nack_all(&mut bench, DEAD, 3);
    die(&mut bench, &["3", "4"], 5);
    bench.pass(100 * 3_600_000);
    check(&bench.subscribe(6, DEAD), &["6:2", "6:3", "6:4"]);
}

#[test]
fn of_what_came_back_together_no_more_goes_than_is_older_than_what_waits_for_a_back_off() {
    let mut bench = bench(4);
    bench.subscribe_with(1, "/queue/a", manual(100));
    bench.subscribe_with(2, "/queue/a", manual(100));
    bench.publish(3, "/queue/a", &["0", "1", "2", "3"]);
    bench.credit(1, 1000);
    bench.credit(2, 1000);
    // By turns: 1 has the second and the fourth one.
    bench.send(1, Command::Nack { first: DeliveryTag(1), last: DeliveryTag(2), requeue: true });
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    bench.send(2, Command::Disconnect);
    bench.publish(3, "/queue/a", &["4", "5"]);
    assert_eq!(bodies(&mut bench, "/queue/a"), [vec!["0", "1"], vec!["2", "3", "4", "5"]]);
}

#[test]
fn the_lowest_priority_is_dropped_first_postponed_or_not_and_also_if_it_has_just_come() {
    let mut bench = bench(3);
    let of = |priority| Attributes { priority, ..Attributes::default() };
    publish_with(&mut bench, "/queue/a", &["0", "1"], of(9));
    let deliver_at = Some(bench.now + HOUR);
    publish_with(&mut bench, "/queue/a", &["d"], of(1).with_deliver_at(deliver_at));
    publish_with(&mut bench, "/queue/a", &["2"], of(9));
    publish_with(&mut bench, "/queue/a", &["3"], of(1));
    assert_eq!(bodies(&mut bench, "/queue/a"), [["d", "3"].as_slice(), &["0", "1", "2"]]);
}
