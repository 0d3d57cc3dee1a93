//! Connections: their number, their end, and requests to a broker that refuses.

mod common;

use common::{Broker, PATIENCE, Proxy, Way, fake, in_time, until, url};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use switchboard_client::{Client, Error, Event, Link, Options};
use switchboard_server::Settings;

/// The broker's number of connections.
fn connections(broker: &Broker) -> usize {
    let mut stream = TcpStream::connect(broker.http).unwrap();
    write!(stream, "GET /status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", broker.http).unwrap();
    let mut status = String::new();
    stream.read_to_string(&mut status).unwrap();
    let mut counts = status.split("\"connections\":").skip(1).filter_map(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    counts.next().expect("a count")
}

/// The broker sees the end of a connection in its own time.
fn settles_at(broker: &Broker, count: usize) {
    let began = Instant::now();
    while connections(broker) != count {
        assert!(began.elapsed() < PATIENCE, "{} connections", connections(broker));
    }
}

#[test]
fn a_listener_has_one_connection_and_a_publisher_opens_its_own_when_it_needs_it() {
    let broker = Broker::start();
    let client = broker.client("");
    settles_at(&broker, 1);
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    settles_at(&broker, 1);
    let events = client.events();
    client.publish("/topic/a", "x").wait().unwrap();
    let (events, event) = until(events, "a connection", |_| true);
    assert_eq!(event, Event::Connected(Link::Publisher));
    assert_eq!(subscription.wait().unwrap()[..], b"x"[..]);
    settles_at(&broker, 2);
    // Once needed, it stays.
    let _another = client.subscribe("/topic/a").wait().unwrap();
    settles_at(&broker, 3);
    client.close().wait().unwrap();
    settles_at(&broker, 0);
    drop(events);
}

#[test]
fn a_listener_that_never_published_closes_in_order() {
    let broker = Broker::start();
    let client = broker.client("timeout=never");
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    in_time("the end", move || {
        client.close().wait().unwrap();
        assert_eq!(subscription.wait(), None);
    });
    settles_at(&broker, 0);
}

#[test]
fn a_publisher_that_cannot_connect_when_it_has_to_tries_again() {
    let broker = Broker::start();
    let proxy = Proxy::before(broker.address);
    let client = Client::connect(&url(proxy.address, "backoff_min=1ms&backoff_max=5ms")).wait().unwrap();
    let _subscription = client.subscribe("/topic/a").wait().unwrap();
    let events = client.events();
    proxy.set(Way::Refuse);
    let flush = client.flush();
    let fails = |event: &Event| matches!(event, Event::Reconnecting { link: Link::Publisher, failure: Some(_), .. });
    until(events, "an attempt fails", fails);
    proxy.set(Way::Pass);
    in_time("the flush", move || flush.wait()).unwrap();

    let client = Client::connect(&url(proxy.address, "reconnect=false")).wait().unwrap();
    let _subscription = client.subscribe("/topic/a").wait().unwrap();
    let events = client.events();
    proxy.set(Way::Refuse);
    let flush = client.flush();
    let (_, event) = until(events, "the end", |event| matches!(event, Event::Disconnected { .. }));
    assert!(event.to_string().contains("cannot connect to"), "{event}");
    assert!(matches!(in_time("the flush", move || flush.wait()), Err(Error::Closed)));
}

#[test]
fn a_dropped_subscription_ends_its_connection_at_once() {
    let broker = Broker::start();
    // Nothing else would wake its task for a long time.
    let client = broker.client("heartbeat=60m");
    let subscription = client.subscribe("/topic/a").wait().unwrap();
    settles_at(&broker, 1);
    drop(subscription);
    settles_at(&broker, 0);
    // The same for one that is drained, and for one whose connection is lost meanwhile.
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    settles_at(&broker, 1);
    subscription.drain();
    assert_eq!(in_time("the end", move || subscription.wait()), None);
    settles_at(&broker, 0);
    client.close().wait().unwrap();
}

#[tokio::test]
async fn a_subscription_that_nobody_waits_for_any_more_is_never_made() {
    let broker = Broker::start();
    let client = Client::connect(&broker.url("")).await.unwrap();
    let mut events = client.events();
    drop(client.subscribe("/queue/a"));
    let stays = client.subscribe("/queue/b").await.unwrap();
    client.close().await.unwrap();
    drop(stays);
    while let Some(event) = events.next().await {
        assert_ne!(event, Event::Connected(Link::Subscription("/queue/a".into())));
    }
}

/// A broker whose limit for names is lower than its clients'.
fn with_short_names() -> Broker {
    let mut settings = Settings::default();
    settings.limits.channel_name = "/switchboard/echo".len();
    Broker::start_at("127.0.0.1:0", settings)
}

#[test]
fn a_refused_subscription_is_tried_again_after_growing_pauses_and_says_why() {
    let broker = with_short_names();
    let client = broker.client("backoff_min=8ms&backoff_max=60m");
    let mut events = client.events();
    let subscribing = client.subscribe("/topic/longer-than-17");
    let pauses: Vec<Duration> = in_time("five attempts", move || {
        let pause = |_| match events.wait().unwrap() {
            Event::Reconnecting { link: Link::Subscription(_), after, failure: Some(failure) } => {
                assert_eq!(failure, "the subscription was refused: the broker closed the connection");
                after
            }
            event => panic!("{event}"),
        };
        (0..5).map(pause).collect()
    });
    // Of the fifth, at most a half is left out.
    assert!(pauses[4] >= Duration::from_millis(64), "{pauses:?}");
    drop(subscribing);
    // The same broker takes others.
    client.subscribe("/topic/a").wait().unwrap();
}

/// Answers the first barrier of each connection, which brings a publisher or a subscription up, and closes it.
fn one_that_answers_and_closes() -> std::net::SocketAddr {
    fake(|_, mut peer| {
        peer.native();
        let channel = peer.native();
        let token = peer.native();
        assert_eq!(channel, b"/switchboard/echo");
        peer.write(&[&(token.len() as u32).to_be_bytes()[..], &token[..]].concat());
        peer.hang_up();
    })
}

#[test]
fn a_broker_that_answers_and_closes_every_connection_is_asked_again_after_growing_pauses() {
    for is_publisher in [true, false] {
        let address = one_that_answers_and_closes();
        let pauses: Vec<Duration> = in_time("five attempts", move || {
            let client =
                Client::connect(&url(address, "backoff_min=8ms&backoff_max=60m&timeout=never")).wait().unwrap();
            let mut events = client.events();
            let subscription = (!is_publisher).then(|| client.subscribe("/topic/a"));
            if is_publisher {
                drop(client.publish("/topic/a", "x"));
            }
            let mut pauses = Vec::new();
            while pauses.len() < 5 {
                match events.wait().expect("events go on") {
                    Event::Reconnecting { link, after, .. } if (link == Link::Publisher) == is_publisher => {
                        pauses.push(after);
                    }
                    _ => {}
                }
            }
            drop(subscription);
            pauses
        });
        // Of the fifth, at most a half is left out.
        assert!(pauses[4] >= Duration::from_millis(64), "{is_publisher} {pauses:?}");
    }
}

#[test]
fn what_cannot_heal_fails_at_once() {
    let broker = Broker::start();
    let client = broker.client("max_channel=4KiB&timeout=never");
    for length in [1023, 1024] {
        client.subscribe(vec![b'n'; length]).wait().unwrap();
    }
    let subscribing = client.subscribe([b'n'; 1025]);
    let error = in_time("an error", move || subscribing.wait()).unwrap_err();
    assert!(matches!(error, Error::ChannelName { length: 1025, limit: 1024 }), "{error}");

    let broker = with_short_names();
    let client = broker.client("reconnect=false&timeout=never");
    let subscribing = client.subscribe("/topic/longer-than-17");
    let error = in_time("an error", move || subscribing.wait()).unwrap_err();
    assert_eq!(error.to_string(), "the broker refused the subscription: the broker closed the connection");
    for first in ["retry_first=true&timeout=never", ""] {
        let wrong = url(broker.http, first);
        let error = in_time("an error", move || Client::connect(&wrong).wait()).unwrap_err();
        assert!(matches!(&error, Error::WrongProtocol { protocol, .. } if protocol == "HTTP"), "{error}");
    }
}

#[test]
fn options_are_checked_as_the_url_is() {
    type Break = fn(&mut Options);
    let broken: [(&str, Break); 15] = [
        ("host", |options| options.host.clear()),
        ("connect_timeout", |options| options.connect_timeout = Duration::ZERO),
        ("timeout", |options| options.timeout = Duration::ZERO),
        ("heartbeat", |options| options.heartbeat = Duration::ZERO),
        ("backoff_min", |options| options.backoff_min = Duration::ZERO),
        ("backoff_max", |options| options.backoff_max = Duration::from_nanos(1)),
        ("buffer", |options| options.buffer = 0),
        ("inbox", |options| options.inbox = 0),
        ("max_frame", |options| options.max_frame = 0),
        ("max_channel", |options| options.max_channel = 0),
        ("buffer", |options| options.buffer = 1 << 32),
        ("inbox", |options| options.inbox = 1 << 32),
        ("max_frame", |options| options.max_frame = 1 << 32),
        ("max_channel", |options| options.max_channel = 1 << 32),
        ("max_channel", |options| options.max_channel = usize::MAX),
    ];
    for (name, break_it) in broken {
        let mut options = Options::default();
        break_it(&mut options);
        let error = Client::with(options).wait().unwrap_err();
        assert!(matches!(error, Error::Option { option, .. } if option == name), "{name}: {error}");
    }
    // The largest and the smallest that are allowed.
    let broker = Broker::start();
    let base = || Options { host: broker.address.ip().to_string(), port: broker.address.port(), ..Options::default() };
    let forever = Duration::MAX;
    let largest = Options {
        connect_timeout: forever,
        timeout: forever,
        heartbeat: forever,
        backoff_min: forever,
        backoff_max: forever,
        buffer: u32::MAX as usize,
        inbox: u32::MAX as usize,
        max_frame: u32::MAX as usize,
        max_channel: u32::MAX as usize,
        ..base()
    };
    let smallest = Options { buffer: 1, inbox: 1, waiting: 0, ..base() };
    for options in [largest, smallest] {
        let client = Client::with(options).wait().unwrap();
        let mut subscription = client.subscribe("/topic/a").wait().unwrap();
        client.publish("/topic/a", "x").wait().unwrap();
        assert_eq!(in_time("a message", move || subscription.wait()).unwrap()[..], b"x"[..]);
        client.close().wait().unwrap();
    }
}

#[test]
fn a_connection_that_is_not_read_on_purpose_outlives_many_heartbeats() {
    const COUNT: u64 = 3000;
    let broker = Broker::start();
    let proxy = Proxy::before(broker.address);
    let options = "heartbeat=500ms&inbox=1B&backoff_min=1ms&backoff_max=5ms";
    let client = broker.client("");
    for count in 0..COUNT {
        client.publish("/queue/a", [&count.to_be_bytes()[..], &[0; 10_000]].concat()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    let waits = broker.client(options);
    let mut events = waits.events();
    // The rest of the backlog is more than its inbox takes, so it does not read.
    let mut subscription = waits.subscribe("/queue/a").wait().unwrap();
    // Another one, whose broker is silent, shows that as many heartbeats have passed.
    let clock = Client::connect(&url(proxy.address, options)).wait().unwrap();
    let _silent = clock.subscribe("/topic/a").wait().unwrap();
    let mut passed = clock.events();
    proxy.set(Way::Swallow);
    for _ in 0..3 {
        let is_dead = |event: &Event| {
            matches!(event, Event::Disconnected { .. })
                || matches!(event, Event::Reconnecting { failure: Some(why), .. } if why.contains("heartbeat"))
        };
        passed = until(passed, "silence is noticed", is_dead).0;
    }
    let received: Vec<_> = in_time("all messages", move || {
        let first = |message: &switchboard_client::Message| u64::from_be_bytes(*message.first_chunk().unwrap());
        let received = subscription.iter().take(COUNT as usize).map(|message| first(&message)).collect();
        drop(subscription);
        received
    });
    assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
    waits.close().wait().unwrap();
    while let Some(event) = events.wait() {
        assert!(!matches!(event, Event::Disconnected { .. }), "{event}");
    }
}
