//! Errors as Splash writes them.

use crate::render::RenderError;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// An error with Splash's JSON: `{"error", "type", "description", "info"}`.
#[derive(Debug)]
pub(super) struct SplashError {
    status: u16,
    kind: &'static str,
    description: &'static str,
    info: Value,
    retry_after: Option<Duration>,
}

impl SplashError {
    fn new(status: u16, kind: &'static str, description: &'static str, info: Value) -> SplashError {
        SplashError { status, kind, description, info, retry_after: None }
    }

    /// An argument that cannot be used. `kind` is `bad_argument`, `argument_required` or `invalid_json`.
    pub(super) fn option(kind: &str, argument: &str, text: &str) -> SplashError {
        let info = json!({ "type": kind, "argument": argument, "description": text });
        SplashError::new(400, "BadOption", "Incorrect HTTP API arguments", info)
    }

    pub(super) fn content_type(received: &str) -> SplashError {
        let info = json!({ "supported": ["application/json"], "received": received });
        SplashError::new(415, "UnsupportedContentType", "Request Content-Type is not supported", info)
    }

    pub(super) fn script(text: &str) -> SplashError {
        let info = json!({ "type": "NOT_SUPPORTED", "message": text });
        SplashError::new(400, "ScriptError", "Error happened while executing Lua script", info)
    }

    pub(super) fn foreign() -> SplashError {
        let info = json!({ "text": "a page of another site asks" });
        SplashError::new(403, "BadOption", "Only programs and own pages may render", info)
    }
}

impl From<RenderError> for SplashError {
    fn from(error: RenderError) -> SplashError {
        let text = error.to_string();
        let page = |url: &url::Url| json!({ "type": "Network", "code": 0, "text": text, "url": url });
        let made = match &error {
            RenderError::Scheme(_) => SplashError::option("bad_argument", "url", &text),
            RenderError::Timeout { limit, step, .. } => {
                let info = json!({ "timeout": limit.as_secs_f64(), "step": step.name(), "text": text });
                SplashError::new(504, "GlobalTimeoutError", "Timeout exceeded rendering page", info)
            }
            RenderError::Selector { .. } => SplashError::option("bad_argument", "wait_for", &text),
            RenderError::Failed { url, .. } => SplashError::new(502, "RenderError", "Error rendering page", page(url)),
            RenderError::Busy { .. } => {
                let info = json!({ "text": text });
                SplashError::new(429, "TooManyRequests", "All pages are in use, and the queue is full", info)
            }
            RenderError::Gone { .. }
            | RenderError::Stuck { .. }
            | RenderError::Killed { .. }
            | RenderError::Restarting { .. } => {
                let info = json!({ "text": text });
                SplashError::new(503, "InternalError", "The browser is being restarted", info)
            }
            _ => SplashError::new(500, "InternalError", "Unhandled internal error", json!({ "text": text })),
        };
        SplashError { retry_after: error.retry_after(), ..made }
    }
}

impl IntoResponse for SplashError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": self.status, "type": self.kind, "description": self.description, "info": self.info,
        });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response();
        if let Some(after) = self.retry_after {
            // A part of a second would be none.
            response.headers_mut().insert(RETRY_AFTER, (after.as_secs() + 1).into());
        }
        response
    }
}
