//! Answers that say what went wrong, in a sentence.

use axum::body::{Body, HttpBody};
use axum::http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// Returns an answer of one sentence, as text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// Ends the connection behind this answer: what the client still sends of its request is not read.
pub(crate) fn close(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Gives an error without a body its sentence. One that has a type has a body, which the reply to HEAD leaves out.
pub(crate) fn fill(path: &str, mut response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_empty = response.body().size_hint().exact() == Some(0) && !response.headers().contains_key(CONTENT_TYPE);
    if is_error && is_empty {
        let text = sentence(status, path, response.headers());
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        *response.body_mut() = Body::from(text);
    }
    response
}

fn sentence(status: StatusCode, path: &str, headers: &HeaderMap) -> String {
    match status {
        StatusCode::NOT_FOUND => format!("there is no {}\n", path.escape_debug()),
        StatusCode::METHOD_NOT_ALLOWED => match headers.get(ALLOW).and_then(|allow| allow.to_str().ok()) {
            Some(allow) => format!("{} takes {allow} only\n", path.escape_debug()),
            None => format!("{} does not take this method\n", path.escape_debug()),
        },
        _ => format!("{}\n", status.canonical_reason().unwrap_or("the request failed").to_lowercase()),
    }
}

/// A whole answer for a connection whose request was never understood, after which it ends.
pub(crate) fn raw(status: StatusCode, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}\n",
        text.len() + 1
    )
}
