//! The files of a history, and the one writer of them.
//!
//! Points go into memory and into a journal. At a checkpoint, what is in memory is appended to the active
//! file, in blocks, and a new journal begins. After some hours the active file is written anew as a sealed
//! one, a block a series, and its minutes as another; sealed files are deleted by age and by the cap.

use super::block::{self, Minute};
use super::damage::{Counts, Place};
use super::disk::Disk;
use super::files::Files;
use super::journal::Journal;
use super::record::{self, Kind, MAGIC};
use super::sealed::{Entry, Sealed, put_name, read_block};
use super::{HistorySettings, minutes};
use crate::Millis;
use crate::point::{Point, Row, SeriesId};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// State that readers share with the writer.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<State>);

/// The positions of everything. Nothing is read or written while it is locked.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Since the last checkpoint, as it came.
    pub(super) open: HashMap<SeriesId, Vec<Row>>,
    pub(super) open_rows: usize,
    pub(super) active: Option<Active>,
    /// The oldest first.
    pub(super) seconds: Vec<Arc<Sealed>>,
    pub(super) minutes: Vec<Arc<Sealed>>,
    pub(super) counts: Counts,
    /// Damage that is counted already.
    pub(super) damage: HashSet<Place>,
    /// Names of files that could not be read wholly, and are kept as they were found.
    pub(super) set_aside: Vec<String>,
}

/// The file that blocks are appended to.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) entries: Vec<Entry>,
    /// The names of the series in the file.
    pub(super) names: Names,
    pub(super) bytes: u64,
}

/// Names of series, in JSON.
pub(super) type Names = HashMap<SeriesId, String>;

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    pub(super) fn add(&mut self, points: &[Point]) {
        for &Point { series, row } in points {
            let rows = self.open.entry(series).or_default();
            match rows.last_mut() {
                // The later one is in force.
                Some(last) if last.second == row.second => *last = row,
                _ => {
                    rows.push(row);
                    self.open_rows += 1;
                }
            }
        }
    }
}

/// The writer's own.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) disk: Disk,
    pub(super) directory: PathBuf,
    pub(super) settings: HistorySettings,
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    /// The highest number of a file.
    pub(super) number: u64,
    /// Not in the journal yet.
    pub(super) pending: Vec<Point>,
    /// Points are missing from `pending`: of those since the last block it is not known which the journal has.
    pub(super) has_overflowed: bool,
    /// When the active file was begun.
    pub(super) begun: Millis,
    /// Files whose content is elsewhere, and that could not be deleted yet.
    pub(super) unwanted: Vec<PathBuf>,
}

impl Store {
    /// Takes points over into memory; [`Store::flush`] makes them outlive the process.
    pub(super) fn add(&mut self, points: Vec<Point>) {
        let mut state = self.shared.lock();
        if state.open_rows + points.len() > self.settings.open_rows_max {
            state.counts.dropped += points.len() as u64;
            return;
        }
        state.add(&points);
        drop(state);
        // Points that a failing disk does not take stay in memory until a checkpoint; one copy of them is enough.
        if self.pending.len() + points.len() > self.settings.open_rows_max {
            self.pending.clear();
            self.has_overflowed = true;
        }
        self.pending.extend(points);
    }

    /// Writes the journal. What it does not take is tried again with the next.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let before = self.journal.bytes;
        self.journal.write(&self.pending)?;
        self.shared.lock().counts.bytes += self.journal.bytes - before;
        self.pending.clear();
        Ok(())
    }

    /// Whether so much is in memory that it should not wait for its time.
    pub(super) fn is_full(&self) -> bool {
        self.shared.lock().open_rows >= self.settings.open_rows_max / 2
    }

    /// Moves what is in memory to the active file, seals that if it is time, and deletes what is old.
    /// `names` is what is known of each series.
    pub(super) fn checkpoint(&mut self, now: Millis, names: &HashMap<u64, String>) -> io::Result<()> {
        let result = self.write_blocks(names).and_then(|()| self.begin_journal());
        // A full disk may have room again after this, and else nothing depends on it.
        let sealed = result.and_then(|()| self.seal_if_due(now));
        self.delete_old(now);
        // Before anything goes: a file that is on the list and not there is damage.
        let noted = self.note_files();
        let removed = self.remove_unwanted();
        // A full disk may have room for it now.
        let noted = noted.or_else(|_| self.note_files());
        self.count_bytes();
        sealed.and(noted).and(removed)
    }

    pub(super) fn note_files(&mut self) -> io::Result<()> {
        let files = Files::of(&self.shared.lock());
        self.journal.note(files)
    }

    pub(super) fn write_blocks(&mut self, names: &HashMap<u64, String>) -> io::Result<()> {
        let series: BTreeSet<SeriesId> = self.shared.lock().open.keys().copied().collect();
        if series.is_empty() {
            return Ok(());
        }
        let active = self.shared.lock().active.clone();
        let mut active = match active {
            Some(active) => active,
            None => self.begin_active()?,
        };
        if active.file.metadata()?.len() != active.bytes {
            // A write has failed earlier, and what it left was not cut off.
            self.disk.truncate(&active.file, active.bytes)?;
        }
        let mut bytes = Vec::new();
        let mut payload = Vec::new();
        for series in series {
            let mut rows = self.shared.lock().open.get(&series).cloned().unwrap_or_default();
            in_order(&mut rows);
            if let Some(name) = names.get(&series.into()).filter(|name| active.names.get(&series) != Some(name)) {
                record::put(Kind::Name, &put_name(series, name), &mut bytes);
                active.names.insert(series, name.clone());
            }
            for rows in rows.chunks(block::ROWS_MAX) {
                payload.clear();
                block::put_rows(series, rows, &mut payload);
                let begin = bytes.len();
                record::put(Kind::Rows, &payload, &mut bytes);
                active.entries.push(Entry {
                    series,
                    from: rows[0].second,
                    to: rows[rows.len() - 1].second,
                    offset: (active.bytes + begin as u64) as u32,
                    length: (bytes.len() - begin) as u32,
                });
            }
        }
        if let Err(error) = self.disk.write(&active.file, &bytes).and_then(|()| self.disk.sync(&active.file)) {
            // Its remains would otherwise be where the next blocks are thought to be.
            let _ = self.disk.truncate(&active.file, active.bytes);
            return Err(error);
        }
        active.bytes += bytes.len() as u64;
        let mut state = self.shared.lock();
        state.active = Some(active);
        state.open.clear();
        state.open_rows = 0;
        drop(state);
        self.pending.clear();
        self.has_overflowed = false;
        Ok(())
    }

    fn begin_active(&mut self) -> io::Result<Active> {
        let number = self.next_number();
        let path = file(&self.directory, "active", number);
        let created = self.disk.create(&path)?;
        if let Err(error) = self.disk.write(&created, &MAGIC) {
            self.unwanted.push(path);
            return Err(error);
        }
        let active = Active {
            number,
            path,
            file: Arc::new(created),
            entries: Vec::new(),
            names: Names::new(),
            bytes: MAGIC.len() as u64,
        };
        // There until it is sealed, even if nothing can be written to it now.
        self.shared.lock().active = Some(active.clone());
        Ok(active)
    }

    /// Begins a new journal: the contents of the old one are in blocks.
    fn begin_journal(&mut self) -> io::Result<()> {
        if !self.journal.has_points {
            return Ok(());
        }
        let number = self.next_number();
        let path = file(&self.directory, "journal", number);
        let files = Files::of(&self.shared.lock());
        let journal = Journal::create(&self.disk, path, files)?;
        self.unwanted.push(std::mem::replace(&mut self.journal, journal).path);
        Ok(())
    }

    pub(super) fn remove_unwanted(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        let disk = &self.disk;
        self.unwanted.retain(|path| match disk.remove(path) {
            Ok(()) => false,
            Err(error) => {
                result = Err(error);
                true
            }
        });
        result
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn count_bytes(&self) {
        let bytes = listed(&self.directory).map_or(0, |files| {
            files.iter().filter_map(|(path, ..)| fs::metadata(path).ok()).map(|file| file.len()).sum()
        });
        self.shared.lock().counts.bytes = bytes;
    }
}

/// The files of the history: path, kind and number.
pub(super) fn listed(directory: &Path) -> io::Result<Vec<(PathBuf, String, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".swb"));
        let Some((kind, number)) = name.and_then(|name| name.split_once('-')) else { continue };
        if let Ok(number) = number.parse() {
            let kind = kind.to_owned();
            files.push((path, kind, number));
        }
    }
    Ok(files)
}

pub(super) fn file(directory: &Path, kind: &str, number: u64) -> PathBuf {
    directory.join(format!("{kind}-{number:08}.swb"))
}

/// By second, the later of two in one second.
pub(super) fn in_order(rows: &mut Vec<Row>) {
    if !rows.is_sorted_by_key(|row| row.second) {
        rows.sort_by_key(|row| row.second);
    }
    rows.dedup_by(|later, earlier| {
        let same = later.second == earlier.second;
        if same {
            *earlier = *later;
        }
        same
    });
}

/// Returns the rows of a series in blocks of the active file, in the order in which they were written, and true if one could not be read.
pub(super) fn active_rows(shared: &Shared, active: &Active, series: SeriesId) -> (Vec<Row>, bool) {
    let (mut rows, mut is_damaged) = (Vec::new(), false);
    for entry in active.entries.iter().filter(|entry| entry.series == series) {
        match shared.readable(&active.path, entry, read_block(&active.file, entry), block::take_rows) {
            Some((_, more)) => rows.extend(more),
            None => is_damaged = true,
        }
    }
    (rows, is_damaged)
}

/// The minutes of rows that are in order.
pub(super) fn to_minutes(rows: &[Row]) -> Vec<Minute> {
    minutes::of_rows(rows)
}
