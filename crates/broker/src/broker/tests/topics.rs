//! Topics: patterns that reach them, and what they buffer without subscribers.

use super::*;

#[test]
fn what_a_topic_buffers_has_a_queues_bound_in_bytes_and_one_message_of_any_size_may_wait() {
    let body = "x".repeat(21);
    for (bound, kept) in [(24, 1), (99, 3), (100, 4), (101, 4), (124, 4), (125, 5)] {
        let mut bench = Bench::new(Limits { buffer_unsubscribed: 10, queue: bound, outbox: 200, ..small() });
        check(&bench.publish(1, "/topic/a", &[body.as_str(); 5]), if kept < 5 { &["pause 1"] } else { &[] });
        assert_eq!(
            bench.broker.status(bench.now, &StatusQuery::top(1)).channels[0].depth,
            kept,
            "with a bound of {bound} bytes"
        );
        let arrived = brief(&bench.subscribe(2, "/topic/a"));
        assert_eq!(arrived.iter().filter(|line| line.starts_with("2:")).count(), 5);
    }
}

#[test]
fn a_topic_buffers_the_first_and_then_pauses_the_publisher() {
    let pattern = Pattern::new("/topic/kept/>");
    let rule = ChannelRule { buffer_unsubscribed: Some(2), ..ChannelRule::new(pattern) };
    let mut bench = Bench::with_rules(Limits::default(), vec![rule]);
    check(&bench.publish(1, "/topic/kept/a", &["0", "1", "2", "3"]), &["pause 1"]);
    check(&bench.subscribe(2, "/topic/kept/a"), &["2:0", "2:1", "2:2", "2:3", "resume 1"]);
}

#[test]
fn a_topic_with_nobody_drops_and_counts() {
    let mut bench = Bench::new(Limits::default());
    check(&bench.publish(1, "/topic/a", &["x", "y"]), &[]);
    let totals = bench.broker.totals();
    assert_eq!((totals.dropped_no_subscribers, totals.channels), (2, 0));
    // A topic that is still known for the one that has left is named, too.
    bench.subscribe(2, "/topic/b");
    bench.send(2, Command::Disconnect);
    check(&bench.publish(1, "/topic/b", &["z"]), &[]);
    let unheard = bench.broker.status(bench.now, &StatusQuery::top(0)).unheard;
    let named: Vec<_> = unheard.iter().map(|topic| (&topic.name[..], topic.dropped)).collect();
    assert_eq!(named, [(&b"/topic/b"[..], 1), (&b"/topic/a"[..], 2)]);
    bench.is_at_rest();
}

#[test]
fn patterns_reach_channels_that_are_and_channels_to_come() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/>");
    check(&bench.publish(2, "/topic/new/one", &["x"]), &["1:x"]);
    bench.subscribe(3, "/topic/b");
    check(&bench.publish(2, "/topic/b", &["y"]), &["1:y", "3:y"]);
    check(&bench.publish(2, "/topic/>", &["literal"]), &["1:literal"]);
}
