//! A publisher that is gone while the broker drains: others wait for what it has sent, also while its own messages go back.

use super::*;

fn ack(bench: &mut Bench, id: u64, first: u64, last: u64) -> Vec<Event> {
    bench.send(id, Command::Ack { first: DeliveryTag(first), last: DeliveryTag(last) })
}

/// A way of the publisher to have something that takes many steps to go back, or to end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Has {
    Leases,
    LeasesOfAnEndedSubscription,
    UncarriedAcks,
    UncarriedAcksOfAnEndedSubscription,
    Subscriptions,
    TopicMessages,
}

/// Connection 1 sends to a full queue that connection 2 consumes, and leaves with messages of its own, in a broker that
/// does so many steps a call.
fn drained(has: Has, steps: usize, drains_first: bool, others: usize) -> Vec<String> {
    const OWN: u64 = 40;
    let mut bench = Bench::new(Limits { queue_messages: 100, outbox: 100_000, subscriptions: 1000, ..small() });
    match has {
        Has::Subscriptions => (1..=OWN).for_each(|number| {
            let subscribe = Command::Subscribe {
                subscription: SubscriptionId(number as u32),
                pattern: "/topic/a".into(),
                ack: AckMode::Auto,
            };
            bench.send(1, subscribe);
        }),
        Has::TopicMessages => {
            bench.subscribe(1, "/topic/a");
            (0..OWN).for_each(|_| _ = bench.publish(3, "/topic/a", &["own"]));
        }
        _ => {
            bench.subscribe_with(1, "/queue/own", manual(1000));
            (0..OWN).for_each(|_| _ = bench.publish(3, "/queue/own", &["own"]));
            bench.credit(1, 7 * OWN as usize);
        }
    }
    if matches!(has, Has::LeasesOfAnEndedSubscription | Has::UncarriedAcksOfAnEndedSubscription) {
        bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    }
    let rules = vec![ChannelRule { queue_messages: Some(1), ..ChannelRule::new(Pattern::new("/queue/full")) }];
    bench.broker.set_rules(bench.now, rules);
    bench.events();
    bench.subscribe_with(2, "/queue/full", manual(1));
    let mut seen = brief(&bench.publish(1, "/queue/full", &["0", "1", "2", "3"]));
    bench.credit(2, 5);
    bench.broker.set_steps_per_call(steps);
    if matches!(has, Has::UncarriedAcks | Has::UncarriedAcksOfAnEndedSubscription) {
        seen.extend(brief(&ack(&mut bench, 1, 1, OWN)));
    }
    if drains_first {
        bench.broker.drain(bench.now);
    }
    seen.extend(brief(&bench.send(1, Command::Disconnect)));
    if !drains_first {
        bench.broker.drain(bench.now);
    }
    seen.extend(brief(&bench.events()));
    // Calls of others come in between.
    let mut tag = 1;
    for _ in 0..10_000 {
        for _ in 0..others {
            seen.extend(brief(&bench.publish(2, "/topic/none", &["x"])));
        }
        let got = seen.iter().filter(|line| line.starts_with("2:")).count() as u64;
        if got >= tag {
            seen.extend(brief(&bench.credit(2, 5)));
            seen.extend(brief(&ack(&mut bench, 2, tag, tag)));
            tag += 1;
        } else if bench.broker.poll_timeout().is_some_and(|due| due <= bench.now) {
            bench.broker.handle_timeout(bench.now);
            seen.extend(brief(&bench.events()));
        } else {
            break;
        }
    }
    seen.retain(|line| line.starts_with("2:") || line.starts_with("close 2"));
    seen
}

#[test]
fn a_consumer_gets_what_one_that_is_gone_has_sent_before_a_broker_that_drains_closes_it() {
    use Has::*;
    let mut wrong = Vec::new();
    for has in [
        Leases,
        LeasesOfAnEndedSubscription,
        UncarriedAcks,
        UncarriedAcksOfAnEndedSubscription,
        Subscriptions,
        TopicMessages,
    ] {
        for steps in [1, 2, 3, 4, 5, 6, 8, 10, 16, 30, 50] {
            for drains_first in [false, true] {
                for others in 0..3 {
                    let seen = drained(has, steps, drains_first, others);
                    if seen != ["2:0", "2:1", "2:2", "2:3", "close 2: the broker is shutting down"] {
                        wrong.push((has, steps, drains_first, others, seen));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} {wrong:#?}", wrong.len());
}
