use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct Metrics {
            $($(#[$doc])* pub $name: u64,)*
            /// Longest time for which an inconsistent row may have been served: from the last time that it was seen to be
            /// right, to its flush.
            pub longest_inconsistent: Duration,
            /// Part of PostgreSQL's notification queue that is in use, from 0 to 1.
            pub queue_usage: f64,
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
            pub(super) longest_inconsistent: AtomicU64,
            pub(super) queue_usage: AtomicU64,
        }

        impl Counters {
            pub(super) fn read(&self) -> Metrics {
                Metrics {
                    $($name: self.$name.load(Relaxed),)*
                    longest_inconsistent: Duration::from_nanos(self.longest_inconsistent.load(Relaxed)),
                    queue_usage: f64::from_bits(self.queue_usage.load(Relaxed)),
                }
            }
        }
    };
}

counters! {
    /// Reads from the cache.
    hits,
    /// Reads that queried the row, or waited for somebody else's query.
    misses,
    /// Reads that the cache could not answer: not live, or a table that is not cached.
    bypasses,
    /// Events of rows.
    events,
    /// Events and differences that flushed a table.
    flushes,
    /// Rows that were read again after a change.
    refreshed,
    /// Rows that should have been, and were not: too many waited.
    refreshes_dropped,
    /// Markers that came back.
    markers,
    /// Markers that looked at the catalogue, since somebody else's transaction had ended.
    looks,
    /// Markers that could not be sent.
    markers_failed,
    /// Connections of the change feed.
    connects,
    /// Cached rows that were compared with the database.
    rows_sampled,
    /// Comparisons that the database did not answer, or refused.
    samples_failed,
    /// Cached rows that differed from the database after a marker.
    rows_inconsistent,
    /// Listeners that did not read, and were ended.
    listeners_ended,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
