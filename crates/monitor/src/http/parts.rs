//! Bodies that are written as they come to be.

use crate::hub::Hub;
use axum::body::Body;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_web::parts_body;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Limits of one turn: the bytes that are read, or the time that has passed.
const PIECE: usize = 64 << 10;
const TURN: Duration = Duration::from_millis(50);

/// A body that is read from the history, on threads that may block, a piece whenever it is its turn: `work` appends
/// a little more of it, and returns whether there is more. While a client does not read, it holds one piece, and
/// nobody's turn.
pub(super) fn read(hub: Arc<Hub>, mut work: impl FnMut(&Hub, &mut Vec<u8>) -> bool + Send + 'static) -> Body {
    let (parts, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut has_more = true;
        while has_more && !parts.is_closed() {
            let Ok(permit) = hub.readers.acquire().await else { return };
            let reader = hub.clone();
            let read = spawn_blocking(move || {
                let (mut text, begun, mut has_more) = (Vec::new(), Instant::now(), true);
                while has_more && text.len() < PIECE && begun.elapsed() < TURN {
                    has_more = work(&reader, &mut text);
                }
                (work, text, has_more)
            });
            let read = read.await;
            drop(permit);
            let part = match read {
                Ok((rest, text, more)) => {
                    (work, has_more) = (rest, more);
                    Ok(text.into())
                }
                Err(error) => {
                    tracing::error!("cannot read the history: {error}");
                    let _ = parts.send(Err(io::Error::other(error))).await;
                    return;
                }
            };
            if part.as_ref().is_ok_and(|text: &Bytes| !text.is_empty()) && parts.send(part).await.is_err() {
                return;
            }
        }
    });
    parts_body(receiver)
}
