//! Connections that do not finish what they have begun.

mod common;

use common::{Client, Running, frame};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Time-outs that only a test of something else could run into.
const LONG: Duration = Duration::from_secs(600);

fn patient() -> Settings {
    Settings { handshake: LONG, read_timeout: LONG, ..Settings::default() }
}

async fn silent(server: &Running) -> Client {
    Client(TcpStream::connect(server.native).await.unwrap())
}

async fn silent_from(server: &Running, address: &str) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    Client(socket.connect(server.native).await.unwrap())
}

#[tokio::test]
async fn a_new_client_does_not_wait_for_silent_ones() {
    let server = Running::start_with(Settings { handshakes: 8, handshakes_per_address: 8, ..patient() }).await;
    let mut silents = Vec::new();
    for _ in 0..100 {
        silents.push(silent(&server).await);
    }
    // Served while all the others are still there.
    let mut client = server.client("/topic/a").await;
    client.settle().await;
    // The oldest have ended, and say so by their end.
    for silent in &mut silents[..90] {
        assert_eq!(silent.end().await, b"");
    }
}

#[tokio::test]
async fn an_address_ends_its_own_handshakes_first() {
    let server = Running::start_with(Settings { handshakes: 100, handshakes_per_address: 2, ..patient() }).await;
    let mut other = silent_from(&server, "127.0.0.9:0").await;
    let mut first = silent(&server).await;
    for _ in 0..20 {
        silent(&server).await;
    }
    assert_eq!(first.end().await, b"");
    // The older one, of another address, was left alone.
    other.send(b"/topic/a").await;
    other.settle().await;
}

#[tokio::test]
async fn a_quarter_of_the_handshakes_is_one_address_s_unless_set() {
    let server = Running::start_with(Settings { handshakes: 8, ..patient() }).await;
    let mut first = silent(&server).await;
    let mut second = silent(&server).await;
    let mut third = silent(&server).await;
    assert_eq!(first.end().await, b"");
    for client in [&mut second, &mut third] {
        client.send(b"/topic/a").await;
        client.settle().await;
    }
}

#[tokio::test]
async fn those_who_have_said_what_they_listen_to_are_not_counted() {
    let server = Running::start_with(Settings { handshakes: 1, handshakes_per_address: 1, ..patient() }).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.client("/topic/a").await);
    }
    silent(&server).await;
    silent(&server).await;
    for client in &mut clients {
        client.settle().await;
    }
}

#[tokio::test]
async fn a_frame_that_was_begun_and_goes_no_further_ends_its_connection() {
    let settings = Settings { read_timeout: Duration::from_millis(300), ..patient() };
    let server = Running::start_with(settings).await;
    let mut idle = server.client("/topic/a").await;
    // In the length, in the name, between the frames, and in the data.
    let pair = [frame(b"/topic/b"), frame(b"data")].concat();
    for bytes in [1, 3, 6, 12, 14, 17] {
        let mut client = server.client("/null").await;
        client.0.write_all(&pair[..bytes]).await.unwrap();
        assert_eq!(client.end().await, b"", "{bytes} bytes");
    }
    // An announced length is all that came.
    let mut client = server.client("/null").await;
    client.0.write_all(&[&frame(b"/topic/b")[..], &(16_u32 << 20).to_be_bytes()].concat()).await.unwrap();
    assert_eq!(client.end().await, b"");
    idle.settle().await;
}

#[tokio::test]
async fn without_a_read_timeout_a_frame_may_take_for_ever() {
    let server = Running::start_with(Settings { read_timeout: Duration::ZERO, ..patient() }).await;
    let mut client = server.client("/topic/a").await;
    client.0.write_all(&frame(b"/topic/a")[..5]).await.unwrap();
    let mut others = server.client("/topic/b").await;
    for _ in 0..100 {
        others.settle().await;
    }
    client.0.write_all(&frame(b"/topic/a")[5..]).await.unwrap();
    client.send(b"done").await;
    assert_eq!(client.receive().await, b"done");
}

#[tokio::test]
async fn a_connection_that_is_not_read_is_not_blamed_for_a_frame_that_it_has_sent() {
    let limits = Limits { queue: 100, ..Limits::default() };
    let settings = Settings { limits, read_timeout: Duration::from_secs(1), ..patient() };
    let server = Running::start_with(settings).await;
    let mut publisher = server.client("/null").await;
    publisher.publish("/queue/full", &[b'a'; 90]).await;
    let second = [frame(b"/queue/full"), frame(&[b'b'; 90])].concat();
    let third = [frame(b"/queue/full"), frame(b"third")].concat();
    publisher.0.write_all(&[&second[..], &third[..10]].concat()).await.unwrap();
    while !server.http("GET /status HTTP/1.1\r\nHost: localhost").await.contains("at its bound of 100 bytes") {}
    // Its rest waits in the kernel, and nobody reads it.
    publisher.0.write_all(&third[10..]).await.unwrap();
    // The limit passes again and again for others, who are read.
    for _ in 0..3 {
        let mut blamed = server.client("/null").await;
        blamed.0.write_all(&third[..10]).await.unwrap();
        assert_eq!(blamed.0.read(&mut [0; 1]).await.unwrap(), 0);
    }
    let mut consumer = Client(TcpStream::connect(server.native).await.unwrap());
    consumer.send(b"/queue/full").await;
    assert_eq!(consumer.receive().await, [b'a'; 90]);
    assert_eq!(consumer.receive().await, [b'b'; 90]);
    assert_eq!(consumer.receive().await, b"third");
}

#[tokio::test]
async fn announced_frames_that_do_not_come_take_no_memory_from_others() {
    let limits = Limits { memory: 64 << 20, connections: 1000, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..patient() }).await;
    let mut announcing = Vec::new();
    for _ in 0..31 {
        let mut client = server.client("/null").await;
        client.0.write_all(&[&frame(b"/topic/b")[..], &(16_u32 << 20).to_be_bytes()].concat()).await.unwrap();
        announcing.push(client);
    }
    let mut client = server.client("/topic/a").await;
    let large = vec![7; 16 << 20];
    client.publish("/topic/a", &large).await;
    assert!(client.receive().await == large);
}
