//! The event stream of all pages: events are encoded once, and kept for a while so that a page that was away, or
//! is slow, can go on where it was. Nobody who reads is ever waited for.

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::watch;

/// Maximum size of a client's read, in bytes.
const READ_MAX: usize = 256 << 10;

/// The newest events.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    /// The number of the next event.
    published: watch::Sender<u64>,
    pub(crate) clients: AtomicUsize,
    pub(crate) missed: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    limit: usize,
    next: u64,
}

/// Events that were encoded together.
#[derive(Debug)]
struct Chunk {
    first: u64,
    count: u64,
    data: Bytes,
}

/// The events after a position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// These, and then the position is that.
    Events(Vec<Bytes>, u64),
    /// The number of events that are no longer there, and the position of the next that is.
    Missed(u64, u64),
}

impl Feed {
    /// Keeps so many bytes.
    pub(crate) fn new(limit: usize) -> Feed {
        let ring = Ring { chunks: VecDeque::new(), bytes: 0, limit, next: 0 };
        Feed { ring: Mutex::new(ring), published: watch::Sender::new(0), clients: 0.into(), missed: 0.into() }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock()
    }

    /// Tells events: so many, encoded.
    pub(crate) fn publish(&self, data: Vec<u8>, count: u64) {
        if count == 0 {
            return;
        }
        let mut ring = self.lock();
        let first = ring.next;
        ring.next += count;
        ring.bytes += data.len();
        ring.chunks.push_back(Chunk { first, count, data: data.into() });
        while ring.bytes > ring.limit && ring.chunks.len() > 1 {
            let old = ring.chunks.pop_front();
            ring.bytes -= old.map_or(0, |chunk| chunk.data.len());
        }
        let next = ring.next;
        drop(ring);
        self.published.send_replace(next);
    }

    /// The position of the next event.
    pub(crate) fn position(&self) -> u64 {
        self.lock().next
    }

    /// Changes when there is something to take.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Returns the events that a client at this position takes next.
    pub(crate) fn after(&self, position: u64) -> After {
        let ring = self.lock();
        let oldest = ring.chunks.front().map_or(ring.next, |chunk| chunk.first);
        // A position that was never reached is one of another run.
        if position < oldest || position > ring.next {
            let missed = ring.next.saturating_sub(position);
            self.missed.fetch_add(missed, Ordering::Relaxed);
            return After::Missed(missed, ring.next);
        }
        let begin = ring.chunks.partition_point(|chunk| chunk.first + chunk.count <= position);
        let (mut events, mut taken, mut next) = (Vec::new(), 0, position);
        for chunk in ring.chunks.iter().skip(begin) {
            let data = behind(&chunk.data, next - chunk.first);
            taken += data.len();
            next = chunk.first + chunk.count;
            events.push(data);
            if taken >= READ_MAX {
                break;
            }
        }
        After::Events(events, next)
    }
}

/// Without so many events at the beginning.
fn behind(data: &Bytes, count: u64) -> Bytes {
    let mut begin = 0;
    for _ in 0..count {
        let end = data[begin..].windows(2).position(|two| two == b"\n\n");
        begin = end.map_or(data.len(), |end| begin + end + 2);
    }
    data.slice(begin..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish_text(feed: &Feed, text: &str) {
        feed.publish(text.as_bytes().to_vec(), text.matches("\n\n").count() as u64);
    }

    fn joined(after: After) -> (String, u64) {
        match after {
            After::Events(events, next) => (String::from_utf8(events.concat()).unwrap(), next),
            After::Missed(missed, next) => (format!("missed {missed}"), next),
        }
    }

    #[test]
    fn a_client_goes_on_anywhere_in_the_ring() {
        let feed = Feed::new(1000);
        publish_text(&feed, "a\n\nb\n\n");
        publish_text(&feed, "c\n\n");
        assert_eq!(joined(feed.after(0)), ("a\n\nb\n\nc\n\n".into(), 3));
        assert_eq!(joined(feed.after(1)), ("b\n\nc\n\n".into(), 3));
        assert_eq!(joined(feed.after(2)), ("c\n\n".into(), 3));
        assert_eq!(joined(feed.after(3)), (String::new(), 3));
        assert_eq!(joined(feed.after(4)), ("missed 0".into(), 3));
    }

    #[test]
    fn the_ring_is_bounded_and_who_is_behind_it_hears_so() {
        let feed = Feed::new(6);
        for text in ["a\n\n", "b\n\n", "c\n\n"] {
            publish_text(&feed, text);
        }
        assert_eq!(joined(feed.after(1)), ("b\n\nc\n\n".into(), 3));
        assert_eq!(joined(feed.after(0)), ("missed 3".into(), 3));
        assert_eq!(feed.missed.load(Ordering::Relaxed), 3);
        // One that is larger than the ring is kept all the same.
        publish_text(&feed, "larger than six\n\n");
        assert_eq!(joined(feed.after(3)), ("larger than six\n\n".into(), 4));
    }
}
