//! `GET /page/tail?name=NAME`: samples of what is published to a channel, as Server-Sent Events.

use crate::http::parameters::{bad, parameter, text_of};
use crate::hub::{Hub, SAMPLE, Sample, TAPS, Tap};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use switchboard_web::parts_body;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Time limit of a tail; then the page has to ask for another one.
const LONGEST: Duration = Duration::from_mins(5);
/// Samples of one tail.
const MOST: usize = 2000;
/// The time between two comments, which find a viewer that has vanished.
const BEAT: Duration = Duration::from_secs(15);

/// A tap that is closed when its viewer has gone.
struct Open(Arc<Hub>, Tap);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.taps().close(&self.1);
    }
}

pub(super) async fn stream(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    let name = parameter(query.as_deref(), "name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| bad("which channel? GET /page/tail?name=NAME"))?;
    let Some(tap) = hub.taps().open(&name) else {
        let text =
            format!("{TAPS} channels are looked at already, and that is the limit; close a page that shows one\n");
        return Err((StatusCode::SERVICE_UNAVAILABLE, text).into_response());
    };
    let (parts, receiver) = mpsc::channel(1);
    tokio::spawn(write(Open(hub, tap), parts));
    // A proxy that compresses would keep events until it has enough of them.
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache, no-transform")];
    Ok((headers, parts_body(receiver)).into_response())
}

/// Writes until there were enough samples, the time is over, or nobody reads.
async fn write(mut open: Open, parts: mpsc::Sender<io::Result<Bytes>>) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + LONGEST;
    let mut count = 0;
    while count < MOST {
        let text = tokio::select! {
            sample = open.1.samples.recv() => match sample {
                Some(sample) => {
                    count += 1;
                    format!("data: {}\n\n", shown(&sample))
                }
                None => return,
            },
            _ = beats.tick() => ": still here\n\n".to_owned(),
            () = sleep_until(end) => break,
            () = parts.closed() => return,
        };
        if parts.send(Ok(text.into())).await.is_err() {
            return;
        }
    }
    let why = if count < MOST { "5 minutes are over" } else { "2,000 messages were shown" };
    // The viewer may be gone.
    let _ = parts.send(Ok(format!("event: end\ndata: {}\n\n", json!({ "reason": why })).into())).await;
}

fn shown(sample: &Sample) -> Value {
    let mut entry = json!({ "bytes": sample.bytes, "left_out": sample.left_out });
    match text_of(&sample.head, sample.bytes > SAMPLE) {
        Some(text) => entry["body"] = text.into(),
        None => entry["hex"] = const_hex::encode(&sample.head).into(),
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_as_text_where_it_is_text() {
        let entry = |head: &[u8], bytes| shown(&Sample { head: head.to_vec(), bytes, left_out: 3 });
        assert_eq!(entry("é".as_bytes(), 2), json!({ "bytes": 2, "left_out": 3, "body": "é" }));
        assert_eq!(entry(b"\xff\0", 2), json!({ "bytes": 2, "left_out": 3, "hex": "ff00" }));
        assert_eq!(entry(b"a\xc3", 2)["hex"], "61c3", "a character that is not whole, though nothing was cut");
        assert_eq!(entry(b"a\xc3", SAMPLE + 1)["body"], "a");
        assert_eq!(entry(b"", 0)["body"], "");
    }
}
