//! Messages of the Chrome DevTools Protocol, as a browser sends them. Pure.

use crate::json::mended;
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
        /// Its result.
        result: Result<Value, Failure>,
    },
    /// An event of a session.
    Event(Event),
}

/// Why an answer holds no result.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// The browser refuses, for this reason.
    Refused(String),
    /// The answer cannot be read.
    Unreadable(String),
    /// The answer has more bytes than this limit.
    TooLong(usize),
}

/// An event of a session.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) session: String,
    pub(crate) method: String,
    /// `None` if the event has too many bytes.
    pub(crate) params: Option<Value>,
}

/// Reads a message. `None` for one that is not known, as a newer browser may send, and for events of no session.
///
/// A lone surrogate, which strings of scripts may hold and text may not, becomes U+FFFD. A message that cannot be read
/// answers the call whose number it has.
pub(crate) fn decode(bytes: &[u8]) -> Option<Incoming> {
    match serde_json::from_slice(bytes).or_else(|_| serde_json::from_slice(mended(bytes).as_bytes())) {
        Ok(message) => known(message),
        Err(error) => {
            number(bytes).map(|id| Incoming::Answer { id, result: Err(Failure::Unreadable(error.to_string())) })
        }
    }
}

fn known(message: Message) -> Option<Incoming> {
    if let Some(id) = message.id {
        let result = message.error.map_or(Ok(message.result), |error| Err(Failure::Refused(error.message)));
        return Some(Incoming::Answer { id, result });
    }
    let (method, session) = (message.method?, message.session_id?);
    Some(Incoming::Event(Event { session, method, params: Some(message.params) }))
}

/// Reads the beginning and the end of a message that has more bytes than the limit. Chromium's messages begin with the
/// number of their call or with their method, and end with their session.
pub(crate) fn decode_cut(bytes: &[u8], limit: usize) -> Option<Incoming> {
    if let Some(id) = leading_number(bytes) {
        return Some(Incoming::Answer { id, result: Err(Failure::TooLong(limit)) });
    }
    let method = quoted(bytes.strip_prefix(b"{\"method\":\"")?)?;
    // A quote within a string is escaped, so this is a key.
    let key = b"\"sessionId\":\"";
    let at = bytes.windows(key.len()).rposition(|window| window == key)?;
    let session = quoted(&bytes[at + key.len()..])?;
    Some(Incoming::Event(Event { session, method, params: None }))
}

/// The text up to a quote.
fn quoted(bytes: &[u8]) -> Option<String> {
    let length = bytes.iter().position(|&byte| byte == b'"')?;
    String::from_utf8(bytes[..length].to_vec()).ok()
}

/// The number of the call that a message answers, if the message begins with it, as Chromium's do, or is JSON.
fn number(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        id: u64,
    }
    serde_json::from_slice(bytes).map(|Numbered { id }| id).ok().or_else(|| leading_number(bytes))
}

fn leading_number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(b"{\"id\":")?;
    let length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(text: &str) -> Option<Result<Value, Failure>> {
        match decode(text.as_bytes())? {
            Incoming::Answer { id: 7, result } => Some(result),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        for (escaped, expected) in [
            (r"\ud83d", "\u{FFFD}"),
            (r"\uDFFF", "\u{FFFD}"),
            (r"\ud83d\ud83d\ude00\ude00", "\u{FFFD}\u{1F600}\u{FFFD}"),
            (r"\ud83dé\ud83dn", "\u{FFFD}é\u{FFFD}n"),
            (r"\\ud83d \ud83d\\ude00", "\\ud83d \u{FFFD}\\ude00"),
            (r"\ud7ff\ue000\n\ud83d", "\u{D7FF}\u{E000}\n\u{FFFD}"),
        ] {
            let text = format!("{{\"id\":7,\"result\":{{\"{escaped}\":\"{escaped}\"}}}}");
            assert_eq!(result(&text), Some(Ok(json!({ expected: expected }))), "{escaped}");
        }
        let bytes = b"{\"method\":\"A.b\",\"sessionId\":\"s\",\"params\":[\"\xed\xa0\x80\\udfff\"]}";
        let Some(Incoming::Event(event)) = decode(bytes) else { panic!("no event") };
        assert_eq!(event.params, Some(json!(["\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"])));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_the_failure_of_its_call() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in [
            "{\"id\":7,\"result\":{\"a\":\"\\ud83",
            "{\"id\":7,\"result\":{\"a\":\"\\ux\"}}",
            "{\"id\":7,\"error\":5}",
            "{\"error\":5,\"id\":7}",
            &format!("{{\"id\":7,\"result\":{deep}}}"),
            &format!("{{\"result\":{deep},\"id\":7}}"),
            "{\"id\":7",
        ] {
            assert!(matches!(result(text), Some(Err(Failure::Unreadable(_)))), "{text}: {:?}", result(text));
        }
        for text in ["", "{\"id\":", "{\"id\":-7,", "{\"id\":\"7\"}", "nonsense", "\\", "\\u"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
