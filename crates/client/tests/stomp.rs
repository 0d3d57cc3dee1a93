//! The client over STOMP, beside this project's broker.

mod common;

use common::{Broker, Proxy, between, in_time, next, number, stomp_client, stomp_url, until};
use std::net::SocketAddr;
use switchboard_client::{AckMode, Client, Error, Event, Link, Reason, Subscribe, Subscription};

/// The broker's address, for clients of which it believes that they know this version alone.
fn of_version(broker: &Broker, version: &str) -> SocketAddr {
    let versions = format!("{version},{version},{version}");
    between(broker.address, 1 << 16, move |bytes| {
        let text = String::from_utf8_lossy(&bytes);
        if text.starts_with("CONNECT") { text.replace("1.0,1.1,1.2", &versions).into_bytes() } else { bytes }
    })
}

fn take(subscription: &mut Subscription) -> Vec<u8> {
    next(subscription).to_vec()
}

/// The rest of a queue.
fn left_in(broker: &Broker, queue: &str) -> Vec<Vec<u8>> {
    let client = broker.client("");
    let mut rest = client.subscribe(queue).wait().unwrap();
    client.publish(queue, "last").wait().unwrap();
    rest.iter().map(|message| message.to_vec()).take_while(|message| message != b"last").collect()
}

#[test]
fn messages_with_headers_and_acks_go_and_come_in_every_version() {
    for version in ["1.0", "1.1", "1.2"] {
        let broker = Broker::start();
        let client = stomp_client(of_version(&broker, version), "");
        let queue = format!("/queue/{version}");
        let mut jobs = client.subscribe_with(&queue, Subscribe::manual()).wait().unwrap();
        let headers = [("kind", "a:b c"), ("empty", "")];
        client.publish_with(&queue, headers, b"one\0two").wait().unwrap();
        client.publish(&queue, "").wait().unwrap();
        client.flush().wait().unwrap();
        let first = next(&mut jobs);
        assert_eq!(&first[..], b"one\0two");
        for (name, value) in headers {
            assert_eq!(first.header(name).as_deref(), Some(value.as_bytes()), "{version}");
        }
        assert_eq!(first.header("destination").as_deref(), Some(queue.as_bytes()));
        assert!(!first.is_redelivered());
        first.ack().unwrap();
        first.ack().unwrap();
        next(&mut jobs).ack().unwrap();
        jobs.flush().wait().unwrap();
        client.close().wait().unwrap();
        assert_eq!(jobs.wait(), None);
        assert_eq!(left_in(&broker, &queue), Vec::<Vec<u8>>::new(), "{version}");
    }
}

#[test]
fn headers_that_a_version_cannot_express_or_the_client_writes_are_refused() {
    let broker = Broker::start();
    let new = stomp_client(broker.address, "");
    let old = stomp_client(of_version(&broker, "1.0"), "");
    let mut seen = new.subscribe("/topic/a").wait().unwrap();
    new.publish_with("/topic/a", [("n:1\n", "\r\n:\\")], "").wait().unwrap();
    assert_eq!(next(&mut seen).header("n:1\n").as_deref(), Some(&b"\r\n:\\"[..]));
    for (client, name, value) in [
        (&old, "n", "a\nb"),
        (&old, "a:b", "c"),
        (&old, "n", " blank"),
        (&new, "", "x"),
        (&new, "n", "a\0"),
        (&new, "destination", "/topic/b"),
        (&new, "receipt", "1"),
        (&new, "content-length", "0"),
        (&new, "transaction", "t"),
    ] {
        let error = client.publish_with("/topic/a", [(name, value)], "").wait().unwrap_err();
        assert!(matches!(&error, Error::Header { name: of, .. } if of == name), "{error}");
    }
    let error = new.subscribe_with("/topic/a", Subscribe::default().header("ack", "auto")).wait().unwrap_err();
    assert!(matches!(error, Error::Header { .. }), "{error}");
    for (prefetch, fits) in [(0, false), (1, true), (u32::MAX, true)] {
        let result = new.subscribe_with("/queue/p", Subscribe::manual().prefetch(prefetch)).wait();
        assert_eq!(result.is_ok(), fits, "{prefetch}");
    }
}

#[test]
fn what_was_not_acked_comes_back_redelivered_and_the_rest_stays_in_order() {
    let broker = Broker::start();
    let client = stomp_client(broker.address, "");
    let how = || Subscribe::manual().prefetch(3);
    let mut jobs = client.subscribe_with("/queue/a", how()).wait().unwrap();
    for count in 0..10u64 {
        client.publish("/queue/a", count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    let taken: Vec<_> = (0..3).map(|_| next(&mut jobs)).collect();
    // The fourth waits for an ack.
    assert!(jobs.try_next().is_none());
    taken[1].ack().unwrap();
    jobs.flush().wait().unwrap();
    assert_eq!(number(&next(&mut jobs)), 3);
    drop(jobs);
    let mut again = client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap();
    let mut came = Vec::new();
    while came.len() < 9 {
        let message = next(&mut again);
        came.push((number(&message), message.is_redelivered()));
        message.ack().unwrap();
    }
    came.sort_unstable();
    let numbers: Vec<u64> = came.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(came[0].1 && came[1].1 && came[2].1, "{came:?}");
    assert!(came[4..].iter().all(|(_, redelivered)| !redelivered), "{came:?}");
}

#[test]
fn a_nack_brings_the_message_back_and_a_reject_ends_it_among_the_dead_letters() {
    let mut settings = switchboard_server::Settings::default();
    settings.limits.delivery.redelivery_backoff = std::time::Duration::from_millis(1);
    let broker = Broker::start_at("127.0.0.1:0", settings);
    let client = stomp_client(broker.address, "");
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap();
    client.publish("/queue/a", "job").wait().unwrap();
    next(&mut jobs).nack().unwrap();
    let again = next(&mut jobs);
    assert!(again.is_redelivered());
    again.reject().unwrap();
    let mut dead = client.subscribe_with("/queue/dead/queue/a", Subscribe::manual()).wait().unwrap();
    let letter = next(&mut dead);
    assert_eq!(&letter[..], b"job");
    assert!(letter.header("dead-letter-reason").is_some());
    letter.ack().unwrap();
    dead.flush().wait().unwrap();
}

#[test]
fn after_a_disconnect_the_subscription_comes_back_and_what_was_not_acked_comes_again() {
    let broker = Broker::start();
    let proxy = Proxy::before(broker.address);
    let client = stomp_client(proxy.address, "backoff_min=1ms&backoff_max=5ms");
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::manual().prefetch(4)).wait().unwrap();
    let publisher = broker.client("");
    for count in 0..6u64 {
        publisher.publish("/queue/a", count.to_be_bytes()).wait().unwrap();
    }
    publisher.flush().wait().unwrap();
    let first = next(&mut jobs);
    first.ack().unwrap();
    jobs.flush().wait().unwrap();
    let second = next(&mut jobs);
    let events = client.events();
    proxy.cut();
    let (events, event) = until(events, "the end of the subscription's connection", |event| {
        matches!(event, Event::Disconnected { link: Link::Subscription(_), .. })
    });
    assert!(matches!(event, Event::Disconnected { .. }));
    until(events, "its return", |event| matches!(event, Event::Connected(Link::Subscription(_))));
    assert!(matches!(second.ack(), Err(Error::Stale)));
    // None of those that waited in the client comes twice.
    let mut numbers = Vec::new();
    while numbers.len() < 5 {
        let message = next(&mut jobs);
        numbers.push(number(&message));
        message.ack().unwrap();
    }
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    jobs.flush().wait().unwrap();
    drop(jobs);
    assert_eq!(left_in(&broker, "/queue/a"), Vec::<Vec<u8>>::new());
}

#[test]
fn an_error_of_the_broker_has_its_words() {
    let broker = Broker::start();
    let client = stomp_client(broker.address, "backoff_min=1ms");
    let how = Subscribe::default().header("selector", "a = 1");
    let error = client.subscribe_with("/queue/a", how).wait().unwrap_err();
    assert!(matches!(&error, Error::Refused { reason: Reason::Error(_) }), "{error}");
    assert!(error.to_string().contains("selectors are not supported"), "{error}");
    // The client lives, and so do its other messages.
    client.publish("/queue/a", "before").wait().unwrap();
    client.flush().wait().unwrap();
    client.publish("/exchange/a", "x").wait().unwrap();
    let error = in_time("the flush", {
        let client = client.clone();
        move || client.flush().wait()
    })
    .unwrap_err();
    assert!(matches!(&error, Error::Server { in_doubt, .. } if in_doubt.messages == 1), "{error}");
    // The broker closes the connection, and nothing more is published on it.
    client.publish("/queue/a", "after").wait().unwrap();
    client.flush().wait().unwrap();
    assert_eq!(left_in(&broker, "/queue/a"), [b"before".to_vec(), b"after".to_vec()]);
}

#[test]
fn a_message_over_the_brokers_limit_is_given_up_alone() {
    let mut settings = switchboard_server::Settings::default();
    settings.limits.message = 1000;
    let broker = Broker::start_at("127.0.0.1:0", settings);
    let client = stomp_client(broker.address, "backoff_min=1ms");
    for size in [999, 1000, 1001, 200_000, 10] {
        client.publish("/queue/a", vec![b'x'; size]).wait().unwrap();
        let flushing = client.flush();
        let result = in_time("the flush", move || flushing.wait());
        match size {
            1001.. => {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Server { .. }) && error.to_string().contains("1000 bytes"), "{error}");
            }
            _ => result.unwrap(),
        }
    }
    let sizes: Vec<usize> = left_in(&broker, "/queue/a").iter().map(Vec::len).collect();
    assert_eq!(sizes, [999, 1000, 10]);
}

#[test]
fn the_native_protocol_says_what_it_lacks() {
    let broker = Broker::start();
    let client = broker.client("");
    let lacks = |error: Error| matches!(error, Error::Unsupported { protocol: "the native protocol", .. });
    assert!(lacks(client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap_err()));
    assert!(lacks(client.subscribe_with("/queue/a", Subscribe::default().header("a", "b")).wait().unwrap_err()));
    assert!(lacks(client.publish_with("/queue/a", [("a", "b")], "x").wait().unwrap_err()));
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::default().prefetch(1)).wait().unwrap();
    client.publish("/queue/a", "x").wait().unwrap();
    let message = next(&mut jobs);
    assert!(lacks(message.ack().unwrap_err()) && message.headers().next().is_none());
    // One of STOMP without acks has none either.
    let client = stomp_client(broker.address, "");
    let mut news = client.subscribe("/topic/a").wait().unwrap();
    client.publish("/topic/a", "x").wait().unwrap();
    assert!(matches!(next(&mut news).ack(), Err(Error::Unsupported { .. })));
    assert_eq!(AckMode::default(), AckMode::Auto);
}

#[test]
fn a_drained_subscription_takes_what_is_on_its_way_and_one_with_acks_gives_it_back() {
    let broker = Broker::start();
    let client = stomp_client(broker.address, "");
    for count in 0..1000u64 {
        client.publish("/queue/auto", count.to_be_bytes()).wait().unwrap();
        client.publish("/queue/manual", count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    let mut auto = client.subscribe("/queue/auto").wait().unwrap();
    let first = take(&mut auto);
    auto.drain();
    let rest = in_time("the end", move || auto.iter().count());
    assert_eq!(first, 0u64.to_be_bytes());
    assert_eq!(1 + rest + left_in(&broker, "/queue/auto").len(), 1000);

    let mut manual = client.subscribe_with("/queue/manual", Subscribe::manual().prefetch(10)).wait().unwrap();
    let first = manual.wait().unwrap();
    manual.drain();
    // It goes on until its message is settled: nothing has gone back.
    let mut other = client.subscribe_with("/queue/manual", Subscribe::manual().prefetch(1)).wait().unwrap();
    assert_eq!(number(&next(&mut other)), 10);
    first.ack().unwrap();
    let (rest, flushed) = in_time("the end", move || (manual.iter().count(), manual.flush().wait()));
    assert_eq!(rest, 0);
    // The receipt of the end has confirmed the ack.
    flushed.unwrap();
    other.drain();
    assert_eq!(in_time("the other's end", move || other.iter().count()), 0);
    let mut left: Vec<u64> =
        left_in(&broker, "/queue/manual").iter().map(|m| u64::from_be_bytes(m[..].try_into().unwrap())).collect();
    left.sort_unstable();
    assert_eq!(left, (1..1000).collect::<Vec<_>>());
}

#[test]
fn a_flood_over_stomp_arrives_whole_and_in_order_however_it_is_cut() {
    const COUNT: u64 = 3000;
    let broker = Broker::start();
    let slow = between(broker.address, 1, |bytes| bytes);
    for (address, count) in [(broker.address, COUNT * 10), (slow, COUNT / 10)] {
        let client = stomp_client(address, "buffer=64KiB");
        let mut got = client.subscribe("/queue/a").wait().unwrap();
        let publisher = client.clone();
        let sending = std::thread::spawn(move || {
            for number in 0..count {
                publisher.publish("/queue/a", number.to_be_bytes()).wait().unwrap();
            }
            publisher.flush().wait().unwrap();
        });
        for expected in 0..count {
            assert_eq!(number(&next(&mut got)), expected);
        }
        sending.join().unwrap();
    }
}

#[test]
fn native_and_stomp_clients_meet() {
    let broker = Broker::start();
    let (native, stomp) = (broker.client(""), stomp_client(broker.address, ""));
    let mut of_native = native.subscribe("/topic/*").wait().unwrap();
    let mut of_stomp = stomp.subscribe("/topic/*").wait().unwrap();
    stomp.publish("/topic/a", "from stomp").wait().unwrap();
    stomp.flush().wait().unwrap();
    native.publish("/topic/b", "from native").wait().unwrap();
    for expected in [&b"from stomp"[..], b"from native"] {
        assert_eq!(take(&mut of_native), expected);
        assert_eq!(take(&mut of_stomp), expected);
    }
}

#[tokio::test]
async fn every_face_acks() {
    let broker = Broker::start();
    let client = Client::connect(&stomp_url(broker.address, "")).await.unwrap();
    let jobs = client.subscribe_with("/queue/a", Subscribe::manual().prefetch(1)).await.unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let callback = jobs.on_message(move |message| {
        message.ack().unwrap();
        tell.send(message.to_vec()).unwrap();
    });
    for name in ["one", "two", "three"] {
        client.publish("/queue/a", name).await.unwrap();
    }
    let got = tokio::task::spawn_blocking(move || told.iter().take(3).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(got, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    callback.stop();
    let mut jobs = client.subscribe_with("/queue/b", Subscribe::manual()).await.unwrap();
    client.publish("/queue/b", "awaited").await.unwrap();
    jobs.next().await.unwrap().ack().unwrap();
    jobs.flush().await.unwrap();
    client.close().await.unwrap();
    assert_eq!(jobs.next().await, None);
}
