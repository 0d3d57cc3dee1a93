//! Pages of other sites that may use the API.

use super::answer::{empty, set};
use super::state::Shared;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

const EXPOSED: &str = "Content-Location, Content-Range, ETag, Link, Location, Preference-Applied, Retry-After, Row-Token, \
                       X-Cache, X-Cache-Max-Age-Ms";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const READING: &str = "GET, HEAD";
/// Seconds for which a browser need not ask again.
const KEPT: u32 = 600;

/// Lets a browser give our replies to pages of the sites of `rows.origins`.
pub(super) async fn allow(state: Shared, request: Request, next: Next) -> Response {
    let origins = &state.settings.origins;
    if origins.is_empty() {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN).filter(|origin| is_allowed(origins, origin)).cloned();
    let headers = request.headers();
    let is_preflight = request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if is_preflight { empty(StatusCode::NO_CONTENT) } else { next.run(request).await };
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if is_preflight {
        set(&mut response, ACCESS_CONTROL_ALLOW_METHODS, if state.settings.read_only { READING } else { METHODS });
        if let Some(wanted) = wanted {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
        response.headers_mut().insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(KEPT));
    } else {
        set(&mut response, ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn is_allowed(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}
