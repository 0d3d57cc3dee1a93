//! Every interleaving of threads that share a cache: `RUSTFLAGS='--cfg loom' cargo test -p switchboard-rows --test
//! loom --release`.
#![cfg(loom)]

use bytes::Bytes;
use loom::future::block_on;
use loom::sync::Arc as Shared;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;
use switchboard_rows::cache::{Cache, Limits, Lookup, Lsn, Row, TableId};

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
