//! What is told to all pages: events are encoded once, and kept for a while so that a page that was away, or
//! is slow, can go on where it was. Nobody who reads is ever waited for.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a client takes at once, in bytes.
const MOUTHFUL: usize = 256 << 10;

/// The newest events.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Ring>,
    /// The number of the next event.
    told: watch::Sender<u64>,
    pub(crate) clients: AtomicUsize,
    pub(crate) missed: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    limit: usize,
    next: u64,
}

/// Events that were encoded together.
#[derive(Debug)]
struct Parcel {
    first: u64,
    count: u64,
    data: Bytes,
}

/// What comes after a position.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// These, and then the position is that.
    Events(Vec<Bytes>, u64),
    /// So many events are no longer there; this is the position of the next that will be.
    Missed(u64, u64),
}

impl Feed {
    /// Keeps so many bytes.
    pub(crate) fn new(limit: usize) -> Feed {
        let ring = Ring { parcels: VecDeque::new(), bytes: 0, limit, next: 0 };
        Feed { ring: Mutex::new(ring), told: watch::Sender::new(0), clients: 0.into(), missed: 0.into() }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells events: so many, encoded.
    pub(crate) fn tell(&self, data: Vec<u8>, count: u64) {
        if count == 0 {
            return;
        }
        let mut ring = self.lock();
        let first = ring.next;
        ring.next += count;
        ring.bytes += data.len();
        ring.parcels.push_back(Parcel { first, count, data: data.into() });
        while ring.bytes > ring.limit && ring.parcels.len() > 1 {
            let old = ring.parcels.pop_front();
            ring.bytes -= old.map_or(0, |parcel| parcel.data.len());
        }
        let next = ring.next;
        drop(ring);
        self.told.send_replace(next);
    }

    /// The position of the next event.
    pub(crate) fn position(&self) -> u64 {
        self.lock().next
    }

    /// Changes when there is something to take.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// What a client at this position takes next.
    pub(crate) fn after(&self, position: u64) -> After {
        let ring = self.lock();
        let oldest = ring.parcels.front().map_or(ring.next, |parcel| parcel.first);
        // A position that was never reached is one of another run.
        if position < oldest || position > ring.next {
            let missed = ring.next.saturating_sub(position);
            self.missed.fetch_add(missed, Ordering::Relaxed);
            return After::Missed(missed, ring.next);
        }
        let begin = ring.parcels.partition_point(|parcel| parcel.first + parcel.count <= position);
        let (mut events, mut taken, mut next) = (Vec::new(), 0, position);
        for parcel in ring.parcels.iter().skip(begin) {
            let data = behind(&parcel.data, next - parcel.first);
            taken += data.len();
            next = parcel.first + parcel.count;
            events.push(data);
            if taken >= MOUTHFUL {
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

    fn told(feed: &Feed, text: &str) {
        feed.tell(text.as_bytes().to_vec(), text.matches("\n\n").count() as u64);
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
        told(&feed, "a\n\nb\n\n");
        told(&feed, "c\n\n");
        assert_eq!(joined(feed.after(0)), ("a\n\nb\n\nc\n\n".into(), 3));
        assert_eq!(joined(feed.after(1)), ("b\n\nc\n\n".into(), 3));
        assert_eq!(joined(feed.after(2)), ("c\n\n".into(), 3));
        assert_eq!(joined(feed.after(3)), (String::new(), 3));
        assert_eq!(joined(feed.after(4)), ("missed 0".into(), 3));
    }

    #[test]
    fn the_ring_is_bounded_and_who_is_behind_it_is_told() {
        let feed = Feed::new(6);
        for text in ["a\n\n", "b\n\n", "c\n\n"] {
            told(&feed, text);
        }
        assert_eq!(joined(feed.after(1)), ("b\n\nc\n\n".into(), 3));
        assert_eq!(joined(feed.after(0)), ("missed 3".into(), 3));
        assert_eq!(feed.missed.load(Ordering::Relaxed), 3);
        // One that is larger than the ring is kept all the same.
        told(&feed, "larger than six\n\n");
        assert_eq!(joined(feed.after(3)), ("larger than six\n\n".into(), 4));
    }
}
