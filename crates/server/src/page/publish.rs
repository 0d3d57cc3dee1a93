//! `POST /page/publish?name=NAME`: publishes the request's body, as a client does: of STOMP to a queue, which may reject it, else of
//! the native protocol, which has any name.

use crate::connector::Connector;
use crate::http::parameters::{bad, parameter};
use crate::hub::Hub;
use crate::native::NULL;
use crate::stomp::is_stomp_queue;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{ECHO, Kind};
use switchboard_wire::native::encode;
use switchboard_wire::stomp::{Decoder, Found, FrameWriter, Limits, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Time limit for the broker: a channel at its limit pauses its publishers.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn publish(
    State(hub): State<Arc<Hub>>,
    Extension(connector): Extension<Connector>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, Response> {
    let name = parameter(query.as_deref(), "name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| bad("which channel? POST /page/publish?name=NAME"))?;
    let limits = hub.limits();
    if name == ECHO || name == NULL {
        return Err(bad("nothing can be published to this name: it has a meaning in the native protocol"));
    }
    if name.len() > limits.channel_name {
        return Err(bad(&format!("the name has {} bytes; at most {} are allowed", name.len(), limits.channel_name)));
    }
    if body.len() > limits.message {
        let text = format!("the message has {} bytes; at most {} are allowed", body.len(), limits.message);
        return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("{text}\n")).into_response());
    }
    let sending = async {
        if is_stomp_queue(&name) {
            return send_to_queue(&connector, &name, &body).await;
        }
        send(&connector, &name, &body).await.map(|()| None)
    };
    match timeout(TIMEOUT, sending).await {
        Ok(Ok(Some(refusal))) => {
            let text = format!("the broker has not taken the message: {refusal}\n");
            Err((StatusCode::SERVICE_UNAVAILABLE, text).into_response())
        }
        Ok(Ok(None)) => Ok(Json(outcome(&hub, &name)).into_response()),
        Ok(Err(error)) => {
            let text = format!("the broker has not taken the message: {error}; its log has the reason\n");
            Err((StatusCode::SERVICE_UNAVAILABLE, text).into_response())
        }
        Err(_) => {
            let text = "the channel or the memory is at its limit: the message waits for room, and is published when there is some\n";
            Err((StatusCode::SERVICE_UNAVAILABLE, text).into_response())
        }
    }
}

/// The subscribers of the channel as it is right behind the message, and whether a topic had none, nor a buffer.
fn outcome(hub: &Hub, name: &[u8]) -> Value {
    let channel = hub.channel(name).map(|(channel, _)| channel);
    let subscribers = channel.as_ref().map_or(0, |channel| channel.subscribers);
    let is_kept = channel.is_some_and(|channel| channel.subscribers > 0 || channel.depth > 0);
    json!({ "published": 1, "subscribers": subscribers, "dropped": !is_kept && Kind::of(name) == Kind::Topic })
}

/// Returns when the message was carried out: the echo comes behind it.
async fn send(connector: &Connector, name: &[u8], body: &[u8]) -> io::Result<()> {
    let mut pipe = connector.connect().await?;
    let mut frames = Vec::new();
    [NULL, name, body, ECHO, b""].iter().for_each(|frame| encode(frame, &mut frames));
    pipe.write_all(&frames).await?;
    // An empty frame is the echo; its end would be an error.
    pipe.read_exact(&mut [0; 4]).await.map(drop)
}

/// Returns when the message was carried out, with the broker's words if it was not taken: its receipt or ERROR comes behind it.
async fn send_to_queue(connector: &Connector, name: &[u8], body: &[u8]) -> io::Result<Option<String>> {
    const VERSION: Version = Version::V1_2;
    let mut pipe = connector.connect().await?;
    let mut frames = Vec::new();
    FrameWriter::new(b"CONNECT", VERSION, &mut frames).header(b"accept-version", b"1.2").header(b"host", b"/").end();
    FrameWriter::new(b"SEND", VERSION, &mut frames).header(b"destination", name).header(b"receipt", b"0").body(body);
    pipe.write_all(&frames).await?;
    let (mut decoder, mut input, mut begin) = (Decoder::new(Limits::default()), Vec::new(), 0);
    decoder.set_version(VERSION);
    loop {
        match decoder.next(&input[begin..]) {
            Ok(Found::Frame { frame, length }) => {
                match frame.command {
                    b"RECEIPT" => return Ok(None),
                    b"ERROR" => return Ok(Some(String::from_utf8_lossy(frame.body).trim_end().to_owned())),
                    _ => {}
                }
                begin += length;
                continue;
            }
            Ok(Found::Need { skip, .. }) => begin += skip,
            Err(error) => return Err(io::Error::other(error)),
        }
        if pipe.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
