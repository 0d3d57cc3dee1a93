//! The stream of samples, as pages hear it.

mod common;

use common::{PATIENCE, Running, sample, settings};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

#[tokio::test]
async fn samples_are_heard_as_senders_write_them() {
    let monitor = Running::start().await;
    let mut page = monitor.feed("").await;
    monitor.post(&sample(0, json!({ "pid": 3 }))).await;
    let heard = page.next().await.unwrap();
    assert_eq!((&*heard.kind, &heard.data["color"], &heard.data["cpu"]), ("message", &json!("red"), &json!(1.5)));
    assert_eq!((&heard.data["id"], &heard.data["pid"]), (&json!(1), &json!(3)));
    assert!(heard.data["timestamp"].as_str().unwrap().ends_with("+00:00"));
    monitor.post(&sample(0, json!({ "pid": 4 }))).await;
    let annotation = page.next().await.unwrap();
    assert_eq!(
        (&*annotation.kind, &annotation.data["kind"], &annotation.data["id"]),
        ("annotation", &json!("restart"), &json!(1))
    );
    assert_eq!(page.next().await.unwrap().data["pid"], 4);
}

#[tokio::test]
async fn a_page_goes_on_where_it_was() {
    let monitor = Running::start().await;
    let mut page = monitor.feed("").await;
    let post = async |pid: u32| monitor.post(&sample(0, json!({ "instance": pid, "service": "s" }))).await;
    post(1).await;
    let first = page.next().await.unwrap();
    drop(page);
    post(2).await;
    post(3).await;
    let mut page = monitor.feed(&format!("\r\nLast-Event-ID: {}", first.id)).await;
    let second = page.next().await.unwrap();
    assert_eq!(second.data["instance"], "2");
    assert_eq!(page.next().await.unwrap().data["instance"], "3");
    drop(page);
    // As a page does that connects by itself; the browser's own header comes first.
    let mut page = monitor.feed_of(&format!("?last_event_id={}", first.id), "").await;
    assert_eq!(page.next().await.unwrap().data["instance"], "2");
    drop(page);
    let mut page = monitor.feed_of("?last_event_id=0-0", &format!("\r\nLast-Event-ID: {}", second.id)).await;
    assert_eq!(page.next().await.unwrap().data["instance"], "3");
    let answer = monitor.until("/api/self", |own| own["feed_clients"] == 1).await;
    assert_eq!(answer["events_missed"], 0);
}

#[tokio::test]
async fn who_cannot_go_on_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Running::on(settings(directory.path())).await;
    let mut page = first.feed("").await;
    first.post(&sample(0, json!({}))).await;
    let heard = page.next().await.unwrap();
    first.stop().await;
    // The stream has ended, cleanly.
    assert!(page.next().await.is_none());
    let second = Running::on(settings(directory.path())).await;
    let mut page = second.feed(&format!("\r\nLast-Event-ID: {}", heard.id)).await;
    assert_eq!(page.next().await.unwrap().kind, "missed");
    second.post(&sample(0, json!({ "cpu": 7 }))).await;
    assert_eq!(page.next().await.unwrap().data["cpu"], 7.0);
    // Also when this run has as many events as the number says.
    second.post(&format!("{}\n{}", sample(0, json!({})), sample(0, json!({})))).await;
    let mut late = second.feed(&format!("\r\nLast-Event-ID: {}", heard.id)).await;
    assert_eq!(late.next().await.unwrap().kind, "missed");
}

#[tokio::test]
async fn a_page_that_does_not_read_harms_nobody_and_misses_what_it_must() {
    let mut monitor = Running::with(|settings| settings.feed = 1_000_000).await;
    // The ring holds all of one round, so that who reads misses nothing.
    let mut stalled = monitor.feed("").await;
    let mut reading = monitor.feed("").await;
    let lines = |round: u32| -> String {
        (0..2000).map(|at| sample(0, json!({ "mem": round * 2000 + at, "version": "x".repeat(100) })) + "\n").collect()
    };
    // Far more than the kernel's buffers and the ring hold together.
    for round in 0..30 {
        let (status, taken) = monitor.post(&lines(round)).await;
        assert_eq!((status, &taken["accepted"]), (200, &json!(2000)));
        while reading.next().await.unwrap().data["mem"] != f64::from(round * 2000 + 1999) {}
    }
    let own = monitor.get("/api/self").await;
    assert_eq!((&own["accepted"], &own["dropped"]), (&json!(60_000), &json!(0)));
    let mut kinds = Vec::new();
    while kinds.last().map(String::as_str) != Some("missed") {
        kinds.push(stalled.next().await.unwrap().kind);
    }
    assert!(kinds.len() < 60_000);
    // It does not delay the end either.
    let stalled_again = monitor.feed("").await;
    monitor.post(&lines(30)).await;
    monitor.stop().await;
    drop(stalled_again);
}

#[tokio::test]
async fn so_many_pages_listen_and_no_more() {
    let monitor = Running::with(|settings| settings.feed_clients = 2).await;
    let first = monitor.feed("").await;
    let _second = monitor.feed("").await;
    let (status, body) = monitor.ask("GET", "/feed", "").await;
    assert!(status == 503 && body.contains("2 pages"), "{status} {body}");
    drop(first);
    monitor.until("/api/self", |own| own["feed_clients"] == 1).await;
    let mut third = monitor.feed("").await;
    monitor.post(&sample(0, json!({}))).await;
    assert!(third.next().await.is_some());
}

#[tokio::test]
async fn an_open_page_never_delays_the_end() {
    let mut monitor = Running::start().await;
    let mut page = monitor.feed("").await;
    monitor.stop().await;
    let mut rest = String::new();
    timeout(PATIENCE, page.0.read_to_string(&mut rest)).await.expect("an end in time").expect("a clean end");
}
