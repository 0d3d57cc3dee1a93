//! `POST /api/samples`: one object, an array of them, or a line each.

use super::answer::{Problem, bad};
use crate::collector::Source;
use crate::hub::{Hub, Taken};
use crate::sample::{BOM, Written, in_words};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::{json, value::RawValue};
use std::fmt;
use std::sync::Arc;

/// Refused samples of one request behind which no more are looked at.
const REFUSED_MAX: u64 = 1000;
/// A sample is not shorter than this: it has a name, a time and two values.
const SHORTEST: usize = 32;

pub(super) async fn take(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    if let Some(encoding) =
        encodings.into_iter().find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let text = format!("Content-Encoding {encoding:?} is not understood: send the samples as they are");
        return Err(Problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    // A byte order mark, which some editors and shells write.
    let body = body.strip_prefix(BOM).map_or_else(|| body.clone(), |rest| body.slice_ref(rest));
    // Shorter samples are rubbish, and a list of them would be many times as large as the body.
    let max = body.len() / SHORTEST + 1000;
    let taken = match body.trim_ascii_start().first() {
        None => return Err(bad("an empty body: a sample in JSON is expected, an array of them, or one a line")),
        Some(b'[') => {
            let mut reader = serde_json::Deserializer::from_slice(&body);
            let samples = Items { max }.deserialize(&mut reader);
            let samples = samples.and_then(|samples| reader.end().map(|()| samples));
            let samples = samples.map_err(|error| bad(format!("not an array of samples: {}", in_words(&error))))?;
            hub.ingest(&samples, Source::Http, REFUSED_MAX).await
        }
        // One object may be written over several lines, and then its first line is none.
        Some(_) if serde_json::from_slice::<Written<'_>>(&body).is_ok() => {
            hub.ingest(&[body.trim_ascii()], Source::Http, REFUSED_MAX).await
        }
        Some(_) => {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            let lines: Vec<&[u8]> = lines.take(max + 1).collect();
            if lines.len() > max {
                return Err(bad(format!("more than {max} lines, most of them cannot be samples")));
            }
            hub.ingest(&lines, Source::Http, REFUSED_MAX).await
        }
    };
    let Taken { accepted, refused, why } = taken;
    if accepted + refused == 0 {
        return Err(bad("no sample: an array of samples has one at least"));
    }
    // A sender of many must not send the good ones again because of a bad one.
    let status = if accepted == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let why = why.map(|why| why.to_string());
    Ok((status, Json(json!({ "accepted": accepted, "refused": refused, "error": why }))).into_response())
}

/// Reads an array of `max` items at most.
struct Items {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Vec<&'de [u8]>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de [u8]>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            if read.len() == self.max {
                return Err(de::Error::custom(format_args!(
                    "more than {} items, most of them cannot be samples",
                    self.max
                )));
            }
            read.push(item.get().as_bytes());
        }
        Ok(read)
    }
}
