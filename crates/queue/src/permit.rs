//! A slot that is reserved for an item.

use std::fmt;

use crate::error::PutError;
use crate::queue::Queue;

/// A slot in a queue, reserved for one item. It is released when this is dropped.
///
/// With it, an item need not be made, or taken from wherever it is safe, before it is certain to
/// find room.
#[must_use = "the slot is released when the permit is dropped"]
pub struct Permit<T> {
    queue: Queue<T>,
    used: bool,
}

impl<T> Permit<T> {
    pub(crate) fn new(queue: Queue<T>) -> Self {
        Self { queue, used: false }
    }

    /// Puts the item into its waiter, without waiting. It comes after those that were put meanwhile.
    ///
    /// # Errors
    ///
    /// With the item, if the queue was shut down with `shutdown_now`. After `shutdown` it still works.
    pub fn send(mut self, item: T) -> Result<(), PutError<T>> {
        self.used = true;
        self.queue.shared.put_reserved(item).map_err(PutError)
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        if !self.used {
            self.queue.shared.unreserve();
        }
    }
}

impl<T> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("queue", &self.queue).finish()
    }
}
