//! Health, metrics and status over HTTP.

use crate::hub::Hub;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use switchboard_broker::{ConnectionId, ConnectionStatus, Kind, Totals};
use switchboard_web::{Guard, guard};
use tokio::net::TcpListener;

/// How many channels and connections `/status` lists where nothing else is asked for.
const LISTED: usize = 100;

/// Answers for ever.
pub(crate) async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    let Ok(address) = listener.local_addr() else { return };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/purge", post(purge))
        .route("/kick", post(kick))
        .layer(from_fn_with_state(Guard::new(address, &[]), guard))
        .with_state(hub);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("HTTP on {address} ended: {error}");
    }
}

async fn ready(State(hub): State<Arc<Hub>>) -> (StatusCode, &'static str) {
    if hub.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    (StatusCode::OK, "ready\n")
}

async fn metrics(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    let body = exposition(&hub.totals());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body)
}

/// Sums only: a label for each channel would let any client grow the monitoring without bound.
fn exposition(totals: &Totals) -> String {
    let gauges = [
        ("channels", "Channels in being.", totals.channels),
        ("connections", "Connections.", totals.connections),
        ("subscriptions", "Subscriptions.", totals.subscriptions),
        ("paused_connections", "Connections that are not read, for something is at its bound.", totals.paused),
        ("buffered_bytes", "Bytes that the budget counts.", totals.memory),
        ("buffered_bytes_limit", "The budget's budget.", totals.memory_budget),
    ];
    let counters = [
        ("messages_published_total", "Messages published.", totals.published),
        ("messages_delivered_total", "Messages wholly written to subscribers.", totals.delivered),
        ("messages_dropped_slow_total", "Messages dropped on their way to slow subscribers.", totals.dropped_slow),
        (
            "messages_dropped_no_subscribers_total",
            "Messages to topics without subscribers.",
            totals.dropped_no_subscribers,
        ),
        (
            "messages_dropped_publisher_gone_total",
            "Messages whose publisher left while memory was short.",
            totals.dropped_publisher_gone,
        ),
        ("messages_requeued_total", "Messages that went back to their queues.", totals.requeued),
    ];
    let mut text = String::new();
    let mut add = |name: &str, help: &str, kind: &str, value: u64| {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "# HELP switchboard_{name} {help}\n# TYPE switchboard_{name} {kind}\nswitchboard_{name} {value}\n"
        );
    };
    for (name, help, value) in gauges {
        add(name, help, "gauge", value as u64);
    }
    for (name, help, value) in counters {
        add(name, help, "counter", value);
    }
    text
}

#[derive(Deserialize)]
struct Listed {
    limit: Option<usize>,
}

async fn status(State(hub): State<Arc<Hub>>, Query(listed): Query<Listed>) -> Json<Value> {
    let (status, origins) = hub.status(listed.limit.unwrap_or(LISTED));
    let totals = status.totals;
    let channels: Vec<_> = status
        .channels
        .iter()
        .map(|channel| {
            let mut entry = json!({
                "name": String::from_utf8_lossy(&channel.name),
                "kind": match channel.kind { Kind::Queue => "queue", Kind::Topic => "topic" },
                "depth": channel.depth,
                "bytes": channel.bytes,
                "subscribers": channel.subscribers,
                "paused_publishers": channel.paused_publishers,
                "published": channel.published,
                "published_per_s": tenths(channel.publish_rate),
                "delivered": channel.delivered,
                "delivered_per_s": tenths(channel.deliver_rate),
                "dropped": channel.dropped,
            });
            if std::str::from_utf8(&channel.name).is_err() {
                entry["name_hex"] = hex(&channel.name).into();
            }
            entry
        })
        .collect();
    let connections: Vec<_> = status.connections.iter().zip(origins).map(|(connection, origin)| json!({
        "id": connection.id.0,
        "address": origin.map(|origin| origin.to_string()),
        "subscriptions": connection.subscriptions.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>(),
        "outbox": connection.outbox,
        "published": connection.published,
        "delivered": connection.delivered,
        "dropped": connection.dropped,
        "waits_for": waits_for(connection),
        "paused": connection.paused.as_ref().map(ToString::to_string),
        "slow": connection.slow,
        "gone": connection.gone,
        "stalled": connection.stalled,
    })).collect();
    Json(json!({
        "totals": {
            "channels": totals.channels,
            "connections": totals.connections,
            "subscriptions": totals.subscriptions,
            "paused": totals.paused,
            "memory": totals.memory,
            "memory_budget": totals.memory_budget,
            "published": totals.published,
            "delivered": totals.delivered,
            "dropped_slow": totals.dropped_slow,
            "dropped_no_subscribers": totals.dropped_no_subscribers,
            "dropped_publisher_gone": totals.dropped_publisher_gone,
            "requeued": totals.requeued,
        },
        "channels": channels,
        "connections": connections,
    }))
}

/// In plain words, what has to happen before it goes on.
fn waits_for(connection: &ConnectionStatus) -> String {
    if connection.gone {
        return "room for its last messages; it has left".into();
    }
    if connection.paused.is_some() {
        return "room for what it publishes".into();
    }
    match (connection.outbox, connection.unacked, connection.subscriptions.is_empty()) {
        (0, 0, true) => "something to publish".into(),
        (0, 0, false) => "messages".into(),
        (0, unacked, _) => format!("acks of {unacked} messages"),
        (outbox, ..) => format!("its peer to read {outbox} bytes"),
    }
}

fn tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[derive(Deserialize)]
struct Purge {
    queue: String,
}

async fn purge(State(hub): State<Arc<Hub>>, Query(purge): Query<Purge>) -> Response {
    match hub.purge(purge.queue.as_bytes()) {
        Some(purged) => {
            tracing::warn!("purged {} messages of queue {}, asked for over HTTP", purged, purge.queue.escape_debug());
            Json(json!({ "purged": purged })).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such queue\n").into_response(),
    }
}

#[derive(Deserialize)]
struct Kick {
    connection: u64,
}

async fn kick(State(hub): State<Arc<Hub>>, Query(kick): Query<Kick>) -> Response {
    if hub.kick(ConnectionId(kick.connection)) {
        return Json(json!({ "kicked": kick.connection })).into_response();
    }
    (StatusCode::NOT_FOUND, "there is no such connection\n").into_response()
}
