//! The freshness of the cache, from markers alone.

use super::Lsn;
use super::sync::{AtomicU64, SeqCst};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A time in tenths of a second since the caller's origin, rounded down: four bytes a row, for 13 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tenths(u32);

impl Tenths {
    pub(super) fn of(time: Duration) -> Tenths {
        Tenths(u32::try_from(time.as_millis() / 100).unwrap_or(u32::MAX))
    }

    pub(super) fn time(self) -> Duration {
        Duration::from_millis(u64::from(self.0) * 100)
    }
}

/// The proof of the newest processed marker.
///
/// A marker that was sent at `t` and has come back proves that every write visible at `t` was applied. Entries are
/// therefore served until `t + bound`.
#[derive(Debug)]
pub(super) struct Freshness {
    /// Nanoseconds since the caller's origin at which the newest processed marker was sent, plus one; 0: none yet.
    proven: AtomicU64,
    /// Position in the write-ahead log up to which every write was applied; 0: unknown.
    seen: AtomicU64,
    /// Time of the newest marker of all connections, in tenths of a second. It proves nothing.
    newest: AtomicU32,
    bound: u64,
}

impl Freshness {
    pub(super) fn new(bound: Duration) -> Freshness {
        Freshness { proven: AtomicU64::new(0), seen: AtomicU64::new(0), newest: AtomicU32::new(0), bound: nanos(bound) }
    }

    pub(super) fn prove(&self, sent: Duration, seen: Lsn) {
        self.proven.fetch_max(nanos(sent).saturating_add(1), SeqCst);
        self.seen.fetch_max(seen.0, SeqCst);
        self.newest.fetch_max(Tenths::of(sent).0, Relaxed);
    }

    /// Sending time of the newest marker, before every read that begins now.
    pub(super) fn newest(&self) -> Tenths {
        Tenths(self.newest.load(Relaxed))
    }

    /// Forgets what was proven, for it concerned another database or an earlier connection.
    pub(super) fn forget(&self) {
        self.proven.store(0, SeqCst);
        self.seen.store(0, SeqCst);
    }

    /// Age that no entry exceeds, or `None` if it may exceed the bound.
    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        let proven = self.proven.load(SeqCst).checked_sub(1)?;
        let age = nanos(now).saturating_sub(proven);
        (age < self.bound).then(|| Duration::from_nanos(age))
    }

    pub(super) fn seen(&self) -> Lsn {
        Lsn(self.seen.load(SeqCst))
    }
}

/// Saturates after 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
