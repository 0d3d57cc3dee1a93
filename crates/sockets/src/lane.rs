use crate::options::HighWaterMark;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// One peer's way in: how much of it waits.
#[derive(Debug)]
pub(crate) struct Lane {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    pub(crate) high_water_mark: HighWaterMark,
    /// The peer is not read.
    paused: AtomicBool,
    /// Wakes the peer's task.
    pub(crate) wake: Arc<Notify>,
    /// Its queue at the receiver, or [`NONE`]. Only the receiver uses it.
    pub(crate) queue: AtomicUsize,
    /// The position of its only arrival, while conflating, or [`NONE`]. Only used under the lock of the inbox.
    pub(crate) arrival: AtomicUsize,
}

pub(crate) const NONE: usize = usize::MAX;

impl Lane {
    pub(crate) fn new(high_water_mark: HighWaterMark, wake: Arc<Notify>) -> Lane {
        Lane {
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            high_water_mark,
            paused: AtomicBool::new(false),
            wake,
            queue: AtomicUsize::new(NONE),
            arrival: AtomicUsize::new(NONE),
        }
    }

    /// Returns true if the peer may be read; if not, its task is woken when it may.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room_after(|| {})
    }

    /// `between` runs between the two looks, for tests.
    fn has_room_after(&self, between: impl FnOnce()) -> bool {
        let load = || (self.messages.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst));
        let (messages, bytes) = load();
        if self.high_water_mark.has_room(messages, bytes) {
            return true;
        }
        between();
        self.paused.store(true, Ordering::SeqCst);
        // The receiver may have taken something before it could see the pause, and then wakes nobody.
        let (messages, bytes) = load();
        self.high_water_mark.is_low(messages, bytes)
    }

    pub(crate) fn add(&self, messages: usize, bytes: usize) {
        self.messages.fetch_add(messages, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn taken(&self, messages: usize, bytes: usize) {
        let messages = self.messages.fetch_sub(messages, Ordering::SeqCst) - messages;
        let bytes = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if self.high_water_mark.is_low(messages, bytes) && self.paused.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_between_the_two_looks_for_room_is_seen_by_the_second() {
        let lane = Lane::new(HighWaterMark::new(2, 0), Arc::default());
        lane.add(2, 20);
        assert!(!lane.has_room());
        lane.paused.store(false, Ordering::SeqCst);
        // The receiver does not see the pause yet, and wakes nobody.
        assert!(lane.has_room_after(|| lane.taken(2, 20)), "the peer would never be read again");
    }
}
