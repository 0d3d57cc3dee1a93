//! The history: points on a disk. The format is described in `docs/history-format.md`.
//!
//! One thread writes; whoever reads does so without it. All of this blocks: it has no place on a runtime's
//! threads.

mod bits;
mod block;
mod disk;
mod record;

mod forgotten;
mod journal;
mod jsonl;
mod minutes;
mod sealed;

mod damage;
mod files;
mod store;

mod annotations;
pub(crate) mod fuzzing;
mod query;
mod recovery;
mod sealing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_damage;
#[cfg(test)]
mod tests_of_disk;
#[cfg(test)]
mod tests_of_loss;
mod writer;

pub(crate) use damage::Counts;
pub(crate) use query::{Columns, Range};
pub(crate) use recovery::Spans;
pub use writer::Unwritten;

use crate::annotation::Annotation;
use crate::point::{Point, Row, SeriesId};
use crate::{Millis, point};
use annotations::Annotations;
pub(crate) use annotations::Kept;
use disk::Disk;
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Shared;
use writer::{Order, Pending, Writer};

/// Points that may wait for the writer.
const WAITING: usize = 1 << 20;

/// Limits of the history, and intervals of its writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Time for which seconds are kept; default 14 days.
    pub keep: Duration,
    /// Time for which minutes, with their extremes, are kept; default 400 days.
    pub keep_minutes: Duration,
    /// Maximum size of the files, in bytes; default 2 GiB. The oldest go first, seconds before minutes. Data that
    /// is not sealed yet comes on top: some hours at most.
    pub disk: u64,
    /// Interval of writes to the journal; default 2 s: so much is lost at most when the process is killed.
    pub flush: Duration,
    /// Interval of synced writes of blocks; default 10 minutes: so much is lost at most when the
    /// machine loses its power.
    pub checkpoint: Duration,
    /// Interval of sealing the active file; default 4 hours.
    pub seal: Duration,
    /// Maximum number of seconds of all series in memory, 8 bytes each; default 4 million. A disk that takes
    /// none for so long costs the newest.
    pub open_rows_max: usize,
    /// Maximum number of annotations; default 10,000. The oldest of the series that has most go first.
    pub annotations: usize,
    /// Maximum number of names of series; default 40,000. The oldest go first.
    pub names: usize,
}

impl Default for HistorySettings {
    fn default() -> HistorySettings {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        HistorySettings {
            keep: days(14),
            keep_minutes: days(400),
            disk: 2 << 30,
            flush: Duration::from_secs(2),
            checkpoint: Duration::from_secs(600),
            seal: Duration::from_secs(4 * 3600),
            open_rows_max: 4_000_000,
            annotations: 10_000,
            names: 40_000,
        }
    }
}

/// The state that an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Names by [`History::name`], the newest of each series.
    pub(crate) names: Vec<String>,
    /// The first and the last second of each series that files hold something of, whether it has a name or not.
    pub(crate) spans: Spans,
    /// The newest annotations.
    pub(crate) annotations: Vec<Kept>,
}

/// The history of all series.
#[derive(Debug)]
pub(crate) struct History {
    shared: Arc<Shared>,
    annotations: Mutex<Annotations>,
    orders: Sender<Order>,
    pending: Arc<Mutex<Pending>>,
    waiting: Arc<AtomicUsize>,
    writer: Mutex<Option<JoinHandle<Result<(), Unwritten>>>>,
    dropped: AtomicU64,
}

impl History {
    /// Takes over a directory, which no other process may use meanwhile.
    ///
    /// # Errors
    /// Another process uses it, a file is of another version, or the disk fails. What is damaged is no error.
    pub(crate) fn open(directory: &Path, settings: HistorySettings, now: Millis) -> io::Result<(History, Restored)> {
        let shared = Arc::<Shared>::default();
        let annotations_max = settings.annotations;
        let (writer, restored) = Writer::open(Disk::default(), directory, settings, shared.clone(), now)?;
        let annotations = Annotations::new(annotations_max, restored.annotations.clone());
        let (orders, receiver) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let pending = Arc::<Mutex<Pending>>::default();
        let (taken, queued) = (waiting.clone(), pending.clone());
        let writer = std::thread::Builder::new()
            .name("monitor-history".into())
            .spawn(move || writer.run(&receiver, &taken, &queued))?;
        let (annotations, writer) = (Mutex::new(annotations), Mutex::new(Some(writer)));
        Ok((History { shared, annotations, orders, pending, waiting, writer, dropped: AtomicU64::new(0) }, restored))
    }

    /// Keeps points; never blocks. What the writer cannot take is dropped, and counted.
    pub(crate) fn append(&self, points: Vec<Point>) {
        let count = points.len();
        let is_full = self.waiting.fetch_add(count, Ordering::Relaxed) > WAITING;
        // Nobody takes it when the writer has panicked.
        if is_full || self.orders.send(Order::Points(points)).is_err() {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Keeps what is known of series: a text each, without a line break.
    pub(crate) fn name(&self, names: Vec<(SeriesId, String)>) {
        self.queue(|pending| pending.names.extend(names));
    }

    /// Keeps annotations.
    pub(crate) fn annotate(&self, new: Vec<Annotation>) {
        let changes = self.annotations.lock().add(new);
        self.queue(|pending| pending.annotate(changes));
    }

    /// Gives the writer something; one order is enough for all that has come by the time it is taken.
    fn queue(&self, add: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending.lock();
        let was_empty = pending.is_empty();
        add(&mut pending);
        if was_empty && !pending.is_empty() {
            let _ = self.orders.send(Order::Pending);
        }
    }

    /// The annotations of some time, in the order in which they were made.
    pub(crate) fn annotations_between(&self, from: Millis, to: Millis) -> Vec<Annotation> {
        let annotations = self.annotations.lock();
        annotations.iter().filter(|annotation| (from..=to).contains(&annotation.time)).cloned().collect()
    }

    /// The first second that is kept as such, as far as a sealed file has one.
    pub(crate) fn oldest_second(&self) -> u32 {
        let state = self.shared.lock();
        let oldest = state.seconds.iter().filter(|sealed| sealed.from <= sealed.to).map(|sealed| sealed.from).min();
        // With no minutes sealed, there is nothing that only they know.
        if state.minutes.is_empty() { 0 } else { oldest.unwrap_or(0) }
    }

    /// The columns of a series; blocks while it reads.
    pub(crate) fn columns(&self, series: SeriesId, range: Range) -> Columns {
        query::columns(&self.shared, series, range)
    }

    /// The seconds of a series; blocks while it reads.
    pub(crate) fn rows(&self, series: SeriesId, from: u32, to: u32) -> Vec<(u32, f64, f64)> {
        let rows = query::rows(&self.shared, series, from, to);
        let values = |Row { second, cpu, mem }| (second, point::CPU.value(cpu), point::MEM.value(mem));
        rows.into_iter().map(values).collect()
    }

    /// The mean memory in each minute of every series from a time on, in no order; blocks while it reads.
    pub(crate) fn visit_minutes(&self, from: Millis, visit: &mut dyn FnMut(SeriesId, u32, f64)) {
        query::visit_minutes(&self.shared, from.second() / 60, visit);
    }

    /// Names of files that could not be read wholly, and are kept as they were found; the first hundred.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        self.shared.lock().set_aside.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.shared.lock().counts;
        counts.dropped += self.dropped.load(Ordering::Relaxed);
        counts
    }

    /// Writes everything, and waits until that is done.
    ///
    /// # Errors
    /// The disk has not taken everything, and the rest is lost.
    pub(crate) fn close(&self) -> Result<(), Unwritten> {
        let _ = self.orders.send(Order::Stop);
        let writer = self.writer.lock().take();
        writer.map_or(Ok(()), |writer| {
            writer.join().unwrap_or_else(|_| {
                tracing::error!("the writer of the history has panicked");
                Ok(())
            })
        })
    }
}
