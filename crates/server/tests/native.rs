//! The native protocol over real sockets.

mod common;

use common::{Client, Running, frame};
use std::time::Duration;
use switchboard_server::Settings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_topic_reaches_every_subscriber_in_order() {
    let server = Running::start().await;
    let mut one = server.client("/topic/foo").await;
    let mut two = server.client("/topic/foo").await;
    let mut other = server.client("/topic/bar").await;
    let mut sender = server.client("/null").await;
    for body in [&b"first"[..], b"", b"third"] {
        sender.publish("/topic/foo", body).await;
    }
    sender.settle().await;
    for subscriber in [&mut one, &mut two] {
        assert_eq!(subscriber.until_echo().await, [&b"first"[..], b"", b"third"]);
    }
    other.settle().await;
}

#[tokio::test]
async fn a_queue_goes_round_from_the_newest() {
    let server = Running::start().await;
    let mut oldest = server.client("/queue/q").await;
    let mut middle = server.client("/queue/q").await;
    let mut newest = server.client("/queue/q").await;
    let mut sender = server.client("/null").await;
    for number in 0..7 {
        sender.publish("/queue/q", &[number]).await;
    }
    sender.settle().await;
    assert_eq!(newest.until_echo().await, [[0], [3], [6]]);
    assert_eq!(middle.until_echo().await, [[1], [4]]);
    assert_eq!(oldest.until_echo().await, [[2], [5]]);
}

#[tokio::test]
async fn a_queue_keeps_what_nobody_takes() {
    let server = Running::start().await;
    let mut sender = server.client("/null").await;
    sender.publish("/queue/q", b"kept").await;
    sender.settle().await;
    // It was there before the subscription was confirmed, so it comes before the echo.
    let mut worker = Client(TcpStream::connect(server.native).await.unwrap());
    worker.send(b"/queue/q").await;
    assert_eq!(worker.until_echo().await, [b"kept"]);
    sender.publish("/queue/q", b"a").await;
    sender.settle().await;
    assert_eq!(worker.until_echo().await, [b"a"]);
    drop(worker);
}

#[tokio::test]
async fn an_empty_channel_ends_the_session_after_what_waits() {
    let server = Running::start().await;
    let mut client = server.client("/topic/foo").await;
    let mut bytes = Vec::new();
    for body in [&b"/topic/foo"[..], b"own", b"", b"/topic/foo", b"ignored"] {
        bytes.extend(frame(body));
    }
    client.0.write_all(&bytes).await.unwrap();
    assert_eq!(client.end().await, frame(b"own"));

    let mut client = Client(TcpStream::connect(server.native).await.unwrap());
    client.send(b"").await;
    assert_eq!(client.end().await, b"");
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_that_connection_only() {
    let server = Running::start().await;
    let mut bystander = server.client("/topic/foo").await;
    let mut wrong = server.client("/topic/foo").await;
    wrong.publish("/topic/foo", b"before").await;
    wrong.0.write_all(&[0xff; 4]).await.unwrap();
    wrong.0.write_all(&[0; 100_000]).await.unwrap();
    assert_eq!(wrong.end().await, frame(b"before"));
    assert_eq!(bystander.until_echo().await, [b"before"]);

    let mut wrong = Client(TcpStream::connect(server.native).await.unwrap());
    wrong.0.write_all(&[0xff; 4]).await.unwrap();
    assert_eq!(wrong.end().await, b"");
    bystander.settle().await;
}

#[tokio::test]
async fn half_a_frame_is_nothing() {
    let server = Running::start().await;
    let mut bystander = server.client("/topic/foo").await;
    let mut cut = server.client("/null").await;
    cut.publish("/topic/foo", b"whole").await;
    cut.send(b"/topic/foo").await;
    cut.0.write_all(&frame(b"half")[..6]).await.unwrap();
    cut.0.shutdown().await.unwrap();
    assert_eq!(cut.end().await, b"");
    assert_eq!(bystander.until_echo().await, [b"whole"]);
}

#[tokio::test]
async fn one_byte_a_segment() {
    let server = Running::start().await;
    let mut subscriber = server.client("/topic/foo").await;
    let mut sender = TcpStream::connect(server.native).await.unwrap();
    sender.set_nodelay(true).unwrap();
    for body in [&b"/null"[..], b"/topic/foo", b"slowly", b"/topic/foo", b""] {
        for byte in frame(body) {
            sender.write_all(&[byte]).await.unwrap();
            // Lets the server see this byte alone.
            tokio::task::yield_now().await;
        }
    }
    Client(sender).settle().await;
    assert_eq!(subscriber.until_echo().await, [&b"slowly"[..], b""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_sockets_take_arrives_whole_and_in_order() {
    let server = Running::start().await;
    let mut subscriber = server.client("/queue/large").await;
    let mut sender = server.client("/null").await;
    const COUNT: u32 = 40;
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            let body = number.to_be_bytes().repeat(250_000);
            sender.publish("/queue/large", &body).await;
        }
        sender.settle().await;
    });
    for number in 0..COUNT {
        assert!(subscriber.receive().await == number.to_be_bytes().repeat(250_000), "message {number}");
    }
    sending.await.unwrap();
}

#[tokio::test]
async fn silence_ends_after_the_handshake() {
    let settings = Settings { handshake: Duration::from_millis(1), ..Settings::default() };
    let server = Running::start_with(settings).await;
    let mut silent = Client(TcpStream::connect(server.native).await.unwrap());
    assert_eq!(silent.end().await, b"");
}

#[tokio::test]
async fn a_shutdown_ends_connections_and_counts_what_is_left() {
    let server = Running::start().await;
    let mut client = server.client("/topic/foo").await;
    client.publish("/queue/left", b"1").await;
    client.publish("/queue/left", b"2").await;
    client.publish("/topic/foo", b"last").await;
    assert_eq!(client.until_echo().await, [b"last"]);
    let (report, rest) = tokio::join!(server.stop(), async move {
        let rest = client.end().await;
        drop(client);
        rest
    });
    assert_eq!((report.undelivered, report.aborted), (2, 0));
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_taken_port_is_explained() {
    let server = Running::start().await;
    let settings = Settings { listen: vec![server.native.to_string()], http: Vec::new(), ..Settings::default() };
    let error = switchboard_server::Server::bind(settings).await.unwrap_err().to_string();
    assert!(error.contains(&server.native.to_string()) && error.contains("--listen HOST:PORT"), "{error}");
}
