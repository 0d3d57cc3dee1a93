//! Errors as PostgREST has them: `{code, details, hint, message}`.

use super::answer::JSON;
use super::headers::OBJECT;
use crate::query::{NONE, QueryError, TOO_MANY};
use crate::{Error, Rejection};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Seconds after which a database that is away may be back.
const SOON: u32 = 1;
/// Seconds after which somebody may have mended what is wrong.
const LATER: u32 = 5;

/// The code of a write that would return too many rows.
pub(super) const TOO_MANY_CODE: &str = "PGRST124";
/// The code of rows that are not the one that was asked for.
pub(super) const NOT_ONE_CODE: &str = "PGRST116";

/// A request that is not carried out.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) details: Option<String>,
    pub(super) hint: Option<String>,
    retry_after: Option<u32>,
}

pub(super) type Answered = Result<Response, Refusal>;

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Refusal {
        Refusal { status, code: code.to_owned(), message: message.into(), details: None, hint: None, retry_after: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "PGRST100", message)
    }

    pub(super) fn with_details(mut self, details: impl Into<String>) -> Refusal {
        self.details = Some(details.into());
        self
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn unavailable(message: impl Into<String>, seconds: u32) -> Refusal {
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "PGRST001", message);
        Refusal { retry_after: Some(seconds), ..refusal }
    }

    /// The rows are not the one object that `Accept` asks for.
    pub(super) fn not_one(count: &str) -> Refusal {
        let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, NOT_ONE_CODE, "the rows cannot be one JSON object");
        // PostgREST's clients look for this sentence.
        let refusal = refusal.with_details(format!("The result contains {count}"));
        refusal.with_hint(format!("without Accept: {OBJECT} the reply is an array"))
    }

    /// There is no such table here.
    pub(super) fn no_table(table: &str) -> Refusal {
        let message = format!("there is no table {table} here");
        Refusal::new(StatusCode::NOT_FOUND, "PGRST205", message).with_hint("GET /openapi.json lists the tables")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code, "details": self.details, "hint": self.hint, "message": self.message })
            .to_string();
        let headers = [(CONTENT_TYPE, JSON), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        let mut response = (self.status, headers, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Refusal {
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, error.code, error.message);
        Refusal { hint: error.hint, ..refusal }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let message = error.to_string();
        match error {
            Error::Rejected(reply) => rejected(*reply),
            Error::NotServed { table } => Refusal::no_table(&table),
            Error::Unavailable { .. } => Refusal::unavailable(message, SOON),
            Error::Refused { .. } => Refusal::unavailable(message, LATER),
            // Somebody has to act; from then on it is served within seconds.
            Error::Table { .. } => {
                Refusal::unavailable(message, LATER).with_hint("the table, or how it is served, has to be changed")
            }
            // Nobody knows whether to try again.
            Error::Unknown { .. } => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "PGRST003", message),
            // The request is as it should be, and the row is not.
            Error::Encoding => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "22021", message),
            Error::Values { .. } => Refusal::new(StatusCode::BAD_REQUEST, "PGRST102", message),
            Error::Key { .. } => Refusal::new(StatusCode::BAD_REQUEST, "22P02", message),
            _ => Refusal::bad(message),
        }
    }
}

/// By the classes of SQLSTATE, as PostgREST does it where a client can tell the difference.
fn rejected(reply: Rejection) -> Refusal {
    let Rejection { code, message, detail, hint, .. } = reply;
    if code == "22P02" && message.contains(NONE) {
        return Refusal::not_one("0 rows");
    }
    if code == "22P02" && message.contains(TOO_MANY) {
        let message = "the write would return more rows than a reply may have, and was undone";
        return Refusal::new(StatusCode::BAD_REQUEST, TOO_MANY_CODE, message)
            .with_hint("Prefer: return=minimal returns none");
    }
    let status = match code.as_str() {
        "23503" | "23505" | "23P01" => StatusCode::CONFLICT,
        // Two writes at once: the same request may succeed.
        "40001" | "40P01" => StatusCode::CONFLICT,
        "25006" => StatusCode::METHOD_NOT_ALLOWED,
        "42501" => StatusCode::FORBIDDEN,
        // Tables and columns were checked before: the table is being changed.
        "42P01" | "42703" => return Refusal::unavailable(format!("the table is being changed: {message}"), SOON),
        code if code.starts_with("XX") || code.starts_with("F0") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal { details: detail, hint, ..Refusal::new(status, &code, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: &str) -> u16 {
        let rejection =
            Rejection { code: code.to_owned(), message: "m".to_owned(), detail: None, hint: None, constraint: None };
        Refusal::from(Error::Rejected(Box::new(rejection))).status.as_u16()
    }

    #[test]
    fn what_the_database_refuses_has_the_status_that_a_client_can_act_on() {
        for (code, expected) in [
            ("23505", 409),
            ("23503", 409),
            ("23502", 400),
            ("23514", 400),
            ("22P02", 400),
            ("22003", 400),
            ("42883", 400),
            ("42501", 403),
            ("42703", 503),
            ("40001", 409),
            ("P0001", 400),
            ("XX000", 500),
        ] {
            assert_eq!(status(code), expected, "{code}");
        }
    }

    #[test]
    fn a_row_that_is_no_utf_8_is_no_fault_of_the_request() {
        let refusal = Refusal::from(Error::Encoding);
        assert_eq!((refusal.status.as_u16(), refusal.code.as_str()), (500, "22021"));
        assert!(refusal.message.starts_with("a row has bytes that are not UTF-8"), "{}", refusal.message);
    }

    #[test]
    fn a_database_that_is_away_says_when_to_ask_again() {
        let away = Refusal::from(Error::Unavailable { reason: "x".to_owned(), undone: false }).into_response();
        assert_eq!((away.status().as_u16(), &away.headers()[RETRY_AFTER]), (503, &HeaderValue::from(SOON)));
        let table = Refusal::from(Error::table("t", "it has no primary key")).into_response();
        assert_eq!((table.status().as_u16(), &table.headers()[RETRY_AFTER]), (503, &HeaderValue::from(LATER)));
        let unknown = Refusal::from(Error::Unknown { reason: "x".to_owned() }).into_response();
        assert_eq!((unknown.status().as_u16(), unknown.headers().get(RETRY_AFTER)), (504, None));
    }
}
