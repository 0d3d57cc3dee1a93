//! Passes over all that wait, beside calls of which each leads to another pass.

use super::groups::of;
use super::knot::MANUAL;
use super::retry::ack;
use super::*;
use crate::Attributes;
use std::sync::Arc;

/// More publishers than one call looks at.
const MANY: [u64; 2] = [1_000, 5_000];

fn publish_of(bench: &mut Bench, id: u64, attributes: Attributes, messages: usize) -> Vec<String> {
    let mut packer = Packer::default();
    (0..messages).for_each(|_| packer.push(b"x"));
    let batch = packer.finish().expect("a message").with_attributes(Arc::new(attributes));
    brief(&bench.send(id, Command::Publish { channel: "/queue/a".into(), batch }))
}

fn resumed(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.starts_with("resume")).count()
}

#[test]
fn each_ack_lets_a_publisher_of_a_full_queue_of_groups_go_on_beside_any_number_of_others() {
    const ACKS: u64 = 50;
    for publishers in MANY {
        let queue_messages = 2 * ACKS as usize;
        let limits = Limits { queue: 1 << 30, connections: 10_000, ..Limits::default() };
        let rule = ChannelRule { queue_messages: Some(queue_messages), ..ChannelRule::new(Pattern::new("/queue/a")) };
        let mut bench = Bench::with_rules(limits, vec![rule]);
        bench.subscribe_with(1, "/queue/a", MANUAL);
        publish_of(&mut bench, 2, of("g"), 1 + queue_messages);
        for id in 10..10 + publishers {
            bench.send(id, Command::Connect { transport_acks: false });
            assert_eq!(publish_of(&mut bench, id, of("g"), 1), [format!("pause {id}")]);
        }
        bench.credit(1, 5);
        // More than a call frees.
        (0..5_000).for_each(|_| _ = bench.publish(3, "/queue/b", &[&"x".repeat(600)]));
        bench.broker.purge(bench.now, b"/queue/b");
        assert!(!bench.broker.garbage.is_empty());
        for tag in 1..=ACKS {
            let lines = brief(&bench.send(1, ack(tag, tag)));
            assert!(lines.contains(&"1:x".to_owned()), "{lines:?}");
            assert_eq!(resumed(&lines), 1, "ack {tag} beside {publishers}: {lines:?}");
            assert!(lines.contains(&format!("resume {}", 9 + tag)), "the longest waiting first: {lines:?}");
            bench.credit(1, 5);
        }
        assert!(bench.broker.garbage.is_empty(), "what is purged is freed meanwhile");
        // The rest of what waits, which no call has come to, is no more than a pass and another one.
        let mut calls = 0;
        while bench.broker.poll_timeout() == Some(bench.now) {
            bench.broker.handle_timeout(bench.now);
            calls += 1;
            assert!(calls <= 2 * publishers / 64, "{calls} calls");
        }
    }
}

#[test]
fn the_last_of_many_publishers_is_looked_at_though_a_consumer_leaves_in_each_call() {
    for publishers in MANY {
        const LEAVE: std::ops::Range<u64> = 20..60;
        let limits = Limits { queue: 10, window: 5, read_ahead: 0, connections: 10_000, ..Limits::default() };
        let mut bench = Bench::new(limits);
        for id in LEAVE.chain(100..100 + publishers) {
            bench.send(id, Command::Connect { transport_acks: false });
        }
        // Consumers of a that wait for b, one of b that waits for a, and one of a that may yet take what waits.
        LEAVE.for_each(|id| _ = bench.subscribe_with(id, "/queue/a", MANUAL));
        bench.subscribe_with(1, "/queue/a", MANUAL);
        bench.subscribe_with(2, "/queue/b", MANUAL);
        bench.subscribe(3, "/queue/a");
        (0..60).for_each(|_| _ = bench.publish(9, "/queue/a", &["x"]));
        for id in 100..100 + publishers {
            bench.publish(id, "/queue/a", &["x"]);
        }
        assert!(brief(&bench.publish(2, "/queue/a", &["x"])).contains(&"pause 2".to_owned()));
        (0..4).for_each(|_| _ = bench.publish(8, "/queue/b", &["x"]));
        for id in LEAVE.chain([1]) {
            assert!(brief(&bench.publish(id, "/queue/b", &["x"])).contains(&format!("pause {id}")));
        }
        let mut lines = brief(&bench.send(3, Command::Disconnect));
        for id in LEAVE {
            if resumed(&lines) > 0 {
                break;
            }
            lines.extend(brief(&bench.send(id, Command::Disconnect)));
        }
        assert!(lines.contains(&"resume 2".to_owned()), "beside {publishers}: {lines:?}");
    }
}

#[test]
fn all_that_are_done_are_closed_while_the_service_ends_though_a_queue_runs_dry_in_each_call() {
    const OTHERS: std::ops::Range<u64> = 10..1_010;
    let mut bench = Bench::new(Limits { connections: 2_000, ..Limits::default() });
    for id in OTHERS {
        bench.send(id, Command::Connect { transport_acks: false });
    }
    bench.subscribe_with(1, "/queue/a", MANUAL);
    publish_of(&mut bench, 2, of("g"), 200);
    bench.broker.set_steps_per_call(64);
    bench.broker.drain(bench.now);
    let mut lines = brief(&bench.events());
    for tag in 1..=100 {
        lines.extend(brief(&bench.credit(1, 5)));
        lines.extend(brief(&bench.send(1, ack(tag, tag))));
    }
    let closed = |id: u64| lines.contains(&format!("close {id}: {}", CloseReason::Drained));
    assert!(!closed(1), "it is to get the rest");
    let left: Vec<u64> = OTHERS.filter(|&id| !closed(id)).collect();
    assert!(left.is_empty(), "{} are not closed, {:?} the first", left.len(), left.first());
}
