//! The files of a history, and the one writer of them.
//!
//! Points go into memory and into a journal. At a checkpoint, what is in memory is appended to the active
//! file, in blocks, and a new journal begins. After some hours the active file is written anew as a sealed
//! one, a block a series, and its minutes as another; sealed files are deleted by age and by the cap.

use super::block::{self, Minute};
use super::journal::{self, Journal};
use super::record::{self, Kind, MAGIC};
use super::sealed::{Entry, Sealed, Sealing, read_block};
use super::{HistorySettings, minutes};
use crate::Millis;
use crate::point::{Point, Row, SeriesId};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What readers share with the writer.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<State>);

/// Where everything is now. Nothing is read or written while it is locked.
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
}

/// What went wrong, and how much there is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Bytes on the disk.
    pub(crate) bytes: u64,
    /// Bytes, or blocks, that could not be read and were set aside or passed over.
    pub(crate) damaged: u64,
    /// Writes that failed.
    pub(crate) failed: u64,
    /// Points that were not kept, for the disk did not take them in time.
    pub(crate) dropped: u64,
}

/// The file that blocks are appended to.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) number: u64,
    pub(super) file: Arc<File>,
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: u64,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, points: &[Point]) {
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
    pub(super) directory: PathBuf,
    pub(super) settings: HistorySettings,
    pub(super) shared: Arc<Shared>,
    journal: Journal,
    journal_path: PathBuf,
    /// The highest number of a file.
    number: u64,
    /// Not in the journal yet.
    pending: Vec<Point>,
    /// When the active file was begun.
    pub(super) begun: Millis,
}

impl Store {
    /// Takes over what is in the directory, whatever state it is in.
    pub(super) fn open(
        directory: &Path,
        settings: HistorySettings,
        shared: Arc<Shared>,
        now: Millis,
    ) -> io::Result<Store> {
        let mut numbers = BTreeSet::from([0]);
        let mut state = State::default();
        let mut journals = Vec::new();
        let mut active = Vec::new();
        for (path, kind, number) in listed(directory)? {
            numbers.insert(number);
            match kind.as_str() {
                "journal" => journals.push((number, path)),
                "active" => active.push((number, path)),
                // The active file is still there: this was not the end of sealing it.
                "minutes" if file(directory, "active", number).exists() => fs::remove_file(path)?,
                "seconds" | "minutes" => {
                    let sealed = match Sealed::open(&path, number)? {
                        Some(sealed) => sealed,
                        None => repair(&path, number, &mut state.counts)?,
                    };
                    let list = if kind == "seconds" { &mut state.seconds } else { &mut state.minutes };
                    list.push(Arc::new(sealed));
                }
                _ => {}
            }
        }
        for list in [&mut state.seconds, &mut state.minutes] {
            list.sort_unstable_by_key(|sealed| sealed.number);
        }
        journals.sort();
        for (_, path) in &journals {
            read_journal(path, &mut state)?;
        }
        // There is one, or none; were there more, all but the newest would be sealed next.
        active.sort();
        if let Some((number, path)) = active.pop() {
            state.active = open_active(&path, number, &mut state.counts)?;
        }
        // Its first block was written soon after that second.
        let first = state.active.as_ref().and_then(|active| active.entries.first());
        let begun = first.map_or(now, |entry| Millis::of_second(entry.to));
        *shared.lock() = state;
        let number = numbers.last().map_or(1, |last| last + 1);
        let journal_path = file(directory, "journal", number);
        let journal = Journal::create(&journal_path)?;
        let mut store = Store {
            directory: directory.to_owned(),
            settings,
            shared,
            journal,
            journal_path,
            number,
            pending: Vec::new(),
            begun,
        };
        // What old journals held is in blocks now; only then may they go.
        if !store.shared.lock().open.is_empty() {
            store.write_blocks()?;
        }
        for (_, path) in journals {
            fs::remove_file(path)?;
        }
        store.count_bytes();
        Ok(store)
    }

    /// Takes points over into memory; [`Store::flush`] makes them outlive the process.
    pub(super) fn add(&mut self, points: Vec<Point>) {
        let mut state = self.shared.lock();
        if state.open_rows + points.len() > self.settings.most_open {
            state.counts.dropped += points.len() as u64;
            return;
        }
        state.add(&points);
        drop(state);
        self.pending.extend(points);
    }

    /// Writes the journal.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let before = self.journal.bytes;
        let result = self.journal.write(&self.pending);
        self.shared.lock().counts.bytes += self.journal.bytes - before;
        // If it failed, they still are in memory until the checkpoint.
        self.pending.clear();
        result
    }

    /// Whether so much is in memory that it should not wait for its time.
    pub(super) fn is_full(&self) -> bool {
        self.shared.lock().open_rows >= self.settings.most_open / 2
    }

    /// Moves what is in memory to the active file, seals that if it is time, and deletes what is old.
    pub(super) fn checkpoint(&mut self, now: Millis) -> io::Result<()> {
        self.flush()?;
        self.write_blocks()?;
        let number = self.next_number();
        let path = file(&self.directory, "journal", number);
        self.journal = Journal::create(&path)?;
        fs::remove_file(std::mem::replace(&mut self.journal_path, path))?;
        self.seal_if_due(now)?;
        self.delete_old(now)?;
        self.count_bytes();
        Ok(())
    }

    fn write_blocks(&mut self) -> io::Result<()> {
        let series: BTreeSet<SeriesId> = self.shared.lock().open.keys().copied().collect();
        if series.is_empty() {
            return Ok(());
        }
        let active = self.shared.lock().active.clone();
        let mut active = match active {
            Some(active) => active,
            None => self.begin_active()?,
        };
        let mut bytes = Vec::new();
        let mut payload = Vec::new();
        for series in series {
            let mut rows = self.shared.lock().open.get(&series).cloned().unwrap_or_default();
            in_order(&mut rows);
            for rows in rows.chunks(block::MOST) {
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
        if let Err(error) = (&*active.file).write_all(&bytes).and_then(|()| active.file.sync_data()) {
            // What was written of it would otherwise be where the next blocks are thought to be.
            active.file.set_len(active.bytes)?;
            return Err(error);
        }
        active.bytes += bytes.len() as u64;
        let mut state = self.shared.lock();
        state.active = Some(active);
        state.open.clear();
        state.open_rows = 0;
        Ok(())
    }

    fn begin_active(&mut self) -> io::Result<Active> {
        let number = self.next_number();
        let path = file(&self.directory, "active", number);
        let mut active = OpenOptions::new().create_new(true).append(true).read(true).open(path)?;
        active.write_all(&MAGIC)?;
        Ok(Active { number, file: Arc::new(active), entries: Vec::new(), bytes: MAGIC.len() as u64 })
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn count_bytes(&self) {
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

fn read_journal(path: &Path, state: &mut State) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let Some(scan) = record::scan(&bytes) else { return Ok(()) };
    state.counts.damaged += scan.damaged as u64;
    for record in scan.records {
        if let Some(points) = journal::decode(record.payload).filter(|_| record.kind == Kind::Points) {
            state.add(&points);
        }
    }
    Ok(())
}

/// Cuts what was not written wholly, and lists what is there.
fn open_active(path: &Path, number: u64, counts: &mut Counts) -> io::Result<Option<Active>> {
    let bytes = fs::read(path)?;
    let Some(scan) = record::scan(&bytes) else {
        set_aside(path)?;
        counts.damaged += bytes.len() as u64;
        return Ok(None);
    };
    if scan.damaged > 0 {
        // Kept as it was found, for whoever wants to look into it.
        fs::copy(path, aside(path))?;
        counts.damaged += scan.damaged as u64;
    }
    let entries = entries(&scan.records);
    let end = scan.end as u64;
    let file = OpenOptions::new().append(true).read(true).open(path)?;
    file.set_len(end)?;
    Ok(Some(Active { number, file: Arc::new(file), entries, bytes: end }))
}

fn entries(records: &[record::Record<'_>]) -> Vec<Entry> {
    let of = |record: &record::Record<'_>| {
        let (series, from, to) = match record.kind {
            Kind::Rows => {
                let (series, rows) = block::take_rows(record.payload)?;
                (series, rows.first()?.second, rows.last()?.second)
            }
            Kind::Minutes => {
                let (series, minutes) = block::take_minutes(record.payload)?;
                (series, minutes.first()?.minute, minutes.last()?.minute)
            }
            Kind::Points | Kind::Index => return None,
        };
        Some(Entry { series, from, to, offset: record.offset as u32, length: record.length as u32 })
    };
    records.iter().filter_map(of).collect()
}

/// Saves the whole blocks of a sealed file without an index.
fn repair(path: &Path, number: u64, counts: &mut Counts) -> io::Result<Sealed> {
    let bytes = fs::read(path)?;
    let scan = record::scan(&bytes).unwrap_or_default();
    counts.damaged += (bytes.len() - scan.end + scan.damaged) as u64;
    set_aside(path)?;
    let mut sealing = Sealing::begin(path)?;
    for record in &scan.records {
        if let [entry] = entries(&[*record])[..] {
            sealing.block(record.kind, entry.series, (entry.from, entry.to), record.payload)?;
        }
    }
    sealing.end(path, number)
}

fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, aside(path))
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// What blocks of the active file hold of a series, in the order in which they were written.
pub(super) fn active_rows(active: &Active, series: SeriesId, damaged: &mut u64) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in active.entries.iter().filter(|entry| entry.series == series) {
        match read_block(&active.file, entry)?.as_deref().and_then(block::take_rows) {
            Some((_, more)) => rows.extend(more),
            None => *damaged += 1,
        }
    }
    in_order(&mut rows);
    Ok(rows)
}

/// The minutes of rows that are in order.
pub(super) fn to_minutes(rows: &[Row]) -> Vec<Minute> {
    minutes::of_rows(rows)
}
