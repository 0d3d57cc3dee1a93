//! Members on their way out of their channels, beside many others.

use super::{Bench, brief, check, manual, small};
use crate::slots::looks;
use crate::{AckMode, Batch, Command, Limits, SubscriptionId};
use bytes::Bytes;

const MANY: u32 = 2_000;

fn subscribe(bench: &mut Bench, id: u64, number: u32, pattern: impl Into<Bytes>) {
    let (subscription, pattern) = (SubscriptionId(number), pattern.into());
    check(&bench.send(id, Command::Subscribe { subscription, pattern, ack: AckMode::Auto }), &[]);
}

fn bench() -> Bench {
    Bench::new(Limits { subscriptions: 10_000, ..Limits::default() })
}

#[test]
fn members_on_their_way_out_are_looked_at_once_however_much_is_published_to_their_topic() {
    let mut bench = bench();
    (0..MANY).for_each(|number| subscribe(&mut bench, 1, number, "/topic/a"));
    bench.broker.set_steps_per_call(1);
    bench.send(1, Command::Disconnect);
    let rows = |bench: &mut Bench| {
        let before = looks::so_far();
        check(&bench.publish(2, "/topic/a", &["x"]), &[]);
        looks::so_far() - before
    };
    assert!(rows(&mut bench) > u64::from(MANY), "each is looked at for the first message");
    for number in 1..20 {
        let rows = rows(&mut bench);
        assert!(rows < 200, "{rows} rows for message {number}");
        bench.broker.audit();
    }
    assert!(bench.broker.members.len() > MANY as usize - 50, "they are still there");
    // One that comes now is the oldest that stays.
    subscribe(&mut bench, 3, 0, "/topic/a");
    assert_eq!(brief(&bench.publish(2, "/topic/a", &["y"])), ["3:y"]);
    bench.rest();
    assert_eq!(brief(&bench.publish(2, "/topic/a", &["z"])), ["3:z"]);
    bench.broker.audit();
}

#[test]
fn what_a_topic_has_buffered_goes_to_the_first_that_stays_whoever_leaves_before_it() {
    for leaves in [vec![1], vec![1, 2], vec![2], vec![1, 3], vec![2, 1], vec![3, 2], vec![3]] {
        let mut bench = Bench::new(Limits { buffer_unsubscribed: 10, ..Limits::default() });
        for id in 1..=3 {
            subscribe(&mut bench, id, 0, "/topic/a");
        }
        bench.broker.set_steps_per_call(1);
        for &id in &leaves {
            // It is looked at while members leave, too.
            bench.broker.oldest_subscriber(bench.broker.names[&b"/topic/a"[..]]);
            bench.send(id, Command::Unsubscribe { subscription: SubscriptionId(0) });
        }
        bench.rest();
        bench.events();
        let topic = bench.broker.names[&b"/topic/a"[..]];
        let oldest = bench.broker.oldest_subscriber(topic).map(|member| bench.broker.members[member].connection);
        let oldest = oldest.map(|slot| bench.broker.connections[slot].id.0);
        assert_eq!(oldest, (1..=3).find(|id| !leaves.contains(id)), "{leaves:?} leave");
        bench.broker.audit();
    }
}

#[test]
fn as_many_members_leave_in_a_call_however_many_subscriptions_still_ask_to_be_the_only_consumer() {
    const ASK: u32 = 300;
    const QUEUES: u32 = 4;
    let left = |claims: u32| {
        let mut bench = bench();
        for number in 0..ASK {
            (0..QUEUES).for_each(|at| subscribe(&mut bench, 2, number * QUEUES + at, format!("/queue/{number}/{at}")));
            subscribe(&mut bench, 1, number, format!("/queue/{number}/*"));
        }
        // Each call comes to one queue.
        bench.broker.set_steps_per_call(1);
        for number in 0..claims {
            bench.send(1, Command::Claim { subscription: SubscriptionId(number) });
        }
        let before = bench.broker.members.len();
        bench.broker.set_steps_per_call(1024);
        bench.send(1, Command::Disconnect);
        let left = before - bench.broker.members.len();
        bench.rest();
        assert_eq!(bench.broker.audit(), bench.broker.totals().memory);
        assert_eq!(bench.broker.members.len(), (ASK * QUEUES) as usize);
        left
    };
    let (few, many) = (left(0), left(ASK));
    assert!(few > 100 && many >= few * 3 / 4, "{few} beside none that ask, {many} beside {ASK}");
}

#[test]
fn the_orders_that_wait_are_part_of_the_work_of_ending_each_of_many_queues() {
    const QUEUES: usize = 200;
    let ended = |orders: usize| {
        let mut bench = Bench::new(Limits { queue: 1 << 30, subscriptions: 10_000, ..Limits::default() });
        for number in 0..QUEUES {
            subscribe(&mut bench, 1, number as u32, format!("/queue/temp/1/{number}"));
        }
        // The first order takes longer than all that follows.
        let body = "x".repeat(600);
        (0..2 * orders).for_each(|_| check(&bench.publish(2, "/queue/a", &[&body]), &[]));
        bench.broker.set_steps_per_call(1);
        for number in 0..orders {
            let order = bench.broker.move_messages(bench.now, b"/queue/a", Some(b"/queue/b"), usize::MAX);
            assert!(order.is_ok(), "{number}: {order:?}");
        }
        bench.broker.set_steps_per_call(2048);
        let before = bench.broker.names.len();
        bench.send(1, Command::Disconnect);
        before - bench.broker.names.len()
    };
    let (alone, beside) = (ended(0), ended(1000));
    assert!(alone > 50 && beside <= 20, "{alone} alone, {beside} beside 1,000 orders");
}

#[test]
fn what_one_that_is_gone_has_sent_goes_behind_what_comes_back_from_it() {
    let body = "x".repeat(90);
    for steps in [1, 4, 30, 4096] {
        let mut bench = Bench::new(small());
        bench.subscribe_with(1, "/queue/a", manual(9));
        check(&bench.publish(3, "/queue/a", &[&body]), &[&format!("1:{body}")]);
        for number in 1..=9 {
            subscribe(&mut bench, 1, number, format!("/queue/{number}"));
        }
        bench.subscribe(2, "/queue/a");
        // Its own outbox is full, and the rest of what it sends waits behind that.
        check(&bench.send(1, Command::Barrier { batch: Batch::one(&[b'b'; 50]) }), &[]);
        check(&bench.publish(1, "/queue/a", &["sent"]), &[]);
        bench.broker.set_steps_per_call(steps);
        let mut events = bench.send(1, Command::Disconnect);
        bench.rest();
        events.extend(bench.events());
        assert_eq!(brief(&events)[0], format!("2:{body}"), "in steps of {steps}");
        for bytes in [94, 8] {
            events.extend(bench.credit(2, bytes));
            bench.rest();
        }
        events.extend(bench.events());
        assert_eq!(brief(&events), [format!("2:{body}"), "2:sent".into()], "in steps of {steps}");
        bench.is_at_rest();
    }
}
