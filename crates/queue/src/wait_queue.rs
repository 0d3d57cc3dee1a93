//! Tasks and threads that wait, in order.
//!
//! Not `event-listener`: it wakes while it holds its own lock, so that whoever is woken runs into
//! that lock at once. Going to and fro between a thread and a task took four times as long.

use std::collections::VecDeque;
use std::task::Waker;

use crate::sync::Thread;

/// The way to wake a waiter.
#[derive(Debug)]
pub(crate) enum Wake {
    Task(Waker),
    Thread(Thread),
}

impl Wake {
    fn wake(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Thread(thread) => thread.unpark(),
        }
    }
}

/// Waiters for one thing, under the lock that guards this thing.
///
/// Invariant: as many waiters are notified and have not polled since as there are things ready, or all are notified. So no
/// waiter sleeps beside something that is ready, and there is one wake-up for each.
#[derive(Default)]
pub(crate) struct WaitQueue {
    /// In the order of their turns.
    waiting: VecDeque<(u64, Wake)>,
    /// Number of waiters that are notified and have not polled since.
    notified: usize,
    turns: u64,
}

/// One task or thread that waits. After `enter` come `poll_notified` or `give_up`.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    /// Its position, kept after a notification that was in vain.
    turn: Option<u64>,
    entered: bool,
}

impl Waiter {
    pub(crate) fn is_entered(&self) -> bool {
        self.entered
    }
}

impl WaitQueue {
    pub(crate) fn enter(&mut self, waiter: &mut Waiter, wake: Wake) {
        let turn = *waiter.turn.get_or_insert_with(|| {
            self.turns += 1;
            self.turns
        });
        waiter.entered = true;
        let at = self.waiting.partition_point(|(other, _)| *other < turn);
        self.waiting.insert(at, (turn, wake));
    }

    fn find(&self, waiter: &Waiter) -> Option<usize> {
        self.waiting.binary_search_by_key(&waiter.turn?, |(turn, _)| *turn).ok()
    }

    /// Ends the wait of a notified waiter. One that was not notified goes on, and from now on wakes by
    /// `wake`; then what was to wake before is returned, to be dropped where no lock is held.
    pub(crate) fn poll_notified(&mut self, waiter: &mut Waiter, wake: Wake) -> Wake {
        if let Some(at) = self.find(waiter) {
            return std::mem::replace(&mut self.waiting[at].1, wake);
        }
        self.notified -= 1;
        waiter.entered = false;
        wake
    }

    /// Ends the wait of a waiter that wants nothing any more. The caller then calls `notify`.
    pub(crate) fn give_up(&mut self, waiter: &mut Waiter) -> Option<Wake> {
        waiter.entered = false;
        let Some(at) = self.find(waiter) else {
            self.notified -= 1;
            return None;
        };
        self.waiting.remove(at).map(|(_, wake)| wake)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Notifies as many waiters as there are `ready` things, those counted that were notified before.
    pub(crate) fn notify(&mut self, ready: usize) -> Wakers {
        let count = ready.saturating_sub(self.notified).min(self.waiting.len());
        self.notified += count;
        (count > 0).then(|| self.waiting.drain(..count).map(|(_, wake)| wake).collect())
    }
}

/// Of notified waiters, to be woken when no lock is held: they will want it.
pub(crate) type Wakers = Option<Vec<Wake>>;

#[inline]
pub(crate) fn wake(wakers: Wakers) {
    if let Some(wakers) = wakers {
        wake_all(wakers);
    }
}

// Out of line: most calls have nobody to wake.
#[cold]
fn wake_all(wakers: Vec<Wake>) {
    wakers.into_iter().for_each(Wake::wake);
}
