//! One client, from async code of two worlds and from plain threads.

mod common;

use common::{Broker, in_time, number};
use std::sync::mpsc;
use switchboard_client::{Client, Error, Event, Link};

#[tokio::test]
async fn in_tokio_everything_is_awaited() {
    let broker = Broker::start();
    let client = Client::connect(&broker.url("")).await.unwrap();
    let mut one = client.subscribe("/topic/*").await.unwrap();
    let mut two = client.subscribe("/topic/b").await.unwrap();
    for (channel, data) in [("/topic/a", &b"first"[..]), ("/topic/b", b""), ("/topic/b", b"third")] {
        client.publish(channel, data).await.unwrap();
    }
    client.flush().await.unwrap();
    for expected in [&b"first"[..], b"", b"third"] {
        assert_eq!(one.next().await.unwrap().data(), expected);
    }
    assert_eq!(two.next().await.unwrap().data(), &b""[..]);
    assert_eq!(two.next().await.unwrap().into_data(), b"third"[..]);
    client.close().await.unwrap();
    assert_eq!(one.next().await, None);
    assert_eq!(two.next().await, None);
}

#[test]
fn on_a_foreign_executor_it_is_the_same() {
    let broker = Broker::start();
    smol::block_on(async {
        let client = Client::connect(&broker.url("")).await.unwrap();
        let mut subscription = client.subscribe("/topic/a").await.unwrap();
        client.publish("/topic/a", "hello").await.unwrap();
        assert_eq!(subscription.next().await.unwrap().as_ref(), b"hello");
        client.close().await.unwrap();
        assert_eq!(subscription.next().await, None);
    });
}

#[test]
fn a_plain_thread_waits_and_iterates() {
    let broker = Broker::start();
    let client = broker.client("");
    let mut subscription = client.subscribe("/queue/q").wait().unwrap();
    assert!(subscription.try_next().is_none());
    let publisher = client.clone();
    let publishing = std::thread::spawn(move || {
        for count in 0..10_000u64 {
            publisher.publish("/queue/q", count.to_be_bytes()).wait().unwrap();
        }
        publisher.flush().wait().unwrap();
    });
    for (expected, message) in (0..10_000).zip(subscription.iter()) {
        assert_eq!(number(&message), expected);
    }
    publishing.join().unwrap();
    client.close().wait().unwrap();
    assert_eq!(subscription.wait(), None);
}

#[test]
fn callbacks_are_called_and_can_be_stopped() {
    let broker = Broker::start();
    let (tell, told) = mpsc::channel();
    let publisher = broker.client("");
    let publish = publisher.clone();
    Client::connect(&broker.url("")).on_done(move |client| {
        client.unwrap().subscribe("/topic/a").on_done(move |subscription| {
            let messages = tell.clone();
            let callback = subscription.unwrap().on_message(move |message| messages.send(message).unwrap());
            publish.publish("/topic/a", "called").on_done(|done| done.unwrap());
            drop(publish.flush());
            std::thread::spawn(move || {
                // Kept until the test ends.
                std::mem::forget((callback, tell));
            });
        });
    });
    let message = in_time("a callback", move || told.recv().unwrap());
    assert_eq!(message.as_ref(), b"called");

    let (tell, told) = mpsc::channel();
    let callback =
        publisher.subscribe("/topic/b").wait().unwrap().on_message(move |message| tell.send(message).unwrap());
    publisher.publish("/topic/b", "one").wait().unwrap();
    assert_eq!(told.recv().unwrap().as_ref(), b"one");
    callback.stop();
    // Its end of the channel goes with it.
    assert!(in_time("the end of the callback", move || told.recv()).is_err());
}

#[tokio::test]
async fn a_client_of_one_world_serves_another() {
    let broker = Broker::start();
    let client = Client::connect(&broker.url("driver=shared")).await.unwrap();
    let mut subscription = client.subscribe("/topic/a").await.unwrap();
    let other = client.clone();
    std::thread::spawn(move || {
        smol::block_on(async {
            other.publish("/topic/a", "from smol").await.unwrap();
            other.flush().await.unwrap();
        });
        other.publish("/topic/a", "from a thread").wait().unwrap();
    });
    assert_eq!(subscription.next().await.unwrap().as_ref(), b"from smol");
    assert_eq!(subscription.next().await.unwrap().as_ref(), b"from a thread");
}

#[test]
fn close_has_sent_what_was_accepted() {
    let broker = Broker::start();
    let listener = broker.client("");
    let mut subscription = listener.subscribe("/queue/q").wait().unwrap();
    let client = broker.client("");
    let mut events = client.events();
    for count in 0..50_000u64 {
        client.publish("/queue/q", count.to_be_bytes()).wait().unwrap();
    }
    client.close().wait().unwrap();
    for (expected, message) in (0..50_000).zip(subscription.iter()) {
        assert_eq!(number(&message), expected);
    }
    assert!(matches!(client.publish("/queue/q", "late").wait(), Err(Error::Closed)));
    assert!(matches!(client.flush().wait(), Err(Error::Closed)));
    assert!(matches!(client.subscribe("/queue/q").wait(), Err(Error::Closed)));
    assert!(matches!(client.close().wait(), Err(Error::Closed)));
    in_time("the end of the events", move || while events.wait().is_some() {});
}

#[test]
fn a_dropped_client_sends_what_was_accepted() {
    let broker = Broker::start();
    let listener = broker.client("");
    let mut subscription = listener.subscribe("/topic/a").wait().unwrap();
    let client = broker.client("");
    client.publish("/topic/a", "last").wait().unwrap();
    drop(client);
    assert_eq!(in_time("the message", move || subscription.wait()).unwrap().as_ref(), b"last");
}

#[test]
fn a_dropped_subscription_gives_its_place_away() {
    let broker = Broker::start();
    let client = broker.client("");
    let mut stays = client.subscribe("/queue/q").wait().unwrap();
    let goes = client.subscribe("/queue/q").wait().unwrap();
    let events = client.events();
    drop(goes);
    let again = client.subscribe("/queue/q").wait().unwrap();
    let (_, event) = common::until(events, "the subscription", |event| matches!(event, Event::Connected(_)));
    assert_eq!(event, Event::Connected(Link::Subscription(again.pattern().clone())));
    drop(again);
    // Sent again and again, as some go to those who are about to leave.
    in_time("a message for who stays", move || {
        let sender = client.clone();
        std::thread::spawn(
            move || while sender.publish("/queue/q", "x").wait().is_ok() && sender.flush().wait().is_ok() {},
        );
        assert_eq!(stays.wait().unwrap().as_ref(), b"x");
        client.close().wait().unwrap();
    });
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_limit() {
    let broker = Broker::start();
    let client = Client::connect(&broker.url("max_frame=10&max_channel=8")).await.unwrap();
    for length in [9, 10] {
        client.publish("/topic/a", vec![b'x'; length]).await.unwrap();
    }
    let long = client.publish("/topic/a", [b'x'; 11]).await.unwrap_err();
    assert_eq!(
        long.to_string(),
        "message of 11 bytes is over the limit of 10 bytes; split it, or raise max_frame here and in the broker"
    );
    for name in ["", "/topic/aa"] {
        let wrong = [client.publish(name, "").await.unwrap_err(), client.subscribe(name).await.unwrap_err()];
        assert!(wrong.iter().all(|error| matches!(error, Error::ChannelName { limit: 8, .. })), "{wrong:?}");
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(&common::url(address, "")).await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot connect to {address}")) && error.contains("retry_first=true"), "{error}");
}

#[test]
fn when_its_runtime_ends_everybody_is_told() {
    let broker = Broker::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connecting = Client::connect(&broker.url(""));
    assert!(connecting.wait().is_ok(), "outside of it the shared thread is there");
    let (client, mut subscription) = runtime.block_on(async {
        let client = Client::connect(&broker.url("")).await.unwrap();
        let subscription = client.subscribe("/topic/a").await.unwrap();
        (client, subscription)
    });
    let mut events = client.events();
    drop(runtime);
    in_time("the end", move || {
        assert_eq!(subscription.wait(), None);
        while events.wait().is_some() {}
        assert!(matches!(client.publish("/topic/a", "").wait(), Err(Error::Closed)));
        assert!(matches!(client.flush().wait(), Err(Error::Closed)));
        assert!(matches!(client.subscribe("/topic/a").wait(), Err(Error::Closed)));
    });
}

#[test]
fn nobody_has_to_take_events() {
    let broker = Broker::start();
    let client = broker.client("");
    let mut events = client.events();
    // Each makes one event more.
    for _ in 0..1030 {
        drop(client.subscribe("/topic/a").wait().unwrap());
    }
    let Some(Event::Missed(missed)) = events.wait() else { panic!("none was missed") };
    client.close().wait().unwrap();
    let rest = std::iter::from_fn(|| events.wait()).count();
    assert_eq!(missed + rest, 1030);
}
