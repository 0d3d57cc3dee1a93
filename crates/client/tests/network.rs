//! Connections when networks and brokers fail.

mod common;

use common::{Broker, PATIENCE, Proxy, Way, in_time, number, until, url};
use std::time::Duration;
use switchboard_client::{Client, Completion, Doubt, Error, Event, Link, Reason};
use switchboard_server::Settings;

/// Quick, as nothing here is far away.
const QUICK: &str = "backoff_min=1ms&backoff_max=20ms";

fn is_back(event: &Event) -> bool {
    matches!(event, Event::Connected(Link::Publisher))
}

fn is_cut(event: &Event) -> bool {
    matches!(event, Event::Disconnected { link: Link::Publisher, .. })
}

fn behind_a_proxy() -> (Broker, Proxy) {
    let broker = Broker::start();
    let proxy = Proxy::before(broker.address);
    (broker, proxy)
}

fn connect(proxy: &Proxy, options: &str) -> Client {
    Client::connect(&url(proxy.address, &format!("{QUICK}&{options}"))).wait().expect("a broker")
}

#[test]
fn after_a_cut_everything_comes_back() {
    let (_broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "");
    let mut subscription = client.subscribe("/queue/q").wait().unwrap();
    client.flush().wait().unwrap();
    for round in 0..5u64 {
        let events = client.events();
        proxy.cut();
        let (events, _) = until(events, "the cut is noticed", is_cut);
        client.publish("/queue/q", round.to_be_bytes()).wait().unwrap();
        // Flushed before, nothing was in doubt.
        client.flush().wait().unwrap();
        assert_eq!(number(&subscription.wait().unwrap()), round);
        drop(events);
    }
    client.close().wait().unwrap();
    assert_eq!(subscription.wait(), None);
}

#[test]
fn without_reconnect_a_cut_is_the_end() {
    let (_broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "reconnect=false");
    let mut subscription = client.subscribe("/queue/q").wait().unwrap();
    client.flush().wait().unwrap();
    let opened = proxy.opened();
    let mut events = client.events();
    proxy.cut();
    assert_eq!(subscription.wait(), None);
    in_time("the end of the events", move || {
        let Some(Event::Disconnected { reason, .. }) = events.wait() else { panic!("nothing has ended") };
        assert_eq!(reason, Reason::Closed);
        while let Some(event) = events.wait() {
            assert!(!matches!(event, Event::Reconnecting { .. }), "{event}");
        }
    });
    assert!(matches!(client.publish("/queue/q", "").wait(), Err(Error::Closed)));
    assert_eq!(proxy.opened(), opened);
}

#[test]
fn an_attempt_that_fails_says_why() {
    let (_broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "timeout=never");
    let events = client.events();
    proxy.set(Way::Refuse);
    proxy.cut();
    let fails = |event: &Event| matches!(event, Event::Reconnecting { failure: Some(_), .. });
    let (events, event) = until(events, "an attempt fails", fails);
    assert!(event.to_string().contains("since that has failed: "), "{event}");
    let flush = client.flush();
    proxy.set(Way::Pass);
    until(events, "it is back", is_back);
    flush.wait().unwrap();
}

#[test]
fn a_dead_peer_is_found_by_its_silence() {
    let (_broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "heartbeat=50ms&connect_timeout=200ms&retry_first=true");
    let mut subscription = client.subscribe("/queue/q").wait().unwrap();
    client.flush().wait().unwrap();
    let events = client.events();
    proxy.set(Way::Swallow);
    let (events, event) = until(events, "silence is noticed", is_cut);
    assert!(event.to_string().contains("no answer for 0.05 s (option heartbeat)"), "{event}");
    proxy.set(Way::Pass);
    let (_, _) = until(events, "it is back", is_back);
    client.publish("/queue/q", 7u64.to_be_bytes()).wait().unwrap();
    assert_eq!(number(&subscription.wait().unwrap()), 7);
}

#[test]
fn a_slow_network_is_no_dead_one() {
    let (_broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "");
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    client.flush().wait().unwrap();
    let opened = proxy.opened();
    proxy.set(Way::Delay(Duration::from_millis(5)));
    for count in 0..20u64 {
        client.publish("/topic/a", count.to_be_bytes()).wait().unwrap();
        assert_eq!(number(&subscription.wait().unwrap()), count);
    }
    client.close().wait().unwrap();
    assert_eq!(proxy.opened(), opened);
}

/// Ten messages are written and never passed on, then the connection is cut. The flush waits for them.
fn cut_unconfirmed(client: &Client, proxy: &Proxy) -> Completion<()> {
    proxy.set(Way::Swallow);
    for count in 0..10u64 {
        client.publish("/queue/q", count.to_be_bytes()).wait().unwrap();
    }
    let flush = client.flush();
    // Written, once an answer is waited for: the proxy has to have it before it is cut.
    proxy.await_bytes(10 * 24);
    proxy.set(Way::Pass);
    proxy.cut();
    flush
}

#[test]
fn what_was_written_and_not_confirmed_is_in_doubt_and_not_sent_again() {
    let (broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "");
    let mut events = client.events();
    let error = cut_unconfirmed(&client, &proxy).wait().unwrap_err();
    let Error::InDoubt(in_doubt) = error else { panic!("{error}") };
    assert_eq!(in_doubt, Doubt { messages: 10, bytes: 10 * 24 });
    let event = std::iter::from_fn(|| events.wait()).find(is_cut);
    assert!(matches!(event, Some(Event::Disconnected { in_doubt: reported, .. }) if reported == in_doubt));
    client.publish("/queue/q", 99u64.to_be_bytes()).wait().unwrap();
    client.flush().wait().unwrap();
    let listener = broker.client("");
    let mut subscription = listener.subscribe("/queue/q").wait().unwrap();
    assert_eq!(number(&subscription.wait().unwrap()), 99);
}

#[test]
fn what_is_in_doubt_is_sent_again_if_that_was_asked_for() {
    let (broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "resend=3");
    cut_unconfirmed(&client, &proxy).wait().unwrap();
    let listener = broker.client("");
    let mut subscription = listener.subscribe("/queue/q").wait().unwrap();
    let numbers: Vec<_> = subscription.iter().take(10).map(|message| number(&message)).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

/// Whatever happens to the publishing connection: nothing comes twice, nothing out of order, and no
/// more is lost than was said to be in doubt.
#[test]
fn under_load_nothing_comes_twice_and_no_more_is_lost_than_was_in_doubt() {
    const COUNT: u64 = 60_000;
    let (broker, proxy) = behind_a_proxy();
    proxy.cut_after(50_001);
    let listener = broker.client("inbox=64MiB");
    let mut subscription = listener.subscribe("/queue/load").wait().unwrap();
    let client = connect(&proxy, "buffer=64KiB");
    let mut events = client.events();
    let publisher = client.clone();
    let publishing = std::thread::spawn(move || {
        for count in 0..COUNT {
            publisher.publish("/queue/load", count.to_be_bytes()).wait().unwrap();
        }
    });
    publishing.join().unwrap();
    proxy.cut_after(usize::MAX);
    while let Err(error) = client.flush().wait() {
        assert!(matches!(error, Error::InDoubt(_)), "{error}");
    }
    client.publish("/queue/load", u64::MAX.to_be_bytes()).wait().unwrap();
    client.close().wait().unwrap();
    let received: Vec<u64> = subscription.iter().map(|message| number(&message)).take_while(|n| *n < COUNT).collect();
    assert!(received.windows(2).all(|pair| pair[0] < pair[1]), "twice, or out of order");
    let (mut cuts, mut in_doubt) = (0, 0);
    while let Some(event) = events.wait() {
        if let Event::Disconnected { in_doubt: doubt, .. } = event {
            (cuts, in_doubt) = (cuts + 1, in_doubt + doubt.messages);
        }
    }
    let lost = COUNT - received.len() as u64;
    assert!(cuts > 5, "only {cuts} cuts");
    assert!(lost <= in_doubt, "{lost} lost, {in_doubt} in doubt");
}

#[test]
fn a_broker_that_is_killed_under_load_and_started_again_is_found_again() {
    // An address of its own: no other test's connection can have taken the port meanwhile.
    let mut broker = Broker::start_at("127.26.26.26:0", Settings::default());
    let address = broker.address.to_string();
    let client = broker.client(QUICK);
    let mut subscription = client.subscribe("/topic/load").wait().unwrap();
    let publisher = client.clone();
    let publishing = std::thread::spawn(move || {
        let mut count = 0u64;
        while publisher.publish("/topic/load", count.to_be_bytes()).wait().is_ok() {
            count += 1;
            // Not without end: a broker built for tests has enough to do.
            if count.is_multiple_of(1000) {
                drop(publisher.flush().wait());
            }
        }
    });
    let (tell, told) = std::sync::mpsc::channel();
    // It always reads: a subscription whose inbox is full does not notice its connection's end.
    let reading = std::thread::spawn(move || {
        let mut last = None;
        for (count, message) in subscription.iter().enumerate() {
            assert!(last < Some(number(&message)), "twice, or out of order");
            last = Some(number(&message));
            if count % 5000 == 0 {
                tell.send(()).unwrap();
            }
        }
    });
    let messages_flow = || {
        while told.try_recv().is_ok() {}
        told.recv_timeout(PATIENCE).expect("messages");
    };
    for _ in 0..3 {
        messages_flow();
        let events = client.events();
        broker.kill();
        let (events, _) = until(events, "the end is noticed", is_cut);
        broker = Broker::start_at(&address, Settings::default());
        // In whatever order they come back.
        let mut missing = vec![Link::Publisher, Link::Subscription("/topic/load".into())];
        in_time("both are back", move || {
            let mut events = events;
            while !missing.is_empty() {
                if let Event::Connected(link) = events.wait().expect("the client lives") {
                    missing.retain(|one| *one != link);
                }
            }
        });
    }
    messages_flow();
    // Doubt that a kill has caused is reported, once.
    let closed = client.close().wait();
    assert!(matches!(closed, Ok(()) | Err(Error::InDoubt(_))), "{closed:?}");
    publishing.join().unwrap();
    reading.join().unwrap();
}

#[test]
fn a_first_connection_is_tried_again_if_that_was_asked_for() {
    let broker = Broker::start_at("127.26.26.27:0", Settings::default());
    let address = broker.address.to_string();
    let url = broker.url(&format!("{QUICK}&retry_first=true"));
    broker.kill();
    let connecting = Client::connect(&url);
    let broker = Broker::start_at(&address, Settings::default());
    let client = in_time("the broker is found", move || connecting.wait()).unwrap();
    client.flush().wait().unwrap();
    client.close().wait().unwrap();
    drop(broker);
}

#[test]
fn time_outs_name_their_option() {
    let (_broker, proxy) = behind_a_proxy();
    let client = connect(&proxy, "timeout=50ms&buffer=100");
    let events = client.events();
    proxy.set(Way::Refuse);
    proxy.cut();
    until(events, "the cut is noticed", is_cut);
    client.publish("/topic/a", [0; 80]).wait().unwrap();
    let errors = [
        client.flush().wait().unwrap_err(),
        client.publish("/topic/a", [1; 80]).wait().unwrap_err(),
        client.subscribe("/topic/a").wait().map(drop).unwrap_err(),
        client.close().wait().unwrap_err(),
    ];
    for (error, what) in errors.iter().zip(["flush", "a publish that waits for room", "subscribe", "close"]) {
        let expected = format!("{what} has not happened within 0.05 s; ask again, or raise the option timeout");
        assert_eq!(error.to_string(), expected);
    }

    proxy.set(Way::Swallow);
    let error = Client::connect(&url(proxy.address, "connect_timeout=50ms")).wait().unwrap_err();
    assert!(error.to_string().contains("(option connect_timeout)"), "{error}");
}
