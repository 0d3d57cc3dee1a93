//! The examples do what they say.
#![cfg(not(loom))]

#[path = "../examples/basic.rs"]
mod basic;
mod common;
#[path = "../examples/embedded.rs"]
mod embedded;

use common::{server, until};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn the_basic_one_prints_three_lines() {
    let scratch = server().scratch().await;
    let mut lines = Vec::new();
    basic::demo(scratch.database(), |line| lines.push(line)).await.expect("it runs");
    let expected = [
        "After INSERT: Some(User { id: 1, name: \"Bob\", dob: 1984-03-01 })",
        "After UPDATE: Some(User { id: 1, name: \"Bob\", dob: 1985-03-01 })",
        "After DELETE: None",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_one_answers_from_its_cache() {
    let scratch = server().scratch().await;
    let rows = embedded::rows(scratch.database()).expect("it opens");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, embedded::app(rows.clone())).into_future());
    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it accepts");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.to_lowercase()
    };
    rows.live().await;
    rows.insert("patron", &json!({ "name": "Ann" })).await.expect("inserted");
    until("the row is a hit", async || {
        let answer = get("/patron/1").await;
        assert!(answer.starts_with("http/1.1 200") && answer.contains("\"name\":\"ann\""), "{answer}");
        answer.contains("x-cache: hit").then_some(())
    })
    .await;
    let absent = get("/patron/99").await;
    assert!(absent.starts_with("http/1.1 404") && absent.ends_with("null"), "{absent}");
    assert!(get("/patron/x").await.starts_with("http/1.1 400"));
    assert!(get("/").await.ends_with("my own program\n"));
}
