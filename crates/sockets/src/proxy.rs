use crate::types::{LONGEST_PREFIX, subscription};
use crate::wait::block_on;
use crate::{Error, XPub, XSub};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Passes messages on from publishers to subscribers, and subscriptions the other way: publishers connect to `from`,
/// subscribers to `to`. Await it on any executor, or [`Proxy::wait`] in a plain thread; it ends when the runtime of a socket does.
///
/// With `verbose` on `to`, repeated subscriptions are passed on, too.
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
        while let Poll::Ready(message) = pin!(from.recv()).poll(context) {
            match to.try_send(message?) {
                // `from` may have greater limits than `to`.
                Ok(()) | Err(Error::MessageTooLong { .. } | Error::Parts { .. }) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        while let Poll::Ready(change) = pin!(to.recv()).poll(context) {
            let change = change?;
            let (begins, prefix) = subscription(&change)?;
            // Subscriptions of a peer with a greater limit are not passed on.
            if prefix.len() <= LONGEST_PREFIX {
                from.core.subscriptions.pass_on(begins, prefix);
            }
        }
        Poll::Pending
    }
}
