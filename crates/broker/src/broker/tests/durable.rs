//! Durable subscriptions: what feeds them, who shares them, their bounds, and their end.

use super::retain::retain;
use super::retry::{ack, nack};
use super::{Bench, brief, check, manual, small};
use crate::{
    AckMode, ChannelRule, Command, Event, Limits, Pattern, QueueOverflow, Refusal, StatusQuery, SubscriptionId,
};

pub(super) const QUEUE: &str = "/queue/subscription/me/x";

pub(super) fn durable_as(
    bench: &mut Bench,
    id: u64,
    queue: &'static str,
    source: &'static str,
    ack: AckMode,
) -> Vec<Event> {
    let (subscription, queue, source) = (SubscriptionId(0), queue.into(), source.into());
    bench.send(id, Command::SubscribeDurable { subscription, queue, source, ack })
}

fn durable(bench: &mut Bench, id: u64, source: &'static str) -> Vec<Event> {
    durable_as(bench, id, QUEUE, source, AckMode::Auto)
}

pub(super) fn end(bench: &mut Bench, id: u64) -> Vec<Event> {
    bench.send(id, Command::EndDurable { queue: QUEUE.into() })
}

/// The topics that the messages say they are of.
fn origins(events: &[Event]) -> Vec<String> {
    let of = |event: &Event| match event {
        Event::Deliver { batch, .. } => {
            let origin = batch.attributes().and_then(|attributes| attributes.origin().cloned()).unwrap_or_default();
            Some(origin.escape_ascii().to_string())
        }
        // The answer to an operator.
        Event::Moved { .. } => None,
        other => panic!("{other:?}"),
    };
    events.iter().filter_map(of).collect()
}

fn depth(bench: &Bench) -> Option<usize> {
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    bench.broker.queue(bench.now, QUEUE.as_bytes()).map(|row| row.depth)
}

#[test]
fn a_durable_subscription_gets_what_its_topic_had_while_nobody_was_there() {
    let mut bench = Bench::new(Limits::default());
    bench.publish(3, "/topic/a", &["before"]);
    check(&durable(&mut bench, 1, "/topic/a"), &[]);
    check(&bench.publish(3, "/topic/a", &["0"]), &["1:0"]);
    bench.credit(1, 5);
    bench.send(1, Command::Disconnect);
    bench.publish(3, "/topic/a", &["1"]);
    bench.publish(3, "/topic/a", &["2"]);
    bench.publish(3, "/topic/b", &["x"]);
    bench.subscribe(4, "/topic/a");
    check(&bench.publish(3, "/topic/a", &["3"]), &["4:3"]);
    assert_eq!(depth(&bench), Some(3));
    let events = durable(&mut bench, 2, "/topic/a");
    check(&events, &["2:1", "2:2", "2:3"]);
    assert!(origins(&events).iter().all(|origin| origin == "/topic/a"));
    assert_eq!(bench.broker.totals().dropped_no_subscribers, 2, "the first one, and that of another topic");
    bench.credit(2, 15);
    bench.credit(4, 5);
    bench.send(4, Command::Disconnect);
    bench.send(2, Command::Disconnect);
    bench.is_at_rest();
    assert_eq!(depth(&bench), Some(0), "it is there though it is empty");
}

#[test]
fn its_messages_are_acked_and_come_again_as_those_of_any_queue() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(2));
    check(&bench.publish(3, "/topic/a", &["0", "1", "2"]), &["1:0", "1:1"]);
    bench.credit(1, 10);
    bench.send(1, ack(1, 1));
    bench.credit(1, 5);
    check(&bench.send(1, nack(2, 2)), &["1:1"]);
    bench.send(1, Command::Disconnect);
    check(&durable_as(&mut bench, 2, QUEUE, "/topic/a", manual(9)), &["2:1", "2:2"]);
    bench.credit(2, 10);
    bench.send(2, ack(1, 2));
    bench.is_at_rest();
}

#[test]
fn several_subscribers_share_a_durable_subscription() {
    let mut bench = Bench::new(Limits::default());
    durable(&mut bench, 1, "/topic/a");
    durable(&mut bench, 2, "/topic/a");
    bench.subscribe(4, QUEUE);
    assert_eq!(brief(&bench.publish(3, "/topic/a", &["0", "1", "2"])).len(), 3);
    let rows = bench.broker.status(bench.now, &StatusQuery::top(100)).connections;
    let outboxes: Vec<usize> = rows.iter().filter(|row| row.outbox > 0).map(|row| row.outbox).collect();
    assert_eq!(outboxes, [5, 5, 5]);
}

#[test]
fn a_full_durable_subscription_misses_the_oldest_and_pauses_nobody() {
    for (messages, left) in [(1, vec!["2:3"]), (2, vec!["2:2", "2:3"]), (4, vec!["2:0", "2:1", "2:2", "2:3"])] {
        let limits = Limits { queue_messages: messages, overflow: QueueOverflow::Reject, ..Limits::default() };
        let mut bench = Bench::new(limits);
        durable(&mut bench, 1, "/topic/a");
        bench.send(1, Command::Disconnect);
        for body in ["0", "1", "2", "3"] {
            check(&bench.publish(3, "/topic/a", &[body]), &[]);
        }
        bench.rest();
        let totals = bench.broker.totals();
        assert_eq!((totals.dropped_overflow, totals.dead_lettered, totals.rejected), (4 - left.len() as u64, 0, 0));
        check(&durable(&mut bench, 2, "/topic/a"), &left);
        assert_eq!(depth(&bench), Some(0));
    }
}

#[test]
fn where_memory_is_short_a_durable_subscription_misses_messages_and_nobody_is_paused() {
    let limits = small();
    let memory = 60_000 + limits.connections * Limits::CONNECTION;
    let mut bench = Bench::new(Limits { memory, queue: 1 << 20, ..limits });
    durable(&mut bench, 1, "/topic/a");
    bench.send(1, Command::Disconnect);
    for _ in 0..200 {
        check(&bench.publish(3, "/topic/a", &[&"x".repeat(900)]), &[]);
        assert!(bench.broker.totals().memory <= memory);
    }
    let dropped = bench.broker.totals().dropped_overflow;
    assert!((150..190).contains(&dropped), "{dropped} dropped");
    assert_eq!(depth(&bench), Some(200 - dropped as usize));
    // It has about as much as is free.
    let row = bench.broker.queue(bench.now, QUEUE.as_bytes()).unwrap();
    assert!(row.bytes.abs_diff(bench.broker.budget.free()) < 4000, "{} bytes", row.bytes);
    check(&bench.publish(3, "/queue/a", &["x"]), &[]);
}

#[test]
fn its_end_frees_its_messages_and_its_name_and_nothing_feeds_it_any_more() {
    for steps in [1, 6, 10_000] {
        let mut bench = Bench::new(Limits::default());
        bench.broker.set_steps_per_call(steps);
        durable_as(&mut bench, 1, QUEUE, "/topic/*", manual(1));
        durable_as(&mut bench, 2, QUEUE, "/topic/*", manual(1));
        bench.rest();
        bench.publish(3, "/topic/a", &["0", "1", "2", "3"]);
        bench.rest();
        bench.credit(1, 5);
        bench.credit(2, 2);
        bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
        let mut events = end(&mut bench, 1);
        // Another one may have the name at once.
        events.extend(durable(&mut bench, 4, "/topic/b"));
        assert!(brief(&events).iter().all(|line| line == "recall 2" || line == "ended 2: 0"), "{events:?}");
        bench.rest();
        assert_eq!(bench.broker.totals().dropped_ended, 2);
        bench.publish(3, "/topic/a", &["x"]);
        bench.rest();
        assert_eq!(bench.broker.totals().dropped_no_subscribers, 1);
        // The others had theirs: one acks it, the other leaves, and what it had is gone, too.
        bench.send(1, ack(1, 1));
        bench.send(2, Command::Disconnect);
        bench.rest();
        let totals = bench.broker.totals();
        assert_eq!((totals.dropped_ended, totals.dead_lettered), (3, 0));
        end(&mut bench, 1);
        bench.rest();
        bench.is_at_rest();
        assert_eq!(bench.broker.totals().channels, 0);
    }
}

#[test]
fn another_source_under_the_same_name_is_refused_and_so_is_the_end_of_none() {
    let mut bench = Bench::new(Limits { channel_name: 30, ..Limits::default() });
    let refused = |refusal: Refusal| format!("refused: {refusal}");
    check(&end(&mut bench, 1), &[&refused(Refusal::NoDurable)]);
    check(&durable(&mut bench, 1, "/topic/a"), &[]);
    check(&durable(&mut bench, 2, "/topic/b"), &[&refused(Refusal::OtherSource)]);
    check(&durable(&mut bench, 2, "/topic/*"), &[&refused(Refusal::OtherSource)]);
    check(&durable(&mut bench, 1, "/topic/a"), &[&refused(Refusal::SubscriptionExists)]);
    let long = |length: usize| "/topic/".to_owned() + &"x".repeat(length - 7);
    let too_long = refused(Refusal::NameTooLong { length: 31, limit: 30 });
    check(&durable_as(&mut bench, 2, "/queue/subscription/me/y", long(31).leak(), AckMode::Auto), &[&too_long]);
    check(&durable_as(&mut bench, 2, "/queue/subscription/me/y", long(30).leak(), AckMode::Auto), &[]);
    // A queue that is none of a durable subscription is not ended as one.
    bench.publish(3, "/queue/a", &["x"]);
    check(&bench.send(1, Command::EndDurable { queue: "/queue/a".into() }), &[&refused(Refusal::NoDurable)]);
    assert_eq!(bench.broker.queue(bench.now, b"/queue/a").map(|row| row.depth), Some(1));
}

#[test]
fn a_refusal_names_what_cannot_be_and_says_why() {
    let refused = |bench: &mut Bench, queue, source| {
        let events = durable_as(bench, 2, queue, source, AckMode::Auto);
        let [Event::Refused { channel: Some(channel), refusal, .. }] = &events[..] else { panic!("{events:?}") };
        (String::from_utf8_lossy(channel).into_owned(), refusal.to_string())
    };
    let mut bench = Bench::new(Limits { channel_name: 30, ..Limits::default() });
    let source = "a durable subscription is to a topic, and this is a queue, which keeps its messages anyway";
    assert_eq!(refused(&mut bench, QUEUE, "/queue/a"), ("/queue/a".into(), source.into()));
    let queue = "the messages of a durable subscription wait in a queue, whose name begins with /queue";
    for (name, source) in [("/topic/x", "/topic/a"), ("/topic/x", "/queue/a"), ("/Queue/x", "/topic/a")] {
        assert_eq!(refused(&mut bench, name, source), (name.into(), queue.into()));
    }
    let long: &'static str = ("/topic/".to_owned() + &"x".repeat(24)).leak();
    let too_long = Refusal::NameTooLong { length: 31, limit: 30 };
    assert_eq!(refused(&mut bench, QUEUE, long), (long.into(), too_long.to_string()));
    assert_eq!(bench.broker.totals().channels, 0, "nothing was made");
}

#[test]
fn one_that_has_finished_makes_no_durable_subscription() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(1, "/topic/b");
    bench.publish(3, "/topic/b", &["x"]);
    check(&bench.send(1, Command::Finish), &[]);
    check(&durable(&mut bench, 1, "/topic/a"), &[]);
    assert_eq!(depth(&bench), None);
    check(&bench.credit(1, 5), &["close 1: finished"]);
    bench.send(1, Command::Disconnect);
    assert_eq!(bench.broker.totals().channels, 0);
    bench.is_at_rest();
}

#[test]
fn a_name_that_looks_like_a_pattern_is_taken_literally() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, "/queue/subscription/me/a", "/topic/a", AckMode::Auto);
    durable_as(&mut bench, 2, "/queue/subscription/me/*", "/topic/b", AckMode::Auto);
    check(&bench.publish(3, "/topic/a", &["a"]), &["1:a"]);
    check(&bench.publish(3, "/topic/b", &["b"]), &["2:b"]);
}

#[test]
fn a_pattern_of_topics_feeds_a_durable_subscription_from_those_that_are_there_and_those_that_come() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe(5, "/topic/there");
    durable(&mut bench, 1, "/topic/>");
    let mut events = bench.publish(3, "/topic/there", &["0"]);
    events.retain(|event| matches!(event, Event::Deliver { connection, .. } if connection.0 == 1));
    events.extend(bench.publish(3, "/topic/comes/later", &["1"]));
    bench.publish(3, "/other", &["x"]);
    assert_eq!(brief(&events), ["1:0", "1:1"]);
    assert_eq!(origins(&events), ["/topic/there", "/topic/comes/later"]);
    // Two of one client, which both match.
    durable_as(&mut bench, 2, "/queue/subscription/me/y", "/topic/comes/*", AckMode::Auto);
    check(&bench.publish(3, "/topic/comes/later", &["2"]), &["1:2", "2:2"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_new_durable_subscription_begins_with_the_retained_values_and_gets_them_once() {
    for source in ["/topic/a", "/topic/*"] {
        for steps in [1, 10_000] {
            let mut bench = Bench::new(Limits::default());
            retain(&mut bench, "/topic/a", &["value"]);
            retain(&mut bench, "/other", &["other"]);
            bench.broker.set_steps_per_call(steps);
            let mut events = durable(&mut bench, 1, source);
            events.extend(bench.publish(3, "/topic/a", &["next"]));
            bench.rest();
            events.extend(bench.events());
            check(&events, &["1:value", "1:next"]);
            let Event::Deliver { batch, .. } = &events[0] else { panic!("{events:?}") };
            assert_eq!(batch.attributes().unwrap().headers.get(b"retained"), Some(&b"true"[..]));
            bench.credit(1, 100);
            bench.send(1, Command::Disconnect);
            bench.rest();
            assert_eq!(brief(&durable(&mut bench, 2, source)), Vec::<String>::new());
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}

#[test]
fn publishers_that_waited_for_a_subscriber_go_on_when_a_durable_one_comes() {
    for source in ["/topic/a", "/topic/*"] {
        let mut bench = Bench::new(Limits { buffer_unsubscribed: 1, ..Limits::default() });
        check(&bench.publish(3, "/topic/a", &["0", "1"]), &["pause 3"]);
        check(&durable(&mut bench, 1, source), &["1:1", "resume 3"]);
        // The topic's buffer is for its first subscriber.
        check(&bench.subscribe(2, "/topic/a"), &["2:0"]);
    }
}

#[test]
fn its_rule_is_that_of_its_queue() {
    let rule = |pattern: &'static str| ChannelRule::new(Pattern::new(pattern));
    let mut short = rule("/queue/subscription/>");
    short.delivery.message_ttl = Some(std::time::Duration::from_millis(10));
    let mut bench = Bench::with_rules(Limits::default(), vec![short, rule("/queue/>")]);
    durable(&mut bench, 1, "/topic/a");
    bench.send(1, Command::Disconnect);
    bench.publish(3, "/topic/a", &["0"]);
    bench.pass(9);
    assert_eq!(depth(&bench), Some(1));
    bench.pass(1);
    assert_eq!((depth(&bench), bench.broker.totals().expired), (Some(0), 1));
}

#[test]
fn dead_letters_of_a_durable_subscription_go_back_to_it_and_a_topic_is_no_place_to_move_to() {
    let mut bench = Bench::new(Limits::default());
    durable_as(&mut bench, 1, QUEUE, "/topic/a", manual(9));
    bench.publish(3, "/topic/a", &["0"]);
    bench.credit(1, 5);
    bench.send(1, Command::Nack { first: crate::DeliveryTag(1), last: crate::DeliveryTag(1), requeue: false });
    bench.send(1, Command::Unsubscribe { subscription: SubscriptionId(0) });
    let dead = b"/queue/dead/queue/subscription/me/x";
    assert_eq!(bench.broker.move_messages(bench.now, dead, None, 10).map(|order| order.messages), Ok(1));
    bench.rest();
    assert_eq!(depth(&bench), Some(1));
    assert_eq!(bench.broker.move_messages(bench.now, QUEUE.as_bytes(), None, 10).map(|order| order.messages), Ok(1));
    bench.rest();
    assert_eq!(depth(&bench), Some(1));
    let events = durable_as(&mut bench, 2, QUEUE, "/topic/a", manual(9));
    check(&events, &["2:0"]);
    assert_eq!(origins(&events), ["/topic/a"], "it still says of which topic it is");
}

#[test]
fn durable_subscriptions_are_bounded_as_channels_are() {
    let mut bench = Bench::new(Limits { channels: 1, ..Limits::default() });
    check(&durable(&mut bench, 1, "/topic/a"), &[]);
    let refused = "refused: there are 1 channels already (limit: channels)";
    check(&durable_as(&mut bench, 2, "/queue/subscription/me/y", "/topic/a", AckMode::Auto), &[refused]);
    end(&mut bench, 1);
    check(&durable_as(&mut bench, 2, "/queue/subscription/me/y", "/topic/a", AckMode::Auto), &[]);
}

#[test]
fn a_topic_with_durable_subscribers_alone_is_not_published_to_in_vain() {
    let mut bench = Bench::new(Limits::default());
    durable(&mut bench, 1, "/topic/a");
    bench.send(1, Command::Disconnect);
    for _ in 0..1000 {
        bench.publish(3, "/topic/a", &["x"]);
    }
    let totals = bench.broker.totals();
    assert_eq!((totals.dropped_no_subscribers, totals.published), (0, 1000));
    let row = bench.broker.queue(bench.now, QUEUE.as_bytes()).unwrap();
    assert_eq!((row.published, row.depth), (1000, 1000));
    // Small messages without attributes of their own are kept together.
    assert!(row.bytes < 50_000, "{} bytes", row.bytes);
    bench.broker.purge(bench.now, QUEUE.as_bytes());
    bench.rest();
    bench.is_at_rest();
}
