//! Budgets that all clients share: none exhausts one alone.

mod common;

use common::{PATIENCE, Running, sample};
use serde_json::{Value, json};
use switchboard_monitor::{Millis, Rules};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Far more than the buffers of a connection hold.
const ROWS: i64 = 240_000;

async fn fill(monitor: &Running) {
    let now = Millis::now().0;
    for part in 0..ROWS / 8000 {
        let of = |at: i64| json!({ "color": format!("c{part}"), "timestamp": now - (10 + at) * 1000 });
        let lines: Vec<String> = (0..8000).map(|at| sample(0, of(at))).collect();
        let (status, taken) = monitor.post(&lines.join("\n")).await;
        assert_eq!((status, &taken["accepted"]), (200, &json!(8000)), "{taken}");
    }
}

/// A request that nobody reads the answer of.
async fn unread(monitor: &Running, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(monitor.address).await.unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    // It has begun to answer.
    stream.readable().await.unwrap();
    stream
}

#[tokio::test]
async fn readers_who_do_not_read_hold_up_no_others() {
    let monitor = Running::with(|settings| settings.body = 4 << 20).await;
    fill(&monitor).await;
    let now = Millis::now().0;
    let range = format!("from={}&to={now}", now - 4 * 3_600_000);
    let mut stalled = Vec::new();
    for _ in 0..6 {
        stalled.push(unread(&monitor, &format!("/api/history.csv?{range}")).await);
    }
    let history = monitor.get(&format!("/api/history?{range}&points=100")).await;
    assert_eq!(history["series"].as_array().unwrap().len() as i64, ROWS / 8000);
    let (status, csv) = monitor.ask("GET", &format!("/api/history.csv?{range}"), "").await;
    assert_eq!((status, csv.lines().count() as i64), (200, ROWS + 1));
    drop(stalled);
}

#[tokio::test]
async fn rubbish_is_refused_at_the_cost_of_its_sender() {
    let monitor = Running::start().await;
    let array = format!("[{}1]", "1,".repeat(500_000));
    let (status, answer) = monitor.post(&array).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("cannot be samples"), "{status} {answer}");
    let (status, answer) = monitor.post(&"x\n".repeat(500_000)).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("cannot be samples"), "{status} {answer}");
    // As many as could be samples are looked at until it is clear what they are.
    let line = format!("{:60}\n", "{");
    let (status, answer) = monitor.post(&line.repeat(10_000)).await;
    assert_eq!((status, &answer["refused"]), (400, &json!(10_000)));
    let own = monitor.get("/api/self").await;
    let (json, skipped) = (own["refused"]["json"].as_u64().unwrap(), own["refused"]["skipped"].as_u64().unwrap());
    assert!((1000..1128).contains(&json) && json + skipped == 10_000, "{json} {skipped}");
    assert_eq!(own["received"], 10_000);
    // Some refused ones among many good ones cost nobody anything.
    let mut lines = vec![sample(0, json!({})); 2000];
    lines.splice(0..0, vec!["{}".to_owned(); 999]);
    let (status, answer) = monitor.post(&lines.join("\n")).await;
    assert_eq!((status, &answer["accepted"], &answer["refused"]), (200, &json!(2000), &json!(999)));
}

#[tokio::test]
async fn a_flood_from_one_client_keeps_nobody_waiting() {
    // Hours of work for the flood; others wait for a turn of it at most.
    let monitor = Running::with(|settings| settings.rate = 200).await;
    let flood: Vec<String> = (0..8000).map(|at| sample(at, json!({ "color": "flood" }))).collect();
    let flood = format!("{}\n", flood.join("\n"));
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(monitor.address).await.unwrap();
        let head = format!("POST /api/samples HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", flood.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(flood.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    monitor.until("/api/self", |own| own["accepted"].as_u64() >= Some(4 * 128)).await;
    let (status, taken) =
        timeout(PATIENCE, monitor.post(&sample(0, json!({ "color": "honest" })))).await.expect("in time");
    assert_eq!((status, &taken["accepted"]), (200, &json!(1)));
    let own = monitor.get("/api/self").await;
    assert!(own["accepted"].as_u64() < Some(4 * 8000), "the flood is over: {own}");
    drop(streams);
}

#[tokio::test]
async fn a_flood_of_names_is_over_when_they_are_gone() {
    let second = std::time::Duration::from_millis(1);
    let rules = Rules { series: 20, silent: second, gone: second, ..Rules::default() };
    let monitor = Running::with(|settings| settings.rules = rules).await;
    let names: Vec<String> = (0..20).map(|at| sample(0, json!({ "color": format!("c{at}") }))).collect();
    monitor.post(&names.join("\n")).await;
    let is_gone = |process: &Value| process["state"] == "gone";
    monitor.until("/api/processes", |all| all["processes"].as_array().unwrap().iter().all(is_gone)).await;
    let (status, taken) = monitor.post(&sample(0, json!({ "color": "new" }))).await;
    assert_eq!((status, &taken["accepted"]), (200, &json!(1)), "{taken}");
    let own = monitor.get("/api/self").await;
    assert_eq!((&own["series"], &own["series_limit"]), (&json!(20), &json!(20)));
}
