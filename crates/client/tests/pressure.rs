//! Other streams than TCP, brokers that hold, subscribers that are slow, messages that are long.

mod common;

use common::{Broker, in_time, number, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use switchboard_client::native::{read_msg, send_msg};
use switchboard_client::{Client, Event, Link, Options};
use switchboard_server::Settings;
use tokio::io::{copy_bidirectional, duplex};
use tokio::net::TcpStream;

#[test]
fn any_stream_of_bytes_carries_a_client() {
    let broker = Broker::start();
    let address = broker.address;
    let made = Arc::new(AtomicU32::new(0));
    let count = made.clone();
    let client = Client::over(Options::default(), move || {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            // A small pipe, so that everything comes in pieces.
            let (ours, mut theirs) = duplex(100);
            let mut stream = TcpStream::connect(address).await?;
            tokio::spawn(async move { copy_bidirectional(&mut theirs, &mut stream).await });
            Ok(ours)
        }
    });
    let client = client.wait().unwrap();
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    for count in 0..1000u64 {
        client.publish("/topic/a", count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    for (expected, message) in (0..1000).zip(subscription.iter()) {
        assert_eq!(number(&message), expected);
    }
    client.close().wait().unwrap();
    assert_eq!(subscription.wait(), None);
    // One to find the broker, one for the subscription, and one from the first publish on.
    assert_eq!(made.load(Ordering::Relaxed), 3);
}

#[test]
fn a_broker_that_holds_is_not_taken_for_dead() {
    let mut settings = Settings::default();
    settings.limits.queue = 1000;
    let broker = Broker::start_at("127.0.0.1:0", settings);
    let client = broker.client("heartbeat=30ms");
    let events = client.events();
    for count in 0..1000u64 {
        client.publish("/queue/full", count.to_be_bytes()).wait().unwrap();
    }
    let flush = client.flush();
    let (mut events, _) = until(events, "it is held", |event| *event == Event::Paused);
    let worker = broker.client("");
    let mut subscription = worker.subscribe("/queue/full").wait().unwrap();
    for (expected, message) in (0..1000).zip(subscription.iter()) {
        assert_eq!(number(&message), expected);
    }
    flush.wait().unwrap();
    client.close().wait().unwrap();
    in_time("the events", move || {
        while let Some(event) = events.wait() {
            assert!(!matches!(event, Event::Disconnected { .. }), "{event}");
        }
    });
}

#[test]
fn a_publish_that_waits_for_room_goes_on_when_there_is_some() {
    let mut settings = Settings::default();
    settings.limits.queue = 1000;
    let broker = Broker::start_at("127.0.0.1:0", settings);
    let client = broker.client("buffer=1KiB");
    let (tell, told) = std::sync::mpsc::channel();
    const COUNT: u64 = 3000;
    // More than sockets and buffer hold: completions are late, and come in order.
    for count in 0..COUNT {
        let tell = tell.clone();
        let data = [&count.to_be_bytes()[..], &[0; 10_000]].concat();
        client.publish("/queue/full", data).on_done(move |done| tell.send(done.map(|()| count)).unwrap());
    }
    let worker = broker.client("");
    let mut subscription = worker.subscribe("/queue/full").wait().unwrap();
    let messages: Vec<_> = in_time("all messages", move || subscription.iter().take(COUNT as usize).collect());
    for (expected, message) in (0..COUNT).zip(messages) {
        assert_eq!(message[..8], expected.to_be_bytes());
        assert_eq!(told.recv().unwrap().unwrap(), expected);
    }
    client.flush().wait().unwrap();
}

#[test]
fn a_small_inbox_slows_its_subscriber_and_loses_nothing() {
    let broker = Broker::start();
    let client = broker.client("inbox=1B");
    let mut subscription = client.subscribe("/queue/q").wait().unwrap();
    for count in 0..20_000u64 {
        client.publish("/queue/q", count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    in_time("all messages", move || {
        for (expected, message) in (0..20_000).zip(subscription.iter()) {
            assert_eq!(number(&message), expected);
        }
    });
}

#[test]
fn long_messages_arrive_whole() {
    let broker = Broker::start();
    let client = broker.client("");
    let mut subscription = client.subscribe("/queue/q").wait().unwrap();
    for length in [(16 << 20) - 1, 16 << 20] {
        client.publish("/queue/q", vec![b'x'; length]).wait().unwrap();
        assert!(subscription.wait().unwrap().iter().eq(&vec![b'x'; length]));
    }
    client.close().wait().unwrap();
}

#[test]
fn a_message_over_the_subscribers_limit_costs_it_the_connection_and_says_so() {
    let broker = Broker::start();
    let sender = broker.client("");
    let client = broker.client("max_frame=100&backoff_min=1ms");
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    let events = client.events();
    sender.publish("/topic/a", [1; 100]).wait().unwrap();
    sender.publish("/topic/a", [2; 101]).wait().unwrap();
    let (events, event) = until(events, "it is cut", |event| matches!(event, Event::Disconnected { .. }));
    let expected = "subscription to /topic/a: disconnected: frame of 101 bytes is over the limit of 100 bytes \
         (option max_frame)";
    assert_eq!(event.to_string(), expected);
    until(events, "it is back", |event| matches!(event, Event::Connected(Link::Subscription(_))));
    sender.publish("/topic/a", [3; 1]).wait().unwrap();
    assert_eq!(subscription.wait().unwrap()[..], [1; 100]);
    assert_eq!(subscription.wait().unwrap()[..], [3; 1]);
}

#[tokio::test]
async fn the_two_functions_speak_to_a_broker() {
    let broker = Broker::start();
    let mut stream = TcpStream::connect(broker.address).await.unwrap();
    send_msg(&mut stream, b"/topic/foo").await.unwrap();
    for data in [&b"hello"[..], b""] {
        send_msg(&mut stream, b"/topic/foo").await.unwrap();
        send_msg(&mut stream, data).await.unwrap();
        assert_eq!(read_msg(&mut stream).await.unwrap(), data);
    }
    send_msg(&mut stream, b"").await.unwrap();
    let end = read_msg(&mut stream).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
}
