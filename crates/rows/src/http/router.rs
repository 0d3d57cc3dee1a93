//! Which path is answered by what.

use super::errors::Refusal;
use super::state::State;
use super::{bulk, cors, events, files, list, metrics, one, openapi, status};
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use std::sync::Arc;

/// Everything that the service answers.
pub(super) fn router(state: &Arc<State>) -> Router {
    let page = Router::new()
        .route("/", get(files::file))
        .route("/rows.js", get(files::file))
        .route("/rows.css", get(files::file))
        .route("/theme.css", get(files::file))
        .route("/services.js", get(files::file))
        .route("/live.js", get(files::file))
        .route("/icon.svg", get(files::file))
        .layer(from_fn(files::secure));
    let row: MethodRouter<Arc<State>> = get(one::get).put(one::write).patch(one::write).delete(one::write);
    let table: MethodRouter<Arc<State>> = get(list::get).post(bulk::write).patch(bulk::write).delete(bulk::write);
    let router = Router::new()
        .merge(page)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(status::ready))
        .route("/status", get(status::show))
        .route("/metrics", get(metrics::exposition))
        .route("/events", get(events::stream))
        .route("/openapi.json", get(openapi::document))
        .route("/{table}", table)
        .route("/{table}/{key}", row)
        .fallback(no_path)
        .method_not_allowed_fallback(no_method);
    let router = if state.settings.origins.is_empty() {
        router
    } else {
        router.layer(from_fn_with_state(state.clone(), cors::allow))
    };
    router.layer(from_fn(options)).with_state(state.clone())
}

async fn no_path() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "PGRST125", "there is no such path")
        .with_hint("paths are /TABLE and /TABLE/KEY")
}

async fn no_method(method: Method) -> Refusal {
    let message = format!("this path does not take {method}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "PGRST117", message)
        .with_hint("the header Allow has those that it takes")
}

/// OPTIONS says which methods there are.
async fn options(request: Request, next: Next) -> Response {
    if request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    let mut response = next.run(request).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers().get(axum::http::header::ALLOW).cloned();
        response = StatusCode::NO_CONTENT.into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(axum::http::header::ALLOW, allow);
        }
    }
    response
}
