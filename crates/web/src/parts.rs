//! Bodies that are written as they come to be, and the headers of what a browser shows.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use bytes::Bytes;
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

struct Parts(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Parts {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// A body of the parts that a task sends. An error cuts it short, and the connection with it: half an answer must not look
/// like a whole one.
pub fn parts_body(parts: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::from_stream(Parts(parts))
}

/// Adds the headers that restrict what a browser does with an answer: a policy for its contents, its type as it is named, and
/// no address of it for other sites.
pub fn secured<B>(mut response: Response<B>, policy: &'static str) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    #[tokio::test]
    async fn a_body_is_its_parts_in_order_and_an_error_cuts_it() {
        for is_cut in [false, true] {
            let (sender, receiver) = mpsc::channel(3);
            for part in ["one ", "two"] {
                sender.send(Ok(Bytes::from(part))).await.expect("room");
            }
            if is_cut {
                sender.send(Err(io::Error::other("cut"))).await.expect("room");
            }
            drop(sender);
            let whole = axum::body::to_bytes(parts_body(receiver), usize::MAX).await;
            assert_eq!(whole.ok(), (!is_cut).then(|| Bytes::from("one two")));
        }
    }

    #[test]
    fn an_answer_has_the_headers_that_restrict_it() {
        let response = secured("text".into_response(), "default-src 'none'");
        for (name, value) in [
            ("content-security-policy", "default-src 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
    }
}
