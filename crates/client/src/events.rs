use crate::Event;
use crate::runner::Runner;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use switchboard_driver::{Delivery, Mailbox};

/// Events of a client's connections: a stream, or by [`Events::wait`] for a plain thread. It ends
/// with the client.
#[derive(Debug)]
pub struct Events {
    mailbox: Mailbox<Event>,
    runner: Arc<Runner>,
}

impl Events {
    pub(crate) fn new(mailbox: Mailbox<Event>, runner: Arc<Runner>) -> Events {
        Events { mailbox, runner }
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
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let context = Context::from_waker(&waker);
        let delivery = self.runner.block(|may_block| match self.mailbox.poll_next(&context) {
            Poll::Ready(delivery) => Some(delivery),
            Poll::Pending => {
                if may_block {
                    thread::park();
                }
                None
            }
        });
        delivery.unwrap_or_else(|error| panic!("{error}")).map(event)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn event(delivery: Delivery<Event>) -> Event {
    match delivery {
        Delivery::Event(event) => event,
        Delivery::Missed(count) => Event::Missed(count),
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.mailbox.poll_next(context).map(|delivery| delivery.map(event))
    }
}
