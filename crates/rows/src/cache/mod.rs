//! The cache: rows, leases, epochs and what markers prove. No I/O; time is an argument.
//!
//! # How a driver calls it
//!
//! 1. [`Cache::connected`] once the change feed listens; then every event, in the order of the feed, by
//!    [`Cache::invalidate`] or [`Cache::flush`]; and [`Cache::marker`] for each marker that comes back.
//! 2. [`Cache::read`] for each read. A [`Lookup::Lease`] obliges to query the row and to [`Lease::fill`] it.
//! 3. [`Cache::invalidate`] after each write of one's own, before its reply.
//!
//! # Invariants
//!
//! - An entry equals the newest version visible at some instant of its fill. A later commit's event comes after the
//!   install, or takes the lease away.
//! - After [`Cache::marker`] no entry predates a write that was visible when the marker was sent.
//! - [`Lookup::Hit`] is younger than [`Limits::max_age`], whatever the feed does.
//! - No entry crosses [`Cache::connected`] or its table's [`Cache::flush`].

mod freshness;
mod key;
mod lease;
mod look;
mod markers;
mod shard;
mod sync;

pub use lease::{Lease, Waiter};
pub use look::is_same;
#[cfg(all(feature = "service", not(loom)))]
pub(crate) use markers::TICKS;
pub use markers::{Markers, Wait};

use bytes::Bytes;
use freshness::Freshness;
use hashbrown::DefaultHashBuilder;
use key::Key;
use lease::Flight;
use shard::{Content, Shard, Slot};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use sync::{AtomicU64, AtomicUsize, Mutex, SeqCst};

/// A row as ready JSON, or `None` for a key without a row.
pub type Row = Option<Bytes>;

/// Number of a table: its index among the tables that the cache was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u16);

/// Position in PostgreSQL's write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// Limits of a cache: its size, and the age of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows, absent ones included; 0 turns the cache off.
    pub rows: usize,
    /// Bytes of keys and rows together. A row that is larger than an eighth of it is not cached.
    pub bytes: usize,
    /// Fills under way; a read beyond them goes to the database by itself.
    pub leases: usize,
    /// Age that no served row reaches; 0 turns the cache off.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { rows: 65_536, bytes: 256 << 20, leases: 1024, max_age: Duration::from_secs(1) }
    }
}

/// Safety parts that a test switches off, to see that the tests notice.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Disabled {
    /// An event leaves the lease of its key alone.
    pub lease: bool,
    /// A fill is installed whatever was flushed since.
    pub epoch: bool,
    /// Rows are served without a proof of their age.
    pub marker: bool,
    /// An event leaves a cached absence alone.
    pub absent: bool,
}

/// The result of a read.
#[derive(Debug)]
pub enum Lookup {
    /// The row, and the age that it does not exceed.
    Hit(Row, Duration),
    /// Nothing: the caller queries the row and fills the lease.
    Lease(Lease),
    /// Somebody else queries the row.
    Wait(Waiter),
    /// The cache may not answer: no marker came back in time, or every lease is taken. The caller asks the database.
    Bypass,
}

/// Counts of what a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows, with absent and flushed ones.
    pub rows: usize,
    /// Bytes of keys and rows.
    pub bytes: usize,
    /// Fills under way.
    pub leases: usize,
}

/// A coherent cache, shared by threads.
#[derive(Debug)]
pub struct Cache {
    limits: Limits,
    disabled: Disabled,
    hasher: DefaultHashBuilder,
    /// A power of two of them.
    shards: Box<[Mutex<Shard>]>,
    epochs: Box<[AtomicU64]>,
    freshness: Freshness,
    rows: AtomicUsize,
    bytes: AtomicUsize,
    leases: AtomicUsize,
}

/// Rows from which on a cache is split. Small ones are not, so that their bound is used to the last row.
const SPLIT: usize = 1024;
const SHARDS: usize = 16;

impl Cache {
    /// Makes an empty cache for `tables` tables. It answers nothing before the first marker.
    #[must_use]
    pub fn new(tables: u16, limits: Limits) -> Arc<Cache> {
        Cache::with_disabled(tables, limits, Disabled::default())
    }

    #[doc(hidden)]
    #[must_use]
    pub fn with_disabled(tables: u16, limits: Limits, disabled: Disabled) -> Arc<Cache> {
        let shards = if limits.rows < SPLIT { 1 } else { SHARDS };
        Arc::new(Cache {
            limits,
            disabled,
            hasher: DefaultHashBuilder::default(),
            shards: (0..shards).map(|_| Mutex::new(Shard::default())).collect(),
            epochs: (0..tables).map(|_| AtomicU64::new(0)).collect(),
            freshness: Freshness::new(limits.max_age),
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            leases: AtomicUsize::new(0),
        })
    }

    /// Looks a key up.
    ///
    /// # Panics
    /// If there is no such table.
    #[must_use]
    pub fn read(self: &Arc<Self>, now: Duration, table: TableId, key: &[u8]) -> Lookup {
        let Some(age) = self.served_age(now) else { return Lookup::Bypass };
        let hash = self.hash(table, key);
        let mut shard = self.shard(hash).lock();
        if let Some(slot) = shard.find(table, hash, key) {
            match &slot.content {
                // A fill from before a flush may have missed what the flush stands for: nobody joins it.
                Content::Loading { flight, epoch } if self.is_current(table, *epoch) => {
                    return Lookup::Wait(Waiter { flight: flight.clone() });
                }
                Content::Ready { row, epoch } if self.is_current(table, *epoch) => {
                    let row = row.clone();
                    slot.used = true;
                    return Lookup::Hit(row, age);
                }
                _ => {}
            }
        }
        self.lease_in(&mut shard, table, hash, key).map_or(Lookup::Bypass, Lookup::Lease)
    }

    /// Looks a key up, and leaves it alone if its row is not here to be served.
    ///
    /// # Panics
    /// If there is no such table.
    #[must_use]
    pub fn hit(&self, now: Duration, table: TableId, key: &[u8]) -> Option<(Row, Duration)> {
        let age = self.served_age(now)?;
        let hash = self.hash(table, key);
        let mut shard = self.shard(hash).lock();
        let slot = shard.find(table, hash, key)?;
        match &slot.content {
            Content::Ready { row, epoch } if self.is_current(table, *epoch) => {
                let row = row.clone();
                slot.used = true;
                Some((row, age))
            }
            _ => None,
        }
    }

    /// Age that no row exceeds which is served now; `None`: none is.
    fn served_age(&self, now: Duration) -> Option<Duration> {
        self.freshness.age(now).or(self.disabled.marker.then_some(Duration::ZERO))
    }

    /// Takes the lease of a key that has neither a current row nor a lease, to fill it before somebody asks.
    #[must_use]
    pub fn lease(self: &Arc<Self>, table: TableId, key: &[u8]) -> Option<Lease> {
        let hash = self.hash(table, key);
        let mut shard = self.shard(hash).lock();
        match shard.find(table, hash, key).map(|slot| &slot.content) {
            Some(Content::Loading { epoch, .. } | Content::Ready { epoch, .. }) if self.is_current(table, *epoch) => {
                None
            }
            _ => self.lease_in(&mut shard, table, hash, key),
        }
    }

    /// Removes a key's row and lease. Returns true if there was one, so that it is worth a refresh.
    pub fn invalidate(&self, table: TableId, key: &[u8]) -> bool {
        let hash = self.hash(table, key);
        let mut shard = self.shard(hash).lock();
        match shard.find(table, hash, key).map(|slot| &slot.content) {
            None => return false,
            Some(Content::Loading { .. }) if self.disabled.lease => return false,
            Some(Content::Ready { row: None, .. }) if self.disabled.absent => return false,
            Some(_) => {}
        }
        let slot = shard.remove(table, hash, key);
        slot.is_some_and(|slot| {
            self.release(&slot);
            let (Content::Loading { epoch, .. } | Content::Ready { epoch, .. }) = slot.content;
            self.is_current(table, epoch)
        })
    }

    /// Makes every row and lease of a table void, in constant time.
    pub fn flush(&self, table: TableId) {
        self.epochs[usize::from(table.0)].fetch_add(1, SeqCst);
    }

    /// The change feed listens, after a start or a gap. Everything cached before is void.
    pub fn connected(&self) {
        self.freshness.forget();
        for epoch in &self.epochs {
            epoch.fetch_add(1, SeqCst);
        }
    }

    /// A marker has come back through the change feed: it was sent at `sent`, and `seen` was read in its statement.
    ///
    /// A marker from before the last [`Cache::connected`] must not be given.
    pub fn marker(&self, sent: Duration, seen: Lsn) {
        self.freshness.prove(sent, seen);
    }

    /// Age that no cached row exceeds, or `None` if rows are not served now.
    #[must_use]
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.freshness.age(now)
    }

    /// Position up to which every write was applied; 0 before the first marker of a connection.
    #[must_use]
    pub fn seen(&self) -> Lsn {
        self.freshness.seen()
    }

    /// Returns the contents of the cache in numbers.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { rows: self.rows.load(SeqCst), bytes: self.bytes.load(SeqCst), leases: self.leases.load(SeqCst) }
    }

    fn lease_in(self: &Arc<Self>, shard: &mut Shard, table: TableId, hash: u64, key: &[u8]) -> Option<Lease> {
        if self.leases.fetch_add(1, SeqCst) >= self.limits.leases {
            self.leases.fetch_sub(1, SeqCst);
            return None;
        }
        if let Some(flushed) = shard.remove(table, hash, key) {
            self.release(&flushed);
        }
        let (key, flight) = (Key::from(key), Arc::new(Flight::new()));
        self.bytes.fetch_add(key.len(), SeqCst);
        let epoch = self.epoch(table);
        let checked = self.freshness.newest();
        let content = Content::Loading { flight: flight.clone(), epoch };
        shard.insert(Slot { table, used: false, checked, hash, key: key.clone(), content });
        Some(Lease { cache: self.clone(), table, hash, key, epoch, checked, flight, done: false })
    }

    /// Installs a filled lease's row; without the lease, its epoch, or room for it, only gives the lease back.
    fn install(&self, lease: &Lease, row: Row) -> bool {
        let mut shard = self.shard(lease.hash).lock();
        if !self.take_back(&mut shard, lease) {
            return false;
        }
        let epoch = if self.disabled.epoch { self.epoch(lease.table) } else { lease.epoch };
        let bytes = lease.key.len() + row.as_ref().map_or(0, Bytes::len);
        if !self.is_current(lease.table, epoch) || bytes > self.limits.bytes / 8 || !self.make_room(&mut shard, bytes) {
            return false;
        }
        let content = Content::Ready { row, epoch };
        let Lease { table, hash, checked, .. } = *lease;
        shard.insert(Slot { table, used: false, checked, hash, key: lease.key.clone(), content });
        true
    }

    fn abandon(&self, lease: &Lease) {
        self.take_back(&mut self.shard(lease.hash).lock(), lease);
    }

    /// Removes the lease's slot. False if an event took it away before.
    fn take_back(&self, shard: &mut Shard, lease: &Lease) -> bool {
        let slot = shard.find(lease.table, lease.hash, &lease.key);
        let own = slot.is_some_and(
            |slot| matches!(&slot.content, Content::Loading { flight, .. } if Arc::ptr_eq(flight, &lease.flight)),
        );
        if own && let Some(slot) = shard.remove(lease.table, lease.hash, &lease.key) {
            self.release(&slot);
        }
        own
    }

    /// Counts a row of `bytes` in, and evicts from its shard until it fits. False if it cannot fit.
    fn make_room(&self, shard: &mut Shard, bytes: usize) -> bool {
        self.rows.fetch_add(1, SeqCst);
        self.bytes.fetch_add(bytes, SeqCst);
        while self.rows.load(SeqCst) > self.limits.rows || self.bytes.load(SeqCst) > self.limits.bytes {
            let Some(evicted) = shard.evict(|table, epoch| !self.is_current(table, epoch)) else {
                self.rows.fetch_sub(1, SeqCst);
                self.bytes.fetch_sub(bytes, SeqCst);
                return false;
            };
            self.release(&evicted);
        }
        true
    }

    /// Counts a removed slot out.
    fn release(&self, slot: &Slot) {
        self.bytes.fetch_sub(slot.bytes(), SeqCst);
        let count = if matches!(slot.content, Content::Loading { .. }) { &self.leases } else { &self.rows };
        count.fetch_sub(1, SeqCst);
    }

    fn is_current(&self, table: TableId, epoch: u64) -> bool {
        epoch == self.epoch(table)
    }

    fn epoch(&self, table: TableId) -> u64 {
        self.epochs[usize::from(table.0)].load(SeqCst)
    }

    fn hash(&self, table: TableId, key: &[u8]) -> u64 {
        self.hasher.hash_one((table, key))
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        // The index uses the top seven bits and the lowest ones.
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }
}
