use crate::core::Core;
use crate::inbox::Receiver;
use crate::wait::block_on;
use crate::{Error, Message};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A message that is being received: to be awaited on any executor, or waited for in a plain thread. If it is dropped before
/// it is ready, no message is lost.
#[must_use = "nothing is received unless it is awaited or waited for"]
#[derive(Debug)]
pub struct Receiving<'a> {
    core: &'a Core,
    receiver: &'a mut Receiver,
    /// It is waited for in a plain thread.
    blocking: bool,
}

impl<'a> Receiving<'a> {
    pub(crate) fn new(core: &'a Core, receiver: &'a mut Receiver) -> Receiving<'a> {
        Receiving { core, receiver, blocking: false }
    }

    /// Blocks until there is a message. Not for async code: there it would block the executor, and for ever if the
    /// socket's I/O runs on the same thread.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`].
    #[inline]
    pub fn wait(self) -> Result<Message, Error> {
        match self.now() {
            Ok(message) => Ok(message),
            Err(receiving) => block_on(receiving, None).expect("there is no deadline"),
        }
    }

    /// Blocks until there is a message, but no longer than `time`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Ended`].
    pub fn wait_timeout(self, time: Duration) -> Result<Message, Error> {
        match self.now() {
            Ok(message) => Ok(message),
            Err(receiving) => {
                block_on(receiving, Instant::now().checked_add(time)).unwrap_or(Err(Error::TimedOut(time)))
            }
        }
    }

    #[inline]
    fn now(self) -> Result<Message, Self> {
        match self.receiver.take(&self.core.inbox, &self.core.subscriptions) {
            Some(message) => Ok(message),
            None => Err(Receiving { blocking: true, ..self }),
        }
    }
}

impl Future for Receiving<'_> {
    type Output = Result<Message, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Receiving { core, receiver, blocking } = &mut *self;
        if !*blocking {
            core.is_awaited();
        }
        receiver.poll(&core.inbox, &core.subscriptions, context)
    }
}
