//! A disk that fails at any call, is full at any byte, or has changed any byte: nothing is lost or wrong in silence.

use super::annotations::Kept;
use super::disk::Disk;
use super::query::{self, Tier};
use super::store::{Shared, listed};
use super::writer::{Order, Writer};
use super::{HistorySettings, Range, Restored};
use crate::Millis;
use crate::annotation::{Annotation, AnnotationKind};
use crate::point::{Point, Row};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range as Span;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const BEGIN: u32 = 1_800_000_000;
pub(super) const SERIES: u32 = 7;
/// Longer than an active file lives.
pub(super) const LONG: u32 = 5 * 3600;

pub(super) fn row(at: u32) -> Row {
    Row { second: BEGIN + at, cpu: (at % 200) as u16, mem: (1000 + at % 7) as u16 }
}

pub(super) fn rows(span: Span<u32>) -> BTreeSet<(u32, u16, u16)> {
    span.map(row).map(|row| (row.second, row.cpu, row.mem)).collect()
}

pub(super) fn now(at: u32) -> Millis {
    Millis::of_second(BEGIN + at)
}

/// A writer, and what it has said.
pub(super) struct Trial {
    pub(super) writer: Writer,
    pub(super) shared: Arc<Shared>,
    pub(super) restored: Restored,
}

impl Trial {
    pub(super) fn open(disk: &Disk, directory: &Path, at: u32) -> io::Result<Trial> {
        let shared = Arc::<Shared>::default();
        let settings = HistorySettings::default();
        let (writer, restored) = Writer::open(disk.clone(), directory, settings, shared.clone(), now(at))?;
        Ok(Trial { writer, shared, restored })
    }

    pub(super) fn take(&mut self, span: Span<u32>) {
        let points = span.map(|at| Point { series: SERIES, row: row(at) }).collect();
        self.writer.take(Order::Points(points));
    }

    pub(super) fn name(&mut self, name: &str) {
        self.writer.take(Order::Names(vec![(SERIES, format!(r#"{{"id":{SERIES},"name":"{name}"}}"#))]));
    }

    pub(super) fn annotate(&mut self, key: u64) {
        let annotation = Annotation { time: now(3), id: SERIES, kind: AnnotationKind::Back, text: "back".into() };
        let text = serde_json::to_string(&Kept { key, annotation }).unwrap();
        self.writer.take(Order::Annotations(vec![(key, text)]));
    }

    pub(super) fn rows(&self) -> BTreeSet<(u32, u16, u16)> {
        let rows = query::rows(&self.shared, SERIES, 0, u32::MAX);
        assert!(rows.is_sorted_by(|a, b| a.second < b.second));
        rows.into_iter().map(|row| (row.second, row.cpu, row.mem)).collect()
    }

    pub(super) fn counted(&self) -> u64 {
        let counts = self.shared.lock().counts;
        counts.damaged + counts.torn
    }
}

/// Promises of a trial: seconds that outlive the process, and the name that outlives the machine.
/// A directory with a file of each kind.
fn filled(directory: &Path) {
    let mut trial = Trial::open(&Disk::default(), directory, 0).unwrap();
    trial.name("first");
    trial.annotate(0);
    trial.take(0..70);
    assert!(trial.writer.checkpoint(now(LONG)));
    trial.take(70..140);
    assert!(trial.writer.checkpoint(now(LONG + 100)));
    trial.take(140..200);
    assert!(trial.writer.flush());
}

pub(super) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_changed_byte_in_any_file_is_counted_and_what_cannot_be_read_is_kept() {
    let original = tempfile::tempdir().unwrap();
    filled(original.path());
    let whole = rows(0..200);
    let names: Vec<String> = fs::read_dir(original.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lock")
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        let bytes = fs::read(original.path().join(&name)).unwrap();
        for at in 0..bytes.len() {
            let trial = format!("byte {at} of {} in {name}", bytes.len());
            let directory = tempfile::tempdir().unwrap();
            copy(original.path(), directory.path());
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(directory.path().join(&name), &changed).unwrap();
            let next = Trial::open(&Disk::default(), directory.path(), LONG + 200)
                .unwrap_or_else(|error| panic!("{trial}: {error}"));
            let found = next.rows();
            let range = Range { from: BEGIN / 60 * 60, to: BEGIN + 199, step: 60, tier: Tier::Minute };
            query::columns(&next.shared, SERIES, range);
            let sealed = next.shared.lock().seconds.clone();
            sealed.iter().for_each(|sealed| drop(query::sealed_names(&next.shared, sealed, &mut |_| true)));
            assert!(next.counted() > 0, "{trial} is not counted");
            assert!(found.is_subset(&whole), "{trial}: seconds that never were");
            let is_torn = next.shared.lock().counts.torn > 0;
            let is_kept = fs::read_dir(directory.path())
                .unwrap()
                .any(|entry| fs::read(entry.unwrap().path()).unwrap() == changed);
            assert!(is_kept || is_torn, "{trial}: the damaged file is gone");
            if name.starts_with("names") || name.starts_with("annotations") {
                assert_eq!(found, whole, "{trial}");
                assert_eq!(next.shared.lock().set_aside.len(), usize::from(!is_torn), "{trial}");
            }
            assert!(next.restored.spans.contains_key(&SERIES), "{trial}: its number may be given away");
        }
    }
}

#[test]
fn another_version_is_refused_with_a_sentence_and_nothing_is_changed() {
    let original = tempfile::tempdir().unwrap();
    filled(original.path());
    for kind in ["seconds", "minutes", "active", "journal", "names", "annotations"] {
        let directory = tempfile::tempdir().unwrap();
        copy(original.path(), directory.path());
        let is_it = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with(kind);
        let path = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| is_it(path))
            .unwrap();
        fs::write(&path, b"SWBHIST2\nwhat only a later program can read").unwrap();
        let before: BTreeSet<_> = contents(directory.path());
        let error =
            Trial::open(&Disk::default(), directory.path(), 0).err().unwrap_or_else(|| panic!("{kind} is taken"));
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(error.to_string().starts_with(&format!("{name} is of version '2'")), "{error}");
        assert_eq!(contents(directory.path()), before);
    }
}

#[test]
fn names_are_found_again_in_files_of_any_kind_and_the_newest_is_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let mut trial = Trial::open(&Disk::default(), directory.path(), 0).unwrap();
    let restart = |at: u32| {
        fs::remove_file(directory.path().join("names.jsonl")).unwrap();
        let next = Trial::open(&Disk::default(), directory.path(), at).unwrap();
        let name = next.restored.names.first().cloned().unwrap_or_default();
        (next, name)
    };
    trial.name("first");
    trial.take(0..70);
    assert!(trial.writer.flush());
    // The journal knows no names.
    drop(trial);
    let (mut trial, name) = restart(70);
    assert!(name.contains("unnamed 7"), "{name}");
    trial.name("second");
    trial.take(70..80);
    assert!(trial.writer.checkpoint(now(80)));
    drop(trial);
    let (mut trial, name) = restart(80);
    assert!(name.contains("second"), "the active file says {name}");
    trial.name("third");
    trial.take(80..90);
    assert!(trial.writer.checkpoint(now(90)));
    drop(trial);
    let (mut trial, name) = restart(90);
    assert!(name.contains("third"), "the active file says {name}");
    assert!(trial.writer.checkpoint(now(LONG + 90)));
    drop(trial);
    assert!(listed(directory.path()).unwrap().iter().all(|(_, kind, _)| kind != "active"));
    let (trial, name) = restart(LONG + 90);
    assert!(name.contains("third"), "the sealed file says {name}");
    // From now on it is in its own file again.
    drop(trial);
    let names = fs::read_to_string(directory.path().join("names.jsonl")).unwrap();
    assert!(names.contains("third"), "{names}");
}

fn contents(directory: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_truncated_file_of_names_leaves_the_numbers_to_those_that_had_them() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    fs::write(directory.path().join("names.jsonl"), b"").unwrap();
    let next = Trial::open(&Disk::default(), directory.path(), LONG + 200).unwrap();
    assert_eq!(next.restored.names, [r#"{"id":7,"name":"first"}"#], "what the other files say");
    assert_eq!(next.restored.spans.get(&SERIES), Some(&(BEGIN, BEGIN + 199)));
}

#[test]
fn a_block_that_cannot_be_read_is_counted_once_and_survives_the_sealing() {
    let directory = tempfile::tempdir().unwrap();
    let mut trial = Trial::open(&Disk::default(), directory.path(), 0).unwrap();
    trial.take(0..40);
    assert!(trial.writer.checkpoint(now(40)));
    trial.take(40..80);
    assert!(trial.writer.checkpoint(now(80)));
    let active = listed(directory.path()).unwrap().into_iter().find(|(_, kind, _)| kind == "active").unwrap().0;
    let mut bytes = fs::read(&active).unwrap();
    bytes[30] ^= 4;
    fs::write(&active, &bytes).unwrap();
    for _ in 0..3 {
        assert_eq!(trial.rows(), rows(40..80));
        assert_eq!(trial.shared.lock().counts.damaged, 1);
    }
    assert!(trial.writer.checkpoint(now(LONG)));
    assert_eq!(trial.rows(), rows(40..80));
    let aside = trial.shared.lock().set_aside.clone();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(directory.path().join(&aside[0])).unwrap(), bytes);
}

#[test]
fn a_lock_that_is_a_link_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let precious = directory.path().join("precious");
    fs::write(&precious, b"of somebody else").unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&precious, data.join("lock")).unwrap();
    assert!(Trial::open(&Disk::default(), &data, 0).is_err());
    assert_eq!(fs::read(&precious).unwrap(), b"of somebody else");
}

#[test]
fn what_was_sealed_outlives_the_damage_of_an_active_file_that_could_not_be_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let mut trial = Trial::open(&Disk::default(), directory.path(), 0).unwrap();
    for part in 0..3 {
        trial.take(part * 40..part * 40 + 40);
        assert!(trial.writer.checkpoint(now(part * 40)));
    }
    let active = listed(directory.path()).unwrap().into_iter().find(|(_, kind, _)| kind == "active").unwrap().0;
    let mut bytes = fs::read(&active).unwrap();
    assert!(trial.writer.checkpoint(now(LONG)));
    assert!(!active.exists());
    drop(trial);
    // In its middle block.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 8;
    fs::write(&active, &bytes).unwrap();
    let mut next = Trial::open(&Disk::default(), directory.path(), LONG).unwrap();
    assert_eq!(next.rows(), rows(0..120));
    next.take(120..160);
    assert!(next.writer.checkpoint(now(3 * LONG)));
    assert_eq!(next.rows(), rows(0..160));
    drop(next);
    let next = Trial::open(&Disk::default(), directory.path(), 3 * LONG).unwrap();
    assert_eq!(next.rows(), rows(0..160));
    let range = Range { from: BEGIN / 60 * 60, to: BEGIN + 159, step: 60, tier: Tier::Minute };
    assert_eq!(query::columns(&next.shared, SERIES, range).0.mean.iter().flatten().count(), 3);
}

#[test]
fn attempts_to_start_that_fail_set_a_file_aside_once() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path());
    let seconds = listed(directory.path()).unwrap().into_iter().find(|(_, kind, _)| kind == "seconds").unwrap().0;
    let mut bytes = fs::read(&seconds).unwrap();
    bytes[0] ^= 1;
    fs::write(&seconds, &bytes).unwrap();
    let disk = Disk::default();
    for room in 0..10 {
        disk.faults.room.store(room, Ordering::Relaxed);
        assert!(Trial::open(&disk, directory.path(), LONG + 200).is_err());
    }
    disk.faults.room.store(u64::MAX, Ordering::Relaxed);
    let next = Trial::open(&disk, directory.path(), LONG + 200).unwrap();
    assert_eq!(next.rows(), rows(0..200));
    assert_eq!(next.shared.lock().set_aside.len(), 1, "{:?}", next.shared.lock().set_aside);
}

#[test]
fn what_the_journal_did_not_take_is_in_it_after_the_next_flush() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut trial = Trial::open(&disk, directory.path(), 0).unwrap();
    trial.take(0..40);
    disk.faults.fail(0..2);
    assert!(!trial.writer.flush());
    assert!(trial.writer.flush());
    drop(trial);
    assert_eq!(Trial::open(&Disk::default(), directory.path(), 40).unwrap().rows(), rows(0..40));
}
