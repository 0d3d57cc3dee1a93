//! Every bound of the cache: at it, below it and above it.
#![cfg(not(loom))]

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use switchboard_rows::cache::{Cache, Limits, Lookup, Lsn, Row, TableId};

const TABLE: TableId = TableId(0);
const OTHER: TableId = TableId(1);
const START: Duration = Duration::from_secs(5);

/// A cache whose marker was sent at `START`.
fn live(limits: Limits) -> Arc<Cache> {
    let cache = Cache::new(2, limits);
    cache.connected();
    cache.marker(START, Lsn(9));
    cache
}

fn fill(cache: &Arc<Cache>, table: TableId, key: &str, row: Row) -> bool {
    cache.lease(table, key.as_bytes()).is_some_and(|lease| lease.fill(row))
}

fn bytes(length: usize) -> Row {
    Some(Bytes::from(vec![b'x'; length]))
}

fn is_hit(cache: &Arc<Cache>, now: Duration, table: TableId, key: &str) -> bool {
    matches!(cache.read(now, table, key.as_bytes()), Lookup::Hit(..))
}

#[test]
fn rows_stay_at_their_bound() {
    for rows in [0, 1, 8, 1023, 1024, 2000] {
        let cache = live(Limits { rows, ..Limits::default() });
        for key in 0..rows + 1 {
            let installed = fill(&cache, TABLE, &key.to_string(), bytes(10));
            assert!(cache.usage().rows <= rows, "{key} of {rows}");
            // A split cache may find no room in the last row's shard.
            assert!(installed == (rows > 0) || rows >= 1024);
        }
        assert_eq!(cache.usage().rows, rows);
    }
}

#[test]
fn bytes_stay_at_their_bound() {
    let cache = live(Limits { rows: 100, bytes: 800, ..Limits::default() });
    assert!(fill(&cache, TABLE, "k", bytes(99)), "an eighth of the bound");
    assert!(!fill(&cache, TABLE, "l", bytes(100)), "more than an eighth");
    for key in 10..99 {
        assert!(fill(&cache, TABLE, &key.to_string(), bytes(98)));
        assert!(cache.usage().bytes <= 800, "{:?}", cache.usage());
    }
    assert_eq!(cache.usage().rows, 8);
    let none = live(Limits { bytes: 0, ..Limits::default() });
    assert!(!fill(&none, TABLE, "k", None));
    let all = live(Limits { bytes: usize::MAX, rows: usize::MAX, ..Limits::default() });
    assert!(fill(&all, TABLE, "k", bytes(1000)));
}

#[test]
fn a_read_beyond_the_leases_goes_to_the_database() {
    let cache = live(Limits { leases: 2, ..Limits::default() });
    let read = |key: &[u8]| cache.read(START, TABLE, key);
    let (first, second) = (read(b"1"), read(b"2"));
    assert!(matches!((&first, &second), (Lookup::Lease(_), Lookup::Lease(_))));
    assert!(matches!(read(b"3"), Lookup::Bypass));
    assert!(matches!(read(b"2"), Lookup::Wait(_)), "a lease has any number of waiters");
    drop(first);
    assert!(matches!(read(b"3"), Lookup::Lease(_)));
    let none = live(Limits { leases: 0, ..Limits::default() });
    assert!(matches!(none.read(START, TABLE, b"1"), Lookup::Bypass));
}

#[test]
fn a_row_is_served_until_its_age_reaches_the_bound() {
    let max_age = Duration::from_secs(1);
    let cache = live(Limits { max_age, ..Limits::default() });
    assert!(fill(&cache, TABLE, "1", None));
    let last = START + max_age - Duration::from_nanos(1);
    assert!(is_hit(&cache, last, TABLE, "1"));
    assert!(matches!(cache.read(START + max_age, TABLE, b"1"), Lookup::Bypass));
    assert_eq!(cache.age(last), Some(max_age - Duration::from_nanos(1)));
    // A marker that was sent earlier proves less: it takes nothing back.
    cache.marker(START - max_age, Lsn(3));
    assert!(is_hit(&cache, last, TABLE, "1"));
    assert_eq!(cache.seen(), Lsn(9));
    let off = live(Limits { max_age: Duration::ZERO, ..Limits::default() });
    assert!(matches!(off.read(START, TABLE, b"1"), Lookup::Bypass));
    let ever = live(Limits { max_age: Duration::MAX, ..Limits::default() });
    assert!(fill(&ever, TABLE, "1", None) && is_hit(&ever, Duration::from_secs(1 << 33), TABLE, "1"));
}

#[test]
fn a_reconnect_forgets_rows_proofs_and_position() {
    let cache = live(Limits::default());
    assert!(fill(&cache, TABLE, "1", bytes(3)));
    cache.connected();
    assert_eq!((cache.age(START), cache.seen()), (None, Lsn(0)));
    cache.marker(START, Lsn(2));
    assert!(!is_hit(&cache, START, TABLE, "1"));
}

#[test]
fn a_flush_empties_one_table() {
    let cache = live(Limits::default());
    assert!(fill(&cache, TABLE, "1", bytes(3)) && fill(&cache, OTHER, "1", bytes(4)));
    cache.flush(TABLE);
    assert!(is_hit(&cache, START, OTHER, "1"));
    assert!(!is_hit(&cache, START, TABLE, "1"));
    assert_eq!(cache.snapshot(), [(OTHER, Box::from(*b"1"), bytes(4))]);
}

#[test]
fn rows_that_are_read_outlive_rows_that_are_not() {
    let cache = live(Limits { rows: 8, ..Limits::default() });
    assert!(fill(&cache, TABLE, "read", bytes(1)));
    for key in 0..100 {
        assert!(is_hit(&cache, START, TABLE, "read"), "{key}");
        assert!(fill(&cache, TABLE, &key.to_string(), bytes(1)));
    }
}

#[test]
fn an_event_for_a_key_that_is_not_cached_asks_for_no_refresh() {
    let cache = live(Limits::default());
    assert!(!cache.invalidate(TABLE, b"1"));
    assert!(fill(&cache, TABLE, "1", None));
    assert!(cache.invalidate(TABLE, b"1"), "an absent row is a cached one");
    assert!(!cache.invalidate(TABLE, b"1"));
    let lease = cache.lease(TABLE, b"1").expect("the key is free");
    assert!(cache.invalidate(TABLE, b"1"), "somebody waits for this row");
    assert!(!lease.fill(None));
}

#[test]
fn keys_of_any_length_are_told_apart() {
    let cache = live(Limits::default());
    let key = |length: usize, last: char| format!("{}{last}", "k".repeat(length.saturating_sub(1)));
    for length in [1, 21, 22, 23, 255, 256, 5000] {
        assert!(fill(&cache, TABLE, &key(length, 'a'), bytes(length)));
        assert!(!is_hit(&cache, START, TABLE, &key(length, 'b')), "{length}");
        assert!(matches!(
            cache.read(START, TABLE, key(length, 'a').as_bytes()),
            Lookup::Hit(Some(row), _) if row.len() == length
        ));
    }
    assert!(fill(&cache, TABLE, "", bytes(1)) && is_hit(&cache, START, TABLE, ""));
}

#[test]
fn a_row_is_known_to_be_right_since_its_last_comparison_or_the_marker_before_its_fill() {
    let cache = live(Limits::default());
    let seconds = Duration::from_secs;
    assert_eq!(cache.checked(TABLE, b"1"), None);
    let (row, same_bytes) = (bytes(10), bytes(10));
    let Some(lease) = cache.lease(TABLE, b"1") else { panic!("the key is free") };
    // A marker that comes while the row is read may be of after it.
    cache.marker(seconds(7), Lsn(10));
    assert!(lease.fill(row.clone()));
    assert_eq!(cache.checked(TABLE, b"1"), Some(START));
    cache.confirm(seconds(20), TABLE, b"1", &same_bytes);
    assert_eq!(cache.checked(TABLE, b"1"), Some(START), "another row, though its bytes be the same");
    cache.confirm(seconds(20) + Duration::from_millis(199), TABLE, b"1", &row);
    assert_eq!(cache.checked(TABLE, b"1"), Some(seconds(20) + Duration::from_millis(100)));
    cache.confirm(seconds(19), TABLE, b"1", &row);
    assert_eq!(cache.checked(TABLE, b"1"), Some(seconds(20) + Duration::from_millis(100)), "an older comparison");
    // A connection forgets what was proven, and rows that are filled then are of after the newest marker still.
    cache.connected();
    assert!(fill(&cache, TABLE, "1", row));
    assert_eq!(cache.checked(TABLE, b"1"), Some(seconds(7)));
}
