//! Bodies that are written as they come to be.

use crate::hub::Hub;
use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// What a task sends, as a body. An error cuts it short, and the connection with it: half an answer must not
/// look like a whole one.
pub(super) struct Parts(mpsc::Receiver<Result<Bytes, io::Error>>);

/// Where a reader of the history writes to.
pub(super) struct Sender(mpsc::Sender<Result<Bytes, io::Error>>);

impl Sender {
    /// An error if nobody reads any more.
    pub(super) fn blocking_send(&self, part: Bytes) -> Result<(), ()> {
        self.0.blocking_send(Ok(part)).map_err(|_| ())
    }
}

impl Parts {
    /// A body of what comes here.
    pub(super) fn body(receiver: mpsc::Receiver<Result<Bytes, io::Error>>) -> Body {
        Body::from_stream(Parts(receiver))
    }

    /// A body that is read from the history, on a thread that may block, when it is its turn.
    pub(super) fn read(hub: Arc<Hub>, work: impl FnOnce(&Hub, &Sender) -> io::Result<()> + Send + 'static) -> Body {
        let (parts, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let Ok(_permit) = hub.readers.acquire().await else { return };
            let reader = hub.clone();
            let read = spawn_blocking(move || {
                if let Err(error) = work(&reader, &Sender(parts.clone())) {
                    tracing::error!("cannot read the history: {error}");
                    let _ = parts.blocking_send(Err(error));
                }
            });
            let _ = read.await;
        });
        Parts::body(receiver)
    }
}

impl Stream for Parts {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
