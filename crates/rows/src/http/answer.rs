//! Common parts of replies.

use crate::query::{Relation, quoted};
use crate::{Key, Source, Token};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
pub(super) const ROW_TOKEN: HeaderName = HeaderName::from_static("row-token");
pub(super) const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
pub(super) const X_CACHE_MAX_AGE: HeaderName = HeaderName::from_static("x-cache-max-age-ms");

/// Everything in a path's segment but what never means something else.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A reply with JSON.
pub(super) fn json<B: From<Bytes>>(status: StatusCode, body: impl Into<Bytes>) -> Response<B> {
    let mut response = Response::new(B::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A reply without a body.
pub(super) fn empty<B: Default>(status: StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response
}

pub(super) fn set(response: &mut Response, name: HeaderName, text: &str) {
    // A value that cannot be in a header is left out: it is a name with a line break.
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

/// Says that nobody may keep the reply, and that it did not come from the cache.
pub(super) fn uncached(response: &mut Response) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CACHE, HeaderValue::from_static("bypass"));
    response.headers_mut().insert(X_CACHE_MAX_AGE, HeaderValue::from(0));
}

/// Says where a row came from, and how old it is at most.
pub(super) fn cached<B>(response: &mut Response<B>, source: Source, max_age: Duration) {
    let headers = response.headers_mut();
    // Kept only by somebody who asks again each time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CACHE, HeaderValue::from_static(source_name(source)));
    let millis = u64::try_from(max_age.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    headers.insert(X_CACHE_MAX_AGE, HeaderValue::from(millis));
}

pub(super) fn source_name(source: Source) -> &'static str {
    match source {
        Source::Hit => "hit",
        Source::Miss => "miss",
        Source::Bypass => "bypass",
    }
}

pub(super) fn token(response: &mut Response, token: Option<Token>) {
    if let Some(token) = token {
        set(response, ROW_TOKEN, &token.to_string());
    }
}

/// The key in a path: `37`, or `a,1` for a key of two columns.
pub(super) fn key_text(key: &Key) -> String {
    match key.parts() {
        [one] => one.clone(),
        parts => parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(","),
    }
}

/// The path of a row.
pub(super) fn path_of(table: &str, key: &Key) -> String {
    let key = key_text(key);
    format!("/{}/{}", utf8_percent_encode(table, SEGMENT), utf8_percent_encode(&key, SEGMENT))
}

/// The key as JSON: as the row has it, or an array for a key of several columns.
pub(super) fn key_json(relation: &Relation, key: &Key) -> String {
    let values = relation.key_columns().into_iter().zip(key.parts());
    let values = values.map(|(column, text)| match relation.get(column).shown.as_str() {
        "smallint" | "integer" | "bigint" | "boolean" => text.clone(),
        _ => serde_json::Value::from(text.as_str()).to_string(),
    });
    let values: Vec<String> = values.collect();
    match &*values {
        [one] => one.clone(),
        several => format!("[{}]", several.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Column;

    fn relation(types: &[&str]) -> Relation {
        let column = |(at, shown): (usize, &&str)| Column {
            name: format!("k{at}"),
            shown: (*shown).to_owned(),
            ..Column::default()
        };
        let columns: Vec<Column> = types.iter().enumerate().map(column).collect();
        Relation { key: columns.iter().map(|column| column.name.clone()).collect(), columns, ..Relation::default() }
    }

    #[test]
    fn a_key_is_json_as_the_row_has_it() {
        for (types, key, json) in [
            (&["bigint"][..], &["9007199254740993"][..], "9007199254740993"),
            (&["text"], &["a\"b"], "\"a\\\"b\""),
            (&["boolean", "uuid"], &["true", "x"], "[true,\"x\"]"),
        ] {
            assert_eq!(key_json(&relation(types), &Key::from(key)), json);
        }
    }

    #[test]
    fn a_path_leads_to_one_row() {
        assert_eq!(path_of("patron", &Key::from(37)), "/patron/37");
        assert_eq!(path_of("a/b", &Key::from("c/d e?")), "/a%2Fb/c%2Fd%20e%3F");
        assert_eq!(path_of("t", &Key::from(&["a,b", "1"][..])), "/t/%22a%2Cb%22%2C1");
    }
}
