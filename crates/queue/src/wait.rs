//! Waiting, in both ways.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::crowd::{Place, Wake};
use crate::shared::{Else, NotNow, Role, Shared};
use crate::sync::{current, park, park_timeout};

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
    mut attempt: impl FnMut(Else<'_>) -> Result<R, NotNow>,
) -> Poll<Result<R, Never>> {
    let wake = || Wake::Task(cx.waker().clone());
    if place.is_entered() && !shared.come_back(role, place, wake()) {
        return Poll::Pending;
    }
    // Twice, so that who need not wait need not prepare for it, and nobody does under a lock.
    match attempt(Else::GiveUp) {
        Err(NotNow::Later) => {}
        Err(NotNow::Never) => return Poll::Ready(Err(Never)),
        Ok(result) => return Poll::Ready(Ok(result)),
    }
    match attempt(Else::Wait(place, wake())) {
        Err(NotNow::Later) => Poll::Pending,
        Err(NotNow::Never) => Poll::Ready(Err(Never)),
        Ok(result) => Poll::Ready(Ok(result)),
    }
}

/// Awaits the success of an attempt.
pub(crate) struct Until<'a, T, A> {
    pub(crate) shared: &'a Shared<T>,
    pub(crate) role: Role,
    pub(crate) attempt: A,
    pub(crate) place: Place,
}

impl<T, R, A: FnMut(Else<'_>) -> Result<R, NotNow> + Unpin> Future for Until<'_, T, A> {
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
    mut attempt: impl FnMut(Else<'_>) -> Result<R, NotNow>,
) -> Result<R, NotInTime> {
    let mut place = Place::default();
    loop {
        match attempt(Else::GiveUp) {
            Err(NotNow::Later) => {}
            Err(NotNow::Never) => return Err(NotInTime::Never),
            Ok(result) => return Ok(result),
        }
        match attempt(Else::Wait(&mut place, Wake::Thread(current()))) {
            Err(NotNow::Later) => {}
            Err(NotNow::Never) => return Err(NotInTime::Never),
            Ok(result) => return Ok(result),
        }
        // The thread may be woken by what others have left for it: only being called counts.
        loop {
            if !park_until(deadline) {
                shared.give_up(role, &mut place);
                return Err(NotInTime::TimedOut);
            }
            if shared.come_back(role, &mut place, Wake::Thread(current())) {
                break;
            }
        }
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
