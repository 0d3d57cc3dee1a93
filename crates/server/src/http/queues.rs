//! `/queues`: a listing, a look at what waits, and what an operator may do to a queue.

use super::parameters::{add_hex, bad, name_of, number, parameter, shown, text_of, text_or};
use super::tenths;
use crate::answers::Answers;
use crate::hub::{Hub, MoveEnd};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{Browse, BrowseQuery, Browsed, Kind, MoveError, Page, QueueStatus, Refusal, is_dead};
use switchboard_driver::quantity::plural;
use tokio::sync::oneshot::Receiver;
use tokio::time::timeout;

/// Queues and messages that are listed where nothing else is asked for, and bytes of messages.
const QUEUES: usize = 100;
const MESSAGES: usize = 20;
const BYTES: usize = 64 << 10;
/// Time limit of an answer to an order to move messages, which are moved in steps.
const MOVE_FOR: Duration = Duration::from_secs(5);

pub(super) fn router() -> Router<Arc<Hub>> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/peek", get(peek))
        .route("/queues/purge", post(purge))
        .route("/queues/move", post(move_messages))
        .route("/queues/pause", post(pause))
        .route("/queues/resume", post(resume))
}

async fn list(
    State(hub): State<Arc<Hub>>,
    Extension(answers): Extension<Arc<Answers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let query = query.as_deref();
    let limit = number::<usize>(query, "limit")?.unwrap_or(QUEUES).min(Page::MAX);
    let page = match number::<u32>(query, "after")? {
        None => Page::Top(limit),
        Some(cursor) => Page::After { cursor, limit: limit.max(1) },
    };
    let _turn = answers.turn().await;
    if !answers.has_room() {
        return Err(answers.full());
    }
    let queues = hub.queues(page);
    let rows: Vec<Value> = queues.queues.iter().map(row).collect();
    let next = queues.next.map(|next| next.to_string());
    Ok(answers.json(json!({ "queues": rows, "next": next }).to_string().into_bytes()))
}

fn row(queue: &QueueStatus) -> Value {
    let mut row = json!({
        "name": String::from_utf8_lossy(&queue.name),
        "topics": queue.topics.as_deref().map(String::from_utf8_lossy),
        "depth": queue.depth,
        "postponed": queue.postponed,
        "in_flight": queue.in_flight,
        "moving": queue.moving,
        "consumers": queue.consumers,
        "paused_publishers": queue.paused_publishers,
        "pause_reason": queue.pause_reason.as_ref().map(ToString::to_string),
        "paused": queue.is_paused,
        "oldest_s": queue.oldest.map(seconds),
        "bytes": queue.bytes,
        "published": queue.published,
        "published_per_s": tenths(queue.publish_rate),
        "delivered": queue.delivered,
        "delivered_per_s": tenths(queue.deliver_rate),
        "returned": queue.returned,
        "dead": queue.dead,
        "dead_lettered": queue.dead_lettered,
        "expired": queue.expired,
        "rejected": queue.rejected,
        "dropped": queue.dropped,
    });
    add_hex(&mut row, "name_hex", &queue.name);
    if let Some(topics) = &queue.topics {
        add_hex(&mut row, "topics_hex", topics);
    }
    row
}

async fn peek(
    State(hub): State<Arc<Hub>>,
    Extension(answers): Extension<Arc<Answers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Response> {
    let query = query.as_deref();
    let name = name_of(query, "GET /queues/peek?name=NAME")?;
    let messages = number::<usize>(query, "limit")?.unwrap_or(MESSAGES).min(BrowseQuery::MAX_MESSAGES);
    let bytes = number::<usize>(query, "bytes")?.unwrap_or(BYTES).min(BrowseQuery::MAX_BYTES);
    let from = match parameter(query, "after") {
        None => Default::default(),
        Some(after) => {
            let position = std::str::from_utf8(&after).ok().and_then(|after| after.parse().ok());
            position.ok_or_else(|| bad("after must be the `next` of the page before"))?
        }
    };
    let _turn = answers.turn().await;
    if !answers.has_room() {
        return Err(answers.full());
    }
    let query = BrowseQuery { from, messages, bytes };
    let Some(Browse { messages, next }) = hub.browse(&name, &query) else { return Err(no_queue(&name)) };
    let messages: Vec<Value> = messages.iter().map(message).collect();
    let answer = json!({ "messages": messages, "next": next.map(|next| next.to_string()) });
    Ok(answers.json(answer.to_string().into_bytes()))
}

fn message(message: &Browsed) -> Value {
    let mut row = json!({
        "seq": message.seq,
        "length": message.length,
        "attempts": message.attempts,
        "redelivered": message.redelivered,
        "age_s": seconds(message.age),
        "postponed_s": message.postponed.map(seconds),
        "is_whole": message.body.len() == message.length && !message.is_cut,
    });
    match text_of(&message.body, message.body.len() < message.length) {
        Some(text) => row["body"] = text.into(),
        None => row["body_base64"] = STANDARD.encode(&message.body).into(),
    }
    if let Some(attributes) = &message.attributes {
        let headers = attributes.headers.iter().map(|(name, value)| json!([text_or(name), text_or(value)]));
        row["headers"] = headers.collect();
        row["priority"] = attributes.priority.min(9).into();
    }
    row
}

async fn purge(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    let name = name_of(query.as_deref(), "POST /queues/purge?name=NAME")?;
    // A topic may hold messages for its first subscriber.
    if Kind::of(&name) == Kind::Topic {
        return Err(no_queue(&name));
    }
    let Some(purged) = hub.purge(&name) else { return Err(no_queue(&name)) };
    let messages = plural(purged, "message");
    tracing::info!("purged {messages} of queue {}, asked for over HTTP", shown(&name));
    Ok(Json(json!({ "purged": purged })).into_response())
}

async fn move_messages(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    let query = query.as_deref();
    let name = name_of(query, "POST /queues/move?name=NAME&to=NAME")?;
    let to = parameter(query, "to").filter(|to| !to.is_empty());
    let most = number::<usize>(query, "limit")?.unwrap_or(usize::MAX);
    if to.is_none() && !is_dead(&name) {
        let text = format!(
            "where to? {} holds no dead letters, which alone know where they came from: name another queue to move to",
            shown(&name)
        );
        return Err(bad(&text));
    }
    match hub.move_messages(&name, to.as_deref(), most) {
        Some(Ok((order, end))) => {
            let target = to.as_deref().map_or_else(|| "their origins".to_owned(), shown);
            let moving = plural(order.messages, "message");
            tracing::warn!("moves {moving} of queue {} to {target}, asked for over HTTP", shown(&name));
            Ok(end_of_move(&name, order.messages, end, MOVE_FOR).await)
        }
        Some(Err(MoveError::NoQueue)) | None => Err(no_queue(&name)),
        // The target has ended with its connection, or by an UNSUBSCRIBE.
        Some(Err(error @ MoveError::Refused(Refusal::Ended | Refusal::NoDurable))) => {
            let text = format!("{}: {error}\n", shown(&to.unwrap_or_default()));
            Err((StatusCode::NOT_FOUND, text).into_response())
        }
        Some(Err(error @ (MoveError::Refused(_) | MoveError::Orders { .. }))) => {
            let text = format!("{}: {error}\n", shown(&to.unwrap_or_default()));
            Err((StatusCode::SERVICE_UNAVAILABLE, text).into_response())
        }
        Some(Err(error)) => Err(bad(&format!("{}: {error}", shown(&to.unwrap_or_default())))),
    }
}

/// The answer to an order of so many messages: its end, or that the broker goes on with it after this time.
async fn end_of_move(name: &[u8], messages: usize, end: Receiver<MoveEnd>, within: Duration) -> Response {
    match timeout(within, end).await {
        Ok(Ok(end)) => moved(name, &end),
        _ => (StatusCode::ACCEPTED, Json(json!({ "moving": messages }))).into_response(),
    }
}

fn moved(name: &[u8], end: &MoveEnd) -> Response {
    let reason = end.reason.as_deref().map(|(queue, reason)| {
        if queue.is_empty() { reason.to_string() } else { format!("{}: {reason}", shown(queue)) }
    });
    if let Some(reason) = &reason {
        let stayed = plural(end.stayed, "message");
        tracing::warn!("{stayed} of queue {} could not be moved: {reason}", shown(name));
    }
    Json(json!({ "moved": end.moved, "stayed": end.stayed, "reason": reason })).into_response()
}

async fn pause(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    set_paused(&hub, query.as_deref(), true)
}

async fn resume(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Response> {
    set_paused(&hub, query.as_deref(), false)
}

fn set_paused(hub: &Hub, query: Option<&str>, pauses: bool) -> Result<Response, Response> {
    let verb = if pauses { "pause" } else { "resume" };
    let name = name_of(query, &format!("POST /queues/{verb}?name=NAME"))?;
    if !hub.pause_queue(&name, pauses) {
        return Err(no_queue(&name));
    }
    if pauses {
        tracing::warn!("paused queue {}, asked for over HTTP", shown(&name));
    } else {
        tracing::info!("resumed queue {}, asked for over HTTP", shown(&name));
    }
    Ok(Json(json!({ "paused": pauses })).into_response())
}

fn no_queue(name: &[u8]) -> Response {
    let shown = shown(name);
    let text = if Kind::of(name) == Kind::Queue {
        format!("there is no queue {shown}: nothing waits there and nobody consumes it\n")
    } else {
        format!(
            "{shown} is a topic, which is published to all its subscribers: the name of a queue begins with /queue\n"
        )
    };
    (StatusCode::NOT_FOUND, text).into_response()
}

pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn browsed(body: &'static [u8], length: usize) -> Value {
        let (attributes, age, postponed) = (None, Duration::from_millis(1500), None);
        message(&Browsed {
            seq: 7,
            body: Bytes::from_static(body),
            length,
            attributes,
            is_cut: false,
            attempts: 1,
            redelivered: true,
            age,
            postponed,
        })
    }

    #[tokio::test]
    async fn an_answer_to_a_move_that_takes_longer_says_how_many_messages_are_being_moved() {
        let answer = async |moved: Option<usize>, within| {
            let (done, end) = tokio::sync::oneshot::channel();
            let mut waits = Some(done);
            if let Some(moved) = moved {
                let end = MoveEnd { moved, stayed: 1, reason: None };
                waits.take().map(|done| done.send(end)).expect("one end").expect("it is awaited");
            }
            let answer = end_of_move(b"/queue/a", 7, end, within).await;
            let status = answer.status();
            let body = axum::body::to_bytes(answer.into_body(), 1000).await.expect("a body");
            (status, serde_json::from_slice::<Value>(&body).expect("JSON"))
        };
        let none = Duration::from_millis(1);
        assert_eq!(answer(None, none).await, (StatusCode::ACCEPTED, json!({ "moving": 7 })));
        let ended = (StatusCode::OK, json!({ "moved": 6, "stayed": 1, "reason": null }));
        assert_eq!(answer(Some(6), MOVE_FOR).await, ended);
        // One that has ended is told so, however short the time.
        assert_eq!(answer(Some(6), Duration::ZERO).await, ended);
    }

    #[test]
    fn a_body_is_text_where_it_is_utf_8_and_base64_otherwise() {
        let text = browsed("h\u{e9}".as_bytes(), 3);
        assert_eq!((&text["body"], &text["is_whole"]), (&json!("h\u{e9}"), &json!(true)));
        let binary = browsed(b"\xff\x00", 2);
        assert_eq!((&binary["body_base64"], binary.get("body")), (&json!("/wA="), None));
        // Cut inside of a character.
        let cut = browsed(b"h\xc3", 3);
        assert_eq!((&cut["body"], &cut["is_whole"], &cut["length"]), (&json!("h"), &json!(false), &json!(3)));
        assert!(browsed(b"h\xc3", 2).get("body_base64").is_some());
        assert_eq!((&text["age_s"], &text["attempts"]), (&json!(1.5), &json!(1)));
    }
}
