//! Requests that are too large, too slow or none at all: each is answered with a sentence, or closed.

mod common;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use common::{PATIENCE, Running, SHORT, patient};
use switchboard_web::Limits;
use tokio::time::{sleep, timeout};

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n";

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "here\n" }))
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
}

/// The status, and the sentence behind it.
fn answered(answer: &str, status: u16, part: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status} {part}: {answer:?}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(body.contains(part) && body.ends_with('\n'), "{answer:?}");
}

#[tokio::test]
async fn a_head_that_is_not_complete_in_time_is_answered_and_closed() {
    let server = Running::start(router(), Limits { header_timeout: SHORT, ..patient() }).await;
    for half in ["G", "GET / HTTP/1.1\r\nHost: localhost\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nX: "] {
        answered(&server.ask(half).await, 408, "http.header-timeout");
    }
    // Also the second one of a connection.
    let mut client = server.connect().await;
    client.write(&format!("{GET}\r\n")).await;
    client.until("here\n").await;
    client.write("GET /").await;
    answered(&client.rest().await, 408, "http.header-timeout");
    // Nothing was asked, and nothing is answered.
    assert_eq!(server.ask("").await, "");
}

#[tokio::test]
async fn one_byte_at_a_time_does_not_extend_the_time_of_a_head() {
    let server = Running::start(router(), Limits { header_timeout: SHORT, ..patient() }).await;
    let client = server.connect().await.0;
    let (mut reading, mut writing) = client.into_split();
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        for byte in b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(SHORT / 20).await;
        }
    });
    let mut answer = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut answer);
    let _ = timeout(PATIENCE, read).await.expect("an end in time");
    answered(&answer, 408, "http.header-timeout");
    drop(reading);
    timeout(PATIENCE, sending).await.expect("it is closed").expect("no panic");
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let server = Running::start(router(), Limits { idle_timeout: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.write(&format!("{GET}\r\n")).await;
        client.until("here\n").await;
    }
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_head_over_its_limit_is_answered() {
    let server = Running::start(router(), Limits { header: 1024, ..patient() }).await;
    let head = |length: usize| {
        let fixed = format!("{GET}Connection: close\r\nX: \r\n\r\n").len();
        format!("{GET}Connection: close\r\nX: {}\r\n\r\n", "x".repeat(length - fixed))
    };
    for length in [1023, 1024] {
        answered(&server.ask(&head(length)).await, 200, "here");
    }
    answered(&server.ask(&head(1025)).await, 431, "1024 bytes");
    answered(&server.ask(&head(100_000)).await, 431, "1024 bytes");
    answered(&server.ask(&format!("GET /{}", "x".repeat(2000))).await, 414, "1024 bytes");
    let roomy = Running::start(router(), patient()).await;
    let headers = |count: usize| format!("{GET}Connection: close\r\n{}\r\n", "a: b\r\n".repeat(count - 2));
    answered(&roomy.ask(&headers(100)).await, 200, "here");
    answered(&roomy.ask(&headers(101)).await, 431, "100 headers");
}

#[tokio::test]
async fn a_body_over_its_limit_is_answered_before_it_is_read() {
    let server = Running::start(router(), Limits { body: 1000, ..patient() }).await;
    let post = |length: usize, body: &str| {
        format!(
            "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    for length in [0, 999, 1000] {
        let answer = server.ask(&post(length, &"x".repeat(length))).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&length.to_string()), "{answer}");
    }
    answered(&server.ask(&post(1001, "")).await, 413, "1000 bytes");
    answered(&server.ask(&post(1001, &"x".repeat(1001))).await, 413, "1000 bytes");
    answered(&server.ask(&post(1 << 40, &"x".repeat(300_000))).await, 413, "1000 bytes");
    let chunked = "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
    answered(&server.ask(&format!("{chunked}{}", chunk.repeat(3))).await, 413, "1000 bytes");
    let answer = server
        .ask(&format!("{}{}0\r\n\r\n", chunked.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), chunk.repeat(2)))
        .await;
    assert!(answer.ends_with("\r\n\r\n800"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_answered() {
    let server = Running::start(router(), Limits { body_timeout: SHORT, ..patient() }).await;
    for body in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n5\r\nhalf"] {
        let answer = server.ask(&format!("POST /length HTTP/1.1\r\nHost: localhost\r\n{body}")).await;
        answered(&answer, 408, "http.body-timeout");
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered() {
    let server = Running::start(router(), patient()).await;
    answered(&server.ask("\u{16}\u{3}\u{1}").await, 400, "without TLS");
    answered(&server.ask("GET / HTTP/1.1\r\n\r\n").await, 400, "Host header");
    answered(
        &server.ask("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n").await,
        400,
        "Host header",
    );
    // hyper's own, without a sentence.
    assert!(server.ask("GET / HTTP/1.1\r\nno header\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn http_1_0_without_a_host_is_a_probe_and_is_answered() {
    let server = Running::start(router(), patient()).await;
    let answer = server.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 ") && answer.ends_with("here\n"), "{answer}");
}

#[tokio::test]
async fn an_address_or_method_that_there_is_not_is_answered_with_a_sentence() {
    let server = Running::start(router(), patient()).await;
    answered(&server.get("/none").await, 404, "/none");
    answered(&server.get("/length").await, 405, "POST only");
    let head = server.ask("HEAD /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 404") && head.ends_with("\r\n\r\n"), "{head}");
}
