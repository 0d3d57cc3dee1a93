//! Channels and connections: the rows that match, in the order that is asked for.
//!
//! All rows are looked at, page by page, with the hub free in between, and as many are kept as are shown: with 100,000 channels an
//! answer costs time, and no memory.

use super::find::Needle;
use super::order::{First, natural};
use super::own::{are_own, is_placeholder, without_null, without_placeholder};
use crate::answers::Answers;
use crate::http::parameters::{bad, number, parameter, text_or};
use crate::http::queues::seconds;
use crate::http::status::{channel_row, connection_row, sums, unheard, waits_for};
use crate::hub::Hub;
use crate::socket::Origin;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::sync::Arc;
use switchboard_broker::{ChannelStatus, ConnectionStatus, Kind, Page, StatusQuery, Totals};

/// Rows where nothing else is asked for, and at most.
const ROWS: (usize, usize) = (100, 1000);

/// A query of a table.
struct Wanted {
    needle: Needle,
    sort: String,
    is_reversed: bool,
    limit: usize,
}

impl Wanted {
    fn of(query: Option<&str>) -> Result<Wanted, Response> {
        let (default, most) = ROWS;
        let limit = number::<usize>(query, "limit")?.unwrap_or(default).min(most);
        let sort = String::from_utf8(parameter(query, "sort").unwrap_or_default()).unwrap_or_default();
        let (sort, is_reversed) = match sort.strip_prefix('-') {
            Some(sort) => (sort.to_owned(), true),
            None => (sort, false),
        };
        Ok(Wanted { needle: Needle::new(parameter(query, "filter").unwrap_or_default()), sort, is_reversed, limit })
    }

    fn unknown(&self, known: &str) -> Response {
        bad(&format!(
            "sort={} is not allowed: it must be one of {known}, with a minus for the greatest first",
            self.sort.escape_debug()
        ))
    }

    fn turned(&self, order: Ordering) -> Ordering {
        if self.is_reversed { order.reverse() } else { order }
    }
}

type ChannelOrder = fn(&ChannelStatus, &ChannelStatus) -> Ordering;

/// Returns true for a channel that a person should look at.
fn needs_attention(channel: &ChannelStatus) -> bool {
    channel.is_paused || channel.paused_publishers > 0 || channel.dead_lettered > 0 || channel.dropped > 0
}

fn channel_order(sort: &str) -> Option<ChannelOrder> {
    Some(match sort {
        "" => |a, b| needs_attention(b).cmp(&needs_attention(a)),
        "name" => |a, b| natural(&a.name, &b.name),
        "kind" => |a, b| (a.kind == Kind::Topic).cmp(&(b.kind == Kind::Topic)),
        "depth" => |a, b| a.depth.cmp(&b.depth),
        "flight" => |a, b| a.in_flight.cmp(&b.in_flight),
        "bytes" => |a, b| a.bytes.cmp(&b.bytes),
        "in" => |a, b| a.publish_rate.total_cmp(&b.publish_rate),
        "out" => |a, b| a.deliver_rate.total_cmp(&b.deliver_rate),
        "subscribers" => |a, b| a.subscribers.cmp(&b.subscribers),
        "dropped" => |a, b| a.dropped.cmp(&b.dropped),
        "dead" => |a, b| a.dead_lettered.cmp(&b.dead_lettered),
        _ => return None,
    })
}

pub(super) async fn channels(
    State(hub): State<Arc<Hub>>,
    Extension(answers): Extension<Arc<Answers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let wanted = Wanted::of(query.as_deref())?;
    let order = channel_order(&wanted.sort)
        .ok_or_else(|| wanted.unknown("name, kind, depth, flight, bytes, in, out, subscribers, dropped, dead"))?;
    let mut rows = First::new(wanted.limit, |a: &ChannelStatus, b: &ChannelStatus| {
        wanted.turned(order(a, b)).then_with(|| natural(&a.name, &b.name))
    });
    let _turn = answers.scan().await;
    if !answers.has_room() {
        return Err(answers.full());
    }
    let (mut matched, mut cursor, mut totals, mut dropped) = (0_usize, Some(0), Totals::default(), Vec::new());
    while let Some(at) = cursor {
        let page = Page::After { cursor: at, limit: Page::MAX };
        let (status, _) = hub.status(&StatusQuery { channels: page, connections: Page::Top(0) });
        let is_wanted = |channel: &ChannelStatus| !is_placeholder(channel) && wanted.needle.is_in(&channel.name);
        for channel in status.channels.into_iter().filter(is_wanted) {
            matched += 1;
            rows.push(channel);
        }
        (cursor, totals, dropped) = (status.next_channel, status.totals, status.unheard);
        tokio::task::yield_now().await;
    }
    let (rows, totals) = (rows.finish(), without_placeholder(&hub, totals));
    let are_own = matched == totals.channels && matched == rows.len() && are_own(&hub, &rows);
    let rows: Vec<Value> = rows.iter().map(channel_row).collect();
    let answer = json!({
        "totals": sums(&totals), "unheard": unheard(&dropped), "matched": matched, "are_own": are_own, "channels": rows
    });
    Ok(answers.json(answer.to_string().into_bytes()))
}

/// One channel; `null` if there is none of this name, which is no error: a channel is forgotten when nobody uses it.
pub(super) async fn channel(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Json<Value> {
    let name = parameter(query.as_deref(), "name").unwrap_or_default();
    let Some((channel, queue)) = hub.channel(&name) else { return Json(Value::Null) };
    let mut row = channel_row(&channel);
    if let Some(queue) = queue {
        row["oldest_s"] = queue.oldest.map(seconds).into();
        row["postponed"] = queue.postponed.into();
        row["returned"] = queue.returned.into();
        row["topics"] = queue.topics.as_deref().map(text_or).into();
    }
    Json(row)
}

type Row = (ConnectionStatus, Option<Origin>);
type ConnectionOrder = fn(&Row, &Row) -> Ordering;

/// Rank of a connection's need for attention.
fn trouble(connection: &ConnectionStatus) -> u8 {
    u8::from(connection.paused.is_some() && !connection.gone) * 8
        + u8::from(connection.stalled) * 4
        + u8::from(connection.slow) * 2
        + u8::from(connection.gone)
}

fn connection_order(sort: &str) -> Option<ConnectionOrder> {
    Some(match sort {
        "" | "id" => |a, b| a.0.id.cmp(&b.0.id),
        "address" => |a, b| natural(shown(a.1).as_bytes(), shown(b.1).as_bytes()),
        "state" => |a, b| trouble(&a.0).cmp(&trouble(&b.0)),
        "subscriptions" => |a, b| a.0.subscriptions.len().cmp(&b.0.subscriptions.len()),
        "outbox" => |a, b| a.0.outbox.cmp(&b.0.outbox),
        "unacked" => |a, b| a.0.unacked.cmp(&b.0.unacked),
        "published" => |a, b| a.0.published.cmp(&b.0.published),
        "delivered" => |a, b| a.0.delivered.cmp(&b.0.delivered),
        "dropped" => |a, b| a.0.dropped.cmp(&b.0.dropped),
        _ => return None,
    })
}

fn shown(origin: Option<Origin>) -> String {
    origin.map_or_else(String::new, |origin| origin.to_string())
}

pub(super) async fn connections(
    State(hub): State<Arc<Hub>>,
    Extension(answers): Extension<Arc<Answers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let wanted = Wanted::of(query.as_deref())?;
    let order = connection_order(&wanted.sort).ok_or_else(|| {
        wanted.unknown("id, address, state, subscriptions, outbox, unacked, published, delivered, dropped")
    })?;
    let mut rows =
        First::new(wanted.limit, |a: &Row, b: &Row| wanted.turned(order(a, b)).then_with(|| a.0.id.cmp(&b.0.id)));
    let is_wanted = |(connection, origin): &Row| {
        let needle = &wanted.needle;
        connection.subscriptions.iter().any(|name| needle.is_in(name))
            || needle.is_in(shown(*origin).as_bytes())
            || needle.is_in(waits_for(connection).as_bytes())
            || connection.paused.as_ref().is_some_and(|reason| needle.is_in(reason.to_string().as_bytes()))
    };
    let _turn = answers.scan().await;
    if !answers.has_room() {
        return Err(answers.full());
    }
    let (mut matched, mut cursor, mut totals, mut dropped) = (0_usize, Some(0), Totals::default(), Vec::new());
    while let Some(at) = cursor {
        let page = Page::After { cursor: at, limit: Page::MAX };
        let (status, origins) = hub.status(&StatusQuery { channels: Page::Top(0), connections: page });
        let connections = status.connections.into_iter().map(without_null);
        for row in connections.zip(origins).filter(|row| is_wanted(row)) {
            matched += 1;
            rows.push(row);
        }
        (cursor, totals, dropped) = (status.next_connection, status.totals, status.unheard);
        tokio::task::yield_now().await;
    }
    let rows: Vec<Value> = rows.finish().iter().map(|(row, origin)| connection_row(row, *origin)).collect();
    let totals = without_placeholder(&hub, totals);
    let answer =
        json!({ "totals": sums(&totals), "unheard": unheard(&dropped), "matched": matched, "connections": rows });
    Ok(answers.json(answer.to_string().into_bytes()))
}
