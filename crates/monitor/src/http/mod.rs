//! The page and the API over HTTP. `openapi.json` describes it.

mod answer;
mod page;
mod parts;

mod api;
mod csv;
mod feed;
mod metrics;
mod samples;
#[cfg(test)]
mod tests;

use crate::hub::Hub;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, get, post};
use std::sync::Arc;
use switchboard_web::secured;

/// No code, style or picture but this server's own files, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that the monitor answers.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/feed", get(feed::stream))
        .route("/metrics", get(metrics::exposition))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/api/processes", get(api::processes))
        .route("/api/history", get(api::history))
        .route("/api/history.csv", get(csv::history))
        .route("/api/annotations", get(api::annotations))
        .route("/api/self", get(api::own))
        .route("/api/samples", post(samples::take))
        .route("/api/openapi.json", get(api::description))
        .route("/api/{*rest}", any(api::unknown))
        .fallback(page::file)
        .layer(from_fn(secure))
        .with_state(hub)
}

async fn ready(State(hub): State<Arc<Hub>>) -> String {
    format!("ready\n{}", hub.settings.web.services.summary())
}

/// Adds the headers that restrict what a browser does with the answers.
async fn secure(request: Request, next: Next) -> Response {
    secured(next.run(request).await, POLICY)
}
