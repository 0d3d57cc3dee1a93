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
    let purged = server.http(&format!("POST /queues/purge?name=/queue/q {HOST}")).await;
    assert!(purged.ends_with("{\"purged\":1}"), "{purged}");
    assert!(server.http(&format!("POST /queues/purge?name=/queue/none {HOST}")).await.starts_with("HTTP/1.1 404"));
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

#[tokio::test]
async fn what_there_is_is_listed_and_what_there_is_not_is_said() {
    let server = Running::start().await;
    let index = server.http(&format!("GET / {HOST}")).await;
    assert!(index.starts_with("HTTP/1.1 200"), "{index}");
    let said = async |line: &str, status: u16, part: &str| {
        let answer = server.http(&format!("{line} {HOST}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(body.contains(part) && body.ends_with('\n'), "{line}: {body}");
    };
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/status",
        "/queues",
        "/queues/peek",
        "/queues/purge",
        "/queues/move",
        "/queues/pause",
        "/queues/resume",
        "/kick",
    ] {
        assert!(index.contains(path), "{path}: {index}");
        let posts = path.starts_with("/queues/") && path != "/queues/peek" || path == "/kick";
        let method = if posts { "POST" } else { "GET" };
        let other = if method == "GET" { "POST" } else { "GET" };
        said(&format!("{other} {path}"), 405, method).await;
    }
    said("GET /none", 404, "/none").await;
    said("POST /queues/purge", 400, "name=NAME").await;
    said("POST /queues/purge?name=", 400, "name=NAME").await;
    said("POST /queues/purge?name=/queue/none", 404, "there is no queue /queue/none").await;
    said("POST /queues/purge?name=/topic/a%1B", 404, "/topic/a\\u{1b} is a topic").await;
    said("POST /kick", 400, "connection=N").await;
    said("POST /kick?connection=x", 400, "connection=x").await;
    said("POST /kick?connection=18446744073709551615", 404, "no connection 18446744073709551615").await;
    said("GET /status?limit=x", 400, "limit=x").await;
    said("GET /status?after=x", 400, "after").await;
}

#[tokio::test]
async fn a_queue_of_any_bytes_can_be_purged() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    client.send(b"/queue/\xff\0 +").await;
    client.send(b"1").await;
    client.settle().await;
    let purged = server.http(&format!("POST /queues/purge?name=/queue/%FF%00%20%2B {HOST}")).await;
    assert!(purged.ends_with("{\"purged\":1}"), "{purged}");
}

#[tokio::test]
async fn the_status_has_a_limit_and_pages() {
    const QUEUES: usize = 2500;
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    for number in 0..QUEUES {
        client.publish(&format!("/queue/{number}"), b"1").await;
    }
    client.settle().await;
    let status = async |query: &str| -> serde_json::Value {
        let answer = server.http(&format!("GET /status{query} HTTP/1.0\r\nHost: localhost")).await;
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    };
    let listed = |status: &serde_json::Value| status["channels"].as_array().expect("a list").len();
    for (limit, expected) in [(0, 0), (1, 1), (999, 999), (1000, 1000), (1001, 1000), (usize::MAX, 1000)] {
        assert_eq!(listed(&status(&format!("?limit={limit}")).await), expected, "{limit}");
    }
    let first = status("").await;
    assert_eq!((listed(&first), &first["next"]), (100, &serde_json::Value::Null));
    let (mut names, mut connections, mut after) = (std::collections::BTreeSet::new(), 0, "0".to_owned());
    loop {
        let page = status(&format!("?limit=1000&after={after}")).await;
        for channel in page["channels"].as_array().expect("a list") {
            assert!(names.insert(channel["name"].as_str().expect("a name").to_owned()), "{channel}");
        }
        connections += page["connections"].as_array().expect("a list").len();
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let queues = names.iter().filter(|name| name.starts_with("/queue")).count();
    assert_eq!((queues, connections), (QUEUES, 1));
}
