//! Health, metrics and status.

mod common;

use common::Running;

const HOST: &str = "HTTP/1.1\r\nHost: localhost";

#[tokio::test]
async fn what_is_going_on_can_be_seen() {
    let server = Running::start().await;
    let mut client = server.client("/topic/foo").await;
    client.publish("/queue/q", b"1").await;
    client.settle().await;
    assert!(server.http(&format!("GET /healthz {HOST}")).await.starts_with("HTTP/1.1 200"));
    assert!(server.http(&format!("GET /readyz {HOST}")).await.starts_with("HTTP/1.1 200"));
    let metrics = server.http(&format!("GET /metrics {HOST}")).await;
    assert!(metrics.contains("\nswitchboard_connections 1\n"), "{metrics}");
    assert!(metrics.contains("\nswitchboard_messages_published_total 1\n"), "{metrics}");
    let status = server.http(&format!("GET /status?limit=5 {HOST}")).await;
    assert!(status.contains("\"/topic/foo\"") && status.contains("\"/queue/q\""), "{status}");
}

#[tokio::test]
async fn a_queue_can_be_purged_and_a_connection_kicked() {
    let server = Running::start().await;
    let mut client = server.client("/topic/foo").await;
    client.publish("/queue/q", b"1").await;
    client.settle().await;
    let purged = server.http(&format!("POST /purge?queue=/queue/q {HOST}")).await;
    assert!(purged.ends_with("{\"purged\":1}"), "{purged}");
    assert!(server.http(&format!("POST /purge?queue=/queue/none {HOST}")).await.starts_with("HTTP/1.1 404"));
    assert!(server.http(&format!("POST /kick?connection=1 {HOST}")).await.starts_with("HTTP/1.1 200"));
    assert_eq!(client.end().await, b"");
}

#[tokio::test]
async fn other_sites_are_refused() {
    let server = Running::start().await;
    let bent = server.http("GET /status HTTP/1.1\r\nHost: evil.example").await;
    assert!(bent.starts_with("HTTP/1.1 421"), "{bent}");
    let form = format!("POST /kick?connection=1 {HOST}\r\nSec-Fetch-Site: cross-site");
    assert!(server.http(&form).await.starts_with("HTTP/1.1 403"));
    let form = format!("POST /kick?connection=1 {HOST}\r\nOrigin: http://evil.example");
    assert!(server.http(&form).await.starts_with("HTTP/1.1 403"));
}
