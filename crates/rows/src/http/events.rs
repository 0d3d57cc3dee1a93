//! `GET /events`: every change, as Server-Sent Events.

use super::answer::set;
use super::errors::Refusal;
use super::state::{Shared, State};
use crate::query::{check_repeated, pairs};
use crate::{Changes, EventId, RowChange};
use axum::extract::RawQuery;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use switchboard_web::parts_body;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The longest time between two writes; then a comment is sent.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Bytes after which a part is sent.
const PART: usize = 64 << 10;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const NGINX: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A client that listens, for as long as this lives.
struct Listening(Arc<State>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Relaxed);
    }
}

/// The events that a client wants.
struct Wanted {
    table: Option<String>,
    after: Option<EventId>,
}

impl Wanted {
    fn read(state: &State, query: &str, headers: &HeaderMap) -> Result<Wanted, Refusal> {
        let mut wanted = Wanted { table: None, after: None };
        // A browser sends the header when it connects again, and the address stays as it was.
        let mut after = None;
        let pairs = pairs(query)?;
        check_repeated(&pairs, &["table", "after"])?;
        for (name, value) in pairs {
            match name.as_str() {
                "table" => {
                    state.serves(&value)?;
                    wanted.table = Some(value);
                }
                "after" => after = Some(value),
                name => return Err(Refusal::bad(format!("/events takes table and after, not {name}"))),
            }
        }
        let header = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(text) = header.filter(|text| !text.is_empty()).or(after) {
            wanted.after = Some(text.parse::<EventId>()?);
        }
        Ok(wanted)
    }
}

pub(super) async fn stream(state: Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    begin(&state, query.as_deref().unwrap_or_default(), &headers).unwrap_or_else(IntoResponse::into_response)
}

fn begin(state: &Arc<State>, query: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let wanted = Wanted::read(state, query, headers)?;
    let rows = state.rows()?;
    // The other half of the connections is for those that read and write.
    let most = state
        .settings
        .event_clients
        .min(switchboard_web::max_connections(state.settings.web.limits.connections) / 2)
        .max(1);
    let before = state.clients.fetch_add(1, Relaxed);
    let listening = Listening(state.clone());
    if before >= most {
        let text = format!("{most} clients listen for changes, and that is the limit (rows.event-clients)");
        return Err(Refusal::unavailable(text, 5));
    }
    let changes = match wanted.after {
        Some(id) => rows.subscribe_after(id),
        None => rows.subscribe(),
    };
    let (parts, receiver) = mpsc::channel(1);
    tokio::spawn(write(listening, changes, wanted.table, parts));
    let mut response = Response::new(parts_body(receiver));
    *response.status_mut() = StatusCode::OK;
    set(&mut response, CONTENT_TYPE, "text/event-stream");
    // A proxy that compresses or buffers would keep events until it has enough of them.
    set(&mut response, CACHE_CONTROL, "no-cache, no-transform");
    set(&mut response, NGINX, "no");
    Ok(response)
}

async fn write(
    listening: Listening,
    mut changes: Changes,
    table: Option<String>,
    parts: mpsc::Sender<io::Result<Bytes>>,
) {
    let mut ending = listening.0.ending.subscribe();
    let writing = async {
        let mut text = "retry: 1000\n\n".to_owned();
        loop {
            // While a client does not read, its task waits here, and nobody else does: changes are in a ring.
            if parts.send(Ok(std::mem::take(&mut text).into())).await.is_err() {
                return;
            }
            while text.is_empty() {
                match timeout(KEEPALIVE, changes.next()).await {
                    Ok(Some(change)) => push(&mut text, &change, table.as_deref()),
                    Ok(None) => return,
                    Err(_) => text.push_str(": still here\n\n"),
                }
            }
            while text.len() < PART
                && let Some(change) = changes.try_next()
            {
                push(&mut text, &change, table.as_deref());
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = parts.closed() => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
}

/// Adds a change, if it is of the table.
fn push(text: &mut String, change: &RowChange, wanted: Option<&str>) {
    // Writing to a string does not fail.
    let _ = match change {
        RowChange::Event { id, table, event } if wanted.is_none_or(|wanted| wanted == &**table) => {
            // A line break in JSON is white space.
            write!(text, "id: {id}\ndata: {}\n\n", event.replace(['\n', '\r'], " "))
        }
        RowChange::Event { .. } => Ok(()),
        RowChange::Gap { id, missed } => write!(text, "id: {id}\nevent: gap\ndata: {{\"missed\":{missed}}}\n\n"),
    };
}
