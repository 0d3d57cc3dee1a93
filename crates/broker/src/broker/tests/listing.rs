//! The listing of queues, and looks at what waits in them.

use super::attributes::headers;
use super::retry::{ack, nack};
use super::{Bench, manual};
use crate::{
    AckMode, Attributes, Batch, Broker, BrowseQuery, Browsed, Command, ConnectionId, Limits, Page, Position,
    SubscriptionId, Time,
};
use std::sync::Arc;
use std::time::Duration;

impl Bench {
    fn browse(&self, query: BrowseQuery) -> (Vec<Browsed>, Option<Position>) {
        let found = self.broker.browse(self.now, b"/queue/a", &query).expect("the queue is there");
        (found.messages, found.next)
    }
}

fn bodies(found: &[Browsed]) -> Vec<String> {
    found.iter().map(|message| message.body.escape_ascii().to_string()).collect()
}

#[test]
fn a_listing_says_of_a_queue_how_many_wait_are_in_flight_and_what_became_of_the_others() {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(5));
    bench.publish(3, "/queue/a", &["0", "1", "2", "3", "4", "5", "6"]);
    bench.credit(1, 25);
    bench.send(1, ack(1, 1));
    bench.send(1, nack(2, 2));
    let reject = Command::Nack { first: crate::DeliveryTag(3), last: crate::DeliveryTag(3), requeue: false };
    bench.send(1, reject);
    let batch = Batch::one(b"x").with_attributes(Arc::new(Attributes::default().with_expires(bench.now)));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    bench.subscribe(2, "/topic/a");
    bench.pass(1000);
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert!((row.publish_rate - 8.0).abs() < 0.01, "{}", row.publish_rate);
    bench.pass(2000);
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert_eq!((row.depth, row.postponed, row.in_flight, row.consumers), (0, 0, 5, 1));
    assert_eq!((row.published, row.delivered, row.returned), (8, 1, 1));
    assert_eq!((row.dead_lettered, row.expired, row.dropped), (1, 1, 1));
    let dead = bench.broker.queue(bench.now, b"/queue/dead/queue/a").unwrap();
    assert_eq!((row.dead, dead.depth, dead.dead), (1, 1, 0));
    assert_eq!((row.oldest, row.is_paused, row.moving), (None, false, 0));
    assert!(row.publish_rate.abs() < 0.01, "{}", row.publish_rate);
    bench.send(1, nack(4, 4));
    let row = bench.broker.queue(bench.now, b"/queue/a").unwrap();
    assert_eq!((row.depth, row.postponed, row.in_flight, row.oldest), (1, 1, 4, None));
    // Topics are no queues.
    let all = bench.broker.queues(bench.now, Page::Top(10));
    let names: Vec<_> = all.queues.iter().map(|row| row.name.clone()).collect();
    assert_eq!(names, ["/queue/a", "/queue/dead/queue/a"]);
    assert!(bench.broker.queue(bench.now, b"/topic/a").is_none());
}

#[test]
fn queues_are_listed_page_by_page_each_once() {
    let mut bench = Bench::new(Limits::default());
    for number in 0..50 {
        let name = format!("/{}/{number:02}", if number % 2 == 0 { "queue" } else { "topic" });
        bench.send(
            1,
            Command::Subscribe { subscription: SubscriptionId(number), pattern: name.into(), ack: AckMode::Auto },
        );
    }
    for limit in [1, 7, 25, 1000] {
        let (mut names, mut cursor) = (Vec::new(), Some(0));
        while let Some(at) = cursor {
            let page = bench.broker.queues(bench.now, Page::After { cursor: at, limit });
            assert!(page.queues.len() <= limit);
            names.extend(page.queues.iter().map(|row| row.name.clone()));
            cursor = page.next;
        }
        let expected: Vec<String> = (0..50).step_by(2).map(|number| format!("/queue/{number:02}")).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn the_oldest_message_of_those_that_wait_has_an_age_also_once_it_came_back() {
    let mut bench = Bench::new(Limits::default());
    bench.subscribe_with(1, "/queue/a", manual(1));
    bench.publish(3, "/queue/a", &["0"]);
    bench.pass(5_000);
    bench.publish(3, "/queue/a", &["1"]);
    let oldest = |bench: &Bench| bench.broker.queue(bench.now, b"/queue/a").unwrap().oldest;
    assert_eq!(oldest(&bench), Some(Duration::ZERO));
    bench.pass(60_000);
    assert_eq!(oldest(&bench), Some(Duration::from_secs(60)));
    bench.credit(1, 5);
    bench.send(1, Command::Disconnect);
    assert_eq!(oldest(&bench), Some(Duration::from_secs(65)));
    let (found, _) = bench.browse(BrowseQuery::new(10, 1000));
    assert_eq!(found.iter().map(|message| message.age.as_secs()).collect::<Vec<_>>(), [65, 60]);
}

#[test]
fn a_look_takes_nothing_and_says_of_each_message_what_is_known() {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    bench.subscribe_with(1, "/queue/a", manual(2));
    bench.publish(3, "/queue/a", &["0", "1"]);
    bench.credit(1, 10);
    bench.send(1, nack(1, 1));
    bench.send(1, Command::Disconnect);
    let attributes = Arc::new(Attributes { headers: headers(&[("kind", "order")]), ..Attributes::default() });
    let batch = Batch::one(b"2").with_attributes(attributes.clone());
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    let deliver_at = Some(bench.now + Duration::from_secs(9));
    let late = Batch::one(b"late").with_attributes(Arc::new(Attributes::default().with_deliver_at(deliver_at)));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch: late });
    let memory = bench.broker.totals();
    let (found, next) = bench.browse(BrowseQuery::new(10, 10_000));
    assert_eq!((bodies(&found), next), (["1", "2", "0", "late"].map(str::to_owned).to_vec(), None));
    let known: Vec<_> = found.iter().map(|m| (m.seq, m.redelivered, m.attempts, m.postponed)).collect();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(known, [(1, true, 1, None), (2, false, 0, None), (0, true, 1, seconds(1)), (3, false, 0, seconds(9))]);
    assert_eq!(found[1].attributes, Some(attributes));
    assert_eq!(bench.broker.totals(), memory);
    let missing = bench.broker.browse(bench.now, b"/queue/b", &BrowseQuery::new(1, 1));
    assert!(missing.is_none());
}

#[test]
fn a_look_goes_on_where_the_one_before_ended_whatever_its_bounds_are() {
    let mut bench = Bench::with_rules(Limits::default(), Vec::new());
    // Messages that came back, large batches, small ones in a growing buffer, delayed ones.
    bench.subscribe_with(1, "/queue/a", manual(3));
    bench.publish(3, "/queue/a", &["00", "01", "02"]);
    bench.credit(1, 18);
    bench.send(1, nack(2, 2));
    bench.send(1, Command::Disconnect);
    let long = "x".repeat(600);
    bench.publish(3, "/queue/a", &[&long, "04", "05"]);
    for number in 6..12 {
        bench.publish(3, "/queue/a", &[&format!("{number:02}")]);
    }
    for second in [50, 40] {
        let deliver_at = Some(bench.now + Duration::from_secs(second));
        let batch = Batch::one(second.to_string().as_bytes());
        let batch = batch.with_attributes(Arc::new(Attributes::default().with_deliver_at(deliver_at)));
        bench.send(3, Command::Publish { channel: "/queue/a".into(), batch });
    }
    let (all, next) = bench.browse(BrowseQuery::new(100, 10_000));
    assert_eq!((all.len(), next), (14, None));
    assert_eq!(bodies(&all[..2]), ["00", "02"]);
    assert_eq!(bodies(&all[11..]), ["01", "40", "50"]);
    for messages in [1, 2, 5, 14, 15, usize::MAX] {
        for bytes in [1, 2, 3, 599, 600, 602, 603, usize::MAX] {
            let (mut found, mut next) = (Vec::new(), Some(Position::default()));
            while let Some(from) = next {
                // A position goes through its text.
                let from = from.to_string().parse().unwrap();
                let (page, behind) = bench.browse(BrowseQuery { from, messages, bytes });
                assert!(page.len() <= messages && !page.is_empty());
                assert!(page.iter().map(|message| message.body.len()).sum::<usize>() <= bytes);
                found.extend(page);
                next = behind;
            }
            let seqs = |found: &[Browsed]| found.iter().map(|message| message.seq).collect::<Vec<_>>();
            assert_eq!(seqs(&found), seqs(&all), "{messages} messages, {bytes} bytes");
            let lengths: Vec<_> = found.iter().map(|message| message.length).collect();
            assert_eq!(lengths, all.iter().map(|message| message.body.len()).collect::<Vec<_>>());
        }
    }
    let (none, next) = bench.browse(BrowseQuery::new(0, 100));
    assert_eq!((none.len(), next.is_some()), (0, true));
}

#[test]
fn a_look_is_bounded_by_its_greatest_bounds() {
    let mut bench = Bench::new(Limits::default());
    let long = "x".repeat(3 << 19);
    bench.publish(3, "/queue/a", &[&long, "1"]);
    (0..2000).for_each(|_| _ = bench.publish(3, "/queue/a", &["2"]));
    let (found, next) = bench.browse(BrowseQuery::new(usize::MAX, usize::MAX));
    assert_eq!((found.len(), found[0].body.len(), found[0].length), (1, BrowseQuery::MAX_BYTES, 3 << 19));
    let (found, next) = bench.browse(BrowseQuery { from: next.unwrap(), messages: usize::MAX, bytes: usize::MAX });
    assert_eq!((found.len(), next.is_some()), (BrowseQuery::MAX_MESSAGES, true));
}

#[test]
fn headers_that_do_not_fit_are_left_out_with_the_body() {
    let mut bench = Bench::new(Limits::default());
    let attributes = Arc::new(Attributes { headers: headers(&[("kind", &"y".repeat(500))]), ..Attributes::default() });
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch: Batch::one(b"0").with_attributes(attributes) });
    let (found, _) = bench.browse(BrowseQuery::new(1, 100));
    assert_eq!((found[0].is_cut, found[0].length, found[0].body.len()), (true, 1, 0));
    assert!(found[0].attributes.is_none());
    let (found, _) = bench.browse(BrowseQuery::new(1, 1000));
    assert!(!found[0].is_cut && found[0].attributes.is_some());
}

#[test]
fn a_text_that_is_no_position_is_refused() {
    for text in
        ["", "1", "1-2-3", "1-2-3-4-5", "256-0-0-0", "0-0-0-4294967296", "0-0-0--1", "+0-0-0-0", " 0-0-0-0", "a-0-0-0"]
    {
        assert!(text.parse::<Position>().is_err(), "{text:?}");
    }
    let largest = format!("255-{0}-{0}-{1}", u64::MAX, u32::MAX);
    assert_eq!(largest.parse::<Position>().unwrap().to_string(), largest);
    let mut bench = Bench::new(Limits::default());
    bench.publish(3, "/queue/a", &["0"]);
    let (found, next) = bench.browse(BrowseQuery { from: largest.parse().unwrap(), messages: 9, bytes: 9 });
    assert_eq!((found.len(), next), (0, None));
}

#[test]
fn the_fullest_queues_are_listed_beside_more_topics_than_a_page_looks_at() {
    let mut broker = Broker::new(Limits { subscriptions: 20_000, memory: 1 << 34, ..Limits::default() }, vec![]);
    let mut send = |command| broker.handle(Time::ZERO, ConnectionId(1), command);
    send(Command::Connect { transport_acks: false });
    for number in 0..10_001 {
        let (pattern, ack) = (format!("/topic/{number}").into(), AckMode::Auto);
        send(Command::Subscribe { subscription: SubscriptionId(number), pattern, ack });
    }
    send(Command::Publish { channel: "/queue/a".into(), batch: Batch::one(b"x") });
    let queues = broker.queues(Time::ZERO, Page::Top(10)).queues;
    assert_eq!(queues.iter().map(|queue| &queue.name[..]).collect::<Vec<_>>(), [b"/queue/a"]);
}
