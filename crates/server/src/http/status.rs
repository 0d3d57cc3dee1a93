//! `/status`: sums, channels and connections.

use super::parameters::{add_hex, bad, number, parameter};
use super::tenths;
use crate::answers::Answers;
use crate::hub::Hub;
use crate::native::NULL;
use crate::socket::Origin;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;
use switchboard_broker::{ChannelStatus, ConnectionStatus, Kind, Page, StatusQuery, Totals, Unheard};
use switchboard_driver::quantity::{plural, rough_size};
use switchboard_web::{MissingAddress, ServiceState, Services};

/// Default and maximum number of channels and connections that `/status` lists.
const LISTED: (usize, usize) = (100, 1000);

pub(super) async fn status(
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
    let missing = services.missing();
    let services: Vec<_> = services.list().into_iter().map(|(name, state)| service(name, state, &missing)).collect();
    let mut answer = json!({
        "services": services,
        "totals": sums(&totals),
        "channels": channels,
        "connections": connections,
        "unheard": unheard(&status.unheard),
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
        "in_flight": channel.in_flight,
        "is_paused": channel.is_paused,
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
    add_hex(&mut entry, "name_hex", &channel.name);
    entry
}

/// Topics whose messages nobody got, as JSON.
pub(crate) fn unheard(topics: &[Unheard]) -> Value {
    let row = |topic: &Unheard| {
        let mut entry = json!({ "name": String::from_utf8_lossy(&topic.name), "dropped": topic.dropped });
        add_hex(&mut entry, "name_hex", &topic.name);
        entry
    };
    topics.iter().map(row).collect()
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
        // One that is gone is not read, and never will be.
        "paused": connection.paused.as_ref().filter(|_| !connection.gone).map(ToString::to_string),
        "slow": connection.slow,
        "gone": connection.gone,
        "stalled": connection.stalled,
    })
}

/// The sums, as JSON: all of them, or it does not compile.
pub(crate) fn sums(totals: &Totals) -> Value {
    let Totals {
        channels,
        connections,
        subscriptions,
        paused,
        gone,
        retained,
        memory,
        memory_budget,
        memory_for_messages,
        published,
        delivered,
        dropped_slow,
        dropped_no_subscribers,
        dropped_publisher_gone,
        dropped_dead,
        dropped_overflow,
        dropped_ended,
        expired,
        dead_lettered,
        rejected,
        requeued,
        failed,
        moved,
    } = *totals;
    json!({
        "channels": channels,
        "connections": connections,
        "subscriptions": subscriptions,
        "paused": paused,
        "gone": gone,
        "retained": retained,
        "memory": memory,
        "memory_budget": memory_budget,
        "memory_for_messages": memory_for_messages,
        "published": published,
        "delivered": delivered,
        "dropped_slow": dropped_slow,
        "dropped_no_subscribers": dropped_no_subscribers,
        "dropped_publisher_gone": dropped_publisher_gone,
        "dropped_dead": dropped_dead,
        "dropped_overflow": dropped_overflow,
        "dropped_ended": dropped_ended,
        "expired": expired,
        "dead_lettered": dead_lettered,
        "rejected": rejected,
        "requeued": requeued,
        "failed": failed,
        "moved": moved,
    })
}

/// One service of this program.
fn service(name: &'static str, state: ServiceState, missing: &[MissingAddress]) -> Value {
    let mut row = match state {
        ServiceState::Running => json!({ "name": name, "running": true }),
        ServiceState::Degraded { lacks, reason } => {
            json!({ "name": name, "running": true, "lacks": lacks, "reason": reason })
        }
        ServiceState::Down(reason) => json!({ "name": name, "running": false, "reason": reason }),
    };
    let missing = missing.iter().filter(|missing| missing.service == name);
    let missing: Vec<Value> =
        missing.map(|one| json!({ "address": one.address, "protocol": one.protocol, "reason": one.reason })).collect();
    if !missing.is_empty() {
        row["missing"] = missing.into();
    }
    row
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

/// Some of a connection's subscriptions, as text.
fn names(subscriptions: &[bytes::Bytes]) -> Vec<String> {
    subscriptions.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// In plain words, what has to happen before it goes on.
pub(crate) fn waits_for(connection: &ConnectionStatus) -> String {
    if connection.gone {
        let pending = connection.pending;
        let s = if pending == 1 { "s" } else { "" };
        let why = connection.paused.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        return format!("gone: {pending} of its messages wait{s} for room{why}");
    }
    if connection.paused.is_some() {
        return "room for what it publishes".into();
    }
    let only_sends = connection.subscriptions.iter().all(|name| name == NULL);
    match (connection.outbox, connection.unacked, only_sends) {
        (0, 0, true) => "idle".into(),
        (0, 0, false) => "messages".into(),
        (0, unacked, _) => format!("acks of {}", plural(unacked, "message")),
        (outbox, ..) => format!("its peer to read {}", rough_size(outbox)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
