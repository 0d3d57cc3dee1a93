//! The broker over HTTP: health, metrics, status, queues, and STOMP over WebSocket.

pub(crate) mod parameters;
pub(crate) mod queues;
pub(crate) mod status;

use crate::acceptor::Acceptor;
use crate::answers::Answers;
use crate::connector::Connector;
use crate::hub::{Hub, Kicked};
use crate::page;
use crate::web_socket;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use parameters::number;
use serde_json::json;
use std::fmt::Write;
use std::sync::{Arc, Weak};
use switchboard_broker::{ConnectionId, Totals};
use switchboard_web::Services;

/// List of the paths, for `GET /`.
const INDEX: &str = "\
Switchboard broker, HTTP

GET  /healthz              ok while the process runs
GET  /readyz               ready and the states of the program's services, or 503 while it shuts down
GET  /metrics              sums over all channels, for Prometheus
GET  /status?limit=N       channels and connections as JSON, N of each (default 100, at most 1000), those that matter most
GET  /status?after=CURSOR  all of them, page by page: 0, then the `next` of the page before, until that is null
GET  /queues?limit=N       queues as JSON, those with the most bytes (default 100, at most 1000)
GET  /queues?after=CURSOR  all of them, page by page
GET  /queues/peek?name=NAME    messages that wait in a queue, which stay there (limit=N, bytes=N, after=NEXT)
POST /queues/purge?name=NAME   throw away what waits in a queue
POST /queues/move?name=NAME&to=NAME    move what waits to another queue; without `to`, dead letters back to their origins (limit=N)
POST /queues/pause?name=NAME   hand nothing of a queue out any more
POST /queues/resume?name=NAME  hand it out again
POST /kick?connection=N    close a connection
GET  /stomp                STOMP over WebSocket

A browser gets a page here that shows them.

Names may be percent-encoded. docs/http.md has hosts, token and limits.
";

/// Everything that the broker answers.
pub(crate) fn router(hub: Arc<Hub>, services: Services, acceptor: Weak<Acceptor>, connector: Connector) -> Router {
    Router::new()
        .merge(page::router(connector, INDEX))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status::status))
        .merge(queues::router())
        .route("/kick", post(kick))
        .route("/stomp", any(web_socket::upgrade))
        .fallback(nothing)
        .layer(Extension(services))
        .layer(Extension(acceptor))
        .layer(Extension(Arc::new(Answers::new(hub.limits().memory))))
        .with_state(hub)
}

async fn nothing(uri: Uri) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("the broker has no {}; GET / lists what it has\n", uri.path().escape_debug()))
}

async fn ready(State(hub): State<Arc<Hub>>, Extension(services): Extension<Services>) -> (StatusCode, String) {
    if hub.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned());
    }
    (StatusCode::OK, format!("ready\n{}", services.summary()))
}

async fn metrics(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    let body = exposition(&hub.totals(), hub.persistent());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body)
}

/// Sums only: a label for each channel would let any client grow the monitoring without bound.
fn exposition(totals: &Totals, persistent: u64) -> String {
    let gauges = [
        ("channels", "Current channels.", totals.channels),
        ("connections", "Connections.", totals.connections),
        ("subscriptions", "Subscriptions.", totals.subscriptions),
        ("paused_connections", "Connections that are paused because something is at its limit.", totals.paused),
        ("gone_connections", "Connections that have left, and whose last messages wait for room.", totals.gone),
        ("retained", "Topics with a retained value.", totals.retained),
        ("buffered_bytes", "Buffered bytes, with the overhead of every entry.", totals.memory),
        ("buffered_bytes_limit", "Limit of the buffered bytes: the memory budget.", totals.memory_budget),
    ];
    let counters = [
        ("messages_published_total", "Messages published.", totals.published),
        ("messages_persistent_total", "Messages published as persistent, which are kept in memory alike.", persistent),
        ("messages_delivered_total", "Messages wholly written to subscribers.", totals.delivered),
        ("messages_dropped_slow_total", "Messages dropped on their way to slow subscribers.", totals.dropped_slow),
        (
            "messages_dropped_no_subscribers_total",
            "Messages to topics without subscribers.",
            totals.dropped_no_subscribers,
        ),
        (
            "messages_dropped_publisher_gone_total",
            "Messages dropped because their publisher left while they waited, and memory was short or its place was needed.",
            totals.dropped_publisher_gone,
        ),
        (
            "messages_rejected_total",
            "Messages not taken: by full queues, by their rules, and by temporary queues that had ended.",
            totals.rejected,
        ),
        ("messages_requeued_total", "Messages that went back to their queues.", totals.requeued),
        (
            "messages_failed_total",
            "Tries of consumers without success: nacks, ack time-outs, and lost connections.",
            totals.failed,
        ),
        (
            "messages_expired_total",
            "Messages that expired before a subscriber got them, with those that became dead letters.",
            totals.expired,
        ),
        ("messages_dead_lettered_total", "Messages that became dead letters.", totals.dead_lettered),
        (
            "messages_dropped_dead_letters_total",
            "Dead letters lost: the oldest over the bounds of their queue, those rejected again, and those of temporary queues.",
            totals.dropped_dead,
        ),
        (
            "messages_dropped_overflow_total",
            "Messages lost from full queues that could not become dead letters either, and from full durable subscriptions.",
            totals.dropped_overflow,
        ),
        (
            "messages_dropped_ended_total",
            "Messages dropped with temporary queues and durable subscriptions that ended.",
            totals.dropped_ended,
        ),
        ("messages_moved_total", "Messages moved from a queue to another by an operator.", totals.moved),
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

fn tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

async fn kick(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    let Some(connection) = number(query.as_deref(), "connection")? else {
        return Err((StatusCode::BAD_REQUEST, "which connection? POST /kick?connection=N\n").into_response());
    };
    match hub.kick(ConnectionId(connection)) {
        Kicked::Closing => Ok(Json(json!({ "kicked": connection })).into_response()),
        Kicked::Unknown => {
            Err((StatusCode::NOT_FOUND, format!("there is no connection {connection}\n")).into_response())
        }
        Kicked::Gone(row) => {
            let text = format!(
                "connection {connection} is {}; what it had sent is delivered when there is room\n",
                status::waits_for(&row)
            );
            Err((StatusCode::CONFLICT, text).into_response())
        }
    }
}
