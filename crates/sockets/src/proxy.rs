use crate::wait::block_on;
use crate::{Error, XPub, XSub};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Passes messages on from publishers to subscribers, and subscriptions the other way: publishers connect to `from`,
/// subscribers to `to`. Await it on any executor, or [`Proxy::wait`] in a plain thread; it ends when a socket does.
pub fn proxy<'a>(from: &'a mut XSub, to: &'a mut XPub) -> Proxy<'a> {
    Proxy { from, to }
}

/// See [`proxy`].
#[must_use = "nothing is passed on unless it is awaited or waited for"]
#[derive(Debug)]
pub struct Proxy<'a> {
    from: &'a mut XSub,
    to: &'a mut XPub,
}

impl Proxy<'_> {
    /// Blocks, for as long as the sockets live.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`].
    pub fn wait(self) -> Result<(), Error> {
        block_on(self, None).expect("there is no deadline")
    }
}

impl Future for Proxy<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Proxy { from, to } = &mut *self;
        loop {
            let message = pin!(from.recv()).poll(context);
            if let Poll::Ready(message) = message {
                to.send(message?).attempt()?;
            } else {
                break;
            }
        }
        loop {
            match pin!(to.recv()).poll(context) {
                Poll::Ready(subscription) => match from.send(&subscription?) {
                    // Subscriptions of a peer with a greater limit are not passed on.
                    Ok(()) | Err(Error::MessageTooLong { .. }) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
