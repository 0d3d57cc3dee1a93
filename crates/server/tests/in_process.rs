//! Services of the broker's own process, which come over a pipe.

mod common;

use common::{Client, Running};
use std::io::ErrorKind;
use switchboard_server::{Connector, Server, Settings};
use tokio::net::UnixStream;

async fn joins(connector: &Connector, pattern: &str) -> Client<UnixStream> {
    let mut client = Client(connector.connect().await.unwrap());
    client.send(pattern.as_bytes()).await;
    client.settle().await;
    client
}

#[tokio::test]
async fn a_service_and_a_stranger_are_clients_of_one_broker() {
    let running = Running::start().await;
    let (mut service, mut stranger) = (joins(&running.connector, "/topic/a").await, running.client("/topic/b").await);
    stranger.publish("/topic/a", "from outside".as_bytes()).await;
    assert_eq!(service.receive().await, b"from outside");
    service.publish("/topic/b", "from inside".as_bytes()).await;
    assert_eq!(stranger.receive().await, b"from inside");
    let status = running.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    assert!(status.contains("\"address\":\"in-process:test\""), "{status}");
    running.stop().await;
}

#[tokio::test]
async fn a_service_may_connect_before_the_broker_runs() {
    let settings = Settings { listen: Vec::new(), http: Vec::new(), ..Settings::default() };
    let server = Server::bind(settings).await.unwrap();
    let connector = server.connector("early");
    let mut client = Client(connector.connect().await.unwrap());
    client.send(b"/topic/a").await;
    client.publish("/topic/a", b"early").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { _ = stopped.await }));
    assert_eq!(client.receive().await, b"early");
    stop.send(()).unwrap();
    assert!(client.end().await.is_empty());
    drop(client);
    assert_eq!(running.await.unwrap().unwrap().aborted, 0);
}

#[tokio::test]
async fn at_shutdown_a_service_gets_what_waits_for_it_and_then_the_end() {
    // More than a pipe holds.
    const COUNT: usize = 100;
    const SIZE: usize = 64 << 10;
    let running = Running::start().await;
    let connector = running.connector.clone();
    let mut subscriber = joins(&connector, "/queue/a").await;
    let mut publisher = joins(&connector, "/null").await;
    for _ in 0..COUNT {
        publisher.publish("/queue/a", &[b'x'; SIZE]).await;
    }
    publisher.settle().await;
    // Each client closes at the end, so that the server need not linger.
    let ends = async move { (subscriber.end().await, publisher.end().await) };
    let (report, (rest, nothing)) = tokio::join!(running.stop(), ends);
    assert_eq!(rest.len(), COUNT * (4 + SIZE));
    assert_eq!((report.undelivered, report.aborted), (0, 0));
    assert!(nothing.is_empty());
    let refused = connector.connect().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_service_that_takes_nothing_is_disconnected_when_the_drain_is_over() {
    let running = Running::start_with(Settings { drain: std::time::Duration::ZERO, ..Settings::default() }).await;
    let mut stalled = joins(&running.connector, "/queue/a").await;
    let mut publisher = joins(&running.connector, "/null").await;
    publisher.publish("/queue/a", &[b'x'; 4 << 20]).await;
    publisher.settle().await;
    let report = running.stop().await;
    assert!(report.aborted > 0, "{report:?}");
    assert!(stalled.end().await.len() < 4 << 20);
}

#[tokio::test]
async fn a_service_is_paused_and_resumed_as_any_publisher() {
    let running = Running::start().await;
    let mut service = joins(&running.connector, "/null").await;
    let message = vec![b'x'; 8 << 20];
    let publishing = tokio::spawn(async move {
        // Beyond the queue's bound, and what a pipe holds.
        for _ in 0..12 {
            service.publish("/queue/a", &message).await;
        }
        service
    });
    let mut held = String::new();
    while !held.contains("\"paused\":1") {
        held = running.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    }
    let mut worker = Client(running.connector.connect().await.unwrap());
    worker.send(b"/queue/a").await;
    for _ in 0..12 {
        assert_eq!(worker.receive().await.len(), 8 << 20);
    }
    publishing.await.unwrap().settle().await;
    running.stop().await;
}
