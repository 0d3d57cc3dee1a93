//! `GET /feed`: Server-Sent Events, resumable, to as many pages as are allowed.

use super::answer::Problem;
use crate::feed::After;
use crate::hub::Hub;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

/// The longest time between two writes; then a comment is sent.
const BEAT: Duration = Duration::from_secs(15);
/// Time within which events are written together.
const TOGETHER: Duration = Duration::from_millis(50);
/// The first bytes: the pause before a page connects again, and a sign that the feed works.
const HELLO: &str = "retry: 1000\n\n";

#[derive(Deserialize)]
pub(super) struct Resume {
    last_event_id: Option<String>,
}

/// A page that listens, for as long as this lives.
struct Listening(Arc<Hub>);

impl Listening {
    fn begin(hub: Arc<Hub>) -> Result<Listening, Problem> {
        let limit = hub.settings.feed_clients;
        let listening = Listening(hub);
        let before = listening.0.feed.clients.fetch_add(1, Ordering::Relaxed);
        if before >= limit {
            let text = format!("{limit} pages listen to the feed already, and that is the limit");
            return Err(Problem(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        Ok(listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.feed.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn stream(
    State(hub): State<Arc<Hub>>,
    Query(resume): Query<Resume>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listening = Listening::begin(hub.clone())?;
    // A browser that comes again says it in the header, and its address has an older one.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let position = position(&hub, last.or(resume.last_event_id).as_deref());
    let (parts, receiver) = mpsc::channel(1);
    tokio::spawn(write(listening, position, parts));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        // A proxy that compresses would keep events until it has enough of them.
        (CACHE_CONTROL, "no-cache, no-transform"),
        // nginx needs this header to pass on events as they come.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, switchboard_web::parts_body(receiver)).into_response())
}

/// Behind the last event that was heard; `u64::MAX` if that was of another run.
fn position(hub: &Hub, last: Option<&str>) -> u64 {
    let Some(last) = last.filter(|last| !last.is_empty()) else { return hub.feed.position() };
    let (epoch, sequence) = last.split_once('-').unwrap_or_default();
    match sequence.parse::<u64>() {
        Ok(sequence) if epoch == hub.collector().epoch() => sequence.saturating_add(1),
        _ => u64::MAX,
    }
}

async fn write(listening: Listening, mut position: u64, parts: mpsc::Sender<Result<Bytes, io::Error>>) {
    let hub = &listening.0;
    let mut published = hub.feed.listen();
    let mut page = Page { parts, ending: hub.ending.subscribe() };
    let mut wrote = Instant::now();
    let mut here = page.say(HELLO.into()).await;
    while here {
        let sent = match hub.feed.after(position) {
            After::Events(events, next) => {
                position = next;
                let sent = !events.is_empty();
                for event in events {
                    here = here && page.say(event).await;
                }
                sent
            }
            After::Missed(count, next) => {
                position = next;
                here = page.say(format!("event: missed\ndata: {{\"missed\":{count}}}\n\n").into()).await;
                true
            }
        };
        if sent {
            wrote = Instant::now();
            // Only who has heard everything rests: what comes meanwhile is then one write.
            if position == *published.borrow_and_update() {
                here = here && page.stays(sleep_until(wrote + TOGETHER)).await;
            }
            continue;
        }
        let news =
            async { timeout_at(wrote + BEAT, published.wait_for(|next| *next != position)).await.map(drop).is_ok() };
        let mut is_news = false;
        here = page.stays(async { is_news = news.await }).await;
        if here && !is_news {
            wrote = Instant::now();
            here = page.say(": still here\n\n".into()).await;
        }
    }
}

/// A client of the feed.
struct Page {
    parts: mpsc::Sender<Result<Bytes, io::Error>>,
    ending: watch::Receiver<bool>,
}

impl Page {
    /// Whether it is still there when this is written. While a page does not read, its task waits here, and
    /// nobody else does.
    async fn say(&mut self, text: Bytes) -> bool {
        tokio::select! {
            sent = self.parts.send(Ok(text)) => sent.is_ok(),
            () = ended(&mut self.ending) => false,
        }
    }

    /// Whether it is still there when this is ready.
    async fn stays(&mut self, ready: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = ready => true,
            () = self.parts.closed() => false,
            () = ended(&mut self.ending) => false,
        }
    }
}

async fn ended(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ending| *ending).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_page_that_has_left_is_not_waited_for_though_nothing_happens() {
        let (parts, reader) = mpsc::channel(1);
        let (_running, ending) = watch::channel(false);
        let mut page = Page { parts, ending };
        drop(reader);
        let stays = timeout(Duration::from_secs(30), page.stays(pending())).await;
        assert_eq!(stays, Ok(false));
    }
}
