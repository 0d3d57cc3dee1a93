//! A disk that fails at any call, or is full at any byte: nothing that was promised is lost.

use super::Range;
use super::disk::Disk;
use super::query::{self, Tier};
use super::tests_of_damage::{BEGIN, LONG, SERIES, Trial, now, rows};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

#[derive(Debug, Default)]
struct Promised {
    rows: BTreeSet<(u32, u16, u16)>,
    name: Option<&'static str>,
}

/// Everything that a history does to its files, on a disk that may fail.
fn live(disk: &Disk, directory: &Path, promised: &mut Promised) -> io::Result<()> {
    let mut trial = Trial::open(disk, directory, 0)?;
    let mut taken = 0;
    for (part, name) in ["first", "second", "third"].into_iter().enumerate() {
        trial.name(name);
        trial.annotate(part as u64);
        for _ in 0..2 {
            trial.take(taken..taken + 40);
            taken += 40;
            if trial.writer.flush() {
                (promised.rows, promised.name) = (rows(0..taken), Some(name));
            }
            assert_eq!(trial.rows(), rows(0..taken), "what is in memory is seen, whatever the disk does");
        }
        // The second one seals.
        let at = if part == 1 { LONG } else { taken };
        if trial.writer.checkpoint(now(at)) {
            (promised.rows, promised.name) = (rows(0..taken), Some(name));
        }
        assert_eq!(trial.rows(), rows(0..taken));
    }
    Ok(())
}

/// Checks the files that are left for the next run, on a disk that works again.
fn check(directory: &Path, promised: &Promised, trial: &str) {
    let mut next =
        Trial::open(&Disk::default(), directory, LONG + 500).unwrap_or_else(|error| panic!("{trial}: {error}"));
    let found = next.rows();
    assert!(found.is_superset(&promised.rows), "{trial}: {} of {} seconds", found.len(), promised.rows.len());
    assert!(found.is_subset(&rows(0..240)), "{trial}: seconds that never were");
    let name = next.restored.names.first().map(String::as_str).unwrap_or_default();
    let (promise, order) = (promised.name, ["first", "second", "third"]);
    let place = |name: &str| order.iter().position(|other| name.contains(other));
    assert!(place(name) >= promise.and_then(place), "{trial}: {name} for {promise:?}");
    assert_eq!(next.shared.lock().damage, HashSet::new(), "{trial}");
    next.take(240..250);
    assert!(next.writer.checkpoint(now(3 * LONG)), "{trial}");
    let expected: BTreeSet<_> = found.union(&rows(240..250)).copied().collect();
    assert_eq!(next.rows(), expected, "{trial}");
    // Minutes are there for all of it.
    let range = Range { from: BEGIN / 60 * 60, to: BEGIN + 249, step: 60, tier: Tier::Minute };
    let (cpu, _) = query::columns(&next.shared, SERIES, range);
    let minutes: BTreeSet<u32> = expected.iter().map(|(second, ..)| second / 60).collect();
    assert_eq!(cpu.mean.iter().flatten().count(), minutes.len(), "{trial}");
    drop(next);
    let mut files: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|name| !["lock", "names.jsonl", "annotations.jsonl"].contains(&&**name));
    let journals = files.iter().filter(|name| name.starts_with("journal-")).count();
    let count = |kind: &str| files.iter().filter(|name| name.starts_with(kind)).count();
    assert!(journals == 1 && count("active-") == 0 && count("seconds-") == count("minutes-"), "{trial}: {files:?}");
    assert_eq!(files.len(), 1 + count("seconds-") + count("minutes-"), "{trial}: {files:?}");
}

#[test]
fn a_disk_that_fails_at_any_call_loses_nothing_that_was_promised() {
    let calls = {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        live(&disk, directory.path(), &mut Promised::default()).unwrap();
        disk.faults.calls.load(Ordering::Relaxed)
    };
    assert!(calls > 50, "{calls} calls");
    for first in 0..calls {
        for failing in [first..first + 1, first..first + 4, first..u64::MAX] {
            let trial = format!("calls {failing:?}");
            let directory = tempfile::tempdir().unwrap();
            let disk = Disk::default();
            disk.faults.fail(failing);
            let mut promised = Promised::default();
            // A start that fails returns an error, and changes nothing.
            let _ = live(&disk, directory.path(), &mut promised);
            check(directory.path(), &promised, &trial);
        }
    }
}

#[test]
fn a_disk_that_is_full_at_any_byte_loses_nothing_that_was_promised() {
    for room in (0..3000).step_by(61) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        disk.faults.room.store(room, Ordering::Relaxed);
        let mut promised = Promised::default();
        let _ = live(&disk, directory.path(), &mut promised);
        check(directory.path(), &promised, &format!("room for {room} bytes"));
    }
}

#[test]
fn a_disk_that_is_full_for_long_is_left_with_no_more_files_and_all_is_written_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut trial = Trial::open(&disk, directory.path(), 0).unwrap();
    trial.name("first");
    trial.take(0..40);
    disk.faults.room.store(20, Ordering::Relaxed);
    let mut counts = BTreeSet::new();
    for _ in 0..20 {
        assert!(!trial.writer.flush());
        assert!(!trial.writer.checkpoint(now(LONG)));
        counts.insert(fs::read_dir(directory.path()).unwrap().count());
    }
    assert_eq!(counts.len(), 1, "files come to be: {counts:?}");
    let failed = trial.shared.lock().counts.failed;
    assert!(failed >= 40, "{failed} failures are counted");
    disk.faults.room.store(u64::MAX, Ordering::Relaxed);
    assert!(trial.writer.flush() && trial.writer.checkpoint(now(LONG)));
    drop(trial);
    check(directory.path(), &Promised { rows: rows(0..40), name: Some("first") }, "full for long");
}

#[test]
fn a_stop_on_a_full_disk_tells_what_is_lost_and_tries_once_more() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut trial = Trial::open(&disk, directory.path(), 0).unwrap();
    trial.name("first");
    trial.take(0..40);
    assert!(trial.writer.flush());
    disk.faults.room.store(0, Ordering::Relaxed);
    trial.take(40..100);
    trial.name("second");
    // The disk is full the second time, too.
    let lost = trial.writer.finish(|| ()).unwrap_err();
    assert_eq!((lost.seconds, lost.processes, lost.span, lost.has_names), (60, 1, Some((now(40), now(99))), true));
    let text = lost.to_string();
    assert!(text.ends_with(", and the newest names and annotations: no storage space"), "{text}");
    assert!(text.contains(&format!("lost 60 seconds of 1 process, from {} to {}", now(40), now(99))), "{text}");
    // There is room the second time.
    trial.writer.finish(|| disk.faults.room.store(u64::MAX, Ordering::Relaxed)).unwrap();
    drop(trial);
    check(directory.path(), &Promised { rows: rows(0..100), name: Some("second") }, "room in the end");
}

#[test]
fn points_that_are_taken_into_memory_do_not_pass_for_names_that_are_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut trial = Trial::open(&disk, directory.path(), 0).unwrap();
    disk.faults.room.store(0, Ordering::Relaxed);
    trial.name("first");
    trial.take(0..40);
    assert!(trial.writer.is_failing());
    disk.faults.room.store(u64::MAX, Ordering::Relaxed);
    assert!(trial.writer.flush() && !trial.writer.is_failing());
}

#[test]
fn a_stop_loses_nothing_that_the_journal_has() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut trial = Trial::open(&disk, directory.path(), 0).unwrap();
    trial.take(0..40);
    assert!(trial.writer.flush());
    disk.faults.room.store(0, Ordering::Relaxed);
    trial.writer.finish(|| panic!("there is nothing to try again")).unwrap();
}

#[test]
fn a_stop_counts_all_since_the_last_block_when_the_disk_was_full_for_too_long_to_tell() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut trial = Trial::open(&disk, directory.path(), 0).unwrap();
    trial.writer.store.settings.open_rows_max = 50;
    disk.faults.room.store(0, Ordering::Relaxed);
    // Of a second that comes twice the later one is in force: memory keeps 40, and the journal misses 80.
    for at in 0..40 {
        (0..2).for_each(|_| trial.take(at..at + 1));
    }
    assert!(trial.writer.store.has_overflowed);
    let lost = trial.writer.finish(|| ()).unwrap_err();
    assert_eq!((lost.seconds, lost.processes), (40, 1));
}
