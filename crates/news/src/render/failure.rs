//! Reasons why a page is not rendered, before the page is named.

use super::RenderError;
use super::cdp::CallError;
use super::health::{OPEN, Stuck};
use url::Url;

/// Why a page is not rendered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The browser has ended.
    Gone,
    /// The browser opens no pages any more.
    Stuck,
    /// This is no CSS selector.
    Selector(String),
    /// In words.
    Other(String),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        match error {
            CallError::Gone => Failure::Gone,
            error => Failure::Other(error.to_string()),
        }
    }
}

impl From<Stuck> for Failure {
    fn from(Stuck: Stuck) -> Failure {
        Failure::Stuck
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Other(reason)
    }
}

impl Failure {
    /// The error of this page.
    pub(super) fn of(self, url: Url) -> RenderError {
        match self {
            Failure::Gone => RenderError::Gone { url },
            Failure::Stuck => RenderError::Stuck { url, limit: OPEN },
            Failure::Selector(selector) => RenderError::Selector { url, selector },
            Failure::Other(reason) => RenderError::Failed { url, reason },
        }
    }
}

/// A network error of the browser, in words.
pub(super) fn words(error: &str) -> String {
    let cause = match error.strip_prefix("net::").unwrap_or(error) {
        "ERR_TOO_MANY_REDIRECTS" => "it redirects on and on",
        "ERR_EMPTY_RESPONSE" | "ERR_CONNECTION_CLOSED" | "ERR_CONNECTION_RESET" => {
            "the server closed the connection without an answer"
        }
        "ERR_TIMED_OUT" | "ERR_CONNECTION_TIMED_OUT" => "the server does not answer",
        "ERR_PROXY_CONNECTION_FAILED" => "the guard's proxy cannot be reached",
        "ERR_UNSAFE_PORT" => "the browser refuses this port",
        "ERR_INVALID_AUTH_CREDENTIALS" | "ERR_UNEXPECTED_PROXY_AUTH" => {
            "the server asks for a name and a password (status 401 or 407)"
        }
        "ERR_INVALID_REDIRECT" | "ERR_UNSAFE_REDIRECT" => "it redirects to what is not an http:// or https:// address",
        "ERR_INVALID_HTTP_RESPONSE" | "ERR_INVALID_CHUNKED_ENCODING" => "the server's answer is no HTTP",
        "ERR_RESPONSE_HEADERS_TOO_BIG" => "the headers of the server's answer are too long",
        "ERR_CONTENT_DECODING_FAILED" => "the body of the server's answer cannot be decompressed",
        "ERR_CONTENT_LENGTH_MISMATCH" | "ERR_INCOMPLETE_CHUNKED_ENCODING" => "the server's answer ends too early",
        name if name.starts_with("ERR_RESPONSE_HEADERS_MULTIPLE") => "the server's answer has a header twice",
        name if name.starts_with("ERR_HTTP2") => "the server breaks the rules of HTTP/2",
        name if name.starts_with("ERR_CERT") => "the server's certificate is not trusted",
        name if name.starts_with("ERR_SSL") => "there is no TLS session with the server",
        _ => return format!("the browser cannot load it ({error})"),
    };
    format!("{cause} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_network_is_a_sentence_that_keeps_its_name() {
        for name in ["INVALID_AUTH_CREDENTIALS", "TIMED_OUT", "CERT_DATE_INVALID", "SSL_PROTOCOL_ERROR", "NEW_THING"] {
            let error = format!("net::ERR_{name}");
            let said = words(&error);
            assert!(said.starts_with("the ") || said.starts_with("there "), "{said}");
            assert!(said.ends_with(&format!(" ({error})")), "{said}");
        }
        assert!(words("net::ERR_INVALID_AUTH_CREDENTIALS").starts_with("the server asks for a name and a password"));
    }
}
