//! An item whose task is done when it goes.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::queue::Queue;

/// An item that was got, and is being worked on. When it is dropped, its task is done: also if the
/// work panics, so that whoever joins the queue does not wait for ever.
pub struct Work<T> {
    queue: Queue<T>,
    /// `None` once it has been taken out.
    item: Option<T>,
}

impl<T> Work<T> {
    pub(crate) fn new(queue: Queue<T>, item: T) -> Self {
        Self { queue, item: Some(item) }
    }

    /// The item alone. Its task is not done until somebody wakers `task_done` for it.
    pub fn into_inner(mut self) -> T {
        self.item.take().expect("only this takes it out")
    }
}

impl<T> Deref for Work<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect("it is taken out only with the guard")
    }
}

impl<T> DerefMut for Work<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("it is taken out only with the guard")
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        // The item first: who waits for the work to be done may rely on what it held being free.
        if self.item.take().is_some() {
            // An error is somebody else's, who called `task_done` too often.
            let _ = self.queue.task_done();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Work").field(&self.item).finish()
    }
}
