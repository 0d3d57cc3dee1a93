//! Connections that are not read for a while.

mod common;

use common::stomp::StompClient;
use common::{Client, Running};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::{Settings, Shutdown};
use switchboard_wire::stomp::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Asks until the status says so; only a failing test waits long.
async fn until_status(server: &Running, says: impl Fn(&str) -> bool) {
    timeout(Duration::from_secs(20), async {
        while !says(&server.http("GET /status HTTP/1.1\r\nHost: localhost").await) {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("a status that says so");
}

#[tokio::test]
async fn a_paused_publisher_that_resets_is_noticed_and_listed_with_what_is_left_of_it() {
    let limits = Limits { queue: 100, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut publisher = Client(TcpStream::connect(server.native).await.unwrap());
    publisher.send(b"/null").await;
    publisher.publish("/queue/full", &[b'a'; 90]).await;
    publisher.publish("/queue/full", &[b'b'; 90]).await;
    until_status(&server, |status| status.contains("is at its bound of 100 bytes")).await;
    socket2::SockRef::from(&publisher.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(publisher);
    let gone = "gone: 1 of its messages waits for room: queue /queue/full is at its bound of 100 bytes (limit: queue)";
    until_status(&server, |status| status.contains(gone)).await;
    // It counts the same everywhere.
    let status = server.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    for figure in ["\"connections\":0,", "\"paused\":0,", "\"gone\":1,", "\"paused\":null,"] {
        assert!(status.contains(figure), "{figure}: {status}");
    }
    let metrics = server.http("GET /metrics HTTP/1.1\r\nHost: localhost").await;
    for (figure, value) in [("connections", 0), ("paused_connections", 0), ("gone_connections", 1)] {
        assert!(metrics.contains(&format!("\nswitchboard_{figure} {value}\n")), "{figure}: {metrics}");
    }
    let kick = |id| format!("POST /kick?connection={id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0");
    let kicked = server.http(&kick(1)).await;
    assert!(kicked.starts_with("HTTP/1.1 409") && kicked.contains(&format!("connection 1 is {gone}; ")), "{kicked}");
    let unknown = server.http(&kick(7)).await;
    assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("there is no connection 7"), "{unknown}");
    // Its messages are still there.
    let mut worker = Client(TcpStream::connect(server.native).await.unwrap());
    worker.send(b"/queue/full").await;
    assert_eq!(worker.receive().await, [b'a'; 90]);
    assert_eq!(worker.receive().await, [b'b'; 90]);
    until_status(&server, |status| status.contains("\"gone\":0,")).await;
    let kicked = server.http(&kick(1)).await;
    assert!(kicked.starts_with("HTTP/1.1 404"), "nothing is left of it: {kicked}");
}

#[tokio::test]
async fn acks_of_a_paused_connection_are_read_while_the_server_drains() {
    let limits = Limits { queue_messages: 1, read_ahead: 0, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/in\nack:client-individual\n\n\0").await;
    client.send("SEND\ndestination:/queue/in\n\nx\0").await;
    let id = client.receive().await.header("ack").to_owned();
    client.send(&"SEND\ndestination:/queue/full\n\nx\0".repeat(2)).await;
    until_status(&server, |status| status.contains("is at its bound of 1 message")).await;
    // The ack is not read before the server drains.
    client.send(&format!("ACK\nid:{id}\n\n\0")).await;
    assert_eq!(server.stop().await, Shutdown { undelivered: 2, aborted: 0 });
}

#[tokio::test]
async fn publishers_that_left_while_their_queue_is_full_keep_no_consumer_out() {
    let limits = Limits { queue_messages: 1, connections: 4, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    // Each way to leave: closed, with a DISCONNECT, half-closed.
    let (mut half_closed, mut ended) = (Vec::new(), Vec::new());
    for number in 0..12 {
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        let sends = format!("SEND\ndestination:/queue/a\n\n{number}\0").repeat(2);
        match number % 3 {
            0 => {
                client.send(&sends).await;
                drop(client);
            }
            1 => {
                client.send(&format!("{sends}DISCONNECT\nreceipt:1\n\n\0")).await;
                ended.push(client);
            }
            _ => {
                client.send(&sends).await;
                client.socket.shutdown().await.unwrap();
                half_closed.push(client);
            }
        }
        let gone = (number + 1).min(3);
        until_status(&server, |status| status.matches("\"gone\":true").count() >= gone).await;
    }
    let mut consumer = StompClient::connect(&server, Version::V1_2).await;
    consumer.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    assert_eq!(consumer.receive().await.body, b"0");
    // The first of those that let go heard why.
    let error = half_closed[0].receive().await;
    assert!(error.header("message").contains("limit: connections"), "{error:?}");
    until_status(&server, |status| !status.contains("\"dropped_publisher_gone\":0")).await;
}
