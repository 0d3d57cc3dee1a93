//! A sending socket as a `Sink`.

use crate::core::Core;
use crate::flush::FlushState;
use crate::send::{Waiting, accept, check};
use crate::socket::Closing;
use crate::{Error, Message};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The state of a socket between the calls of a `Sink`.
#[derive(Debug)]
pub(crate) struct SinkState {
    core: Arc<Core>,
    /// A message that found no room.
    buffered: Option<Message>,
    waiting: Waiting,
    flush: Option<FlushState>,
    closing: Option<Closing>,
}

impl SinkState {
    pub(crate) fn new(core: Arc<Core>) -> SinkState {
        SinkState { core, buffered: None, waiting: Waiting::default(), flush: None, closing: None }
    }

    pub(crate) fn poll_ready(&mut self, context: &Context<'_>) -> Poll<Result<(), Error>> {
        self.core.is_awaited();
        let Some(message) = &self.buffered else { return Poll::Ready(Ok(())) };
        match accept(&self.core, message, &mut self.waiting, Some(context)) {
            Err(Error::WouldBlock) => Poll::Pending,
            result => {
                self.buffered = None;
                self.waiting = Waiting::default();
                Poll::Ready(result)
            }
        }
    }

    pub(crate) fn start_send(&mut self, message: Message) -> Result<(), Error> {
        check(&self.core.options, &message)?;
        assert!(self.buffered.is_none(), "start_send is called after poll_ready has said that there is room");
        self.flush = None;
        match accept(&self.core, &message, &mut self.waiting, None) {
            Err(Error::WouldBlock) => {
                self.buffered = Some(message);
                Ok(())
            }
            result => result,
        }
    }

    pub(crate) fn poll_flush(&mut self, context: &Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_ready(context))?;
        let core = &self.core;
        let result = ready!(self.flush.get_or_insert_with(|| FlushState::new(core)).poll(core, context));
        self.flush = None;
        Poll::Ready(result)
    }

    pub(crate) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_ready(context))?;
        let core = &self.core;
        let closing = self.closing.get_or_insert_with(|| Closing::new(core.clone()));
        Pin::new(closing).poll(context)
    }
}

impl Drop for SinkState {
    fn drop(&mut self) {
        self.waiting.leave(&self.core);
        if let Some(flush) = &mut self.flush {
            flush.leave(&self.core);
        }
        if self.buffered.is_some() {
            self.core.outbox().count_dropped(1);
        }
    }
}

macro_rules! sink {
    ($($name:ty),*) => {$(
        /// `send` of a `Sink` returns when the message waits for a peer, `flush` when all messages are written to the connections, `close`
        /// when the socket is closed. A message that was not flushed when the socket is dropped may be lost, which
        /// [`dropped`](crate::Socket::dropped) counts.
        impl<M: Into<$crate::Message>> futures_sink::Sink<M> for $name {
            type Error = $crate::Error;

            fn poll_ready(
                mut self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), $crate::Error>> {
                self.sink.poll_ready(context)
            }

            fn start_send(mut self: std::pin::Pin<&mut Self>, message: M) -> Result<(), $crate::Error> {
                self.sink.start_send(message.into())
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), $crate::Error>> {
                self.sink.poll_flush(context)
            }

            fn poll_close(
                mut self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), $crate::Error>> {
                self.sink.poll_close(context)
            }
        }
    )*};
}

pub(crate) use sink;
