//! Settings of delivery that the rule of a channel overrides: in its queues they hold, and in no other.

use super::retry::nack;
use super::{Bench, brief, check, manual};
use crate::{Attributes, Batch, ChannelRule, Command, DeliveryRule, Event, Limits, Pattern};
use std::sync::Arc;
use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A broker with this rule for `/queue/a`, and its own settings for others.
fn with(delivery: DeliveryRule) -> Bench {
    let rule = ChannelRule { delivery, ..ChannelRule::new(Pattern::new("/queue/a")) };
    Bench::with_rules(Limits::default(), vec![rule])
}

#[test]
fn a_rule_says_after_which_time_an_ack_is_late() {
    let mut bench = with(DeliveryRule { ack_timeout: Some(millis(5)), ..DeliveryRule::default() });
    bench.subscribe_with(1, "/queue/*", manual(9));
    bench.publish(3, "/queue/a", &["0"]);
    bench.publish(3, "/queue/b", &["1"]);
    bench.credit(1, 10);
    bench.subscribe_with(2, "/queue/*", manual(9));
    check(&bench.pass(4), &[]);
    assert!(bench.pass(1).iter().any(|event| matches!(event, Event::Lapsed { .. })));
    // After its back-off; the other queue waits for the ack without end.
    check(&bench.pass(1000), &["2:0"]);
    assert!(!brief(&bench.pass(100_000)).iter().any(|line| line.ends_with(":1")));
}

#[test]
fn a_rule_says_how_long_a_back_off_is_at_most() {
    let mut bench = with(DeliveryRule { redelivery_backoff_max: Some(millis(1500)), ..DeliveryRule::default() });
    bench.subscribe_with(1, "/queue/*", manual(9));
    for (queue, bodies) in [("/queue/a", "0"), ("/queue/b", "1")] {
        bench.publish(3, queue, &[bodies]);
    }
    bench.send(1, nack(1, 2));
    check(&bench.pass(1000), &["1:0", "1:1"]);
    bench.send(1, nack(3, 4));
    check(&bench.pass(1499), &[]);
    check(&bench.pass(1), &["1:0"]);
    check(&bench.pass(499), &[]);
    check(&bench.pass(1), &["1:1"]);
}

#[test]
fn a_rule_says_whether_expired_messages_become_dead_letters() {
    let mut bench = with(DeliveryRule { dead_letter_expired: Some(true), ..DeliveryRule::default() });
    let attributes = Arc::new(Attributes::default().with_expires(Some(bench.now + millis(10))));
    for channel in ["/queue/a", "/queue/b"] {
        let batch = Batch::one(b"x").with_attributes(attributes.clone());
        bench.send(3, Command::Publish { channel: channel.into(), batch });
    }
    bench.pass(10);
    let dead = |name: &str| bench.broker.queue(bench.now, name.as_bytes()).map(|row| row.depth);
    assert_eq!((dead("/queue/dead/queue/a"), dead("/queue/dead/queue/b")), (Some(1), None));
    assert_eq!((bench.broker.totals().expired, bench.broker.totals().dead_lettered), (2, 1));
}

#[test]
fn a_rule_says_after_how_many_tries_a_message_is_a_dead_letter_and_zero_is_never() {
    for (most, tries) in [(Some(1), 1), (Some(3), 3), (None, 7), (Some(0), 20)] {
        let rule =
            DeliveryRule { max_deliveries: most, redelivery_backoff: Some(Duration::ZERO), ..DeliveryRule::default() };
        let mut bench = with(rule);
        bench.subscribe_with(1, "/queue/a", manual(9));
        bench.publish(3, "/queue/a", &["0"]);
        for tag in 1..=tries {
            assert_eq!(bench.broker.totals().dead_lettered, 0, "{most:?} {tag}");
            bench.send(1, nack(tag, tag));
        }
        assert_eq!(bench.broker.totals().dead_lettered, u64::from(most != Some(0)), "{most:?}");
    }
}
