//! Frames that are made before there is room for them in the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of frames that wait for sockets without room, of all connections. The memory budget does not count them.
#[derive(Debug)]
pub(crate) struct AllAhead {
    bytes: AtomicUsize,
    most: usize,
}

impl AllAhead {
    /// Together a sixteenth of the memory budget.
    pub(crate) fn new(memory: usize) -> AllAhead {
        AllAhead { bytes: AtomicUsize::new(0), most: memory / 16 }
    }
}

/// The share of one connection, which it gives back when it is dropped.
#[derive(Debug)]
pub(super) struct Ahead {
    all: Arc<AllAhead>,
    bytes: usize,
}

impl Ahead {
    pub(super) fn new(all: Arc<AllAhead>) -> Ahead {
        Ahead { all, bytes: 0 }
    }

    /// Whether nobody is to make more frames than the next one.
    pub(super) fn is_over(&self) -> bool {
        self.all.bytes.load(Ordering::Relaxed) >= self.all.most
    }

    pub(super) fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests;
