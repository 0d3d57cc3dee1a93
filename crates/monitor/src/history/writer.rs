//! The thread that writes.

mod ending;

pub use ending::Unwritten;

use super::annotations::{Changes, Kept};
use super::disk::Disk;
use super::jsonl::JsonLines;
use super::recovery::{ANNOTATIONS, Found, NAMES, Spans, check_kinds, check_versions};
use super::store::{Names, Shared, Store, listed};
use super::{HistorySettings, Restored};
use crate::Millis;
use crate::point::{Point, SeriesId};
use crate::series::SeriesMeta;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use switchboard_driver::quantity::plural;
use switchboard_driver::{FolderLock, lock_folder};

/// More often the journal is not written, whatever the settings say.
const SHORTEST: Duration = Duration::from_millis(50);

/// Returns lines for the series of the files that should have a name and have none, and how many of these are made up.
///
/// The names say which series were forgotten on purpose: any other has lost its own.
fn names_for(spans: &Spans, mut found: Names, names: &JsonLines) -> (Vec<(u64, String)>, usize) {
    let mut unnamed = 0;
    let mut lines: Vec<(u64, String)> = spans
        .iter()
        .filter(|(id, _)| names.is_lost(u64::from(**id)))
        .filter_map(|(&id, &(first, _))| {
            let name = found.remove(&id).or_else(|| {
                unnamed += 1;
                serde_json::to_string(&SeriesMeta::unnamed(id, Millis::of_second(first))).ok()
            });
            Some((id.into(), name?))
        })
        .collect();
    lines.sort_unstable();
    (lines, unnamed)
}

/// Names and annotations that the writer has not taken yet, of each key the newest: a sender that changes with each of its
/// samples takes no more memory, on however slow a disk, than one that does not.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) names: BTreeMap<SeriesId, String>,
    pub(super) annotations: BTreeMap<u64, String>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.annotations.is_empty()
    }

    pub(super) fn annotate(&mut self, changes: Changes) {
        for (key, text) in changes {
            // One that has gone before it was written is never written: each has a key of its own.
            if !text.is_empty() || self.annotations.remove(&key).is_none_or(|before| before.is_empty()) {
                self.annotations.insert(key, text);
            }
        }
    }
}

/// An order to the writer.
#[derive(Debug)]
pub(super) enum Order {
    Points(Vec<Point>),
    /// Take what is pending.
    Pending,
    Names(Vec<(SeriesId, String)>),
    Annotations(Changes),
    /// Write everything, and end.
    Stop,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Store,
    names: JsonLines,
    annotations: JsonLines,
    shared: Arc<Shared>,
    /// The writes that the disk did not take the last time.
    failing: HashSet<&'static str>,
    /// The newest error of a write.
    failure: String,
    /// One process at a time; the system unlocks it with the process's end.
    lock: FolderLock,
    /// The folder is not this process's any more: nothing is written to it.
    is_evicted: bool,
}

impl Writer {
    /// Also what an earlier run has left.
    pub(super) fn open(
        disk: Disk,
        directory: &Path,
        settings: HistorySettings,
        shared: Arc<Shared>,
        now: Millis,
    ) -> io::Result<(Writer, Restored)> {
        // The names of processes are private.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let lock = lock_folder(directory)?;
        check_kinds(directory)?;
        check_versions(directory)?;
        // Both files are there before the first of these.
        let has_past = !listed(directory)?.is_empty();
        let [names_path, annotations_path] = [NAMES, ANNOTATIONS].map(|name| directory.join(name));
        let no_names = has_past && JsonLines::is_missing(&names_path);
        if has_past && JsonLines::is_missing(&annotations_path) {
            shared.lost(&annotations_path, "it is missing or empty, and the annotations are lost");
        }
        let open = |path: &Path, kept: (usize, bool), key: fn(&str) -> Option<u64>| {
            JsonLines::open(&disk, path, kept, key, |unread| {
                if unread.torn > 0 {
                    shared.torn(path, unread.torn);
                }
                if unread.damaged == 0 {
                    return Ok(());
                }
                shared.set_aside(&disk, path, &format!("{} of it cannot be read", plural(unread.damaged, "line")))
            })
        };
        let mut names = open(&names_path, (settings.names, true), |line| {
            serde_json::from_str::<serde_json::Value>(line).ok()?.get("id")?.as_u64()
        })?;
        let annotations = open(&annotations_path, (usize::MAX, false), |line| {
            serde_json::from_str::<Kept>(line).ok().map(|kept| kept.key)
        })?;
        let (store, found) = Store::open(disk.clone(), directory, settings, shared.clone(), &names.latest, now)?;
        let Found { spans, lost } = found;
        let (lost, unnamed) = names_for(&spans, lost, &names);
        if no_names || !lost.is_empty() {
            let (all, missing) = (lost.len(), if no_names { "it is missing or empty: " } else { "" });
            let what = format!(
                "{missing}{} of processes {} lost; {} taken from other files, and {unnamed} shown as \"unnamed N\"",
                plural(all, "name"),
                if all == 1 { "is" } else { "are" },
                all - unnamed
            );
            shared.lost(&names_path, &what);
            names.append(lost)?;
            names.flush()?;
        }
        let restored = Restored {
            names: names.latest().into_iter().map(str::to_owned).collect(),
            spans,
            annotations: annotations.latest().into_iter().filter_map(|line| serde_json::from_str(line).ok()).collect(),
        };
        Ok((
            Writer {
                store,
                names,
                annotations,
                shared,
                failing: HashSet::new(),
                failure: String::new(),
                lock,
                is_evicted: false,
            },
            restored,
        ))
    }

    /// Writes until it is stopped, or nobody is left who could stop it.
    ///
    /// # Errors
    /// The disk has not taken everything.
    pub(super) fn run(
        mut self,
        orders: &Receiver<Order>,
        waiting: &AtomicUsize,
        pending: &Mutex<Pending>,
    ) -> Result<(), Unwritten> {
        let (flush, checkpoint) = (self.store.settings.flush.max(SHORTEST), self.store.settings.checkpoint);
        let (mut flushed, mut checked) = (Instant::now(), Instant::now());
        loop {
            match orders.recv_timeout(flush.saturating_sub(flushed.elapsed())) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Order::Pending) => {
                    let Pending { names, annotations } = std::mem::take(&mut *pending.lock());
                    self.take(Order::Names(names.into_iter().collect()));
                    self.take(Order::Annotations(annotations.into_iter().collect()));
                }
                Ok(order) => {
                    if let Order::Points(points) = &order {
                        waiting.fetch_sub(points.len(), Ordering::Relaxed);
                    }
                    self.take(order);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if flushed.elapsed() < flush {
                continue;
            }
            self.flush();
            // A checkpoint that failed waits for the next flush, not for ten minutes.
            if (checked.elapsed() >= checkpoint || self.store.is_full()) && self.checkpoint(Millis::now()) {
                checked = Instant::now();
            }
            flushed = Instant::now();
        }
        self.finish(|| std::thread::sleep(ending::BEFORE_LAST_TRY))
    }

    pub(super) fn take(&mut self, order: Order) {
        let result = match order {
            // Into memory: this says nothing of the disk.
            Order::Points(points) => return self.store.add(points),
            _ if !self.is_ours() => return,
            Order::Names(names) => self.names.append(names.into_iter().map(|(series, text)| (series.into(), text))),
            Order::Annotations(changes) => self.annotations.append(changes),
            Order::Pending | Order::Stop => return,
        };
        self.note("names and annotations", result);
    }

    /// Writes the journal: when this succeeds, taken points outlive the process, and names outlive the machine.
    pub(super) fn flush(&mut self) -> bool {
        if !self.is_ours() {
            return false;
        }
        // Names first: a series must not be without its name.
        let names = self.names.flush().and(self.annotations.flush());
        let points = self.store.flush();
        self.note("names and annotations", names) & self.note("journal", points)
    }

    /// Writes and syncs blocks: when this succeeds, taken points outlive the machine.
    pub(super) fn checkpoint(&mut self, now: Millis) -> bool {
        if !self.is_ours() {
            return false;
        }
        let names = self.names.flush().and(self.annotations.flush());
        let points = self.store.checkpoint(now, &self.names.latest);
        self.note("names and annotations", names) & self.note("blocks", points)
    }

    /// Returns false, from the first time on, if the folder was removed or replaced: another process may have locked it anew.
    fn is_ours(&mut self) -> bool {
        if !self.is_evicted
            && let Err(error) = self.lock.check()
        {
            tracing::error!("{error}: this monitor writes nothing there any more; restart it to keep a history");
            self.is_evicted = true;
            self.failure = error.to_string();
        }
        if self.is_evicted {
            self.shared.lock().counts.failed += 1;
        }
        !self.is_evicted
    }

    #[cfg(test)]
    pub(super) fn is_failing(&self) -> bool {
        !self.failing.is_empty()
    }

    fn note(&mut self, what: &'static str, result: io::Result<()>) -> bool {
        let directory = self.store.directory.display();
        match &result {
            Err(error) => {
                self.shared.lock().counts.failed += 1;
                self.failure = error.to_string();
                // Once, and not every two seconds for as long as the disk is full.
                if self.failing.insert(what) {
                    tracing::error!("cannot write the history's {what} in {directory}: {error}; it is tried again");
                }
            }
            Ok(()) => {
                if self.failing.remove(what) {
                    tracing::info!("the history's {what} in {directory} are written again");
                }
            }
        }
        result.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_with_every_sample_takes_no_more_room_while_the_disk_takes_nothing() {
        let mut pending = Pending::default();
        for at in 0..10_000u64 {
            pending.names.extend([(7, at.to_string())]);
            // As `Annotations` does: the newest hundred are kept, the first of which are written.
            let gone = at.checked_sub(100).map(|key| (key, String::new()));
            pending.annotate([Some((at, "x".to_owned())), gone].into_iter().flatten().collect());
            if at == 49 {
                pending = Pending::default();
            }
        }
        assert_eq!((pending.names.len(), &*pending.names[&7]), (1, "9999"));
        // Annotations to be forgotten, and annotations in force.
        assert_eq!(pending.annotations.len(), 50 + 100);
        assert!(pending.annotations.range(..50).all(|(_, text)| text.is_empty()));
    }
}
