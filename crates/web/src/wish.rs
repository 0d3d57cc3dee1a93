//! The wishes that others have of a connection.

use atomic_waker::AtomicWaker;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Context;

/// Others' wish of a connection, and the task that is to hear it. Each of its wake-ups looks here, so that
/// looking takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    wish: AtomicU8,
    waker: AtomicWaker,
}

/// The wish that others have of a connection; a stronger one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// To go on.
    GoOn,
    /// To end behind the request at hand.
    Finish,
    /// To end at once.
    End,
}

impl Signal {
    /// Adds a wish and wakes the task.
    pub(crate) fn tell(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::Release);
        self.waker.wake();
    }

    /// The wish at hand; the task is woken when a new one is told.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Wish {
        // Before the look: a wish that is told behind it wakes.
        self.waker.register(cx.waker());
        match self.wish.load(Ordering::Acquire) {
            0 => Wish::GoOn,
            1 => Wish::Finish,
            _ => Wish::End,
        }
    }
}
