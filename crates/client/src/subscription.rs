use crate::completion::Completion;
use crate::inbox::{Chunk, Inbox};
use crate::runner::in_callback;
use crate::stomp::{Acks, Subscribing};
use crate::subscribe::AckMode;
use crate::{Client, Message};
use bytes::{Buf, Bytes};
use futures_core::Stream;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
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
/// With [`Subscribe::manual`](crate::Subscribe::manual) each message is to be acked. When the subscription is dropped, what
/// was not acked goes back: keep it for as long as its messages are worked on.
///
/// Without acks, a queue counts a message as delivered once it was sent. So when a subscription to a queue is dropped, the messages
/// that were sent to it and not taken are lost; [`Event::Discarded`](crate::Event::Discarded) tells how many. To lose
/// none, drain it and take the rest.
#[derive(Debug)]
pub struct Subscription {
    batch: Chunk,
    inbox: Arc<Inbox>,
    of: Arc<Subscribing>,
    acks: Arc<Acks>,
    /// A client lives as long as somebody listens.
    client: Client,
}

impl Subscription {
    pub(crate) fn new(client: Client, of: Arc<Subscribing>, acks: Arc<Acks>, inbox: Arc<Inbox>) -> Subscription {
        Subscription { batch: Chunk::default(), inbox, of, acks, client }
    }

    /// The subscribed pattern.
    #[must_use]
    pub fn pattern(&self) -> &Bytes {
        &self.of.destination
    }

    /// The next message, in async code; `None` at the end. To drop the future loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next message, in a plain thread; `None` at the end.
    ///
    /// # Panics
    ///
    /// If no message can ever come: in a callback of a client, and on the thread of a current-thread runtime that does
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
        loop {
            if let Some(message) = self.of_batch() {
                return Some(message);
            }
            self.batch = self.inbox.try_take()?;
        }
    }

    /// Asks the broker for no more messages. Those that it has sent can still be taken; then the subscription ends.
    /// Unsent messages of a queue go to its other consumers.
    ///
    /// With [`Subscribe::manual`](crate::Subscribe::manual) no further message is given out: those that the program has not
    /// taken go back. The subscription ends once each message that it has taken is settled or dropped (or `timeout` is
    /// over), and the broker has dealt with that.
    pub fn drain(&mut self) {
        if self.of.how.ack == AckMode::Manual {
            self.acks.drain();
        }
        self.inbox.drain();
    }

    /// Completes when the broker has dealt with every ack, nack and reject of this subscription so far. At once if there was
    /// none.
    ///
    /// # Errors
    ///
    /// [`Error::Unsettled`](crate::Error::Unsettled) if a connection has broken since the last flush with acks on it that the
    /// broker had not confirmed; [`Error::TimedOut`](crate::Error::TimedOut), [`Error::Closed`](crate::Error::Closed).
    pub fn flush(&self) -> Completion<()> {
        self.acks.flush(Instant::now())
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
        let frames = match &mut self.batch {
            Chunk::Native(frames) => frames,
            Chunk::Stomp(messages) => {
                let version = self.client.shared().dial.version()?;
                if self.of.how.ack == AckMode::Auto {
                    return Some(Message::of_stomp(messages.pop_front()?, version, None));
                }
                loop {
                    let message = messages.pop_front()?;
                    // One of a connection that has ended comes again.
                    if self.acks.take(message.connection) {
                        return Some(Message::of_stomp(message, version, Some(self.acks.clone())));
                    }
                }
            }
        };
        // Only whole frames come here.
        let Ok(Split::Frame { consumed, .. }) = split(frames, usize::MAX) else { return None };
        let mut frame = if consumed == frames.len() { mem::take(frames) } else { frames.split_to(consumed) };
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
