//! Waiting, in both ways.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::crowd::{Place, Wake};
use crate::shared::{NotNow, Role, Shared};
use crate::sync::{current, park, park_timeout, yield_now};

/// The queue is shut down.
pub(crate) struct Never;

/// Why a thread's wait ended without success.
pub(crate) enum NotInTime {
    Never,
    TimedOut,
}

/// Tries until `attempt` succeeds or never will. Whoever stops polling gives the place up.
pub(crate) fn poll<T, R>(
    shared: &Shared<T>,
    role: Role,
    place: &mut Place,
    cx: &mut Context<'_>,
    mut attempt: impl FnMut() -> Result<R, NotNow>,
) -> Poll<Result<R, Never>> {
    let wake = || Wake::Task(cx.waker().clone());
    if place.is_entered() && !shared.come_back(role, place, wake()) {
        return Poll::Pending;
    }
    loop {
        match attempt() {
            Err(NotNow::Later) => shared.enter(role, place, wake()),
            Err(NotNow::Never) => return Poll::Ready(Err(Never)),
            Ok(result) => return Poll::Ready(Ok(result)),
        }
        if place.is_entered() {
            return Poll::Pending;
        }
    }
}

/// Awaits the success of an attempt.
pub(crate) struct Until<'a, T, A> {
    pub(crate) shared: &'a Shared<T>,
    pub(crate) role: Role,
    pub(crate) attempt: A,
    pub(crate) place: Place,
}

impl<T, R, A: FnMut() -> Result<R, NotNow> + Unpin> Future for Until<'_, T, A> {
    type Output = Result<R, Never>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, role, attempt, place } = self.get_mut();
        poll(shared, *role, place, cx, attempt)
    }
}

impl<T, A> Drop for Until<'_, T, A> {
    fn drop(&mut self) {
        self.shared.give_up(self.role, &mut self.place);
    }
}

/// Blocks the thread until `attempt` succeeds, or never will, or it is too late.
pub(crate) fn block<T, R>(
    shared: &Shared<T>,
    role: Role,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Result<R, NotNow>,
) -> Result<R, NotInTime> {
    let mut place = Place::default();
    loop {
        match attempt() {
            Err(NotNow::Later) => shared.enter(role, &mut place, Wake::Thread(current())),
            Err(NotNow::Never) => return Err(NotInTime::Never),
            Ok(result) => return Ok(result),
        }
        while place.is_entered() {
            if !park_until(deadline) {
                shared.give_up(role, &mut place);
                return Err(NotInTime::TimedOut);
            }
            // Whoever called has more to give, and may have lost the processor to this thread: woken again for each
            // single item, both would be slower than one call for many.
            yield_now();
            // What others have left for this thread may wake it too: only being called counts.
            shared.come_back(role, &mut place, Wake::Thread(current()));
        }
    }
}

/// Before a thread gets: lets others run once where that makes one trip for many items out of one for each.
#[inline]
pub(crate) fn let_gather<T>(shared: &Shared<T>) {
    if shared.is_too_early() {
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
