//! Waiting, in both ways.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::shared::{Role, Shared, TryError};
use crate::sync::{current, park, park_timeout, yield_now};
use crate::wait_queue::{Waiter, Wake};

/// The queue is shut down.
pub(crate) struct Closed;

/// Why a thread's wait ended without success.
pub(crate) enum WaitError {
    Closed,
    TimedOut,
}

/// Tries until `attempt` succeeds or the queue is closed. Dropping the future gives the waiter up.
pub(crate) fn poll<T, R>(
    shared: &Shared<T>,
    role: Role,
    waiter: &mut Waiter,
    cx: &mut Context<'_>,
    mut attempt: impl FnMut() -> Result<R, TryError>,
) -> Poll<Result<R, Closed>> {
    let wake = || Wake::Task(cx.waker().clone());
    if waiter.is_entered() && !shared.poll_notified(role, waiter, wake()) {
        return Poll::Pending;
    }
    loop {
        match attempt() {
            Err(TryError::WouldBlock) => shared.enter(role, waiter, wake()),
            Err(TryError::Closed) => return Poll::Ready(Err(Closed)),
            Ok(result) => return Poll::Ready(Ok(result)),
        }
        if waiter.is_entered() {
            return Poll::Pending;
        }
    }
}

/// Awaits the success of an attempt.
pub(crate) struct Until<'a, T, A> {
    pub(crate) shared: &'a Shared<T>,
    pub(crate) role: Role,
    pub(crate) attempt: A,
    pub(crate) waiter: Waiter,
}

impl<T, R, A: FnMut() -> Result<R, TryError> + Unpin> Future for Until<'_, T, A> {
    type Output = Result<R, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, role, attempt, waiter } = self.get_mut();
        poll(shared, *role, waiter, cx, attempt)
    }
}

impl<T, A> Drop for Until<'_, T, A> {
    fn drop(&mut self) {
        self.shared.give_up(self.role, &mut self.waiter);
    }
}

/// Blocks the thread until `attempt` succeeds, or never will, or it is too late.
pub(crate) fn block<T, R>(
    shared: &Shared<T>,
    role: Role,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Result<R, TryError>,
) -> Result<R, WaitError> {
    let mut waiter = Waiter::default();
    loop {
        match attempt() {
            Err(TryError::WouldBlock) => shared.enter(role, &mut waiter, Wake::Thread(current())),
            Err(TryError::Closed) => return Err(WaitError::Closed),
            Ok(result) => return Ok(result),
        }
        while waiter.is_entered() {
            if !park_until(deadline) {
                shared.give_up(role, &mut waiter);
                return Err(WaitError::TimedOut);
            }
            // The notifier may have more items, and may have lost its core to this thread: a wake-up for each item would
            // slow both down.
            yield_now();
            // A stray unpark may wake this thread, too: only a notification counts.
            shared.poll_notified(role, &mut waiter, Wake::Thread(current()));
        }
    }
}

/// Before a thread gets: lets others run once where that makes one trip for many items out of one for each.
#[inline]
pub(crate) fn yield_to_producers<T>(shared: &Shared<T>) {
    if shared.should_yield() {
        yield_now();
    }
}

/// Parks, unless it is too late.
fn park_until(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        park();
        return true;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        park_timeout(left);
    }
    !left.is_zero()
}
