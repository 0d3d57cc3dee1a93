//! `GET /news/events`: tells a page that there is something new, by Server-Sent Events.

use super::http::State as Http;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use switchboard_web::parts_body;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// The longest time between two writes; then a beat is sent. The page says that there is no data after 10 s (`live.js`).
const BEAT: Duration = Duration::from_secs(4);
/// The least time between two events: a page asks for the list after each.
const LEAST: Duration = Duration::from_millis(250);

/// A page that listens, for as long as this lives.
struct Listening(Arc<Http>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn stream(State(http): State<Arc<Http>>) -> Response {
    let limit = http.max_clients;
    let before = http.clients.fetch_add(1, Ordering::Relaxed);
    let listening = Listening(http);
    if before >= limit {
        let text = format!("{limit} pages listen already, and that is the limit (news.clients)\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let (parts, receiver) = mpsc::channel(1);
    tokio::spawn(write(listening, parts));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        // A proxy that compresses would keep events until it has enough of them.
        (CACHE_CONTROL, "no-cache, no-transform"),
        // nginx needs this header to pass on events as they come.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, parts_body(receiver)).into_response()
}

async fn write(listening: Listening, parts: mpsc::Sender<io::Result<Bytes>>) {
    let http = &listening.0;
    let (mut changes, mut ending) = (http.board.changes(), http.ending.subscribe());
    let writing = async {
        let mut version = *changes.borrow_and_update();
        let mut text = Bytes::from(format!("retry: 2000\nevent: changed\ndata: {version}\n\n"));
        loop {
            // While a page does not read, its task waits here, and nobody else does.
            if parts.send(Ok(text)).await.is_err() {
                return;
            }
            sleep(LEAST).await;
            let changed = timeout(BEAT, changes.wait_for(|now| *now != version)).await;
            text = match changed {
                Ok(Ok(now)) => {
                    version = *now;
                    format!("event: changed\ndata: {version}\n\n").into()
                }
                Ok(Err(_)) => return,
                Err(_) => Bytes::from_static(b"event: beat\ndata:\n\n"),
            };
        }
    };
    tokio::select! {
        () = writing => {}
        () = parts.closed() => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
}
