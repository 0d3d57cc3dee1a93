//! The prefetch of a subscription that names none.

use super::{Bench, check, manual};
use crate::{ChannelRule, Limits, Pattern};

/// Number of messages that a subscriber of the pattern gets of 150 in `/queue/a`.
fn got(limits: Limits, rules: Vec<ChannelRule>, pattern: &'static str, named: u32) -> usize {
    let mut bench = Bench::with_rules(limits, rules);
    bench.publish(2, "/queue/a", &["x"; 150]);
    bench.subscribe_with(1, pattern, manual(named));
    let status = bench.broker.status(bench.now, &crate::StatusQuery::top(100));
    status.connections.iter().map(|row| row.unacked).sum()
}

#[test]
fn a_subscription_that_names_no_prefetch_has_that_of_the_setting_and_zero_is_no_limit() {
    assert_eq!(got(Limits::default(), Vec::new(), "/queue/a", 0), 100);
    for (setting, expected) in [(1, 1), (149, 149), (150, 150), (151, 150), (0, 150), (u32::MAX, 150)] {
        let limits = Limits { prefetch: setting, ..Limits::default() };
        assert_eq!(got(limits.clone(), Vec::new(), "/queue/a", 0), expected, "{setting}");
        assert_eq!(got(limits, Vec::new(), "/queue/a", 7), 7, "one that is named is in force");
    }
}

#[test]
fn the_first_rule_that_matches_a_subscription_says_its_prefetch() {
    let rule = |pattern: &'static str, prefetch| ChannelRule { prefetch, ..ChannelRule::new(Pattern::new(pattern)) };
    let rules = || vec![rule("/queue/a", Some(3)), rule("/queue/>", Some(0)), rule(">", Some(9))];
    assert_eq!(got(Limits::default(), rules(), "/queue/a", 0), 3);
    assert_eq!(got(Limits::default(), rules(), "/queue/*", 0), 150);
    assert_eq!(got(Limits::default(), vec![rule("/queue/a", None), rule("/queue/>", Some(5))], "/queue/a", 0), 100);
}

#[test]
fn a_prefetch_without_limit_leaves_the_bounds_of_the_outbox() {
    let mut bench = Bench::new(Limits { prefetch: 0, outbox_messages: 2, ..Limits::default() });
    bench.subscribe_with(1, "/queue/a", manual(0));
    check(&bench.publish(2, "/queue/a", &["0", "1", "2", "3"]), &["1:0", "1:1"]);
    check(&bench.credit(1, 10), &["1:2", "1:3"]);
}
