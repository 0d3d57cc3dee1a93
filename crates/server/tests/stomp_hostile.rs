//! STOMP peers that are slow, stalled, or gone: none of them costs anybody else anything.

mod common;

use common::stomp::StompClient;
use common::{PATIENCE, Running};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

/// Asks until the status says so; only a failing test waits long.
async fn until_status(server: &Running, says: impl Fn(&str) -> bool) {
    let asks = async {
        while !says(&server.http("GET /status HTTP/1.1\r\nHost: localhost").await) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asks).await.expect("a status that says so");
}

#[tokio::test]
async fn one_that_asks_for_receipts_and_reads_none_is_paused() {
    let limits = Limits { outbox: 10_000, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    let (_reader, mut writer) = client.socket.split();
    let frame = format!("SEND\ndestination:/topic/a\nreceipt:{}\n\n\0", "r".repeat(8000)).repeat(16);
    let floods = async {
        loop {
            writer.write_all(frame.as_bytes()).await.unwrap();
        }
    };
    tokio::select! {
        () = floods => {}
        () = until_status(&server, |status| status.contains("its unread receipts take 10000 bytes (limit: outbox)")) => {}
    }
    // Others are served.
    StompClient::connect(&server, Version::V1_2).await.settle().await;
}

#[tokio::test]
async fn one_whose_queue_is_full_is_paused_and_still_acks() {
    let limits = Limits { queue: 200, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\nprefetch-count:1\n\n\0").await;
    let send = format!("SEND\ndestination:/queue/a\n\n{}\0", "x".repeat(90));
    client.send(&send.repeat(20)).await;
    client.send("SEND\ndestination:/queue/a\nreceipt:last\n\n\0").await;
    // Each ack stands behind sends that wait for the room that it makes.
    let mut messages = 0;
    loop {
        let frame = client.receive().await;
        if frame.command == "RECEIPT" {
            break;
        }
        messages += 1;
        client.send(&format!("ACK\nid:{}\n\n\0", frame.header("ack"))).await;
    }
    while messages < 21 {
        let frame = client.receive().await;
        client.send(&format!("ACK\nid:{}\n\n\0", frame.header("ack"))).await;
        messages += 1;
    }
    assert_eq!(client.settle().await, []);
}

#[tokio::test]
async fn what_one_that_resets_had_not_acked_goes_to_another() {
    let server = Running::start().await;
    let mut gone = StompClient::connect(&server, Version::V1_2).await;
    gone.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0SEND\ndestination:/queue/a\n\nx\0").await;
    assert_eq!(gone.receive().await.body, b"x");
    socket2::SockRef::from(&gone.socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(gone);
    let mut next = StompClient::connect(&server, Version::V1_2).await;
    next.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0").await;
    let frame = next.receive().await;
    assert_eq!((&frame.body[..], frame.header("redelivered")), (&b"x"[..], "true"));
}

#[tokio::test]
async fn a_message_that_no_client_takes_goes_to_the_dead_letters() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n\n\0").await;
    client.send("SUBSCRIBE\nid:2\ndestination:/queue/dead/queue/a\n\n\0").await;
    client.send("SEND\ndestination:/queue/a\ncolor:red\n\nbad\0").await;
    let frame = client.receive().await;
    client.send(&format!("NACK\nid:{}\nrequeue:false\n\n\0", frame.header("ack"))).await;
    let dead = client.receive().await;
    let of = |name| dead.header(name);
    assert_eq!((of("destination"), of("subscription"), of("color")), ("/queue/dead/queue/a", "2", "red"));
    assert_eq!(of("dead-letter-origin"), "/queue/a");
    assert_eq!(of("dead-letter-reason"), "rejected");
}

#[tokio::test]
async fn one_that_connects_without_a_word_is_closed() {
    let server = Running::start_with(Settings { handshake: Duration::from_millis(100), ..Settings::default() }).await;
    let mut client = StompClient::silent(server.stomp).await;
    client.send("\n\nCONNECT\naccept-version:1.2\n").await;
    let last = client.end().await;
    assert!(last.len() == 1 && last[0].header("message").contains("(limit: handshake)"), "{last:?}");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_acks_that_are_on_their_way() {
    let server = Running::start_with(Settings { drain: Duration::from_secs(600), ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0SEND\ndestination:/queue/a\n\nx\0").await;
    let ack = client.receive().await.header("ack").to_owned();
    let acks = async {
        client.send(&format!("ACK\nid:{ack}\n\n\0")).await;
        client.end().await
    };
    let (shutdown, _) = tokio::join!(server.stop(), acks);
    assert_eq!(shutdown.undelivered, 0);
}

#[tokio::test]
async fn one_that_does_not_finish_a_frame_is_told_which_limit_was_exceeded() {
    let server = Running::start_with(Settings { read_timeout: Duration::from_millis(50), ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SEND\ndestination:/queue/a\ncontent-length:10\n\nx").await;
    let error = client.receive().await;
    assert_eq!(error.command, "ERROR");
    assert!(error.header("message").contains("(limit: read-timeout)"), "{error:?}");
}

#[tokio::test]
async fn one_that_is_kicked_is_told_so() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    let status = server.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    let number =
        status.split("\"id\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).expect("an id").to_owned();
    server.http(&format!("POST /kick?connection={number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0")).await;
    let error = client.receive().await;
    assert!(error.command == "ERROR" && error.header("message").contains("asked for over HTTP"), "{error:?}");
}
