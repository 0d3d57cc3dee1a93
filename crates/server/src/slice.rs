//! Time slice of a task, until others get their turn. The model in `tests/model` has its own module of this name.

use std::time::{Duration, Instant};

/// Long against the cost of a yield, which polls the sockets, and short against what a waiting client notices: with
/// two threads and a hundred connections that are never done, it waits for some ten milliseconds.
const SLICE: Duration = Duration::from_micros(200);

/// Bytes that one flush writes, about: a peer that takes everything must not keep the task that serves it.
pub(crate) const FLUSH: usize = 1 << 20;

/// A task's turn. What cannot be interrupted, such as one command, may end after it.
#[derive(Debug)]
pub(crate) struct Slice {
    begun: Instant,
    length: Duration,
}

impl Slice {
    /// Rest of a turn of which `spent` has been used.
    pub(crate) fn after(spent: Duration) -> Slice {
        Slice { begun: Instant::now(), length: SLICE.saturating_sub(spent) }
    }

    pub(crate) fn begin() -> Slice {
        Slice::after(Duration::ZERO)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.elapsed() >= self.length
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
