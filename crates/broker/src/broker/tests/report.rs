use super::{Bench, small};
use crate::broker::forget::UNUSED;
use crate::{Batch, Command, Limits, Page, StatusQuery};

#[test]
fn what_a_pattern_keeps_in_being_is_bounded_and_goes_with_it() {
    let mut bench = Bench::new(small());
    bench.subscribe(1, "/topic/>");
    for number in 0..3000 {
        let channel = bytes::Bytes::from(format!("/topic/{number}"));
        let events = bench.send(2, Command::Publish { channel, batch: Batch::one(b"x") });
        assert_eq!(events.len(), 1, "{number}");
        bench.credit(1, 5);
    }
    let status = bench.broker.status(bench.now, &StatusQuery::top(10));
    assert_eq!(status.totals.channels, UNUSED);
    bench.publish(2, "/topic/2999", &["y"]);
    bench.credit(1, 5);
    let page = |cursor| {
        let channels = Page::After { cursor, limit: usize::MAX };
        bench.broker.status(bench.now, &StatusQuery { channels, ..StatusQuery::top(0) })
    };
    let first = page(0);
    let pages = [page(first.next_channel.expect("a second page")).channels, first.channels];
    assert_eq!(pages[0].len() + pages[1].len(), UNUSED);
    let last = pages.iter().flatten().find(|channel| channel.name == "/topic/2999").unwrap();
    assert_eq!((last.published, last.delivered), (2, 2));
    bench.send(1, Command::Disconnect);
    bench.rest();
    assert_eq!(bench.broker.totals().channels, 0);
}

#[test]
fn a_status_lists_the_fullest_channels_and_those_first_who_wait() {
    let mut bench = Bench::new(Limits { queue: 10_000, message: 10_000, ..small() });
    let long = ["x".repeat(5000), "y".repeat(9000)];
    for (channel, bodies) in [("/queue/a", &["1"][..]), ("/queue/b", &["1", "2", &long[0]]), ("/queue/c", &["1", "2"])]
    {
        bench.publish(1, channel, bodies);
    }
    bench.publish(5, "/queue/full", &[&long[1], &long[1]]);
    let status = bench.broker.status(bench.now, &StatusQuery::top(2));
    let names: Vec<_> = status.channels.iter().map(|channel| channel.name.clone()).collect();
    assert_eq!(names, ["/queue/full", "/queue/b"]);
    let ids: Vec<_> = status.connections.iter().map(|connection| connection.id.0).collect();
    assert_eq!(ids, [5, 1]);
    assert!(status.connections[0].paused.is_some());
    bench.pass(1000);
    let status = bench.broker.status(bench.now, &StatusQuery::top(2));
    assert!((status.channels[1].publish_rate - 3.0).abs() < 0.01);
}

#[test]
fn one_channel_is_found_by_its_name_as_long_as_it_is_there() {
    let mut bench = Bench::new(small());
    assert!(bench.broker.channel(bench.now, b"/queue/a").is_none());
    bench.publish(1, "/queue/a", &["x", "y"]);
    let waits = bench.broker.channel(bench.now, b"/queue/a").expect("it is there");
    assert_eq!((waits.depth, waits.in_flight, waits.published, waits.is_paused), (2, 0, 2, false));
    bench.subscribe(2, "/queue/a");
    let handed = bench.broker.channel(bench.now, b"/queue/a").expect("it is there");
    assert_eq!((handed.depth, handed.in_flight, handed.subscribers), (0, 2, 1));
    assert!(bench.broker.pause_queue(bench.now, b"/queue/a"));
    assert!(bench.broker.channel(bench.now, b"/queue/a").expect("it is there").is_paused);
    bench.subscribe(3, "/topic/a");
    assert_eq!(bench.broker.channel(bench.now, b"/topic/a").expect("it is there").in_flight, 0);
    bench.send(3, Command::Disconnect);
    bench.rest();
    assert!(bench.broker.channel(bench.now, b"/topic/a").is_none());
}
