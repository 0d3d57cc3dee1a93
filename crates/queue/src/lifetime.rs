//! Level, unfinished work and end of the queue.

use crate::error::TooManyDone;
use crate::shared::{Phase, Shared, TryError};
use crate::sync::{Ordering, lock};
use crate::wait_queue::wake;

impl<T> Shared<T> {
    pub(crate) fn len(&self) -> usize {
        // In this order there may seem to be too many, but never fewer than none.
        let taken = self.taken.load(Ordering::Acquire);
        let pushed = self.pushed.load(Ordering::Acquire);
        pushed.wrapping_sub(taken).min(self.capacity)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len().saturating_add(self.reserved.load(Ordering::Acquire)) >= self.capacity
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        lock(&self.tail).phase != Phase::Open
    }

    pub(crate) fn unfinished(&self) -> usize {
        lock(&self.tail).unfinished
    }

    pub(crate) fn task_done(&self) -> Result<(), TooManyDone> {
        let mut tail = lock(&self.tail);
        tail.unfinished = tail.unfinished.checked_sub(1).ok_or(TooManyDone)?;
        let joiners = if tail.unfinished == 0 { tail.joiners.notify(usize::MAX) } else { None };
        drop(tail);
        wake(joiners);
        Ok(())
    }

    pub(crate) fn all_done(&self) -> Result<(), TryError> {
        if lock(&self.tail).is_unfinished() { Err(TryError::WouldBlock) } else { Ok(()) }
    }

    pub(crate) fn shut_down(&self) {
        let mut head = lock(&self.head);
        let mut tail = lock(&self.tail);
        if tail.phase == Phase::Open {
            tail.phase = Phase::Draining;
        }
        // Getters that wait for a permit are notified when it is dropped.
        let getters = self.notify_getters(&mut tail);
        drop(tail);
        let putters = head.putters.notify(usize::MAX);
        drop(head);
        wake(getters);
        wake(putters);
    }

    /// Ends it, and returns what was in it, in the order in which it would have been got.
    pub(crate) fn shut_down_now(&self) -> Vec<T> {
        let mut head = lock(&self.head);
        let mut tail = lock(&self.tail);
        tail.phase = Phase::Over;
        head.store.arrive(&mut tail.inbox);
        // Fewer than were dropped if somebody said too early that a task was done.
        tail.unfinished = tail.unfinished.saturating_sub(head.store.len());
        let getters = tail.getters.notify(usize::MAX);
        let joiners = tail.joiners.notify(usize::MAX);
        drop(tail);
        let putters = head.putters.notify(usize::MAX);
        head.store.sort_in();
        let dropped = std::iter::from_fn(|| head.store.next()).collect();
        self.taken.store(head.store.taken(), Ordering::Release);
        drop(head);
        wake(getters);
        wake(putters);
        wake(joiners);
        dropped
    }
}
