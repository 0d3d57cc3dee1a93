//! The page and the API over HTTP.

mod page;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use switchboard_web::{Guard, guard};
use tokio::net::TcpListener;

/// No code, style or picture but this server's own files, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers for ever.
pub(crate) async fn serve(listener: TcpListener, hosts: Vec<String>) {
    let Ok(address) = listener.local_addr() else { return };
    let router = Router::new()
        .fallback(page::file)
        .layer(from_fn(secure))
        .layer(from_fn_with_state(Guard::new(address, &hosts), guard));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("HTTP on {address} ended: {error}");
    }
}

/// What a browser is to make of all answers.
async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
