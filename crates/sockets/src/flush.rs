use crate::Error;
use crate::core::Core;
use crate::outbox::FlushTarget;
use crate::wait::block_on;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A flush: to be awaited on any executor, or waited for in a plain thread. It covers what was accepted before it was made.
#[must_use = "a flush does nothing unless it is awaited or waited for"]
#[derive(Debug)]
pub struct Flushing<'a> {
    core: &'a Core,
    state: FlushState,
}

/// A flush without its socket.
#[derive(Debug)]
pub(crate) struct FlushState {
    target: FlushTarget,
    waiting: Option<usize>,
}

impl FlushState {
    pub(crate) fn new(core: &Core) -> FlushState {
        FlushState { target: core.outbox().flush_target(), waiting: None }
    }

    pub(crate) fn poll(&mut self, core: &Core, context: &Context<'_>) -> Poll<Result<(), Error>> {
        let mut outbox = core.outbox();
        let result = if outbox.is_flushed(&mut self.target) {
            Ok(())
        } else if outbox.ended {
            Err(Error::Ended)
        } else {
            outbox.flushers.wait(&mut self.waiting, context.waker());
            return Poll::Pending;
        };
        outbox.flushers.leave(&mut self.waiting);
        Poll::Ready(result)
    }

    pub(crate) fn leave(&mut self, core: &Core) {
        if self.waiting.is_some() {
            core.outbox().flushers.leave(&mut self.waiting);
        }
    }
}

impl<'a> Flushing<'a> {
    pub(crate) fn new(core: &'a Core) -> Flushing<'a> {
        Flushing { core, state: FlushState::new(core) }
    }

    /// Blocks until everything is written.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`].
    pub fn wait(self) -> Result<(), Error> {
        block_on(self, None).expect("there is no deadline")
    }

    /// Blocks until everything is written, but no longer than `time`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Ended`].
    pub fn wait_timeout(self, time: Duration) -> Result<(), Error> {
        block_on(self, Instant::now().checked_add(time)).unwrap_or(Err(Error::TimedOut(time)))
    }
}

impl Future for Flushing<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Flushing { core, state } = &mut *self;
        state.poll(core, context)
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.state.leave(self.core);
    }
}
