//! Messages of the Chrome DevTools Protocol, as a browser sends them. Pure.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: Option<u64>,
    method: Option<String>,
    session_id: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

/// A message that somebody may wait for.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// The answer to a call.
    Answer {
        /// The number of the call.
        id: u64,
        /// Its result, or the browser's reason for refusing.
        result: Result<Value, String>,
    },
    /// An event of a session.
    Event(Event),
}

/// An event of a session.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) session: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// Reads a message. `None` for one that is not known, as a newer browser may send, and for events of no session.
pub(crate) fn decode(bytes: &[u8]) -> Option<Incoming> {
    let message: Message = serde_json::from_slice(bytes).ok()?;
    if let Some(id) = message.id {
        let result = message.error.map_or(Ok(message.result), |error| Err(error.message));
        return Some(Incoming::Answer { id, result });
    }
    let (method, session) = (message.method?, message.session_id?);
    Some(Incoming::Event(Event { session, method, params: message.params }))
}
