use crate::Event;
use crate::mailbox::Mailbox;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What happens to a client's connections: a stream, or by [`Events::wait`] for a plain thread. It ends
/// with the client.
#[derive(Debug)]
pub struct Events(Arc<Mailbox<Event>>);

impl Events {
    pub(crate) fn new(mailbox: Arc<Mailbox<Event>>) -> Events {
        Events(mailbox)
    }

    fn missed(&self) -> Option<Event> {
        Some(self.0.missed()).filter(|count| *count > 0).map(Event::Missed)
    }

    /// The next event, in async code; `None` when the client has ended. To drop the future loses none.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next event, in a plain thread; `None` when the client has ended.
    ///
    /// # Panics
    ///
    /// As [`Subscription::wait`](crate::Subscription::wait).
    pub fn wait(&mut self) -> Option<Event> {
        self.missed().or_else(|| self.0.take().unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        match self.missed() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.0.poll_take(context),
        }
    }
}
