//! `GET /status`, as the page shows it.

use super::answer::json;
use super::state::{Backend, Shared};
use crate::RowCache;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json as value};
use std::time::Duration;

pub(super) async fn show(state: Shared) -> Response {
    let backend = state.backend.read().clone();
    let shown = match &backend {
        Backend::Up(rows) => of_cache(rows),
        Backend::Down(reason) => value!({ "state": "down", "reason": reason, "tables": [] }),
    };
    let mut shown = shown;
    shown["read_only"] = state.settings.read_only.into();
    shown["listeners"] = state.clients.load(std::sync::atomic::Ordering::Relaxed).into();
    let mut response = json(StatusCode::OK, shown.to_string());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn of_cache(rows: &RowCache) -> Value {
    let (status, metrics) = (rows.status(), rows.metrics());
    let tables = status.tables.iter().map(|table| {
        let described = rows.describe(&table.name).ok();
        value!({
            "name": table.name,
            "problem": table.problem.as_ref().map(ToString::to_string),
            "key": described.as_ref().map(|described| described.key.clone()),
            "columns": described.map(|described| {
                described.columns.into_iter().map(|column| value!({ "name": column.name, "type": column.type_name })).collect::<Vec<_>>()
            }),
        })
    });
    value!({
        "state": if status.problem.is_none() { "live" } else { "down" },
        "reason": status.problem.as_ref().map(ToString::to_string),
        "since_ms": millis(status.since),
        "age_ms": status.age.map(millis),
        "tables": tables.collect::<Vec<_>>(),
        "rows": status.usage.rows,
        "bytes": status.usage.bytes,
        "hits": metrics.hits,
        "misses": metrics.misses,
        "bypasses": metrics.bypasses,
        "events": metrics.events,
        "flushes": metrics.flushes,
        "refreshed": metrics.refreshed,
        "sampled": metrics.rows_sampled,
        "inconsistent": metrics.rows_inconsistent,
        "longest_inconsistent_ms": millis(metrics.longest_inconsistent),
        "queue_usage": metrics.queue_usage,
        "connects": metrics.connects,
    })
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// Ready means: requests are answered, if need be with 503. The lines say whether the database is there.
pub(super) async fn ready(state: Shared) -> Response {
    let services = &state.settings.web.services;
    let is_ready = matches!(&*state.backend.read(), Backend::Up(rows) if rows.status().problem.is_none());
    let (status, word, database) = match is_ready {
        true => (StatusCode::OK, "ready", "running"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready", "down"),
    };
    (status, format!("{word}\ndatabase: {database}\n{}", services.summary())).into_response()
}
