use super::disk::Disk;
use super::query::Tier;
use super::store::{Shared, Store, listed};
use super::{History, HistorySettings, Range, query};
use crate::Millis;
use crate::annotation::{Annotation, AnnotationKind};
use crate::point::{Point, Row};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const BEGIN: u32 = 1_800_000_000;

fn row(at: u32) -> Row {
    Row { second: BEGIN + at, cpu: (at % 200) as u16, mem: (1000 + at / 30) as u16 }
}

fn points(series: u32, range: std::ops::Range<u32>) -> Vec<Point> {
    range.map(|at| Point { series, row: row(at) }).collect()
}

fn rows(range: std::ops::Range<u32>) -> Vec<Row> {
    range.map(row).collect()
}

fn now(at: u32) -> Millis {
    Millis::of_second(BEGIN + at)
}

fn open(directory: &Path, at: u32) -> Store {
    open_on(Disk::default(), directory, at).unwrap()
}

fn open_on(disk: Disk, directory: &Path, at: u32) -> io::Result<Store> {
    let opened =
        Store::open(disk, directory, HistorySettings::default(), Arc::<Shared>::default(), &HashMap::new(), now(at));
    opened.map(|(store, _)| store)
}

fn read(store: &Store, series: u32) -> Vec<Row> {
    query::rows(&store.shared, series, 0, u32::MAX)
}

fn kinds(directory: &Path) -> Vec<String> {
    let mut kinds: Vec<String> = listed(directory).unwrap().into_iter().map(|(_, kind, _)| kind).collect();
    kinds.sort();
    kinds
}

fn aside(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}.damaged", path.file_name().unwrap().to_string_lossy()))
}

fn the(directory: &Path, kind: &str) -> PathBuf {
    let found = listed(directory).unwrap().into_iter().find(|(_, found, _)| found == kind);
    found.unwrap_or_else(|| panic!("no file {kind}")).0
}

#[test]
fn what_was_flushed_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    store.add(points(7, 0..50));
    store.flush().unwrap();
    store.add(points(7, 50..60));
    // Without a word: nothing is written when it is dropped.
    drop(store);
    let store = open(directory.path(), 60);
    assert_eq!(read(&store, 7), rows(0..50));
    assert_eq!(kinds(directory.path()), ["active", "journal"]);
    drop(store);
    assert_eq!(read(&open(directory.path(), 61), 7), rows(0..50));
}

#[test]
fn a_tail_that_was_not_written_wholly_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    store.add(points(7, 0..50));
    store.flush().unwrap();
    store.add(points(7, 50..60));
    store.flush().unwrap();
    drop(store);
    let path = the(directory.path(), "journal");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let mut store = open(directory.path(), 60);
    assert_eq!(read(&store, 7), rows(0..50));
    let counts = store.shared.lock().counts;
    assert_eq!((counts.damaged, counts.torn > 0), (0, true));
    store.add(points(7, 50..100));
    store.checkpoint(now(100), &HashMap::new()).unwrap();
    drop(store);
    let path = the(directory.path(), "active");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let mut store = open(directory.path(), 100);
    assert_eq!(read(&store, 7), rows(0..50));
    // And is written on from there.
    store.add(points(7, 50..90));
    store.checkpoint(now(100), &HashMap::new()).unwrap();
    drop(store);
    assert_eq!(read(&open(directory.path(), 100), 7), rows(0..90));
}

#[test]
fn damage_in_the_middle_is_set_aside_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    for part in 0..3 {
        store.add(points(7, part * 50..part * 50 + 50));
        store.checkpoint(now(part * 50), &HashMap::new()).unwrap();
    }
    let middle = store.shared.lock().active.as_ref().unwrap().entries[1].offset as usize;
    drop(store);
    let path = the(directory.path(), "active");
    let mut bytes = fs::read(&path).unwrap();
    bytes[middle + 20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let store = open(directory.path(), 200);
    assert_eq!(read(&store, 7), [rows(0..50), rows(100..150)].concat());
    assert!(store.shared.lock().counts.damaged > 0);
    assert_eq!(fs::read(aside(&path)).unwrap(), bytes);
    // The damage is counted once: what is whole of it was written anew.
    drop(store);
    assert_eq!(open(directory.path(), 200).shared.lock().counts.damaged, 0);
}

#[test]
fn a_sealed_file_without_an_index_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    store.add([points(7, 0..50), points(8, 10..20)].concat());
    store.checkpoint(now(5 * 3600), &HashMap::new()).unwrap();
    assert_eq!(kinds(directory.path()), ["journal", "minutes", "seconds"]);
    drop(store);
    let path = the(directory.path(), "seconds");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    let store = open(directory.path(), 5 * 3600);
    assert_eq!((read(&store, 7), read(&store, 8)), (rows(0..50), rows(10..20)));
    assert!(aside(&path).exists());
}

#[test]
fn a_restart_in_the_middle_of_sealing_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    store.add(points(7, 0..120));
    store.checkpoint(now(0), &HashMap::new()).unwrap();
    let active = the(directory.path(), "active");
    let bytes = fs::read(&active).unwrap();
    store.checkpoint(now(5 * 3600), &HashMap::new()).unwrap();
    let seconds = the(directory.path(), "seconds");
    drop(store);
    // As if it had been killed after the second of three steps, then after the first.
    for kill in [&[][..], &[&seconds]] {
        fs::write(&active, &bytes).unwrap();
        kill.iter().for_each(|path| fs::remove_file(path).unwrap());
        let mut store = open(directory.path(), 5 * 3600);
        assert_eq!(read(&store, 7), rows(0..120));
        store.checkpoint(now(5 * 3600), &HashMap::new()).unwrap();
        assert_eq!(read(&store, 7), rows(0..120));
        let range = Range { from: BEGIN, to: BEGIN + 119, step: 60, tier: Tier::Minute };
        let (cpu, _) = query::columns(&store.shared, 7, range);
        assert_eq!(cpu.max, [Some(5.9), Some(11.9)]);
    }
}

#[test]
fn the_later_of_two_samples_in_one_second_is_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    let of = |at: u32, cpu| vec![Point { series: 7, row: Row { cpu, ..row(at) } }];
    store.add([of(5, 1), of(5, 2), of(6, 3)].concat());
    store.add(of(5, 4));
    assert_eq!(read(&store, 7).iter().map(|row| row.cpu).collect::<Vec<_>>(), [4, 3]);
    store.checkpoint(now(0), &HashMap::new()).unwrap();
    store.add(of(6, 5));
    assert_eq!(read(&store, 7).iter().map(|row| row.cpu).collect::<Vec<_>>(), [4, 5]);
    store.checkpoint(now(5 * 3600), &HashMap::new()).unwrap();
    store.add(of(5, 6));
    store.checkpoint(now(6 * 3600), &HashMap::new()).unwrap();
    assert_eq!(read(&store, 7).iter().map(|row| row.cpu).collect::<Vec<_>>(), [6, 5]);
}

#[test]
fn what_comes_late_finds_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    store.add(points(7, 100..200));
    store.checkpoint(now(200), &HashMap::new()).unwrap();
    store.add(points(7, 0..100));
    assert_eq!(read(&store, 7), rows(0..200));
    store.checkpoint(now(5 * 3600), &HashMap::new()).unwrap();
    assert_eq!(read(&store, 7), rows(0..200));
}

#[test]
fn seconds_go_by_age_and_their_minutes_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    let day = 86_400;
    store.add(points(7, 0..60));
    store.checkpoint(now(day), &HashMap::new()).unwrap();
    store.add(points(7, day..day + 60));
    store.checkpoint(now(2 * day), &HashMap::new()).unwrap();
    assert_eq!(read(&store, 7).len(), 120);
    store.checkpoint(now(14 * day + 59), &HashMap::new()).unwrap();
    assert_eq!(read(&store, 7).len(), 120);
    store.checkpoint(now(14 * day + 60), &HashMap::new()).unwrap();
    assert_eq!(read(&store, 7), rows(day..day + 60));
    let range = Range { from: BEGIN, to: BEGIN + 59, step: 60, tier: Tier::Minute };
    let (cpu, _) = query::columns(&store.shared, 7, range);
    assert_eq!((cpu.min[0], cpu.max[0]), (Some(0.0), Some(5.9)));
}

#[test]
fn the_cap_on_disk_is_kept_with_the_oldest_going_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), 0);
    for day in 0..10 {
        store.add(points(7, day * 86_400..day * 86_400 + 3600));
        store.checkpoint(now((day + 1) * 86_400), &HashMap::new()).unwrap();
    }
    let sizes: Vec<u64> = store.shared.lock().seconds.iter().map(|sealed| sealed.bytes).collect();
    let minutes: u64 = store.shared.lock().minutes.iter().map(|sealed| sealed.bytes).sum();
    // Just enough for the newest three, then a byte too little.
    for (disk, left) in
        [(minutes + sizes[7..].iter().sum::<u64>(), 3), (minutes + sizes[7..].iter().sum::<u64>() - 1, 2)]
    {
        store.settings.disk = disk;
        store.checkpoint(now(11 * 86_400), &HashMap::new()).unwrap();
        assert_eq!(store.shared.lock().seconds.len(), left);
        assert_eq!(store.shared.lock().minutes.len(), 10);
    }
    store.settings.disk = 0;
    store.checkpoint(now(11 * 86_400), &HashMap::new()).unwrap();
    assert_eq!(kinds(directory.path()), ["journal"]);
}

#[test]
fn memory_is_bounded_when_the_disk_takes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = HistorySettings { open_rows_max: 100, ..HistorySettings::default() };
    let (mut store, _) =
        Store::open(Disk::default(), directory.path(), settings, Arc::default(), &HashMap::new(), now(0)).unwrap();
    for at in 0..100 {
        store.add(points(7, at..at + 1));
    }
    assert!(store.is_full());
    store.add(points(7, 100..103));
    assert_eq!(read(&store, 7), rows(0..100));
    assert_eq!(store.shared.lock().counts.dropped, 3);
}

#[test]
fn one_collector_at_a_time_uses_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = HistorySettings { flush: Duration::from_millis(1), ..HistorySettings::default() };
    let (history, _) = History::open(directory.path(), settings.clone(), now(0)).unwrap();
    let error = History::open(directory.path(), settings.clone(), now(0)).unwrap_err();
    assert!(error.to_string().contains("another Switchboard"), "{error}");
    history.append(points(7, 0..10));
    history.name(vec![(7, r#"{"id":7}"#.into())]);
    let annotation = Annotation { time: now(3), id: 7, kind: AnnotationKind::LeakOver, text: "it is over".into() };
    history.annotate(vec![annotation.clone()]);
    history.close().expect("all is written");
    drop(history);
    let (history, restored) = History::open(directory.path(), settings, now(0)).unwrap();
    assert_eq!(restored.names, [r#"{"id":7}"#]);
    assert_eq!(restored.spans.get(&7), Some(&(BEGIN, BEGIN + 9)));
    assert_eq!(history.annotations_between(now(3), now(3)), [annotation]);
    assert_eq!(history.rows(7, 0, u32::MAX).len(), 10);
    history.close().expect("all is written");
}
