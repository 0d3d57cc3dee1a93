//! Memory of subscriptions: the share of those to patterns, and consumers that come where memory is short.

use super::{Bench, brief, check, manual, with_memory};
use crate::{AckMode, Batch, Command, DeliveryTag, Event, Limits, SubscriptionId, cost};
use bytes::Bytes;

fn subscribe(bench: &mut Bench, id: u64, number: usize, pattern: impl Into<Bytes>) -> Vec<String> {
    let (subscription, pattern) = (SubscriptionId(number as u32), pattern.into());
    brief(&bench.send(id, Command::Subscribe { subscription, pattern, ack: AckMode::Auto }))
}

fn with_room(bytes: usize) -> Bench {
    Bench::new(Limits { subscriptions: 100_000, queue: 1 << 30, message: 1 << 30, ..with_memory(bytes) })
}

/// The cost of a subscription to a pattern.
fn cost_of(pattern: &str) -> usize {
    let mut bench = with_room(1 << 20);
    let before = bench.broker.totals().memory;
    check_none(&subscribe(&mut bench, 1, 0, pattern.to_owned()));
    bench.broker.totals().memory - before
}

#[track_caller]
fn check_none(events: &[String]) {
    assert_eq!(events, [""; 0]);
}

#[test]
fn a_pattern_of_many_levels_costs_little_more_than_its_text() {
    for levels in [1, 100, 240] {
        let pattern = format!("/topic/{}>", "*/a/".repeat(levels));
        let cost = cost_of(&pattern);
        assert!(cost <= 1024 + 3 * pattern.len(), "{cost} bytes for {levels}");
    }
}

#[test]
fn subscriptions_to_patterns_have_a_quarter_of_the_memory_and_are_refused_beyond_with_the_reason() {
    let each = cost_of("/topic/0/>");
    for (more, fit) in [(-1, 2), (0, 3), (1, 3)] {
        let mut bench = with_room(4usize * (3 * each).strict_add_signed(more));
        for number in 0..4 {
            let events = subscribe(&mut bench, 1, number, format!("/topic/{number}/>"));
            if number < fit {
                check_none(&events);
                continue;
            }
            let (taken, share) = (fit * each, (3 * each).strict_add_signed(more));
            let reason = format!(
                "refused: a subscription to this pattern takes {each} bytes of memory, and all to patterns take {taken} of \
                 {share} already (limit: memory)"
            );
            assert_eq!(events, [reason]);
        }
        // Names are no patterns, and a subscription that has ended leaves room.
        check_none(&subscribe(&mut bench, 2, 0, "/topic/name"));
        bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
        check_none(&subscribe(&mut bench, 1, 9, "/topic/9/>"));
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_consumer_of_a_name_comes_in_however_full_memory_is_of_messages_and_of_patterns() {
    let mut bench = with_room(1 << 20);
    let pattern = |number: usize| format!("/topic/{number}/{}>", "*/".repeat(200));
    let refused = (0..).find(|&number| !subscribe(&mut bench, 1, number, pattern(number)).is_empty());
    assert!(refused.is_some_and(|number| number > 100), "{refused:?}");
    bench.fill_memory(3);
    // Other consumers that are there already take more than all that is free.
    bench.broker.budget.charge(bench.broker.limits.memory / 8);
    assert!(bench.broker.is_exhausted());
    let events = subscribe(&mut bench, 2, 0, "/queue/full");
    assert!(events[0].starts_with("2:xxx"), "it gets what waits");
}

#[test]
fn where_memory_is_exhausted_consumers_have_a_sixteenth_of_it_those_of_names_and_of_patterns() {
    for (prefix, suffix) in [("/queue/full", ""), ("/queue/full/", "/*")] {
        for more in [-1, 0, 1] {
            let name = |number: usize| match suffix {
                "" => prefix.to_owned(),
                _ => format!("{prefix}{number:04}{suffix}"),
            };
            let own = cost::SUBSCRIPTION + cost::text(name(0).len());
            let each = match suffix {
                "" => own + cost::channel(name(0).len()) + cost::MEMBER,
                _ => own + cost::pattern(name(0).len()),
            };
            // This number finds room in a sixteenth of the budget.
            let (fit, aside) = (300usize, with_memory(0).memory);
            let share = (fit * each).strict_add_signed(more);
            let mut bench = with_room(16 * share - aside);
            assert_eq!(bench.broker.limits.memory / 16, share);
            bench.fill_memory(3);
            bench.broker.budget.charge(bench.broker.limits.memory / 8);
            let came = (0..2 * fit).take_while(|&number| {
                let events = subscribe(&mut bench, 1, number, name(number));
                !events.iter().any(|event| event.starts_with("refused"))
            });
            assert_eq!(came.count(), if more < 0 { fit - 1 } else { fit }, "{prefix}: {share} bytes for {each} each");
        }
    }
}

/// Memory that is full of queues with a message each.
fn full_of_queues() -> Bench {
    let mut bench = with_room(1 << 20);
    for number in 0.. {
        let (channel, batch) = (format!("/queue/{number}").into(), Batch::one(b"x"));
        if !bench.send(3, Command::Publish { channel, batch }).is_empty() {
            return bench;
        }
    }
    unreachable!("memory is full at some time")
}

#[test]
fn a_subscription_to_a_new_name_comes_in_however_full_memory_is_of_queues() {
    for name in ["/null", "/topic/new", "/queue/new"] {
        let mut bench = full_of_queues();
        check_none(&subscribe(&mut bench, 1, 0, name));
        check(&bench.send(1, Command::Barrier { batch: Batch::one(b"echo") }), &["barrier 1"]);
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
    let (subscription, ack) = (SubscriptionId(0), AckMode::Auto);
    let (queue, source) = ("/queue/subscription/me/a".into(), "/topic/a".into());
    let mut bench = full_of_queues();
    check(&bench.send(1, Command::SubscribeDurable { subscription, queue, source, ack }), &[]);
}

#[test]
fn subscriptions_to_new_names_have_a_sixteenth_of_the_memory_beyond_it_also_where_patterns_match() {
    for patterns in [0, 1, 5] {
        let mut bench = full_of_queues();
        for number in 0..patterns {
            check_none(&subscribe(
                &mut bench,
                2,
                number,
                format!("/topic/{}", ["*", "*/*", "*/*/*", "*/>", ">"][number]),
            ));
        }
        let used = bench.broker.totals().memory;
        let came = (0..).find(|number| !subscribe(&mut bench, 1, *number, format!("/topic/new/{number}")).is_empty());
        let limit = bench.broker.limits.memory;
        let beyond = bench.broker.totals().memory - used;
        assert!(came > Some(0) && beyond <= limit / 16 + limit / 16, "{came:?} take {beyond} of {limit}");
        assert!(beyond + 4096 > limit / 16, "{came:?} take {beyond} of {limit}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn what_is_refused_for_its_memory_leaves_nothing_behind() {
    let mut bench = with_room(1 << 20);
    bench.broker.shared.most_for_patterns = 0;
    let before = bench.broker.totals().memory;
    for pattern in ["/topic/>", "/queue/*"] {
        let events = subscribe(&mut bench, 1, 0, pattern);
        assert!(events[0].starts_with("refused"), "{events:?}");
    }
    assert_eq!((bench.broker.totals().memory, bench.broker.audit()), (before, before));
    check(&bench.publish(2, "/topic/a", &["x"]), &[]);
    bench.is_at_rest();
}

#[test]
fn a_subscription_has_as_many_messages_unacked_as_a_quarter_of_memory_could_take_back_one_by_one_and_a_hundred_at_least()
 {
    let each = 4 * cost::RETURNED;
    for (room, most) in [(0, 100), (101 * each - 1, 100), (101 * each, 101), (150 * each - 1, 149), (150 * each, 150)] {
        for (asked, given) in [(0, 100), (100, 100), (most as u32 + 1, most), (u32::MAX, most)] {
            let mut bench = with_room(room.max(4096));
            bench.broker.limits.outbox = 1 << 20;
            bench.subscribe_with(1, "/queue/a", manual(asked));
            let bodies: Vec<&str> = (0..200).map(|_| "").collect();
            let events = bench.publish(3, "/queue/a", &bodies);
            let handed = |event: &Event| if let Event::Deliver { batch, .. } = event { batch.len() } else { 0 };
            let handed: usize = events.iter().map(handed).sum();
            assert_eq!(handed, given, "of {asked} with {room} bytes");
        }
    }
}

#[test]
fn what_one_consumer_gives_back_message_by_message_exceeds_the_budget_by_a_quarter_at_most() {
    let mut bench = with_room(1 << 20);
    bench.broker.limits.outbox = 1 << 20;
    bench.subscribe_with(1, "/queue/a", manual(u32::MAX));
    let bodies: Vec<&str> = (0..2000).map(|_| "").collect();
    (0..40).for_each(|_| _ = bench.publish(3, "/queue/a", &bodies));
    let (mut tag, mut most) = (1, 0);
    while tag < 40_000 {
        let before = bench.broker.totals().failed;
        bench.credit(1, 1 << 20);
        let nack = Command::Nack { first: DeliveryTag(tag), last: DeliveryTag(tag), requeue: true };
        bench.send(1, nack);
        tag += 2;
        most = bench.broker.budget.used().max(most);
        if bench.broker.totals().failed == before {
            break;
        }
    }
    bench.send(1, Command::Disconnect);
    bench.pass(0);
    most = bench.broker.budget.used().max(most);
    assert!(most <= bench.broker.budget.for_messages() * 5 / 4, "{most} bytes");
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}
