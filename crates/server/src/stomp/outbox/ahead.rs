//! Frames that are made before there is room for them in the socket.

use crate::sync::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Frames are made until so many bytes wait: what is made belongs to one connection alone, and is not charged.
pub(super) const AHEAD: usize = 16 << 10;

/// The same where many connections have stalled. One that has stalled itself makes no more than the next frame.
const FEW_AHEAD: usize = 4 << 10;

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

    /// Frames of the connection are to be made until so many bytes wait.
    pub(super) fn most_ahead(&self) -> usize {
        match self.all.bytes.load(Ordering::Relaxed) >= self.all.most {
            false => AHEAD,
            true if self.bytes > 0 => 1,
            true => FEW_AHEAD,
        }
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
