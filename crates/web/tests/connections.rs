//! Many connections, slow readers, streams, and the end.

mod common;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use common::{PATIENCE, Running, SHORT, patient};
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use switchboard_web::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn small() -> Router {
    Router::new().route("/", get(|| async { "here\n" }))
}

/// Parts that a task sends; what is dropped is told.
struct Parts(mpsc::Receiver<Bytes>, Arc<Notify>);

impl Stream for Parts {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|part| part.map(Ok))
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.1.notify_one();
    }
}

/// `/endless` never ends; `dropped` is told when nobody reads it any more.
fn endless(dropped: &Arc<Notify>) -> Router {
    let dropped = dropped.clone();
    small().route(
        "/endless",
        get(move || async move {
            let (parts, receiver) = mpsc::channel(1);
            tokio::spawn(async move { while parts.send(Bytes::from_static(&[b'x'; 65_536])).await.is_ok() {} });
            Body::from_stream(Parts(receiver, dropped))
        }),
    )
}

#[tokio::test]
async fn half_requests_give_way_to_whole_ones() {
    let server = Running::start(small(), Limits { connections: 10, ..patient() }).await;
    let mut half = Vec::new();
    for at in 0..100 {
        let mut client = server.connect().await;
        client.write("GET / HTTP/1.1\r\nHost: ").await;
        half.push(client);
        if at % 10 == 9 {
            assert!(server.get("/").await.ends_with("here\n"));
        }
    }
    // The oldest are gone, the newest are not.
    for client in &mut half[..89] {
        assert_eq!(client.rest().await, "");
    }
    let newest = half.last_mut().expect("one");
    newest.write("localhost\r\nConnection: close\r\n\r\n").await;
    assert!(newest.rest().await.ends_with("here\n"));
}

#[tokio::test]
async fn half_bodies_give_way_to_whole_requests() {
    let router = small().route("/take", post(|body: Bytes| async move { body.len().to_string() }));
    let server = Running::start(router, Limits { connections: 4, ..patient() }).await;
    let mut half = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        client.write("POST /take HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf").await;
        half.push(client);
        assert!(server.get("/").await.ends_with("here\n"));
    }
    let newest = half.last_mut().expect("one");
    newest.write(" of it").await;
    assert!(newest.until("10").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_never_closed_for_another() {
    let dropped = Arc::new(Notify::new());
    let release = Arc::new(Notify::new());
    let waiting = release.clone();
    let router = endless(&dropped).route("/wait", get(move || async move { waiting.notified().await }));
    let server = Running::start(router, Limits { connections: 2, ..patient() }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.write("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        busy.push(client);
    }
    // As soon as both are complete there is no place, and it is said.
    let refused = async {
        loop {
            let answer = server.get("/").await;
            if answer.starts_with("HTTP/1.1 503") {
                return answer;
            }
        }
    };
    let answer = timeout(PATIENCE, refused).await.expect("a refusal in time");
    assert!(answer.contains("2 connections") && answer.contains("http.connections"), "{answer}");
    // One of the two may have been closed before its request was there.
    for _ in 0..2 {
        release.notify_one();
    }
    let mut answered = 0;
    for client in &mut busy {
        answered += usize::from(client.until_or_end("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    }
    assert!(answered > 0);
    assert!(server.get("/").await.ends_with("here\n"));
}

#[tokio::test]
async fn a_probe_is_answered_whatever_else_is() {
    let (asked, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waiting) = (asked.clone(), release.clone());
    let router = small().route("/healthz", get(|| async { "ok\n" })).route(
        "/wait",
        get(move || async move {
            told.notify_one();
            waiting.notified().await;
        }),
    );
    let server = Running::start(router, Limits { connections: 8, ..patient() }).await;
    let mut busy = Vec::new();
    for _ in 0..6 {
        let mut client = server.connect().await;
        client.write("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        timeout(PATIENCE, asked.notified()).await.expect("it is asked");
        busy.push(client);
    }
    for _ in 0..20 {
        let answer = server.get("/wait").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("6 requests"), "{answer}");
        assert!(server.get("/healthz").await.ends_with("ok\n"));
    }
    drop(busy);
    // Their slots come back.
    let answered = async { while !server.get("/").await.ends_with("here\n") {} };
    timeout(PATIENCE, answered).await.expect("an answer in time");
}

#[tokio::test]
async fn an_answer_that_has_been_read_makes_room_though_its_connection_stays_open() {
    let server = Running::start(small(), Limits { connections: 40, ..patient() }).await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        let mut client = server.connect().await;
        client.write(GET).await;
        client.until("here\n").await;
        idle.push(client);
    }
    let answered = async { while !server.get("/").await.ends_with("here\n") {} };
    timeout(PATIENCE, answered).await.expect("an answer in time");
    // None of them was closed for another.
    for client in &mut idle {
        client.write(GET).await;
        client.until("here\n").await;
    }
}

#[tokio::test]
async fn who_does_not_read_is_disconnected_and_holds_nothing() {
    let dropped = Arc::new(Notify::new());
    let server = Running::start(endless(&dropped), Limits { write_timeout: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    client.write("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    timeout(PATIENCE, dropped.notified()).await.expect("the answer is given up");
    client.rest().await;
}

#[tokio::test]
async fn who_reads_ever_so_slowly_is_disconnected_too() {
    let dropped = Arc::new(Notify::new());
    let server = Running::start(endless(&dropped), Limits { write_timeout: SHORT, ..patient() }).await;
    // A small window, so that every read soon shows to the server.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a buffer");
    let mut client = socket.connect(server.address).await.expect("a connection");
    client.write_all(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("written");
    // 10 KiB within the time-out, at most.
    let reading = async {
        let mut some = [0; 205];
        while client.read(&mut some).await.is_ok_and(|count| count > 0) {
            sleep(SHORT / 50).await;
        }
    };
    tokio::select! {
        () = dropped.notified() => {}
        result = timeout(PATIENCE, reading) => result.expect("it is disconnected in time"),
    }
}

#[tokio::test]
async fn who_asks_for_ever_and_reads_nothing_is_not_answered_for_ever() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let router = Router::new().route(
        "/",
        get(move || async move {
            counted.fetch_add(1, Ordering::Relaxed);
            "x".repeat(10_000)
        }),
    );
    let server = Running::start(router, Limits { write_timeout: SHORT, ..patient() }).await;
    let (mut reading, mut writing) = server.connect().await.0.into_split();
    let requests = GET.repeat(1000);
    let sending = async { while writing.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, sending).await.expect("it is disconnected");
    // The buffers of both kernels and of the server, with some room.
    assert!(asked.load(Ordering::Relaxed) * 10_000 < 64 << 20);
    drop(reading.read(&mut [0; 1]).await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(
        Router::new().route("/{name}", get(|path: axum::extract::Path<String>| async move { format!("<{}>", path.0) })),
        patient(),
    )
    .await;
    let mut requests: String = (0..500).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
    requests.push_str("GET /end HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answers = server.ask(&requests).await;
    let bodies: Vec<&str> =
        answers.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(body, _)| body).collect();
    let wanted: Vec<String> = (0..500).map(|at| at.to_string()).chain(["end".into()]).collect();
    assert_eq!(bodies, wanted);
}

#[tokio::test]
async fn a_stream_lives_as_long_as_it_is_read() {
    let router = Router::new().route(
        "/feed",
        get(|| async {
            let (parts, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                for at in 0..20 {
                    sleep(SHORT / 5).await;
                    if parts.send(format!("data: {at}\n\n").into()).await.is_err() {
                        return;
                    }
                }
            });
            Body::from_stream(Parts(receiver, Arc::default()))
        }),
    );
    // It takes four times as long as every limit.
    let limits =
        Limits { header_timeout: SHORT, body_timeout: SHORT, idle_timeout: SHORT, write_timeout: SHORT, ..patient() };
    let server = Running::start(router, limits).await;
    assert!(server.get("/feed").await.contains("data: 19\n\n"));
}

#[tokio::test]
async fn the_end_lets_open_requests_finish_and_closes_idle_connections() {
    let (asked, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waiting) = (asked.clone(), release.clone());
    let router = small().route(
        "/wait",
        get(move || async move {
            told.notify_one();
            waiting.notified().await;
            "done\n"
        }),
    );
    let mut server = Running::start(router, patient()).await;
    let mut idle = server.connect().await;
    idle.write(GET).await;
    idle.until("here\n").await;
    let mut busy = server.connect().await;
    busy.write("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    timeout(PATIENCE, asked.notified()).await.expect("it is asked");
    server.begin_stop();
    assert_eq!(idle.rest().await, "");
    release.notify_one();
    assert!(busy.rest().await.ends_with("done\n"));
    server.stopped().await;
}

#[tokio::test]
async fn the_end_waits_for_nobody_who_does_not_read() {
    let dropped = Arc::new(Notify::new());
    let server = Running::start(endless(&dropped), patient()).await;
    let mut client = server.connect().await;
    client.write("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.until("xxx").await;
    server.stop().await;
    timeout(PATIENCE, dropped.notified()).await.expect("the answer is given up");
}

#[tokio::test]
async fn a_server_that_is_dropped_ends_its_connections() {
    let server = Running::start(small(), patient()).await;
    let mut client = server.connect().await;
    client.write(GET).await;
    client.until("here\n").await;
    server.abort();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_rest_of_a_request_does_not_take_the_answer_with_it() {
    let server = Running::start(small(), Limits { body: 10, ..patient() }).await;
    let body = "x".repeat(200_000);
    for _ in 0..20 {
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = server.ask(&(head + &body)).await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with('\n'), "{answer:?}");
    }
    // A client with a small buffer sends to the end only if the server reads.
    let body = "x".repeat(900_000);
    let mut sent = 0;
    for _ in 0..20 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(4096).expect("a buffer");
        let mut client = socket.connect(server.address).await.expect("a connection");
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        sent += usize::from(client.write_all((head + &body).as_bytes()).await.is_ok());
    }
    assert!(sent > 0);
}
