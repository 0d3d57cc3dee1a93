//! Files that are gone, empty or cut at a record's end: nothing in them is wrong, and yet something is missing.

use super::HistorySettings;
use super::disk::Disk;
use super::record::{self, Kind, MAGIC};
use super::store::{Shared, listed};
use super::tests_of_damage::{BEGIN, LONG, SERIES, Trial, copy, now, row, rows};
use super::writer::{Order, Writer};
use crate::point::Point;
use crate::series::SeriesMeta;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn the(directory: &Path, kind: &str) -> PathBuf {
    let found = listed(directory).unwrap().into_iter().find(|(_, found, _)| found == kind);
    found.unwrap_or_else(|| panic!("no file {kind}")).0
}

fn open(directory: &Path) -> Trial {
    Trial::open(&Disk::default(), directory, LONG + 200).unwrap()
}

fn damaged(trial: &Trial) -> u64 {
    trial.shared.lock().counts.damaged
}

/// A directory with a file of each kind; the active file has a block of a second checkpoint.
fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut trial = Trial::open(&Disk::default(), directory.path(), 0).unwrap();
    trial.name("first");
    trial.annotate(0);
    trial.take(0..70);
    assert!(trial.writer.checkpoint(now(LONG)));
    for part in [70..140, 140..170] {
        trial.take(part.clone());
        assert!(trial.writer.checkpoint(now(LONG + part.end)));
    }
    trial.take(170..200);
    assert!(trial.writer.flush());
    directory
}

#[test]
fn a_history_that_nothing_happened_to_has_no_damage() {
    let directory = filled();
    for _ in 0..3 {
        let trial = open(directory.path());
        assert_eq!((trial.counted(), trial.rows()), (0, rows(0..200)));
    }
    let empty = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        assert_eq!(open(empty.path()).counted(), 0);
    }
}

#[test]
fn a_file_that_others_refer_to_is_missed_once() {
    for kind in ["active", "seconds", "minutes", "journal", "names", "annotations"] {
        let directory = filled();
        let path = match kind {
            "names" | "annotations" => directory.path().join(format!("{kind}.jsonl")),
            _ => the(directory.path(), kind),
        };
        fs::remove_file(&path).unwrap();
        assert_eq!(damaged(&open(directory.path())), 1, "{kind}");
        // It is as it is from then on.
        assert_eq!(open(directory.path()).counted(), 0, "{kind}");
    }
}

#[test]
fn an_active_file_is_missed_to_the_byte() {
    let length = |directory: &Path| fs::metadata(the(directory, "active")).unwrap().len();
    let whole = length(filled().path());
    for (left, expected) in [(0, 1), (4, 1), (8, 1), (30, 1), (whole - 1, 1), (whole, 0)] {
        let directory = filled();
        let path = the(directory.path(), "active");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(left).unwrap();
        assert_eq!(damaged(&open(directory.path())), expected, "{left} of {whole} bytes");
        assert_eq!(open(directory.path()).counted(), 0, "{left} of {whole} bytes");
    }
}

#[test]
fn a_journal_without_its_beginning_is_missed() {
    for left in [0, 4, 8] {
        let directory = filled();
        let file = fs::OpenOptions::new().write(true).open(the(directory.path(), "journal")).unwrap();
        file.set_len(left).unwrap();
        assert_eq!(damaged(&open(directory.path())), 1, "{left} bytes");
    }
}

#[test]
fn a_directory_from_before_journals_listed_the_files_is_whole_and_lists_them_from_then_on() {
    let directory = filled();
    let path = the(directory.path(), "journal");
    let bytes = fs::read(&path).unwrap();
    let mut older = MAGIC.to_vec();
    for record in record::scan(&bytes).records.iter().filter(|record| record.kind == Kind::Points) {
        record::put(Kind::Points, record.payload, &mut older);
    }
    assert!(older.len() > MAGIC.len() && older.len() < bytes.len());
    // Its first record is damaged: the list may have been there.
    for (at, damage) in [(older.len(), 0), (MAGIC.len(), 2)] {
        let before = tempfile::tempdir().unwrap();
        copy(directory.path(), before.path());
        let mut written = older.clone();
        written.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
        fs::write(before.path().join(path.file_name().unwrap()), written).unwrap();
        assert_eq!(damaged(&open(before.path())), damage, "{at}");
        let again = open(before.path());
        assert_eq!(again.counted(), 0);
        assert!(damage > 0 || again.rows() == rows(0..200));
        drop(again);
        fs::remove_file(the(before.path(), "active")).unwrap();
        assert_eq!(damaged(&open(before.path())), 1, "the list is there now");
    }
}

#[test]
fn a_file_that_is_sealed_or_deleted_by_age_is_not_missed() {
    let directory = filled();
    let mut trial = open(directory.path());
    // One file of each kind goes at a checkpoint.
    for day in 500..505 {
        assert!(trial.writer.checkpoint(now(day * 86_400)));
    }
    assert!(listed(directory.path()).unwrap().iter().all(|(_, kind, _)| kind != "seconds"));
    drop(trial);
    assert_eq!(open(directory.path()).counted(), 0);
}

#[test]
fn a_file_of_names_that_ends_too_early_is_noticed_and_every_process_has_a_name() {
    let (newer, newest) = (SERIES + 1, SERIES + 2);
    let directory = filled();
    let mut trial = open(directory.path());
    for series in [newer, newest] {
        let line =
            serde_json::to_string(&SeriesMeta { name: format!("p{series}"), ..SeriesMeta::unnamed(series, now(200)) });
        trial.writer.take(Order::Names(vec![(series, line.unwrap())]));
        trial.writer.take(Order::Points(vec![Point { series, row: row(200) }]));
        // The name of the first is in the active file, too.
        assert!(if series == newer { trial.writer.checkpoint(now(LONG + 200)) } else { trial.writer.flush() });
    }
    drop(trial);
    let path = directory.path().join("names.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let head = text.split_inclusive('\n').take(2).collect::<String>();
    assert!(text.len() > head.len() && head.contains("first"), "{text}");
    fs::write(&path, head).unwrap();
    for expected in [1, 0] {
        let trial = open(directory.path());
        assert_eq!(damaged(&trial), expected);
        let names: Vec<SeriesMeta> =
            trial.restored.names[1..].iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names: Vec<(u32, &str)> = names.iter().map(|meta| (meta.id, &*meta.name)).collect();
        assert_eq!(names, [(newer, "p8"), (newest, "unnamed 9")]);
        assert_eq!(trial.restored.spans[&newest], (BEGIN + 200, BEGIN + 200));
    }
}

const FIRST: u32 = SERIES + 1;

/// Five processes, each there for a moment only; the last one has no block.
fn brief(directory: &Path) -> Trial {
    let mut trial = Trial::open(&Disk::default(), directory, 0).unwrap();
    for series in FIRST..=FIRST + 4 {
        let meta = SeriesMeta { name: format!("p{series}"), ..SeriesMeta::unnamed(series, now(200)) };
        trial.writer.take(Order::Names(vec![(series, serde_json::to_string(&meta).unwrap())]));
        trial.writer.take(Order::Points(vec![Point { series, row: row(200) }]));
        assert!(if series < FIRST + 4 { trial.writer.checkpoint(now(LONG)) } else { trial.writer.flush() });
    }
    trial
}

fn names(trial: &Trial) -> Vec<String> {
    let metas = trial.restored.names.iter().map(|line| serde_json::from_str(line).unwrap());
    metas.map(|meta: SeriesMeta| meta.name).collect()
}

#[test]
fn a_line_that_is_damaged_or_gone_takes_no_process_with_it() {
    let directory = tempfile::tempdir().unwrap();
    drop(brief(directory.path()));
    let path = directory.path().join("names.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 6);
    for lost in [1..2, 2..3, 3..4, 4..5, 5..6, 1..5, 1..6] {
        for is_changed in [true, false] {
            let case = format!("lines {lost:?}, {}", if is_changed { "changed" } else { "deleted" });
            let copied = tempfile::tempdir().unwrap();
            copy(directory.path(), copied.path());
            let damaged_line = |line: &str| if is_changed { line.replacen('p', "q", 1) } else { String::new() };
            let lines = lines.iter().enumerate();
            let text: String =
                lines.map(|(at, line)| if lost.contains(&at) { damaged_line(line) } else { (*line).into() }).collect();
            fs::write(copied.path().join("names.jsonl"), text).unwrap();
            // The file that is set aside, and the names that it lacks.
            for expected in [1 + u64::from(is_changed), 0] {
                let trial = open(copied.path());
                assert_eq!(damaged(&trial), expected, "{case}");
                let last = if lost.contains(&5) { "unnamed 12" } else { "p12" };
                assert_eq!(names(&trial), ["p8", "p9", "p10", "p11", last], "{case}");
            }
        }
    }
}

#[test]
fn a_damaged_line_between_two_that_were_forgotten_takes_no_process_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut trial = brief(directory.path());
    let forgotten = [FIRST + 1, FIRST + 3].map(|series| (series, String::new()));
    trial.writer.take(Order::Names(forgotten.to_vec()));
    assert!(trial.writer.flush());
    drop(trial);
    let path = directory.path().join("names.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#""p10""#), "{text}");
    fs::write(&path, text.replacen(r#""p10""#, r#""q10""#, 1)).unwrap();
    for _ in 0..2 {
        assert_eq!(names(&open(directory.path())), ["p8", "p10", "p12"]);
    }
}

#[test]
fn a_series_that_was_forgotten_on_purpose_is_not_missed() {
    let directory = filled();
    let mut trial = open(directory.path());
    for series in [SERIES + 1, SERIES + 2] {
        trial.writer.take(Order::Names(vec![(series, format!(r#"{{"id":{series}}}"#))]));
        trial.writer.take(Order::Points(vec![Point { series, row: row(200) }]));
    }
    trial.writer.take(Order::Names(vec![(SERIES + 1, String::new())]));
    assert!(trial.writer.checkpoint(now(LONG + 200)));
    drop(trial);
    let path = directory.path().join("names.jsonl");
    for is_rewritten in [false, true] {
        if is_rewritten {
            // A line that cannot be read: the file is written anew.
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}x\n")).unwrap();
            assert_eq!(damaged(&open(directory.path())), 1);
        }
        let trial = open(directory.path());
        assert_eq!((trial.counted(), trial.restored.names.len()), (0, 2));
    }
}

#[test]
fn names_that_had_to_go_for_the_maximum_are_not_missed() {
    const MAX: usize = 3;
    for count in [MAX as u32 - 1, MAX as u32, MAX as u32 + 1] {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let settings = HistorySettings { names: MAX, ..HistorySettings::default() };
            let shared = Arc::<Shared>::default();
            let opened = Writer::open(Disk::default(), directory.path(), settings, shared.clone(), now(LONG));
            let (writer, restored) = opened.unwrap();
            let damaged = shared.lock().counts.damaged;
            (writer, restored, damaged)
        };
        let mut writer = open().0;
        for series in 1..=count {
            writer.take(Order::Names(vec![(series, format!(r#"{{"id":{series}}}"#))]));
            writer.take(Order::Points(vec![Point { series, row: row(200) }]));
        }
        assert!(writer.checkpoint(now(LONG)));
        drop(writer);
        // The file of a start that follows damage is written anew, and has the maximum of names.
        let path = directory.path().join("names.jsonl");
        fs::write(&path, format!("{}x\n", fs::read_to_string(&path).unwrap())).unwrap();
        assert_eq!(open().2, 1, "{count}");
        let (_, restored, damaged) = open();
        assert_eq!((restored.names.len(), damaged), (MAX.min(count as usize), 0), "{count}");
    }
}

#[test]
fn what_is_no_file_in_place_of_one_is_named_and_neither_opened_nor_followed() {
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    let names = ["names", "annotations"].map(|name| format!("{name}.jsonl"));
    let numbered = ["active-00000002", "journal-00000009", "seconds-00000001", "minutes-00000001"];
    for name in names.into_iter().chain(numbered.map(|name| format!("{name}.swb"))) {
        for kind in ["directory", "link", "pipe"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(&name);
            match kind {
                "directory" => fs::create_dir(path).unwrap(),
                "link" => std::os::unix::fs::symlink(elsewhere.path(), path).unwrap(),
                _ => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
            }
            let opened = Trial::open(&Disk::default(), directory.path(), 0);
            let error = opened.err().unwrap_or_else(|| panic!("{name} is taken")).to_string();
            assert!(error.starts_with(&format!("{name}: ")) && error.contains(kind), "{error}");
        }
    }
    assert_eq!(fs::read(elsewhere.path()).unwrap(), b"");
}

#[test]
fn a_writer_whose_folder_was_removed_and_made_anew_by_another_writes_nothing_there() {
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("monitor");
    let mut first = Trial::open(&Disk::default(), &directory, 0).unwrap();
    first.name("first");
    first.take(0..40);
    assert!(first.writer.flush());
    fs::remove_dir_all(&directory).unwrap();
    let mut second = Trial::open(&Disk::default(), &directory, 0).unwrap();
    second.name("second");
    second.take(0..20);
    assert!(second.writer.flush());
    let listed = || {
        let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let before = listed();
    first.take(40..60);
    first.name("other");
    first.annotate(1);
    assert!(!first.writer.flush() && !first.writer.checkpoint(now(LONG)));
    let lost = first.writer.finish(|| panic!("there is nothing to try again")).unwrap_err();
    assert_eq!((lost.seconds, lost.has_names), (20, true));
    assert!(lost.to_string().ends_with("was removed or replaced while it was in use"), "{lost}");
    assert_eq!(listed(), before);
    assert!(second.writer.checkpoint(now(20)));
    drop(second);
    let third = Trial::open(&Disk::default(), &directory, 100).unwrap();
    assert_eq!(third.rows(), rows(0..20));
    assert!(third.restored.names[0].contains("second"), "{:?}", third.restored.names);
}
