//! What was measured, kept on a disk. The format is described in `docs/history-format.md`.
//!
//! One thread writes; whoever reads does so without it. All of this blocks: it has no place on a runtime's
//! threads.

mod bits;
mod block;
mod record;

mod journal;
mod jsonl;
mod minutes;
mod sealed;

mod store;

pub(crate) mod fuzzing;
mod query;
mod sealing;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use query::{Columns, Range};
pub(crate) use store::Counts;

use crate::annotation::Annotation;
use crate::point::{Point, Row, SeriesId};
use crate::{Millis, point};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Shared;
use writer::{Order, Writer};

/// Points that may wait for the writer.
const WAITING: usize = 1 << 20;

/// How much is kept, and when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// How long seconds are kept; default 14 days.
    pub keep: Duration,
    /// How long minutes, with their extremes, are kept; default 400 days.
    pub keep_minutes: Duration,
    /// How many bytes of files are kept; default 2 GiB. The oldest go first, seconds before minutes. What
    /// is not sealed yet comes on top: some hours at most.
    pub disk: u64,
    /// How often the journal is written; default 2 s: so much is lost at most when the process is killed.
    pub flush: Duration,
    /// How often blocks are written and synced; default 10 minutes: so much is lost at most when the
    /// machine loses its power.
    pub checkpoint: Duration,
    /// How often the active file is sealed; default 4 hours.
    pub seal: Duration,
    /// How many seconds of all series may be in memory, 8 bytes each; default 4 million. A disk that takes
    /// none for so long costs the newest.
    pub most_open: usize,
    /// How many annotations are kept; default 10,000.
    pub annotations: usize,
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
            most_open: 4_000_000,
            annotations: 10_000,
        }
    }
}

/// What an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// What was appended with [`History::name`], the newest of each series.
    pub(crate) names: Vec<String>,
    /// The last second of each series that is kept.
    pub(crate) last: HashMap<SeriesId, u32>,
}

/// The history of all series.
#[derive(Debug)]
pub(crate) struct History {
    shared: Arc<Shared>,
    annotations: Mutex<VecDeque<Annotation>>,
    annotations_max: usize,
    orders: Sender<Order>,
    waiting: Arc<AtomicUsize>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
}

impl History {
    /// Takes over a directory, which no other process may use meanwhile.
    pub(crate) fn open(directory: &Path, settings: HistorySettings, now: Millis) -> io::Result<(History, Restored)> {
        let shared = Arc::<Shared>::default();
        let annotations_max = settings.annotations;
        let (writer, names, annotations) = Writer::open(directory, settings, shared.clone(), now)?;
        let restored = Restored { names, last: last_seconds(&shared)? };
        let (orders, receiver) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let taken = waiting.clone();
        let writer =
            std::thread::Builder::new().name("monitor-history".into()).spawn(move || writer.run(&receiver, &taken))?;
        let (annotations, writer) = (Mutex::new(annotations), Mutex::new(Some(writer)));
        Ok((
            History { shared, annotations, annotations_max, orders, waiting, writer, dropped: AtomicU64::new(0) },
            restored,
        ))
    }

    /// Keeps points; never blocks. What the writer cannot take is dropped, and counted.
    pub(crate) fn append(&self, points: Vec<Point>) {
        let count = points.len();
        if self.waiting.fetch_add(count, Ordering::Relaxed) > WAITING {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            self.dropped.fetch_add(count as u64, Ordering::Relaxed);
            return;
        }
        // Nobody takes it only when the writer has ended, which was noticed then.
        let _ = self.orders.send(Order::Points(points));
    }

    /// Keeps what is known of series: a text each, without a line break.
    pub(crate) fn name(&self, names: Vec<(SeriesId, String)>) {
        let _ = self.orders.send(Order::Names(names));
    }

    /// Keeps annotations.
    pub(crate) fn annotation(&self, new: Vec<Annotation>) {
        let mut annotations = self.annotations();
        annotations.extend(new.iter().cloned());
        while annotations.len() > self.annotations_max {
            annotations.pop_front();
        }
        drop(annotations);
        let _ = self.orders.send(Order::Annotations(new));
    }

    fn annotations(&self) -> MutexGuard<'_, VecDeque<Annotation>> {
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The annotations of some time, in the order in which they were made.
    pub(crate) fn annotations_between(&self, from: Millis, to: Millis) -> Vec<Annotation> {
        self.annotations().iter().filter(|annotation| (from..=to).contains(&annotation.time)).cloned().collect()
    }

    /// The first second that is kept as such, as far as a sealed file has one.
    pub(crate) fn oldest_second(&self) -> u32 {
        let state = self.shared.lock();
        let oldest = state.seconds.iter().filter(|sealed| sealed.from <= sealed.to).map(|sealed| sealed.from).min();
        // With no minutes sealed, there is nothing that only they know.
        if state.minutes.is_empty() { 0 } else { oldest.unwrap_or(0) }
    }

    /// The columns of a series; blocks while it reads.
    pub(crate) fn columns(&self, series: SeriesId, range: Range) -> io::Result<Columns> {
        query::columns(&self.shared, series, range)
    }

    /// The seconds of a series; blocks while it reads.
    pub(crate) fn rows(&self, series: SeriesId, from: u32, to: u32) -> io::Result<Vec<(u32, f64, f64)>> {
        let rows = query::rows(&self.shared, series, from, to)?;
        Ok(rows
            .into_iter()
            .map(|Row { second, cpu, mem }| (second, point::CPU.value(cpu), point::MEM.value(mem)))
            .collect())
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.shared.lock().counts;
        counts.dropped += self.dropped.load(Ordering::Relaxed);
        counts
    }

    /// Writes everything, and waits until that is done.
    pub(crate) fn close(&self) {
        let _ = self.orders.send(Order::Stop);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = writer.map(JoinHandle::join) {
            tracing::error!("the writer of the history has panicked");
        }
    }
}

fn last_seconds(shared: &Shared) -> io::Result<HashMap<SeriesId, u32>> {
    let state = shared.lock();
    let sealed = state.seconds.clone();
    let active = state.active.as_ref().map_or_else(Vec::new, |active| active.entries.clone());
    let open: Vec<(SeriesId, u32)> = state
        .open
        .iter()
        .filter_map(|(series, rows)| Some((*series, rows.iter().map(|row| row.second).max()?)))
        .collect();
    drop(state);
    let mut last = HashMap::new();
    let mut seen = |series: SeriesId, second: u32| {
        let known = last.entry(series).or_insert(second);
        *known = second.max(*known);
    };
    for sealed in sealed {
        sealed.entries()?.unwrap_or_default().iter().for_each(|entry| seen(entry.series, entry.to));
    }
    active.iter().for_each(|entry| seen(entry.series, entry.to));
    open.into_iter().for_each(|(series, second)| seen(series, second));
    Ok(last)
}
