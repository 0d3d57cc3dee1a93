use crate::core::Core;
use crate::payload::sealed::Payload;
use crate::wait::block_on;
use crate::{Error, Options};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use switchboard_wire::zmtp::SocketType;

/// A message that is being sent: to be awaited on any executor, or waited for in a plain thread. Nothing happens before
/// that. If it is dropped before it is ready, the message is not sent.
#[must_use = "nothing is sent unless it is awaited or waited for"]
#[derive(Debug)]
pub struct Sending<'a, M> {
    core: &'a Core,
    message: M,
    waiting: Option<usize>,
    /// Whether others have had their turn.
    let_others: bool,
}

/// After so many messages without a wait an async sender lets others run: its own I/O, perhaps, on the same thread.
const RUN: u64 = 128;

impl<'a, M: Payload> Sending<'a, M> {
    pub(crate) fn new(core: &'a Core, message: M) -> Sending<'a, M> {
        Sending { core, message, waiting: None, let_others: false }
    }

    /// Blocks until the message is accepted. Not for async code: there it would block the executor, and for ever if the
    /// socket's I/O runs on the same thread.
    ///
    /// # Errors
    ///
    /// [`Error::MessageTooLong`], [`Error::Parts`], [`Error::Ended`].
    #[inline]
    pub fn wait(mut self) -> Result<(), Error> {
        match self.attempt() {
            Err(Error::WouldBlock) => block_on(self, None).expect("there is no deadline"),
            result => result,
        }
    }

    /// Blocks until the message is accepted, but no longer than `time`.
    ///
    /// # Errors
    ///
    /// As [`Sending::wait`], or [`Error::TimedOut`]: the message is not sent.
    pub fn wait_timeout(mut self, time: Duration) -> Result<(), Error> {
        match self.attempt() {
            Err(Error::WouldBlock) => {
                block_on(self, Instant::now().checked_add(time)).unwrap_or(Err(Error::TimedOut(time)))
            }
            result => result,
        }
    }

    #[inline]
    pub(crate) fn attempt(&mut self) -> Result<(), Error> {
        check(&self.core.options, &self.message)?;
        self.accept(None)
    }

    #[inline]
    fn accept(&mut self, context: Option<&Context<'_>>) -> Result<(), Error> {
        let Sending { core, message, waiting, let_others } = self;
        let mut turn = None;
        let result = core.with_outbox(|outbox, wakes| {
            // Before the message is accepted, or who gives up now could not know whether it was.
            if let Some(context) = context
                && !*let_others
                && outbox.accepted() % RUN == RUN - 1
            {
                *let_others = true;
                turn = Some(context.waker());
                return Err(Error::WouldBlock);
            }
            if core.kind == SocketType::Push {
                if !outbox.deal(message, wakes) {
                    if outbox.ended {
                        return Err(Error::Ended);
                    }
                    if let Some(context) = context {
                        outbox.waiters.wait(waiting, context.waker());
                    }
                    return Err(Error::WouldBlock);
                }
            } else {
                outbox.publish(message, wakes);
            }
            outbox.waiters.leave(waiting);
            Ok(())
        });
        if let Some(waker) = turn {
            waker.wake_by_ref();
        }
        result
    }
}

fn check(options: &Options, message: &impl Payload) -> Result<(), Error> {
    let parts = message.parts();
    if parts == 1 {
        let length = message.part(0).len();
        if length > options.max_message {
            return Err(Error::MessageTooLong { length, limit: options.max_message });
        }
        return Ok(());
    }
    if parts == 0 || parts > options.max_parts {
        return Err(Error::Parts { parts, limit: options.max_parts });
    }
    let length = (0..parts).fold(0usize, |sum, number| sum.saturating_add(message.part(number).len()));
    if length > options.max_message {
        return Err(Error::MessageTooLong { length, limit: options.max_message });
    }
    Ok(())
}

// Nothing in it is ever pinned.
impl<M> Unpin for Sending<'_, M> {}

impl<M: Payload> Future for Sending<'_, M> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waiting.is_none()
            && let Err(error) = check(&self.core.options, &self.message)
        {
            return Poll::Ready(Err(error));
        }
        match self.accept(Some(context)) {
            Err(Error::WouldBlock) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }
}

impl<M> Drop for Sending<'_, M> {
    fn drop(&mut self) {
        if self.waiting.is_some() {
            self.core.outbox().waiters.leave(&mut self.waiting);
        }
    }
}
