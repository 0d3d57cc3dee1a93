//! Health, metrics and status over HTTP.

use crate::answers::Answers;
use crate::connector::Connector;
use crate::hub::Hub;
use crate::page;
use crate::socket::Origin;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use percent_encoding::percent_decode;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;
use switchboard_broker::{ChannelStatus, ConnectionId, ConnectionStatus, Kind, Page, StatusQuery, Totals};
use switchboard_web::{ServiceState, Services};

/// How many channels and connections `/status` lists where nothing else is asked for, and at most.
const LISTED: (usize, usize) = (100, 1000);

/// What there is, for whoever asks without knowing.
const INDEX: &str = "\
Switchboard broker, HTTP

GET  /healthz              ok while the process runs
GET  /readyz               ready and the states of the program's services, or 503 while it shuts down
GET  /metrics              sums over all channels, for Prometheus
GET  /status?limit=N       channels and connections as JSON, N of each (default 100, at most 1000), those that matter most
GET  /status?after=CURSOR  all of them, page by page: 0, then the `next` of the page before, until that is null
POST /purge?queue=NAME     throw away what waits in a queue
POST /kick?connection=N    close a connection

A browser gets a page here that shows them.

Names may be percent-encoded. docs/http.md has hosts, token and limits.
";

/// Everything that the broker answers.
pub(crate) fn router(hub: Arc<Hub>, services: Services, connector: Connector) -> Router {
    Router::new()
        .merge(page::router(connector, INDEX))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/purge", post(purge))
        .route("/kick", post(kick))
        .fallback(nothing)
        .layer(Extension(services))
        .layer(Extension(Arc::new(Answers::new(hub.limits().memory))))
        .with_state(hub)
}

async fn nothing(uri: Uri) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("the broker has no {}; GET / lists what it has\n", uri.path().escape_debug()))
}

/// Returns the value of a parameter, as bytes: names need not be text.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<Vec<u8>> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let blanks = value.replace('+', " ");
    Some(percent_decode(blanks.as_bytes()).collect())
}

/// Returns the number that a parameter gives; an error is the whole answer.
pub(crate) fn number<T: std::str::FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, Response> {
    let Some(value) = parameter(query, name) else { return Ok(None) };
    let parsed = std::str::from_utf8(&value).ok().and_then(|value| value.parse().ok());
    parsed.map(Some).ok_or_else(|| {
        let value = String::from_utf8_lossy(&value).escape_debug().to_string();
        (StatusCode::BAD_REQUEST, format!("{name}={value} is not allowed: it must be a whole number\n")).into_response()
    })
}

async fn ready(State(hub): State<Arc<Hub>>, Extension(services): Extension<Services>) -> (StatusCode, String) {
    if hub.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".to_owned());
    }
    (StatusCode::OK, format!("ready\n{}", services.summary()))
}

async fn metrics(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    let body = exposition(&hub.totals());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body)
}

/// Sums only: a label for each channel would let any client grow the monitoring without bound.
fn exposition(totals: &Totals) -> String {
    let gauges = [
        ("channels", "Current channels.", totals.channels),
        ("connections", "Connections.", totals.connections),
        ("subscriptions", "Subscriptions.", totals.subscriptions),
        ("paused_connections", "Connections that are paused because something is at its limit.", totals.paused),
        ("buffered_bytes", "Buffered bytes, with the overhead of every entry.", totals.memory),
        ("buffered_bytes_limit", "Limit of the buffered bytes: the memory budget.", totals.memory_budget),
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

async fn status(
    State(hub): State<Arc<Hub>>,
    Extension(services): Extension<Services>,
    Extension(answers): Extension<Arc<Answers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let (default, most) = LISTED;
    let limit = number::<usize>(query.as_deref(), "limit")?.unwrap_or(default).min(most);
    let after = parameter(query.as_deref(), "after");
    let wanted = match &after {
        None => StatusQuery::top(limit),
        Some(after) => {
            page(after, limit.max(1)).ok_or_else(|| bad("after must be 0, or the `next` of the page before"))?
        }
    };
    let _turn = answers.turn().await;
    if !answers.has_room() {
        return Err(answers.full());
    }
    // The hub is locked for the copy only, not while it is written as JSON.
    let (status, origins) = hub.status(&wanted);
    let totals = status.totals;
    let channels: Vec<_> = status.channels.iter().map(channel_row).collect();
    let rows = status.connections.iter().zip(origins);
    let connections: Vec<_> = rows.map(|(connection, origin)| connection_row(connection, origin)).collect();
    let services: Vec<_> = services.list().into_iter().map(service).collect();
    let mut answer = json!({
        "services": services,
        "totals": sums(&totals),
        "channels": channels,
        "connections": connections,
    });
    if after.is_some() {
        answer["next"] = cursor(status.next_channel, status.next_connection).into();
    }
    Ok(answers.json(answer.to_string().into_bytes()))
}

/// A channel, as JSON.
pub(crate) fn channel_row(channel: &ChannelStatus) -> Value {
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
        "dead_lettered": channel.dead_lettered,
    });
    if std::str::from_utf8(&channel.name).is_err() {
        entry["name_hex"] = const_hex::encode(&channel.name).into();
    }
    entry
}

/// A connection, as JSON.
pub(crate) fn connection_row(connection: &ConnectionStatus, origin: Option<Origin>) -> Value {
    json!({
        "id": connection.id.0,
        "address": origin.map(|origin| origin.to_string()),
        "service": origin.and_then(Origin::service),
        "subscriptions": names(&connection.subscriptions),
        "outbox": connection.outbox,
        "unacked": connection.unacked,
        "published": connection.published,
        "delivered": connection.delivered,
        "dropped": connection.dropped,
        "waits_for": waits_for(connection),
        "paused": connection.paused.as_ref().map(ToString::to_string),
        "slow": connection.slow,
        "gone": connection.gone,
        "stalled": connection.stalled,
    })
}

/// The sums, as JSON.
pub(crate) fn sums(totals: &Totals) -> Value {
    json!({
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
    })
}

/// One service of this program.
fn service((name, state): (&'static str, ServiceState)) -> Value {
    match state {
        ServiceState::Running => json!({ "name": name, "running": true }),
        ServiceState::Down(reason) => json!({ "name": name, "running": false, "reason": reason }),
    }
}

/// The pages behind a cursor: of channels and connections, `.` between them, nothing for a table that is at its end.
fn page(after: &[u8], limit: usize) -> Option<StatusQuery> {
    let table = |cursor: &str| match cursor {
        "" => Some(Page::Top(0)),
        cursor => cursor.parse().ok().map(|cursor| Page::After { cursor, limit }),
    };
    let after = std::str::from_utf8(after).ok()?;
    let (channels, connections) = if after == "0" { ("0", "0") } else { after.split_once('.')? };
    Some(StatusQuery { channels: table(channels)?, connections: table(connections)? })
}

/// The cursor of the next page; none behind the last.
fn cursor(channel: Option<u32>, connection: Option<u32>) -> Option<String> {
    let text = |cursor: Option<u32>| cursor.map_or_else(String::new, |cursor| cursor.to_string());
    (channel.is_some() || connection.is_some()).then(|| format!("{}.{}", text(channel), text(connection)))
}

pub(crate) fn bad(text: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response()
}

/// Some of a connection's subscriptions, as text.
fn names(subscriptions: &[bytes::Bytes]) -> Vec<String> {
    subscriptions.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// In plain words, what has to happen before it goes on.
pub(crate) fn waits_for(connection: &ConnectionStatus) -> String {
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

async fn purge(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Response {
    let Some(name) = parameter(query.as_deref(), "queue").filter(|name| !name.is_empty()) else {
        return (StatusCode::BAD_REQUEST, "which queue? POST /purge?queue=NAME\n").into_response();
    };
    let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
    if let Some(purged) = hub.purge(&name) {
        let messages = if purged == 1 { "message" } else { "messages" };
        tracing::warn!("purged {purged} {messages} of queue {shown}, asked for over HTTP");
        return Json(json!({ "purged": purged })).into_response();
    }
    let text = if name.starts_with(b"/queue") {
        format!("there is no queue {shown}: no message waits there, and nobody listens\n")
    } else {
        format!("{shown} is a topic: only a queue, whose name begins with /queue, can be purged\n")
    };
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn kick(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    let Some(connection) = number(query.as_deref(), "connection")? else {
        return Err((StatusCode::BAD_REQUEST, "which connection? POST /kick?connection=N\n").into_response());
    };
    if hub.kick(ConnectionId(connection)) {
        return Ok(Json(json!({ "kicked": connection })).into_response());
    }
    Err((StatusCode::NOT_FOUND, format!("there is no connection {connection}\n")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_decoded_to_bytes() {
        let value = |query, name| parameter(Some(query), name);
        assert_eq!(value("queue=/queue/a%20b+c%26%FF%00", "queue").unwrap(), b"/queue/a b c&\xff\0");
        assert_eq!(value("queues=1&queue=", "queue").unwrap(), b"");
        assert_eq!(value("queue=%zz%4", "queue").unwrap(), b"%zz%4");
        assert_eq!(value("queue", "queue"), None);
        assert_eq!(parameter(None, "queue"), None);
    }

    #[test]
    fn a_cursor_leads_to_the_next_page_of_both_tables() {
        let at = |channels, connections| {
            let table = |cursor: Option<u32>| cursor.map_or(Page::Top(0), |cursor| Page::After { cursor, limit: 5 });
            Some(StatusQuery { channels: table(channels), connections: table(connections) })
        };
        assert_eq!(page(b"0", 5), at(Some(0), Some(0)));
        for (channel, connection) in [(Some(7), Some(8)), (None, Some(u32::MAX)), (Some(1), None)] {
            assert_eq!(page(cursor(channel, connection).unwrap().as_bytes(), 5), at(channel, connection));
        }
        assert_eq!(cursor(None, None), None);
        for wrong in ["", "1", "x", "1.x", "-1.1", "4294967296.1", "1.2.3"] {
            assert_eq!(page(wrong.as_bytes(), 5), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_is_whole_or_refused() {
        let limit = |query| number::<usize>(Some(query), "limit").map_err(|answer| answer.status());
        assert_eq!(limit("a=b"), Ok(None));
        assert_eq!(limit("limit=0"), Ok(Some(0)));
        assert_eq!(limit("limit=18446744073709551615"), Ok(Some(usize::MAX)));
        for wrong in ["limit=", "limit=-1", "limit=1.5", "limit=18446744073709551616", "limit=%FF"] {
            assert_eq!(limit(wrong), Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
    }
}
