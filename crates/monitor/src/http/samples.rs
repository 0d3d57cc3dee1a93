//! `POST /api/samples`: one object, an array of them, or a line each.

use super::answer::{Problem, bad};
use crate::collector::Source;
use crate::hub::{Hub, Taken};
use crate::sample::Written;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{json, value::RawValue};
use std::sync::Arc;

pub(super) async fn take(State(hub): State<Arc<Hub>>, body: Bytes) -> Result<Response, Problem> {
    let (taken, count) = match body.trim_ascii_start().first() {
        None => return Err(bad("an empty body: a sample in JSON is expected, an array of them, or one a line")),
        Some(b'[') => {
            let samples: Vec<&RawValue> =
                serde_json::from_slice(&body).map_err(|error| bad(format!("not an array of samples: {error}")))?;
            (hub.ingest(samples.iter().map(|raw| raw.get().as_bytes()), Source::Http), samples.len())
        }
        // One object may be written over several lines, and then its first line is none.
        Some(_) if serde_json::from_slice::<Written<'_>>(&body).is_ok() => {
            (hub.ingest([body.trim_ascii()], Source::Http), 1)
        }
        Some(_) => {
            let lines: Vec<&[u8]> =
                body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
            (hub.ingest(lines.iter().copied(), Source::Http), lines.len())
        }
    };
    hub.pace(count).await;
    let Taken { accepted, refused, why } = taken;
    // Who sends many is not to send the good ones again for the sake of a bad one.
    let status = if accepted == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let why = why.map(|why| why.to_string());
    Ok((status, Json(json!({ "accepted": accepted, "refused": refused, "error": why }))).into_response())
}
