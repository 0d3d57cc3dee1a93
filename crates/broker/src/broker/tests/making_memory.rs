//! Memory for a new channel, where subscriptions to patterns that match its name have most of it.

use super::super::making::need_of_channel;
use super::{Bench, brief, check, manual, with_memory};
use crate::{AckMode, Command, DeliveryTag, Limits, SubscriptionId};

const PATTERNS: usize = 400;

/// Connection 1 has many subscriptions to a pattern.
fn crowded(pattern: &'static str, memory: usize) -> Bench {
    let mut bench = Bench::new(Limits { subscriptions: 1000, outbox: 1 << 20, window: 1 << 20, ..with_memory(memory) });
    // As if most of them were to names, or had their memory for memberships.
    bench.broker.shared.most_for_patterns = usize::MAX;
    for number in 0..PATTERNS {
        let subscription = SubscriptionId(number as u32);
        check(&bench.send(1, Command::Subscribe { subscription, pattern: pattern.into(), ack: AckMode::Auto }), &[]);
    }
    bench
}

/// The least memory with which a new channel of this name is made beyond the budget, where nothing but subscriptions has any.
fn least(name: &str, lasting: usize) -> usize {
    let need = need_of_channel(name.as_bytes(), PATTERNS);
    least_for(lasting + need)
}

/// The least memory of which so many bytes exceed a sixteenth of the budget by none.
fn least_for(bytes: usize) -> usize {
    let is_enough = |&memory: &usize| memory + with_memory(memory).memory / 16 >= bytes;
    (0..).find(is_enough).expect("some memory is enough")
}

fn lasting(pattern: &'static str) -> usize {
    crowded(pattern, 1 << 30).broker.lasting_charge
}

#[test]
fn a_new_channel_for_which_subscriptions_leave_no_memory_is_made_beyond_the_budget_and_refused_beyond_a_sixteenth_of_it()
 {
    let (name, lasting) = ("/topic/new", lasting("/topic/>"));
    let (least, need) = (least(name, lasting), need_of_channel(name.as_bytes(), PATTERNS));
    assert!(need > least - lasting, "it does not fit the budget");
    for (memory, is_made) in [(least - 1, false), (least, true), (least + 1, true)] {
        let mut bench = crowded("/topic/>", memory);
        let events = brief(&bench.publish(4, name, &["x"]));
        if is_made {
            assert_eq!(events.iter().filter(|event| *event == "1:x").count(), PATTERNS, "{memory}: {events:?}");
        } else {
            let free = memory - lasting;
            let reason = format!(
                "refused: a new channel takes {need} bytes of memory with the {PATTERNS} subscriptions to patterns that match \
                 its name, and all subscriptions leave {free} (limit: memory)"
            );
            assert_eq!(events, [reason]);
        }
        assert_eq!(bench.broker.totals().channels, usize::from(is_made));
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_new_channel_is_refused_where_subscriptions_to_names_keep_the_memory_in_channels() {
    let subscribed = |memory: usize| {
        let mut bench = Bench::new(Limits { subscriptions: 1000, ..with_memory(memory) });
        for number in 0..100 {
            let (subscription, pattern) = (SubscriptionId(number), format!("/topic/{number}").into());
            check(&bench.send(1, Command::Subscribe { subscription, pattern, ack: AckMode::Auto }), &[]);
        }
        bench
    };
    let least = least_for(subscribed(1 << 30).broker.lasting_charge + need_of_channel(b"/queue/a", 0));
    for (memory, is_made) in [(least - 1, false), (least, true), (least + 1, true)] {
        let events = brief(&subscribed(memory).publish(4, "/queue/a", &["x"]));
        let is_refused = events.iter().any(|event| event.contains("all subscriptions leave 0 (limit: memory)"));
        assert_eq!(is_refused, !is_made, "{memory}: {events:?}");
    }
}

#[test]
fn a_second_channel_beyond_the_budget_waits_until_the_first_is_unused() {
    let mut bench = crowded("/topic/>", least("/topic/second", lasting("/topic/>")));
    bench.publish(4, "/topic/new", &["x"]);
    check(&bench.publish(5, "/topic/second", &["y"]), &["pause 5"]);
    let events = brief(&bench.credit(1, 5 * PATTERNS));
    assert!(events.contains(&"resume 5".to_owned()) || events.contains(&"1:y".to_owned()), "{events:?}");
    bench.credit(1, 5 * PATTERNS);
    assert_eq!((bench.broker.totals().paused, bench.broker.totals().channels), (0, 0));
    bench.is_at_rest();
}

#[test]
fn a_new_channel_waits_while_messages_have_the_memory_that_it_takes() {
    let need = need_of_channel(b"/topic/new", PATTERNS);
    let lasting = lasting("/topic/>");
    for free in [need - 1, need, need + 1] {
        // Of what subscriptions leave, messages have all.
        let mut bench = crowded("/topic/>", lasting + free);
        bench.broker.budget.charge(free);
        check(&bench.publish(4, "/topic/new", &["x"]), &["pause 4"]);
        bench.broker.budget.release(free);
        bench.broker.handle_timeout(bench.now);
        assert_eq!(brief(&bench.events()).iter().filter(|event| *event == "1:x").count(), PATTERNS, "{free} of {need}");
        bench.credit(1, 5 * PATTERNS);
        assert_eq!(bench.broker.totals().paused, 0);
        bench.is_at_rest();
    }
}

#[test]
fn unused_channels_are_forgotten_for_a_new_one_only_if_that_suffices() {
    let need = need_of_channel(b"/topic/new", 0);
    for (lacks, is_made) in [(1, false), (0, true), (-1, true)] {
        let mut bench = Bench::new(with_memory(1 << 20));
        bench.subscribe(1, "/topic/old/*");
        for name in ["/topic/old/1", "/topic/old/2", "/topic/old/3"] {
            bench.publish(2, name, &[""]);
            bench.credit(1, 4);
        }
        assert_eq!(bench.broker.totals().channels, 3);
        let others = bench.broker.budget.free() + bench.broker.unused_charge - need;
        bench.broker.budget.charge(others.strict_add_signed(lacks));
        assert_eq!(bench.broker.make_channel(&"/topic/new".into()).is_ok(), is_made);
        assert_eq!(bench.broker.totals().channels, if is_made { 1 } else { 3 });
    }
}

#[test]
fn a_publisher_of_a_new_channel_waits_for_subscriptions_that_are_ending() {
    for (steps, ends) in [(1, Command::Disconnect), (50, Command::Finish)] {
        let mut bench = crowded("/topic/>", least("/topic/new", lasting("/topic/>")) - 1);
        bench.broker.set_steps_per_call(steps);
        bench.subscribe(2, "/topic/>");
        bench.send(1, ends);
        check(&bench.publish(4, "/topic/new", &["x"]), &["pause 4"]);
        bench.rest();
        let events = brief(&bench.events());
        assert!(events.contains(&"2:x".to_owned()) && events.contains(&"resume 4".to_owned()), "{events:?}");
        assert!(!events.iter().any(|event| event.starts_with("refused")), "{events:?}");
    }
}

#[test]
fn consumers_and_dead_letters_find_a_new_queue_though_subscriptions_leave_no_memory_for_it() {
    let (pattern, dead) = ("/queue/dead/>", "/queue/dead/queue/a");
    let consume = |bench: &mut Bench| bench.subscribe_with(2, "/queue/a", manual(1));
    let mut roomy = crowded(pattern, 1 << 30);
    consume(&mut roomy);
    let lasting = roomy.broker.lasting_charge;
    let memory = least(dead, lasting) + 4096;
    assert!(need_of_channel(dead.as_bytes(), PATTERNS) > memory - lasting);

    let mut bench = crowded(pattern, memory);
    check(&consume(&mut bench), &[]);
    check(&bench.publish(3, "/queue/a", &["x"]), &["2:x"]);
    bench.credit(2, 5);
    let nack = Command::Nack { first: DeliveryTag(1), last: DeliveryTag(1), requeue: false };
    check(&bench.send(2, nack), &["1:x"]);

    let mut bench = crowded(pattern, memory);
    check(&bench.subscribe(2, dead), &[]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}
