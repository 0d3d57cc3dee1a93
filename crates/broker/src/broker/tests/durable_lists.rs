//! The lists of the queues that topics feed, and what becomes of messages where there is no room for one.

use super::durable::{QUEUE, durable_as};
use super::retain::retain;
use super::{Bench, brief, check, small};
use crate::broker::durable::Feeds;
use crate::{AckMode, Batch, Command, Limits, SubscriptionId, cost};
use bytes::Bytes;

/// Topics that have a list of what they feed, and those that look it up.
fn lists(bench: &Bench) -> (usize, usize) {
    let feeds = bench.broker.channels.iter().filter_map(|(_, channel)| channel.feeds.as_ref());
    let (listed, looked_up): (Vec<_>, Vec<_>) = feeds.partition(|feeds| matches!(feeds, Feeds::Listed(_)));
    (listed.len(), looked_up.len())
}

#[test]
fn what_topics_feed_takes_a_part_of_the_memory_and_nothing_is_missed_where_no_list_is_kept() {
    const SOURCES: u32 = 100;
    const TOPICS: u32 = 400;
    let limits = small();
    let memory = 3_000_000 + limits.connections * Limits::CONNECTION;
    let mut bench = Bench::new(Limits { memory, subscriptions: 1000, outbox: 1 << 20, queue: 1 << 20, ..limits });
    let queue = |number: u32| Bytes::from(format!("/queue/subscription/me/{number}"));
    for number in 0..SOURCES {
        let (subscription, ack) = (SubscriptionId(number), AckMode::Auto);
        let source = "/topic/>".into();
        bench.send(1, Command::SubscribeDurable { subscription, queue: queue(number), source, ack });
    }
    bench.send(1, Command::Disconnect);
    for number in 0..TOPICS {
        let pattern = Bytes::from(format!("/topic/{number}"));
        bench.send(2, Command::Subscribe { subscription: SubscriptionId(number), pattern, ack: AckMode::Auto });
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
    let one = cost::LIST + SOURCES as usize * cost::LISTED;
    let most = memory / 16 / one;
    assert!((50..TOPICS as usize).contains(&most), "{most} lists");
    assert_eq!((lists(&bench), bench.broker.list_charge), ((most, TOPICS as usize - most), most * one));
    // All get what the first topic has, and the last.
    let depths = |bench: &Bench| -> Vec<usize> {
        (0..SOURCES).filter_map(|number| Some(bench.broker.queue(bench.now, &queue(number))?.depth)).collect()
    };
    bench.publish(3, "/topic/0", &["0"]);
    bench.publish(3, "/topic/399", &["1", "2"]);
    assert_eq!(depths(&bench), [3; SOURCES as usize]);
    // One more gets the value of a topic without a list, once.
    retain(&mut bench, "/topic/399", &["3"]);
    let mut events = durable_as(&mut bench, 4, QUEUE, "/topic/*", AckMode::Auto);
    bench.rest();
    events.extend(bench.events());
    check(&events, &["4:3"]);
    let events = brief(&bench.publish(3, "/topic/399", &["4"]));
    assert!(events.contains(&"4:4".to_owned()), "{events:?}");
    assert_eq!(depths(&bench), [5; SOURCES as usize]);
    retain(&mut bench, "/topic/399", &[""]);
    // Fewer are few enough for all lists, which topics keep from the next message on.
    for number in 1..SOURCES {
        bench.send(5, Command::EndDurable { queue: queue(number) });
    }
    bench.rest();
    for number in 0..TOPICS {
        bench.send(3, Command::Publish { channel: format!("/topic/{number}").into(), batch: Batch::one(b"x") });
    }
    assert_eq!(lists(&bench), (TOPICS as usize, 0));
    assert_eq!(depths(&bench), [6 + TOPICS as usize]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_topic_that_feeds_nothing_any_more_is_forgotten() {
    for source in ["/topic/a", "/topic/*"] {
        let mut bench = Bench::new(Limits::default());
        durable_as(&mut bench, 1, QUEUE, source, AckMode::Auto);
        bench.publish(2, "/topic/a", &["0"]);
        bench.credit(1, 5);
        assert_eq!(lists(&bench), (1, 0));
        bench.send(3, Command::EndDurable { queue: QUEUE.into() });
        bench.rest();
        assert_eq!((lists(&bench), bench.broker.channels.len()), ((0, 0), 0), "{source}");
        bench.is_at_rest();
    }
}
