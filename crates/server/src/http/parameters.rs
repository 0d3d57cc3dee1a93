//! Parameters of a request's address.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode;
use serde_json::Value;

/// Returns the value of a parameter, as bytes: names need not be text.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<Vec<u8>> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let blanks = value.replace('+', " ");
    Some(percent_decode(blanks.as_bytes()).collect())
}

/// Returns the number that a parameter gives; an error is the whole answer.
pub(crate) fn number<T: std::str::FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, Response> {
    let Some(value) = parameter(query, name) else { return Ok(None) };
    let parsed = std::str::from_utf8(&value).ok().and_then(|value| value.parse().ok());
    parsed.map(Some).ok_or_else(|| bad(&format!("{name}={} is not allowed: it must be a whole number", shown(&value))))
}

/// Returns the queue's name, which the request `usage` must have.
pub(super) fn name_of(query: Option<&str>, usage: &str) -> Result<Vec<u8>, Response> {
    parameter(query, "name").filter(|name| !name.is_empty()).ok_or_else(|| bad(&format!("which queue? {usage}")))
}

pub(crate) fn bad(text: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response()
}

/// A name in a sentence.
pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

/// Text, with replacements where it is none.
pub(crate) fn text_or(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Adds bytes in hexadecimal if they are no text: replacements would not tell them apart.
pub(super) fn add_hex(row: &mut Value, key: &str, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_err() {
        row[key] = const_hex::encode(bytes).into();
    }
}

/// The beginning of a message as text, if it is that: a cut may have gone through its last character.
pub(crate) fn text_of(head: &[u8], is_cut: bool) -> Option<&str> {
    match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_decoded_to_bytes() {
        let value = |query, name| parameter(Some(query), name);
        assert_eq!(value("name=/queue/a%20b+c%26%FF%00", "name").unwrap(), b"/queue/a b c&\xff\0");
        assert_eq!(value("names=1&name=", "name").unwrap(), b"");
        assert_eq!(value("name=%zz%4", "name").unwrap(), b"%zz%4");
        assert_eq!(value("name", "name"), None);
        assert_eq!(parameter(None, "name"), None);
    }

    #[test]
    fn a_number_is_whole_or_refused() {
        let limit = |query| number::<usize>(Some(query), "limit").map_err(|answer| answer.status());
        assert_eq!(limit("a=b"), Ok(None));
        assert_eq!(limit("limit=0"), Ok(Some(0)));
        assert_eq!(limit("limit=18446744073709551615"), Ok(Some(usize::MAX)));
        for wrong in ["limit=", "limit=-1", "limit=1.5", "limit=18446744073709551616", "limit=%FF"] {
            assert_eq!(limit(wrong), Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
    }
}
