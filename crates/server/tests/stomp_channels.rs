//! Temporary queues, durable subscriptions and retained values over real sockets.

mod common;

use common::stomp::{Frame, StompClient};
use common::{Client, Running};
use serde_json::Value;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;
use tokio::net::TcpStream;

async fn connect(server: &Running) -> StompClient {
    StompClient::connect(server, Version::V1_2).await
}

/// A client with a name of its own.
async fn named(server: &Running, client: &str) -> StompClient {
    let mut stomp = StompClient::silent(server.native).await;
    stomp.send(&format!("CONNECT\naccept-version:1.2\nhost:x\nclient-id:{client}\n\n\0")).await;
    assert_eq!(stomp.receive().await.command, "CONNECTED");
    stomp
}

fn bodies(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(&frame.body).into_owned()).collect()
}

async fn totals(server: &Running) -> Value {
    let answer = server.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str::<Value>(body).expect("JSON")["totals"].clone()
}

/// Sends, and waits until that was carried out.
async fn send(client: &mut StompClient, frame: &str) {
    client.send(frame).await;
    assert_eq!(client.settle().await, []);
}

#[tokio::test]
async fn a_request_is_answered_at_the_reply_to_that_came_with_it() {
    let server = Running::start().await;
    let mut worker = connect(&server).await;
    send(&mut worker, "SUBSCRIBE\nid:w\ndestination:/queue/work\n\n\0").await;
    for version in Version::ALL {
        for name in ["answers", "a/b c", "\u{e4}*>"] {
            let mut asks = StompClient::connect(&server, version).await;
            asks.send(&format!("SUBSCRIBE\nid:r\ndestination:/temp-queue/{name}\n\n\0")).await;
            asks.send(&format!(
                "SEND\ndestination:/queue/work\nreply-to:/temp-queue/{name}\ncorrelation-id:7\n\n2+2\0"
            ))
            .await;
            let request = worker.receive().await;
            let reply_to = request.header("reply-to");
            assert!(reply_to.starts_with("/queue/temp/"), "{reply_to}");
            worker.send(&format!("SEND\ndestination:{reply_to}\ncorrelation-id:7\n\n4\0")).await;
            let answer = asks.receive().await;
            let of = |header| answer.header(header).to_owned();
            assert_eq!((&answer.body[..], of("subscription")), (&b"4"[..], "r".into()));
            // As its owner named it.
            assert_eq!((of("destination"), of("correlation-id")), (format!("/temp-queue/{name}"), "7".into()));
        }
    }
}

#[tokio::test]
async fn a_native_program_answers_a_temporary_queue_and_may_not_consume_it() {
    let server = Running::start().await;
    let mut native = server.client("/topic/requests").await;
    let mut asks = connect(&server).await;
    send(&mut asks, "SUBSCRIBE\nid:r\ndestination:/temp-queue/x\n\n\0").await;
    let mut worker = connect(&server).await;
    worker.send("SUBSCRIBE\nid:w\ndestination:/queue/work\n\n\0").await;
    asks.send("SEND\ndestination:/queue/work\nreply-to:/temp-queue/x\n\n?\0").await;
    let reply_to = worker.receive().await.header("reply-to").to_owned();
    native.publish(&reply_to, b"from native").await;
    assert_eq!(asks.receive().await.body, b"from native");
    let mut thief = Client(TcpStream::connect(server.native).await.unwrap());
    thief.send(reply_to.as_bytes()).await;
    assert_eq!(thief.end().await, b"");
    // It cannot be done by a pattern either, and the owner still has its queue.
    let mut all = connect(&server).await;
    send(&mut all, "SUBSCRIBE\nid:1\ndestination:/queue/>\n\n\0").await;
    native.publish(&reply_to, b"again").await;
    assert_eq!(asks.receive().await.body, b"again");
    assert_eq!(all.settle().await, []);
}

#[tokio::test]
async fn one_that_answers_after_the_owner_has_gone_is_told_and_its_session_goes_on() {
    let server = Running::start().await;
    let mut asks = connect(&server).await;
    let mut worker = connect(&server).await;
    worker.send("SUBSCRIBE\nid:w\ndestination:/queue/work\n\n\0").await;
    asks.send("SUBSCRIBE\nid:r\ndestination:/temp-queue/x\nack:client\nprefetch-count:1\n\n\0").await;
    asks.send("SEND\ndestination:/queue/work\nreply-to:/temp-queue/x\n\n?\0").await;
    let reply_to = worker.receive().await.header("reply-to").to_owned();
    for body in ["1", "2", "3"] {
        worker.send(&format!("SEND\ndestination:{reply_to}\nreceipt:{body}\n\n{body}\0")).await;
        assert_eq!(worker.receive().await.header("receipt-id"), body);
    }
    assert_eq!(asks.receive().await.body, b"1");
    drop(asks);
    while totals(&server).await["dropped_ended"] != 3 {
        tokio::task::yield_now().await;
    }
    worker.send(&format!("SEND\ndestination:{reply_to}\n\nlate\0")).await;
    worker.send(&format!("SEND\ndestination:{reply_to}\nreceipt:late\n\nlate\0")).await;
    let error = worker.receive().await;
    assert_eq!((&error.command[..], error.header("receipt-id")), ("ERROR", "late"));
    assert!(String::from_utf8_lossy(&error.body).contains("ended with its connection"), "{error:?}");
    assert_eq!(worker.settle().await, []);
    let totals = totals(&server).await;
    assert_eq!((&totals["rejected"], &totals["dead_lettered"]), (&2.into(), &0.into()));
}

#[tokio::test]
async fn names_of_temporary_queues_are_bounded_as_the_broker_names_them() {
    let limits = Limits { channel_name: 100, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut probe = connect(&server).await;
    send(&mut probe, "SUBSCRIBE\nid:w\ndestination:/queue/work\n\n\0").await;
    let mut first = connect(&server).await;
    first.send("SEND\ndestination:/queue/work\nreply-to:/temp-queue/x\n\n\0").await;
    let room = 100 - (probe.receive().await.header("reply-to").len() - 1);
    for (length, is_short) in [(room, true), (room + 1, false)] {
        let name = "x".repeat(length);
        for frame in [
            format!("SEND\ndestination:/temp-queue/{name}\n\n\0"),
            format!("SEND\ndestination:/queue/other\nreply-to:/temp-queue/{name}\n\n\0"),
            format!("SUBSCRIBE\nid:1\ndestination:/temp-queue/{name}\n\n\0"),
        ] {
            let mut client = connect(&server).await;
            client.send(&frame).await;
            if is_short {
                client.settle().await;
            } else {
                assert!(client.error().await.contains("over the limit of 100 (limit: channel-name)"), "{frame}");
            }
        }
    }
}

#[tokio::test]
async fn a_durable_subscriber_that_was_away_finds_its_messages_as_activemq_names_them_and_as_rabbitmq_does() {
    for (client, headers) in [
        ("me", "id:1\nactivemq.subscriptionName:orders"),
        ("me", "id:2\ndurable-subscription-name:orders"),
        ("me", "id:3\nactivemq.subscriptionName:\ndurable-subscriber-name:orders"),
        ("", "id:orders\ndurable:true\nauto-delete:false"),
    ] {
        let server = Running::start().await;
        let subscribe = format!("SUBSCRIBE\n{headers}\ndestination:/topic/orders/>\nack:client-individual\n\n\0");
        let mut first = named(&server, client).await;
        send(&mut first, &subscribe).await;
        first.send("SEND\ndestination:/topic/orders/1\n\nhere\0").await;
        let here = first.receive().await;
        assert_eq!(here.header("destination"), "/topic/orders/1");
        send(&mut first, &format!("ACK\nid:{}\n\n\0", here.header("ack"))).await;
        first.send("DISCONNECT\nreceipt:bye\n\n\0").await;
        assert_eq!(first.end().await.len(), 1);

        let mut publisher = connect(&server).await;
        let with = "SEND\ndestination:/topic/orders/2\ncolor:red\n\naway\0SEND\ndestination:/topic/other\n\nno\0";
        send(&mut publisher, with).await;
        let listed = server.http("GET /queues HTTP/1.1\r\nHost: localhost").await;
        let queue = if client.is_empty() { "-/orders/topic/orders/~rest\"" } else { "me/orders\"" };
        assert!(listed.contains(&format!("/queue/subscription/{queue}")), "{listed}");
        assert!(listed.contains(r#""topics":"/topic/orders/>""#), "{listed}");

        let mut second = named(&server, client).await;
        second.send(&subscribe).await;
        let away = second.receive().await;
        assert_eq!((&away.body[..], away.header("color")), (&b"away"[..], "red"));
        assert_eq!((away.header("destination"), away.header("redelivered")), ("/topic/orders/2", ""));
        // It is not acked, and ends with the subscription.
        second.send(&format!("UNSUBSCRIBE\n{headers}\nreceipt:u\n\n\0")).await;
        assert_eq!(second.receive().await.header("receipt-id"), "u");
        send(&mut publisher, with).await;
        assert!(!server.http("GET /queues HTTP/1.1\r\nHost: localhost").await.contains("depth\":1"));
        send(&mut second, &subscribe).await;
    }
}

#[tokio::test]
async fn a_durable_subscription_is_of_one_source_and_shared_by_those_that_name_it() {
    let server = Running::start().await;
    let subscribe = |topic: &str| format!("SUBSCRIBE\nid:1\nactivemq.subscriptionName:x\ndestination:{topic}\n\n\0");
    let (mut one, mut two) = (named(&server, "me").await, named(&server, "me").await);
    send(&mut one, &subscribe("/topic/a")).await;
    send(&mut two, &subscribe("/topic/a")).await;
    let mut publisher = connect(&server).await;
    publisher.send("SEND\ndestination:/topic/a\n\n1\0SEND\ndestination:/topic/a\n\n2\0").await;
    let mut both = bodies(&[one.receive().await, two.receive().await]);
    both.sort();
    assert_eq!(both, ["1", "2"]);
    let mut other = named(&server, "me").await;
    other.send(&subscribe("/topic/b")).await;
    assert!(other.error().await.contains("to another topic"));
    // The same name of another client is another subscription.
    let mut other = named(&server, "you").await;
    send(&mut other, &subscribe("/topic/b")).await;
}

#[tokio::test]
async fn programs_of_rabbitmq_that_use_the_same_id_for_different_topics_have_different_durable_subscriptions() {
    let server = Running::start().await;
    let subscribe = |topic: &str| format!("SUBSCRIBE\nid:0\ndurable:true\ndestination:{topic}\nack:client\n\n\0");
    for topic in ["/topic/a", "/topic/b", "/topic/*"] {
        send(&mut connect(&server).await, &subscribe(topic)).await;
    }
    send(&mut connect(&server).await, "SEND\ndestination:/topic/a\n\nkept\0").await;
    for (topic, expected) in [("/topic/b", false), ("/topic/a", true), ("/topic/*", true)] {
        let mut client = connect(&server).await;
        client.send(&subscribe(topic)).await;
        let got = client.settle().await;
        assert_eq!(got.iter().any(|frame| frame.body == b"kept"), expected, "{topic}: {got:?}");
    }
}

#[tokio::test]
async fn names_that_another_durable_subscription_could_have_or_that_stand_for_several_are_refused() {
    let server = Running::start().await;
    for (client, headers, says) in [
        ("me/too", "activemq.subscriptionName:x", "has no slash"),
        ("-", "activemq.subscriptionName:x", "none of -, * and >"),
        ("-", "durable:true", "none of -, * and >"),
        ("*", "activemq.subscriptionName:x", "none of -, * and >"),
        (">", "durable:true", "none of -, * and >"),
        ("me", "activemq.subscriptionName:*", "no wildcards"),
        ("me", "durable-subscription-name:x/>", "no wildcards"),
    ] {
        let mut session = named(&server, client).await;
        session.send(&format!("SUBSCRIBE\nid:1\n{headers}\ndestination:/topic/a\n\n\0")).await;
        let error = session.error().await;
        assert!(error.contains(says), "{client}, {headers}: {error}");
    }
    // A client of such a name has other subscriptions.
    let mut session = named(&server, "-").await;
    send(&mut session, "SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0").await;
    for (client, headers) in [("me", "activemq.subscriptionName:x*/y>"), ("--", "durable:true"), ("m>", "durable:true")]
    {
        let mut session = named(&server, client).await;
        send(&mut session, &format!("SUBSCRIBE\nid:1\n{headers}\ndestination:/topic/a\n\n\0")).await;
    }
    // A queue keeps its messages anyway; only a name for that is refused.
    let queue = |header: &str| format!("SUBSCRIBE\nid:1\n{header}\ndestination:/queue/a\n\n\0");
    send(&mut connect(&server).await, &queue("durable:true")).await;
    let mut session = named(&server, "me").await;
    session.send(&queue("activemq.subscriptionName:x")).await;
    assert!(session.error().await.contains("to a /topic/"));
}

#[tokio::test]
async fn what_a_durable_subscription_was_to_get_is_not_lost_with_its_unsubscribe() {
    let server = Running::start().await;
    let subscribe = "SUBSCRIBE\nid:1\nactivemq.subscriptionName:x\ndestination:/topic/a\nack:client\n\n\0";
    let mut one = named(&server, "me").await;
    send(&mut one, subscribe).await;
    // Without the durable header the subscriber goes, and the subscription stays.
    send(&mut one, "UNSUBSCRIBE\nid:1\n\n\0").await;
    send(&mut one, "SEND\ndestination:/topic/a\n\nkept\0").await;
    one.send(subscribe).await;
    assert_eq!(one.receive().await.body, b"kept");
}

#[tokio::test]
async fn a_new_subscriber_gets_the_retained_value_of_each_topic_first() {
    let limits = Limits { retained: 2, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut publisher = connect(&server).await;
    for (topic, body) in [("a", "old"), ("a", "new"), ("b", "b")] {
        send(&mut publisher, &format!("SEND\ndestination:/topic/{topic}\nretain:true\nx:y\nretained:no\n\n{body}\0"))
            .await;
    }
    let mut subscriber = connect(&server).await;
    subscriber.send("SUBSCRIBE\nid:1\ndestination:/topic/*\n\n\0").await;
    let values = [subscriber.receive().await, subscriber.receive().await];
    assert_eq!(bodies(&values), ["new", "b"]);
    for value in &values {
        assert_eq!(["retained", "x", "retain"].map(|name| value.header(name)), ["true", "y", ""]);
    }
    // Nobody but the server marks a message.
    send(&mut publisher, "SEND\ndestination:/topic/a\nretain:true\nretained:true\n\n\0").await;
    let cleared = subscriber.receive().await;
    assert_eq!((&cleared.body[..], cleared.header("retained")), (&b""[..], ""));
    assert_eq!(totals(&server).await["retained"], 1);
    send(&mut publisher, "SEND\ndestination:/topic/c\nretain:true\n\nc\0").await;
    publisher.send("SEND\ndestination:/topic/d\nretain:true\nreceipt:d\n\nd\0").await;
    let error = publisher.receive().await;
    assert_eq!(["receipt-id", "fatal"].map(|name| error.header(name)), ["d", "false"], "{error:?}");
    assert!(String::from_utf8_lossy(&error.body).contains("(limit: retained)"), "{error:?}");
    // The session goes on, also behind one that asks for no receipt.
    publisher.send("SEND\ndestination:/topic/d\nretain:true\n\nd\0").await;
    assert_eq!(publisher.settle().await, []);
    let begin = "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/topic/d\nretain:true\ntransaction:t\n\nd\0";
    publisher.send(&format!("{begin}COMMIT\ntransaction:t\nreceipt:t\n\n\0")).await;
    let error = publisher.receive().await;
    assert_eq!(["receipt-id", "fatal"].map(|name| error.header(name)), ["t", "false"], "{error:?}");
    assert_eq!(totals(&server).await["rejected"], 3);
    let metrics = server.http("GET /metrics HTTP/1.1\r\nHost: localhost").await;
    assert!(metrics.contains("\nswitchboard_retained 2\n"), "{metrics}");
}

#[tokio::test]
async fn a_native_subscriber_gets_the_body_of_the_retained_value() {
    let server = Running::start().await;
    let mut publisher = connect(&server).await;
    send(&mut publisher, "SEND\ndestination:/topic/a\nretain:true\n\nvalue\0").await;
    let mut native = Client(TcpStream::connect(server.native).await.unwrap());
    native.send(b"/topic/a").await;
    assert_eq!(native.receive().await, b"value");
}

#[tokio::test]
async fn the_prefetch_of_a_subscription_that_names_none_is_the_servers() {
    let limits = Limits { prefetch: 3, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = connect(&server).await;
    for _ in 0..5 {
        send(&mut client, "SEND\ndestination:/queue/a\n\nx\0").await;
    }
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0").await;
    assert_eq!(client.settle().await.len(), 3);
}

#[tokio::test]
async fn names_of_durable_subscriptions_are_theirs_alone() {
    let server = Running::start().await;
    let mut client = connect(&server).await;
    let to = "SEND\ndestination:/queue/subscription/me/s\n";
    client.send(&format!("{to}receipt:1\n\nlost\0{to}\nlost\0")).await;
    let error = client.receive().await;
    assert_eq!((error.header("fatal"), error.header("receipt-id")), ("false", "1"));
    let says = "/queue/subscription/me/s: there is no durable subscription of this name";
    assert_eq!(String::from_utf8_lossy(&error.body), says);
    assert_eq!(client.settle().await, []);
    let totals = totals(&server).await;
    assert_eq!((&totals["rejected"], &totals["channels"]), (&2.into(), &0.into()));
    let mut subscriber = named(&server, "me").await;
    subscriber.send("SUBSCRIBE\nid:1\ndestination:/topic/a\nactivemq.subscriptionName:s\n\n\0").await;
    subscriber.settle().await;
    send(&mut client, &format!("{to}\nkept\0")).await;
    assert_eq!(subscriber.receive().await.body, b"kept");
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/subscription/me/other\n\n\0").await;
    assert!(client.error().await.ends_with("other: there is no durable subscription of this name"));
}
