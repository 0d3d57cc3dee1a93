//! STOMP's answers to what a client asks: receipts and errors.

#[path = "stomp_answers/acks.rs"]
mod acks;
mod common;
#[path = "stomp_answers/refusals.rs"]
mod refusals;

use common::Running;
use common::stomp::{Frame, StompClient};
use std::time::Duration;
use switchboard_broker::{Limits, QueueOverflow};
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;
use tokio::io::AsyncWriteExt;

fn bodies(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(&frame.body).into_owned()).collect()
}

const BEAT: Duration = Duration::from_millis(100);

/// A client with heart-beats that waits with its second message, since the first one fills the queue.
async fn one_that_waits(then: &str) -> (Running, StompClient) {
    let limits = Limits { queue_messages: 1, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::silent(server.native).await;
    client.send(&format!("CONNECT\naccept-version:1.2\nheart-beat:{},0\n\n\0", BEAT.as_millis())).await;
    assert_eq!(client.receive().await.command, "CONNECTED");
    let [first, second] = ["1", "2"].map(|name| format!("SEND\ndestination:/queue/a\nreceipt:{name}\n\nx\0"));
    client.send(&[&first, &second, then].concat()).await;
    assert_eq!(client.receive().await.header("receipt-id"), "1");
    (server, client)
}

#[tokio::test]
async fn a_half_closed_client_gets_its_receipts_and_the_end() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SEND\ndestination:/topic/a\nreceipt:1\n\n\0SEND\ndestination:/topic/a\nreceipt:2\n\n\0").await;
    client.socket.shutdown().await.unwrap();
    let receipts: Vec<String> = client.end().await.iter().map(|frame| frame.header("receipt-id").to_owned()).collect();
    assert_eq!(receipts, ["1", "2"]);
}

#[tokio::test]
async fn a_client_that_ends_its_session_gets_its_receipts_however_many_heartbeats_later() {
    for disconnects in [false, true] {
        let (server, mut client) = one_that_waits(if disconnects { "DISCONNECT\n\n\0" } else { "" }).await;
        if !disconnects {
            client.socket.shutdown().await.unwrap();
        }
        tokio::time::sleep(5 * BEAT).await;
        let mut other = StompClient::connect(&server, Version::V1_2).await;
        other.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
        assert_eq!(client.receive().await.header("receipt-id"), "2");
    }
}

#[tokio::test]
async fn heartbeats_of_a_paused_client_count_though_nobody_reads_them() {
    let (server, mut client) = one_that_waits("").await;
    for _ in 0..10 {
        client.send("\n").await;
        tokio::time::sleep(BEAT / 2).await;
    }
    let mut other = StompClient::connect(&server, Version::V1_2).await;
    other.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    assert_eq!(client.receive().await.header("receipt-id"), "2");
}

#[tokio::test]
async fn no_version_in_common_is_an_error_that_names_the_versions() {
    let server = Running::start().await;
    let mut client = StompClient::silent(server.native).await;
    client.send("CONNECT\naccept-version:2.0,3.1\nhost:x\n\n\0").await;
    let last = client.end().await;
    assert_eq!((&last[0].command[..], last[0].header("version")), ("ERROR", "1.0,1.1,1.2"));
}

#[tokio::test]
async fn an_error_names_the_receipt_of_its_frame_and_what_came_before_is_carried_out() {
    let server = Running::start().await;
    let mut subscriber = StompClient::connect(&server, Version::V1_2).await;
    subscriber.send("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
    subscriber.settle().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client
        .send("SEND\ndestination:/topic/a\nreceipt:1\n\nfirst\0SEND\ndestination:nowhere\nreceipt:2\n\n\0SEND\ndestination:/topic/a\n\nno\0")
        .await;
    let last = client.end().await;
    let seen: Vec<_> = last.iter().map(|frame| (&frame.command[..], frame.header("receipt-id"))).collect();
    assert_eq!(seen, [("RECEIPT", "1"), ("ERROR", "2")]);
    assert_eq!(subscriber.receive().await.body, b"first");
    assert_eq!(subscriber.settle().await, []);
}

#[tokio::test]
async fn an_error_names_the_receipt_where_the_frame_cannot_be_decoded_or_the_broker_refuses_it() {
    let limits = Limits { subscriptions: 1, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let subscribe = "SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0";
    for (frames, receipt, says) in [
        ("SEND\nreceipt:r\ncontent-length:99999999\n\n".to_owned(), "r", "(limit: message)"),
        ("SEND\ndestination\\t:/queue/a\nreceipt:r\n\n\0".to_owned(), "r", "undefined escape"),
        (format!("{subscribe}SUBSCRIBE\nid:2\ndestination:/topic/b\nreceipt:r\n\n\0"), "r", "(limit: subscriptions)"),
        // The receipt is another frame's.
        (
            format!("{subscribe}SUBSCRIBE\nid:2\ndestination:/topic/b\n\n\0BEGIN\ntransaction:t\nreceipt:r\n\n\0"),
            "",
            "(limit: subscriptions)",
        ),
    ] {
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        client.send(&frames).await;
        let error = client.end().await.pop().expect("an ERROR");
        assert_eq!(error.header("fatal"), "");
        assert_eq!((&error.command[..], error.header("receipt-id")), ("ERROR", receipt), "{frames:?}");
        assert!(error.header("message").contains(says), "{error:?}");
    }
}

#[tokio::test]
async fn receipts_do_not_wait_behind_messages_and_reach_the_client_before_an_error() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
    client.settle().await;
    let mut publisher = server.client("/null").await;
    for _ in 0..60 {
        publisher.publish("/topic/a", &[b'x'; 200_000]).await;
    }
    publisher.settle().await;
    client.send("SEND\ndestination:/queue/kept\nreceipt:1\n\nkept\0").await;
    let mut other = StompClient::connect(&server, Version::V1_2).await;
    other.send("SUBSCRIBE\nid:s\ndestination:/queue/kept\n\n\0").await;
    assert_eq!(other.receive().await.body, b"kept");
    client.send("SEND\ndestination:/topic/b\nreceipt:2\n\n\0SEND\ndestination:nowhere\nreceipt:3\n\n\0").await;
    let last = client.end().await;
    let seen: Vec<_> = last
        .iter()
        .filter(|frame| frame.command != "MESSAGE")
        .map(|frame| (&frame.command[..], frame.header("receipt-id")))
        .collect();
    assert_eq!(seen, [("RECEIPT", "1"), ("RECEIPT", "2"), ("ERROR", "3")]);
    assert!(last.len() < 60, "what was not begun gave way");
}

#[tokio::test]
async fn behind_the_receipt_of_an_unsubscribe_nothing_of_the_subscription_comes() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    for destination in ["/topic/a", "/queue/a"] {
        client.send(&format!("SUBSCRIBE\nid:s\ndestination:{destination}\n\n\0")).await;
        client.send("SUBSCRIBE\nid:other\ndestination:/topic/b\n\n\0").await;
        client.settle().await;
        let mut publisher = server.client("/null").await;
        for _ in 0..60 {
            publisher.publish(destination, &[b'x'; 200_000]).await;
        }
        publisher.publish("/topic/b", b"stays").await;
        publisher.settle().await;
        client.send("UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0").await;
        while client.receive().await.command != "RECEIPT" {}
        client.send("UNSUBSCRIBE\nid:other\nreceipt:last\n\n\0").await;
        let mut behind = Vec::new();
        loop {
            let frame = client.receive().await;
            if frame.command == "RECEIPT" {
                break;
            }
            behind.push(frame);
        }
        assert!(behind.iter().all(|frame| frame.header("subscription") == "other"), "{destination}");
    }
}

/// Small messages: a window holds many of them, of which most are not begun while the client reads nothing.
#[tokio::test]
async fn behind_the_receipt_of_an_unsubscribe_from_a_queue_nothing_comes_and_nothing_is_lost() {
    for mode in ["auto", "client"] {
        // So that the kernel takes little ahead of the client.
        let server = Running::start_with(Settings { send_buffer: 4096, ..Settings::default() }).await;
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        let subscribe = format!("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:{mode}\nprefetch-count:100000\n\n\0");
        client.send(&subscribe).await;
        client.settle().await;
        let mut publisher = server.client("/null").await;
        for number in 0..20_000_u32 {
            publisher.publish("/queue/a", &[&number.to_be_bytes()[..], &[b'x'; 1000]].concat()).await;
        }
        publisher.settle().await;
        client.send("UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0").await;
        let number_of = |frame: &Frame| u32::from_be_bytes(frame.body[..4].try_into().unwrap());
        let mut got = Vec::new();
        let last = loop {
            let frame = client.receive().await;
            if frame.command == "RECEIPT" {
                break frame;
            }
            if mode == "client" {
                client.send(&format!("ACK\nid:{}\n\n\0", frame.header("ack"))).await;
            }
            got.push(number_of(&frame));
        };
        assert_eq!(last.header("receipt-id"), "r");
        assert_eq!(client.settle().await, [], "{mode}");
        let mut other = StompClient::connect(&server, Version::V1_2).await;
        other.send("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0").await;
        while got.len() < 20_000 {
            got.push(number_of(&other.receive().await));
        }
        got.sort_unstable();
        assert!(got.into_iter().eq(0..20_000), "{mode}");
    }
}

#[tokio::test]
async fn a_publisher_that_a_full_queue_rejects_is_told_by_its_receipt_and_goes_on() {
    let limits = Limits { queue_messages: 1, overflow: QueueOverflow::Reject, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    for receipt in ["1", "2", "3"] {
        client.send(&format!("SEND\ndestination:/queue/a\nreceipt:{receipt}\n\n{receipt}\0")).await;
    }
    client.send("SEND\ndestination:/queue/a\n\nnobody is told\0SEND\ndestination:/queue/b\nreceipt:4\n\n4\0").await;
    let mut told = Vec::new();
    while told.len() < 4 {
        let frame = client.receive().await;
        assert!(frame.command == "RECEIPT" || frame.header("message").contains("at its bound of 1 message "));
        // An ERROR would be the end otherwise.
        assert_eq!(frame.header("fatal"), if frame.command == "ERROR" { "false" } else { "" });
        told.push((frame.command.clone(), frame.header("receipt-id").to_owned()));
    }
    let of = |command: &str, receipt: &str| (command.to_owned(), receipt.to_owned());
    assert_eq!(told, [of("RECEIPT", "1"), of("ERROR", "2"), of("ERROR", "3"), of("RECEIPT", "4")]);
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    assert_eq!(bodies(&client.settle().await), ["1"]);
}

#[tokio::test]
async fn a_commit_of_which_a_full_queue_rejects_a_message_is_told_by_its_receipt() {
    let limits = Limits { queue_messages: 1, overflow: QueueOverflow::Reject, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    let send = |queue: &str| format!("SEND\ndestination:/queue/{queue}\ntransaction:t\n\n1\0");
    for (sends, command) in [
        (format!("{}{}", send("a"), send("b")), "RECEIPT"),
        (format!("{}{}", send("a"), send("c")), "ERROR"),
        (send("d"), "RECEIPT"),
    ] {
        client.send(&format!("BEGIN\ntransaction:t\n\n\0{sends}COMMIT\ntransaction:t\nreceipt:r\n\n\0")).await;
        let frame = client.receive().await;
        assert_eq!((&frame.command[..], frame.header("receipt-id")), (command, "r"));
    }
}

#[tokio::test]
async fn an_error_reaches_a_client_that_has_much_to_read_before_it() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
    client.settle().await;
    let mut publisher = server.client("/null").await;
    for _ in 0..40 {
        publisher.publish("/topic/a", &[b'x'; 100_000]).await;
    }
    publisher.settle().await;
    client.send("NONSENSE\n\n\0").await;
    assert!(client.error().await.contains("NONSENSE"));
}

#[tokio::test]
async fn the_oldest_exclusive_consumer_of_a_queue_is_the_only_one_and_the_next_takes_over() {
    let server = Running::start().await;
    let subscribes = async |header: &str| {
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        client.send(&format!("SUBSCRIBE\nid:1\ndestination:/queue/a\n{header}\n\0")).await;
        client.settle().await;
        client
    };
    let mut plain = subscribes("exclusive:false\n").await;
    let mut first = subscribes("exclusive:true\n").await;
    let mut second = subscribes("activemq.exclusive:true\n").await;
    let mut publisher = StompClient::connect(&server, Version::V1_2).await;
    for body in ["1", "2"] {
        publisher.send(&format!("SEND\ndestination:/queue/a\n\n{body}\0")).await;
        assert_eq!(first.receive().await.body, body.as_bytes());
    }
    first.send("UNSUBSCRIBE\nid:1\n\n\0").await;
    first.settle().await;
    for body in ["3", "4"] {
        publisher.send(&format!("SEND\ndestination:/queue/a\n\n{body}\0")).await;
        assert_eq!(second.receive().await.body, body.as_bytes());
    }
    assert_eq!(plain.settle().await, []);
    second.send("UNSUBSCRIBE\nid:1\n\n\0").await;
    second.settle().await;
    publisher.send("SEND\ndestination:/queue/a\n\n5\0").await;
    assert_eq!(plain.receive().await.body, b"5");
}

#[tokio::test]
async fn an_exclusive_subscription_to_a_topic_is_refused_and_so_is_another_word_than_true() {
    let server = Running::start().await;
    for (subscribe, says) in [
        ("destination:/topic/a\nexclusive:true", "only a queue has an exclusive consumer"),
        ("destination:/queue/a\nactivemq.exclusive:yes", "activemq.exclusive is true or false"),
    ] {
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        client.send(&format!("SUBSCRIBE\nid:1\n{subscribe}\n\n\0")).await;
        let error = client.error().await;
        assert!(error.contains(says), "{error}");
    }
}
