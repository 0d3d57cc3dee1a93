use crate::Payload;
use crate::core::Core;
use crate::wait::block_on;
use crate::{Error, Options};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use switchboard_wire::zmtp::SocketType;

/// A message that is being sent: to be awaited on any executor, or waited for in a plain thread. Until then nothing happens. If it is
/// dropped before it is ready, the message is not sent.
#[must_use = "nothing is sent unless it is awaited or waited for"]
#[derive(Debug)]
pub struct Sending<'a, M> {
    core: &'a Core,
    message: M,
    waiting: Waiting,
    /// It is waited for in a plain thread.
    blocking: bool,
}

/// The progress of a send that was not accepted at once.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Its key among those who wait for room.
    key: Option<usize>,
    /// It has let others run.
    yielded: bool,
    /// So much was accepted since a sender let others run that this one should.
    should_yield: bool,
}

impl Waiting {
    pub(crate) fn leave(&mut self, core: &Core) {
        if self.key.is_some() {
            core.outbox().waiters.leave(&mut self.key);
        }
    }
}

/// After so many messages without a wait an async sender lets others run: its own I/O may be on the same thread.
const RUN: u64 = 128;
/// Every sender does so after so many bytes. A publisher that outruns its I/O on a busy machine fills fresh memory, and page faults
/// then take most of the time of both.
const RUN_BYTES: usize = 256 << 10;
/// Time that a sender in a plain thread then leaves to its I/O where that is far behind, at most: on a machine with a processor for
/// each of them, letting others run takes no time.
const CATCH_UP: Duration = Duration::from_micros(300);

impl<'a, M: Payload> Sending<'a, M> {
    pub(crate) fn new(core: &'a Core, message: M) -> Sending<'a, M> {
        Sending { core, message, waiting: Waiting::default(), blocking: false }
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
            Err(Error::WouldBlock) => self.block(None).expect("there is no deadline"),
            result => {
                self.yield_now_and_then();
                result
            }
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
                self.block(Instant::now().checked_add(time)).unwrap_or(Err(Error::TimedOut(time)))
            }
            result => {
                self.yield_now_and_then();
                result
            }
        }
    }

    #[inline]
    fn yield_now_and_then(&self) {
        if !self.waiting.should_yield {
            return;
        }
        std::thread::yield_now();
        let begun = Instant::now();
        while self.core.outbox().is_outrun() && begun.elapsed() < CATCH_UP {
            std::thread::yield_now();
        }
    }

    fn block(mut self, deadline: Option<Instant>) -> Option<Result<(), Error>> {
        self.blocking = true;
        block_on(self, deadline)
    }

    #[inline]
    pub(crate) fn attempt(&mut self) -> Result<(), Error> {
        check(&self.core.options, &self.message)?;
        accept(self.core, &self.message, &mut self.waiting, None)
    }
}

/// Hands a message to the outbox, or waits for room there. With a context it is async code that sends.
#[inline]
pub(crate) fn accept<M: Payload>(
    core: &Core,
    message: &M,
    waiting: &mut Waiting,
    context: Option<&Context<'_>>,
) -> Result<(), Error> {
    let Waiting { key, yielded, should_yield } = waiting;
    let mut runs_again = None;
    let result = core.with_outbox(|outbox, wakes| {
        // Before the message is accepted, or a caller that gives up now could not know whether it was.
        if let Some(context) = context
            && !*yielded
            && (outbox.accepted() % RUN == RUN - 1 || outbox.run_bytes >= RUN_BYTES)
        {
            outbox.run_bytes = 0;
            *yielded = true;
            runs_again = Some(context.waker());
            return Err(Error::WouldBlock);
        }
        if core.kind == SocketType::Push {
            if !outbox.dispatch(message, wakes) {
                if outbox.ended {
                    return Err(Error::Ended);
                }
                if let Some(context) = context {
                    outbox.waiters.wait(key, context.waker());
                }
                return Err(Error::WouldBlock);
            }
        } else {
            outbox.publish(message, wakes);
        }
        outbox.waiters.leave(key);
        *should_yield = outbox.run_bytes >= RUN_BYTES;
        if *should_yield && context.is_none() {
            outbox.run_bytes = 0;
        }
        Ok(())
    });
    if let Some(waker) = runs_again {
        waker.wake_by_ref();
    }
    result
}

pub(crate) fn check(options: &Options, message: &impl Payload) -> Result<(), Error> {
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
        let Sending { core, message, waiting, blocking } = &mut *self;
        if !*blocking {
            core.is_awaited();
        }
        if waiting.key.is_none()
            && let Err(error) = check(&core.options, message)
        {
            return Poll::Ready(Err(error));
        }
        match accept(core, message, waiting, Some(context)) {
            Err(Error::WouldBlock) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }
}

impl<M> Drop for Sending<'_, M> {
    fn drop(&mut self) {
        self.waiting.leave(self.core);
    }
}
