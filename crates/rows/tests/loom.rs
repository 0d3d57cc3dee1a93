//! Every interleaving of threads that share a cache, or its markers: `RUSTFLAGS='--cfg loom' cargo test -p switchboard-rows --test
//! loom --release`.
#![cfg(loom)]

use bytes::Bytes;
use loom::future::block_on;
use loom::sync::Arc as Shared;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use switchboard_rows::cache::{Cache, Limits, Lookup, Lsn, Markers, Row, TableId, Wait};

const TABLE: TableId = TableId(0);
const NOW: Duration = Duration::from_millis(1);
const KEY: &[u8] = b"37";

fn live_cache() -> Arc<Cache> {
    let cache = Cache::new(1, Limits { rows: 8, ..Limits::default() });
    cache.connected();
    cache.marker(Duration::ZERO, Lsn(1));
    cache
}

/// The database's row: a version.
struct Database(AtomicUsize);

impl Database {
    fn select(&self) -> Row {
        Some(Bytes::from(self.0.load(SeqCst).to_string()))
    }
}

fn read(cache: &Arc<Cache>, database: &Database) -> Row {
    match cache.read(NOW, TABLE, KEY) {
        Lookup::Hit(row, _) => row,
        Lookup::Lease(lease) => {
            let row = database.select();
            lease.fill(row.clone());
            row
        }
        Lookup::Wait(waiter) => block_on(waiter).unwrap_or_else(|| database.select()),
        Lookup::Bypass => database.select(),
    }
}

/// Reads in a thread of its own.
fn reading(cache: &Arc<Cache>, database: &Shared<Database>) -> thread::JoinHandle<Row> {
    let (cache, database) = (cache.clone(), database.clone());
    thread::spawn(move || read(&cache, &database))
}

/// The row changes beside a fill, and `forget` tells the cache.
fn a_fill_is_overtaken(forget: fn(&Cache)) {
    loom::model(move || {
        let (cache, database) = (live_cache(), Shared::new(Database(AtomicUsize::new(0))));
        let reader = reading(&cache, &database);
        database.0.store(1, SeqCst);
        forget(&cache);
        // The writer reads its own write, whatever the other fill does.
        assert_eq!(read(&cache, &database), Some(Bytes::from("1")));
        reader.join().expect("it reads");
        assert_eq!(read(&cache, &database), Some(Bytes::from("1")));
    });
}

#[test]
fn a_write_beside_a_fill_leaves_no_old_row() {
    a_fill_is_overtaken(|cache| {
        cache.invalidate(TABLE, KEY);
    });
}

#[test]
fn a_flush_beside_a_fill_leaves_no_old_row() {
    a_fill_is_overtaken(|cache| cache.flush(TABLE));
}

#[test]
fn an_abandoned_fill_leaves_nobody_asleep() {
    loom::model(|| {
        let (cache, database) = (live_cache(), Shared::new(Database(AtomicUsize::new(0))));
        let lease = cache.lease(TABLE, KEY).expect("the key is free");
        let reader = reading(&cache, &database);
        drop(lease);
        assert_eq!(reader.join().expect("it reads"), Some(Bytes::from("0")));
        assert_eq!(cache.usage().leases, 0);
    });
}

/// Sends a marker: what was written before its statement is applied once it is back.
fn send(markers: &Markers, written: &AtomicUsize, applied: &AtomicUsize) {
    markers.begin();
    applied.store(written.load(SeqCst), SeqCst);
    markers.done();
}

/// Polls a wait once, without waking anybody.
fn poll(wait: &mut Wait) -> Poll<bool> {
    Pin::new(wait).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_read_that_a_marker_proves_finds_every_write_from_before_it_applied() {
    loom::model(|| {
        let markers = Arc::new(Markers::default());
        let (written, applied) = (Shared::new(AtomicUsize::new(0)), Shared::new(AtomicUsize::new(0)));
        let driver = {
            let (markers, written, applied) = (markers.clone(), written.clone(), applied.clone());
            thread::spawn(move || send(&markers, &written, &applied))
        };
        written.store(1, SeqCst);
        let mut wait = markers.wait();
        if poll(&mut wait).is_ready() {
            assert_eq!(applied.load(SeqCst), 1, "beside the marker");
        }
        driver.join().expect("it sends");
        if let Poll::Ready(is_proven) = poll(&mut wait) {
            assert!(is_proven);
            assert_eq!(applied.load(SeqCst), 1);
        }
        // A marker that begins after the wait proves it, whatever the one before did.
        send(&markers, &written, &applied);
        assert_eq!(poll(&mut wait), Poll::Ready(true));
    });
}

#[test]
fn a_read_is_woken_whenever_its_marker_comes_back_or_its_time_is_over() {
    for is_proven in [true, false] {
        loom::model(move || {
            let markers = Markers::default();
            let (wait, gone) = (markers.wait(), markers.wait());
            let reader = thread::spawn(move || block_on(wait));
            // Another reader of the group goes away beside it.
            let other = thread::spawn(move || drop(gone));
            markers.begin();
            if is_proven {
                markers.done();
            } else {
                (0..5).for_each(|_| markers.tick());
            }
            assert_eq!(reader.join().expect("it is woken"), is_proven);
            other.join().expect("it goes");
            assert_eq!(markers.readers(), 0);
        });
    }
}

#[test]
fn a_driver_that_waits_is_woken_by_a_read_whenever_it_comes() {
    loom::model(|| {
        let markers = Arc::new(Markers::default());
        let driver = {
            let markers = markers.clone();
            thread::spawn(move || block_on(poll_fn(|context| markers.poll_demand(context))))
        };
        let mut wait = markers.wait();
        driver.join().expect("it is woken");
        send(&markers, &AtomicUsize::new(0), &AtomicUsize::new(0));
        assert_eq!(poll(&mut wait), Poll::Ready(true));
    });
}
