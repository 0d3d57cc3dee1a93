use crate::inbox::Inbox;
use crate::runner::in_callback;
use crate::{Client, Message};
use bytes::{Buf, Bytes};
use futures_core::Stream;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use switchboard_driver::Task;
use switchboard_wire::native::{Split, split};

/// The messages of a channel or a pattern. Three ways to take them:
///
/// - as a [`Stream`], or by `subscription.next().await`, on any executor;
/// - as a blocking iterator, `for message in subscription.iter()`, in a plain thread;
/// - by a callback, [`Subscription::on_message`].
///
/// It ends when the client is closed, or after [`Subscription::drain`].
///
/// A queue counts a message as delivered once it was sent. So when a subscription to a queue is dropped, the messages
/// that were sent to it and not taken are lost; [`Event::Discarded`](crate::Event::Discarded) tells how many. To lose
/// none, drain it and take the rest.
#[derive(Debug)]
pub struct Subscription {
    /// Frames that have arrived together.
    batch: Bytes,
    inbox: Arc<Inbox>,
    pattern: Bytes,
    /// A client lives as long as somebody listens.
    client: Client,
}

impl Subscription {
    pub(crate) fn new(client: Client, pattern: Bytes, inbox: Arc<Inbox>) -> Subscription {
        Subscription { batch: Bytes::new(), inbox, pattern, client }
    }

    /// What was subscribed to.
    #[must_use]
    pub fn pattern(&self) -> &Bytes {
        &self.pattern
    }

    /// The next message, in async code; `None` at the end. To drop the future loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next message, in a plain thread; `None` at the end.
    ///
    /// # Panics
    ///
    /// Where no message could ever come: in a callback of a client, and on the thread of a current-thread runtime that does
    /// the client's I/O ([`Error::CannotWait`](crate::Error::CannotWait)).
    pub fn wait(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.of_batch() {
                return Some(message);
            }
            self.batch = self.inbox.take().unwrap_or_else(|error| panic!("{error}"))?;
        }
    }

    /// The next message if it is here already.
    pub fn try_next(&mut self) -> Option<Message> {
        if self.batch.is_empty() {
            self.batch = self.inbox.try_take()?;
        }
        self.of_batch()
    }

    /// Asks the broker for no more messages. Those that it has sent can still be taken; then the subscription ends.
    /// What a queue has not sent yet goes to its other consumers.
    pub fn drain(&mut self) {
        self.inbox.drain();
    }

    /// Blocks for each message.
    ///
    /// # Panics
    ///
    /// Its `next` panics as [`Subscription::wait`] does.
    pub fn iter(&mut self) -> Iter<'_> {
        Iter(self)
    }

    /// Calls `f` with each message from now on, on the thread that does the client's I/O: all else on
    /// that thread waits while `f` runs. If it panics, the subscription ends.
    pub fn on_message(mut self, mut f: impl FnMut(Message) + Send + 'static) -> Callback {
        let shared = self.client.shared().clone();
        Callback(shared.spawn(async move {
            while let Some(message) = self.next().await {
                in_callback(|| f(message));
                // Sockets and other callbacks have their turn.
                if self.batch.is_empty() {
                    tokio::task::yield_now().await;
                }
            }
        }))
    }

    #[inline]
    fn of_batch(&mut self) -> Option<Message> {
        // Only whole frames come here.
        let Ok(Split::Frame { consumed, .. }) = split(&self.batch, usize::MAX) else { return None };
        let mut frame =
            if consumed == self.batch.len() { mem::take(&mut self.batch) } else { self.batch.split_to(consumed) };
        frame.advance(switchboard_wire::native::PREFIX);
        Some(Message::new(frame))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.inbox.leave(&self.batch);
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            if let Some(message) = self.of_batch() {
                return Poll::Ready(Some(message));
            }
            match self.inbox.poll_take(context) {
                Poll::Ready(Some(batch)) => self.batch = batch,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A blocking iterator over a subscription's messages.
#[derive(Debug)]
pub struct Iter<'a>(&'a mut Subscription);

impl Iterator for Iter<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.0.wait()
    }
}

/// A subscription whose messages go to a callback. It goes on when this is dropped.
#[derive(Debug)]
pub struct Callback(Task<()>);

impl Callback {
    /// Unsubscribes. A call that has begun is finished.
    pub fn stop(self) {
        self.0.abort();
    }

    /// Returns true if nothing more will be called: the client was closed, or the callback has panicked.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.is_ended()
    }
}
