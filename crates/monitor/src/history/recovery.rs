//! Recovery of the files of an earlier run, in whatever state they are.

use super::block;
use super::disk::Disk;
use super::files::Files;
use super::journal::{self, Journal};
use super::record::{self, Head, Kind, MAGIC, Record};
use super::sealed::{Entry, Sealed, Sealing, TEMPORARY, take_name};
use super::store::{Active, Names, Shared, Store, file, listed};
use super::{HistorySettings, jsonl, query};
use crate::Millis;
use crate::point::SeriesId;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use switchboard_driver::quantity::plural;

/// The first and the last second of each series that is kept.
pub(crate) type Spans = HashMap<SeriesId, (u32, u32)>;

/// Names of the files beside those with numbers.
pub(super) const NAMES: &str = "names.jsonl";
pub(super) const ANNOTATIONS: &str = "annotations.jsonl";

/// An error if something else than a file has the name of one: a pipe would hold up whoever opens it, and a link leads to a
/// file that is not the history's.
pub(super) fn check_kinds(directory: &Path) -> io::Result<()> {
    let numbered = listed(directory)?.into_iter().map(|(path, ..)| path);
    for path in numbered.chain([NAMES, ANNOTATIONS].map(|name| directory.join(name))) {
        let kind = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            data => data.map_err(|error| jsonl::named(&path, &error))?.file_type(),
        };
        if !kind.is_file() {
            let what = match (kind.is_symlink(), kind.is_dir()) {
                (true, _) => "it is a link, which is not followed",
                (_, true) => "it is a directory",
                _ => "it is no file, but a pipe, a socket or a device",
            };
            let text = format!("{what}: move it away");
            return Err(jsonl::named(&path, &io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
    }
    Ok(())
}

/// An error if a file is of another version; nothing is changed by then.
pub(super) fn check_versions(directory: &Path) -> io::Result<()> {
    for (path, ..) in listed(directory)? {
        let mut head = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head))
            .map_err(|error| jsonl::named(&path, &error))?;
        // The head may be damaged: a record of ours says more.
        if let Head::Version(version) = Head::of(&head)
            && record::scan(&fs::read(&path)?).records.is_empty()
        {
            return Err(other_version(&path, version));
        }
    }
    for name in [NAMES, ANNOTATIONS] {
        let path = directory.join(name);
        if let Some(version) = fs::read(&path).ok().and_then(|bytes| jsonl::other_version(&bytes)) {
            return Err(other_version(&path, version));
        }
    }
    Ok(())
}

fn other_version(path: &Path, version: u8) -> io::Error {
    let (name, version) = (path.file_name().unwrap_or_default().to_string_lossy(), char::from(version));
    let text = format!(
        "{name} is of version {version:?} of the history's format, and this program reads version 1: \
         start the program that wrote it, or move the file away"
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The contents of the files of an earlier run.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) spans: Spans,
    /// Names that only they have.
    pub(super) lost: Names,
}

impl Store {
    /// Takes over what is in the directory, whatever state it is in.
    pub(super) fn open(
        disk: Disk,
        directory: &Path,
        settings: HistorySettings,
        shared: Arc<Shared>,
        names: &HashMap<u64, String>,
        now: Millis,
    ) -> io::Result<(Store, Found)> {
        remove_temporaries(&disk, directory)?;
        let mut spans = Spans::new();
        let mut unwanted = Vec::new();
        let (mut journals, mut actives, mut number) = (Vec::new(), Vec::new(), 0);
        let files = listed(directory)?;
        let there: HashSet<PathBuf> = files.iter().map(|(path, ..)| path.clone()).collect();
        for (path, kind, of) in files {
            number = of.max(number);
            match kind.as_str() {
                "journal" => journals.push((of, path)),
                "active" => actives.push((of, path)),
                // The active file is still there, and what was sealed from it is sealed again.
                "minutes" if file(directory, "active", of).exists() => unwanted.push(path),
                "seconds" | "minutes" => {
                    let sealed = Arc::new(open_sealed(&disk, &shared, &path, &kind, of, &mut spans)?);
                    let mut state = shared.lock();
                    (if kind == "seconds" { &mut state.seconds } else { &mut state.minutes }).push(sealed);
                }
                _ => {}
            }
        }
        {
            let state = &mut *shared.lock();
            for list in [&mut state.seconds, &mut state.minutes] {
                list.sort_unstable_by_key(|sealed| sealed.number);
            }
        }
        journals.sort();
        let (mut noted, mut is_older) = (None, false);
        for (_, path) in &journals {
            let journal = read_journal(&disk, &shared, path)?;
            (noted, is_older) = (journal.noted.or(noted), journal.is_older);
        }
        match noted {
            Some(files) => files.check(&shared, directory, &there),
            None if is_older => {}
            // Before the first list there is nothing that could be on it.
            None if there.len() > journals.len() || !names.is_empty() => {
                let path = file(directory, "journal", journals.last().map_or(number, |(number, _)| *number));
                shared.lost(&path, "the newest journal is missing, or its beginning: what it held is lost");
            }
            None => {}
        }
        actives.sort();
        let mut opened = Vec::new();
        for (number, path) in actives {
            opened.push(open_active(&disk, &shared, path, number)?);
        }
        for entry in opened.iter().flat_map(|active| &active.entries) {
            see(&mut spans, entry.series, entry.from, entry.to);
        }
        for (series, rows) in &shared.lock().open {
            rows.iter().for_each(|row| see(&mut spans, *series, row.second, row.second));
        }
        let lost = lost_names(&shared, &opened, &spans, names);
        let newest = opened.pop();
        // Its first block was written soon after that second.
        let first = newest.as_ref().and_then(|active| active.entries.first());
        let begun = first.map_or(now, |entry| Millis::of_second(entry.to));
        shared.lock().active = newest;
        number += 1;
        let files = Files::of(&shared.lock());
        let journal = Journal::create(&disk, file(directory, "journal", number), files)?;
        let (directory, pending) = (directory.to_owned(), Vec::new());
        let has_overflowed = false;
        let mut store =
            Store { disk, directory, settings, shared, journal, number, pending, has_overflowed, begun, unwanted };
        // There is one active file, unless one could not be deleted after it was sealed.
        for active in opened {
            store.seal(&active)?;
        }
        // The contents of old journals are in blocks now; only then may they go.
        store.write_blocks(names)?;
        store.unwanted.extend(journals.into_iter().map(|(_, path)| path));
        store.note_files()?;
        store.remove_unwanted()?;
        store.count_bytes();
        store.shared.list_set_aside(&store.directory);
        Ok((store, Found { spans, lost }))
    }
}

/// Returns the names in files of series that have no name any more.
fn lost_names(shared: &Shared, actives: &[Active], spans: &Spans, names: &HashMap<u64, String>) -> Names {
    let mut wanted: HashSet<SeriesId> = spans.keys().copied().filter(|id| !names.contains_key(&(*id).into())).collect();
    let mut found = Names::new();
    for (series, name) in actives.iter().rev().flat_map(|active| &active.names) {
        if wanted.remove(series) {
            found.insert(*series, name.clone());
        }
    }
    let seconds = shared.lock().seconds.clone();
    for sealed in seconds.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        found.extend(query::sealed_names(shared, sealed, &mut |series| wanted.remove(&series)));
    }
    found
}

fn see(spans: &mut Spans, series: SeriesId, from: u32, to: u32) {
    let span = spans.entry(series).or_insert((from, to));
    *span = (span.0.min(from), span.1.max(to));
}

/// Files that were being written when the process ended.
fn remove_temporaries(disk: &Disk, directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == TEMPORARY) {
            disk.remove(&path)?;
        }
    }
    Ok(())
}

fn open_sealed(
    disk: &Disk,
    shared: &Shared,
    path: &Path,
    kind: &str,
    number: u64,
    spans: &mut Spans,
) -> io::Result<Sealed> {
    let (sealed, entries) = match Sealed::open(path, number)? {
        Some(opened) => opened,
        None => {
            repair(disk, shared, path, number)?;
            let unreadable = || io::Error::other(format!("{} cannot be read after its repair", path.display()));
            Sealed::open(path, number)?.ok_or_else(unreadable)?
        }
    };
    for Entry { series, from, to, .. } in entries.into_iter().filter(|entry| !entry.is_name()) {
        // Of a last minute it is not known which was the last second.
        let (from, to) = if kind == "minutes" { (from.saturating_mul(60), to.saturating_mul(60)) } else { (from, to) };
        see(spans, series, from, to);
    }
    Ok(sealed)
}

/// Writes a sealed file anew from its whole blocks.
fn repair(disk: &Disk, shared: &Shared, path: &Path, number: u64) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let scan = record::scan(&bytes);
    shared.set_aside(disk, path, &format!("{} of it cannot be read", plural(scan.damaged + scan.torn, "byte")))?;
    let mut sealing = Sealing::begin(disk, path)?;
    for record in &scan.records {
        if let Some((series, name)) = name(record) {
            sealing.name(series, &name)?;
        } else if let Some(entry) = entry(record, record.offset) {
            sealing.block(record.kind, entry.series, (entry.from, entry.to), record.payload)?;
        }
    }
    sealing.end(path, number).map(drop)
}

/// The list of files in a journal.
struct JournalFound {
    /// The newest one.
    noted: Option<Files>,
    /// Points stand where a list is today: an earlier version wrote none.
    is_older: bool,
}

/// Takes the points of a journal.
fn read_journal(disk: &Disk, shared: &Shared, path: &Path) -> io::Result<JournalFound> {
    let bytes = fs::read(path)?;
    let scan = record::scan(&bytes);
    let (mut damaged, mut noted) = (scan.damaged, None);
    let is_first = |record: &Record<'_>| record.offset == MAGIC.len() && record.kind == Kind::Points;
    let is_older = Head::of(&bytes) == Head::Ours && scan.records.first().is_some_and(is_first);
    for record in &scan.records {
        if let Some(files) = Files::decode(record.payload).filter(|_| record.kind == Kind::Files) {
            noted = Some(files);
            continue;
        }
        match journal::decode(record.payload).filter(|_| record.kind == Kind::Points) {
            Some(points) => shared.lock().add(&points),
            None => damaged += record.length,
        }
    }
    if damaged > 0 {
        shared.set_aside(disk, path, &format!("{} of it cannot be read", plural(damaged, "byte")))?;
    }
    if scan.torn > 0 {
        shared.torn(path, scan.torn);
    }
    Ok(JournalFound { noted, is_older })
}

/// Cuts what was not written wholly, and lists what is there.
fn open_active(disk: &Disk, shared: &Shared, path: PathBuf, number: u64) -> io::Result<Active> {
    let bytes = fs::read(&path)?;
    let scan = record::scan(&bytes);
    let makes_sense = |record: &Record<'_>| name(record).is_some() || entry(record, 0).is_some();
    let senseless = scan.records.iter().filter(|record| !makes_sense(record)).map(|record| record.length);
    let damaged = scan.damaged + senseless.sum::<usize>();
    if scan.torn > 0 {
        shared.torn(&path, scan.torn);
    }
    if damaged > 0 || Head::of(&bytes) == Head::Torn {
        if damaged > 0 {
            shared.set_aside(disk, &path, &format!("{} of it cannot be read", plural(damaged, "byte")))?;
        }
        return rewrite_active(disk, path, number, &bytes, &scan.records);
    }
    let file = disk.append_to(&path)?;
    if scan.torn > 0 {
        disk.truncate(&file, scan.end as u64)?;
    }
    let entries = scan.records.iter().filter_map(|record| entry(record, record.offset)).collect();
    let names = scan.records.iter().filter_map(name).collect();
    Ok(Active { number, path, file: Arc::new(file), entries, names, bytes: scan.end as u64 })
}

fn rewrite_active(disk: &Disk, path: PathBuf, number: u64, bytes: &[u8], records: &[Record<'_>]) -> io::Result<Active> {
    let (mut whole, mut entries) = (MAGIC.to_vec(), Vec::new());
    for record in records {
        let entry = entry(record, whole.len());
        if entry.is_some() || name(record).is_some() {
            entries.extend(entry);
            whole.extend_from_slice(&bytes[record.offset..record.offset + record.length]);
        }
    }
    let temporary = path.with_extension(TEMPORARY);
    let file = disk.create(&temporary)?;
    disk.write(&file, &whole)?;
    disk.sync(&file)?;
    disk.rename(&temporary, &path)?;
    let names = records.iter().filter_map(name).collect();
    Ok(Active { number, path, file: Arc::new(file), entries, names, bytes: whole.len() as u64 })
}

fn name(record: &Record<'_>) -> Option<(SeriesId, String)> {
    take_name(record.payload).filter(|_| record.kind == Kind::Name)
}

/// The entry of a block that is at this offset; `None` if it is none.
fn entry(record: &Record<'_>, offset: usize) -> Option<Entry> {
    let (series, from, to) = match record.kind {
        Kind::Rows => {
            let (series, rows) = block::take_rows(record.payload)?;
            (series, rows.first()?.second, rows.last()?.second)
        }
        Kind::Minutes => {
            let (series, minutes) = block::take_minutes(record.payload)?;
            (series, minutes.first()?.minute, minutes.last()?.minute)
        }
        Kind::Points | Kind::Index | Kind::Name | Kind::Files => return None,
    };
    Some(Entry { series, from, to, offset: offset as u32, length: record.length as u32 })
}
