//! Connections that got something to write.

use crate::handle::ConnectionHandle;
use std::collections::VecDeque;
use std::sync::Arc;

/// Connections that got something to write. Whoever holds it owes a [`Hub::pump`](crate::hub::Hub::pump). Those that are
/// left when it is dropped are woken: their own tasks write then, so that no wake-up is lost with a task that ends.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) unwritten: VecDeque<Arc<ConnectionHandle>>,
    /// Something was written, and the broker has not been told yet.
    pub(crate) uncredited: Vec<Arc<ConnectionHandle>>,
}

impl Dirty {
    pub(crate) fn push(&mut self, handle: &Arc<ConnectionHandle>) {
        self.unwritten.push_back(handle.clone());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unwritten.is_empty() && self.uncredited.is_empty()
    }
}

impl Drop for Dirty {
    fn drop(&mut self) {
        self.unwritten.iter().chain(&self.uncredited).for_each(|handle| handle.wake());
    }
}
