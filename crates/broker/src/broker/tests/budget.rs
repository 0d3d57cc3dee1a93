//! The bounds of memory and messages.

use super::{Bench, brief, check, small, with_memory};
use crate::{AckMode, Batch, Command, LimitError, Limits, StatusQuery, SubscriptionId, cost};
use std::time::Duration;

#[test]
fn a_subscriber_whose_new_channel_finds_no_memory_is_refused_and_a_publisher_waits() {
    let need = cost::CHANNEL + cost::text("/queue/a".len());
    for (more, fits) in [(-1, true), (0, true), (1, false)] {
        let mut bench = Bench::new(with_memory(1 << 20));
        // A sixteenth over the budget, where all that subscriptions to names may take beyond that is taken.
        let beyond = bench.broker.limits.memory / 16;
        bench.broker.shared.names = beyond;
        let others = bench.broker.budget.free() + beyond - need;
        bench.broker.budget.charge(others.strict_add_signed(more));
        let events = brief(&bench.subscribe(1, "/queue/a"));
        assert_eq!(events.is_empty(), fits, "{events:?}");
        if !fits {
            let parts = ["memory is used up: ", "connections = 100 (limits: memory, connections)"];
            assert!(parts.iter().all(|part| events[0].contains(part)), "{events:?}");
            check(&bench.publish(1, "/queue/a", &["0"]), &["pause 1"]);
        }
    }
}

#[test]
fn who_waits_for_memory_for_a_new_channel_goes_on_when_there_is_some() {
    let need = cost::CHANNEL + cost::text("/queue/a".len());
    let mut bench = Bench::new(with_memory(need + 2000));
    bench.send(1, Command::Reserve { bytes: 2500, whole: 2500 });
    check(&bench.publish(2, "/queue/a", &["0"]), &["pause 2"]);
    let events = brief(&bench.send(1, Command::Reserve { bytes: 0, whole: 0 }));
    assert_eq!(events, ["resume 2"]);
    check(&bench.subscribe(3, "/queue/a"), &["3:0"]);
}

#[test]
fn queues_and_outboxes_are_bounded_in_messages_too() {
    for (bound, kept) in [(0, 5), (1, 1), (4, 4), (5, 5), (6, 5)] {
        let mut bench = Bench::new(Limits { queue_messages: bound, ..small() });
        let events = brief(&bench.publish(1, "/queue/a", &["0", "1", "2", "3", "4"]));
        assert_eq!(events.is_empty(), kept == 5, "a bound of {bound}: {events:?}");
        let status = bench.broker.status(bench.now, &StatusQuery::top(1));
        assert_eq!(status.channels[0].depth, kept);
        if kept < 5 {
            let reason = status.connections[0].paused.as_ref().expect("paused").to_string();
            let s = if bound == 1 { "" } else { "s" };
            assert_eq!(reason, format!("queue /queue/a is at its bound of {bound} message{s} (limit: queue-messages)"));
        }
        let mut bench = Bench::new(Limits { outbox_messages: bound, ..small() });
        bench.subscribe(2, "/queue/a");
        assert_eq!(bench.publish(1, "/queue/a", &["0", "1", "2", "3", "4"]).len(), 1);
        let status = bench.broker.status(bench.now, &StatusQuery::top(1));
        assert_eq!(status.channels[0].depth, 5 - kept, "an outbox of {bound} messages");
    }
}

#[test]
fn a_topics_subscriber_is_bounded_in_messages_too() {
    let limits = Limits { outbox_messages: 4, grace_period: Duration::ZERO, ..small() };
    let mut bench = Bench::new(limits);
    bench.subscribe(2, "/topic/a");
    bench.publish(1, "/topic/a", &["0", "1", "2", "3"]);
    bench.publish(1, "/topic/a", &["4"]);
    assert_eq!(bench.broker.totals().dropped_slow, 1);
    bench.credit(2, 20);
    check(&bench.publish(1, "/topic/a", &["5"]), &["2:5"]);
}

#[test]
fn small_messages_share_buffers_in_queues_and_outboxes() {
    let mut bench = Bench::new(Limits { window: 1, ..Limits::default() });
    bench.subscribe(2, "/topic/a");
    let idle = bench.broker.totals().memory;
    for _ in 0..10_000 {
        bench.publish(1, "/topic/a", &["x"]);
        bench.publish(1, "/queue/a", &["x"]);
    }
    let used = bench.broker.totals().memory - idle;
    assert!(used < 200_000 + 20_000, "{used} bytes for 20,000 messages of 5");
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    let credited: Vec<String> = (0..20).flat_map(|_| brief(&bench.credit(2, 5000))).collect();
    assert_eq!(credited.len(), 10_000 - 1);
}

#[test]
fn every_limit_has_a_bound_or_a_meaning_of_zero() {
    let limits = || Limits { connections: 2, message: 100, memory: 2 * cost::CONNECTION + 200, ..Limits::default() };
    assert_eq!(Limits::default().check(), Ok(()));
    assert_eq!(limits().check(), Ok(()));
    let bound = limits().memory;
    let memory = LimitError::Memory { value: bound - 1, bound, connections: 2, message: 100 };
    assert_eq!(Limits { memory: bound - 1, ..limits() }.check(), Err(memory));
    assert_eq!(
        Limits { memory: usize::MAX, ..limits() }.check().unwrap_err().to_string(),
        format!("memory = {} is not allowed: it must be at most {}", usize::MAX, isize::MAX)
    );
    let most = isize::MAX as usize;
    for (value, allowed) in [(0, true), (1, true), (most, true), (most + 1, false), (usize::MAX, false)] {
        let error = LimitError::TooLarge { setting: "read-ahead", value, bound: most };
        assert_eq!(Limits { read_ahead: value, ..limits() }.check(), if allowed { Ok(()) } else { Err(error) });
    }
    type Set = fn(&mut Limits);
    let zeros: [(Set, &str); 8] = [
        (|limits| limits.connections = 0, "connections"),
        (|limits| limits.channels = 0, "channels"),
        (|limits| limits.subscriptions = 0, "subscriptions"),
        (|limits| limits.channel_name = 0, "channel-name"),
        (|limits| limits.message = 0, "message"),
        (|limits| limits.outbox = 0, "outbox"),
        (|limits| limits.window = 0, "window"),
        (|limits| limits.queue = 0, "queue"),
    ];
    for (set, name) in zeros {
        let mut limits = limits();
        set(&mut limits);
        assert_eq!(limits.check(), Err(LimitError::TooSmall { setting: name, value: 0, bound: 1 }));
    }
    type Field = fn(&mut Limits) -> &mut Duration;
    let durations: [(Field, &str); 3] = [
        (|limits| &mut limits.grace_period, "grace-period"),
        (|limits| &mut limits.slow_consumer, "slow-consumer"),
        (|limits| &mut limits.write_timeout, "write-timeout"),
    ];
    for (field, setting) in durations {
        for (value, allowed) in [(0, true), (1, false), (999, false), (1000, true), (u64::MAX, true)] {
            let (mut limits, value) = (limits(), Duration::from_micros(value));
            *field(&mut limits) = value;
            let error = LimitError::TooShort { setting, value, bound: Limits::SHORTEST };
            assert_eq!(limits.check(), if allowed { Ok(()) } else { Err(error) });
        }
    }
    for (set, allowed) in [(u32::MAX as usize, true), (u32::MAX as usize + 1, false)] {
        assert_eq!(Limits { message: set, memory: 1 << 40, ..limits() }.check().is_ok(), allowed);
    }
}

#[test]
fn time_limits_of_zero_and_of_ever_end_every_call() {
    for micros in [0, 1, u64::MAX] {
        let time = Duration::from_micros(micros);
        let limits = Limits { write_timeout: time, grace_period: time, slow_consumer: time, window: 1, ..small() };
        let mut bench = Bench::new(limits);
        bench.subscribe(1, "/queue/a");
        bench.subscribe(2, "/topic/a");
        for _ in 0..30 {
            bench.publish(3, "/queue/a", &["0123456789"]);
            bench.publish(4, "/topic/a", &["0123456789"]);
            bench.broker.handle_timeout(bench.now);
            bench.now = bench.now + Duration::from_micros(1);
            bench.broker.handle_timeout(bench.now);
            if brief(&bench.events()).contains(&"recall 1".to_owned()) {
                bench.send(1, Command::Recalled { kept: 14 });
            }
        }
        assert!(micros > 0 || bench.broker.totals().requeued == 0, "a time limit of 0 is none");
    }
}

#[test]
fn subscriptions_and_patterns_are_charged_and_their_names_with_them() {
    let mut bench = Bench::new(Limits::default());
    let idle = bench.broker.totals().memory;
    for (index, pattern) in ["/topic/a", "/topic/*/b", "/topic/>"].into_iter().enumerate() {
        let subscription = SubscriptionId(index as u32);
        bench.send(1, Command::Subscribe { subscription, pattern: pattern.into(), ack: AckMode::Auto });
    }
    assert!(bench.broker.totals().memory > idle + 3 * cost::SUBSCRIPTION + cost::CHANNEL);
    bench.is_at_rest();
    bench.send(1, Command::Disconnect);
    assert_eq!(bench.broker.totals().memory, idle - cost::CONNECTION);
}

#[test]
fn a_barrier_and_a_paused_publish_are_charged() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    let before = bench.broker.totals().memory;
    bench.send(1, Command::Barrier { batch: Batch::one(b"ping") });
    assert!(bench.broker.totals().memory >= before + cost::PENDING);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn at_the_budget_the_publishers_of_the_fullest_channels_are_paused_first() {
    let mut bench = Bench::new(Limits { queue: 9000, outbox: 9000, message: 9000, ..with_memory(12_000) });
    check(&bench.publish(1, "/queue/full", &["x".repeat(6000).as_str()]), &["pause 1"]);
    check(&bench.publish(2, "/queue/b", &["0"]), &[]);
    let body = "x".repeat(6000);
    check(&bench.subscribe(3, "/queue/full"), &[&format!("3:{body}")]);
    check(&bench.credit(3, 6004), &["resume 1"]);
}
