//! Looks at cached rows that are no reads: of the sampler, and of tests.

use super::freshness::Tenths;
use super::shard::Content;
use super::{Cache, Row, TableId};
use std::time::Duration;

/// Slots that a sample looks at, under the shard's lock.
const SAMPLED: usize = 64;

impl Cache {
    /// Every row that would be served: at rest, each equals its row in the database.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(TableId, Box<[u8]>, Row)> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            for slot in shard.lock().slots() {
                if let Content::Ready { row, epoch } = &slot.content
                    && self.is_current(slot.table, *epoch)
                {
                    rows.push((slot.table, Box::from(&*slot.key), row.clone()));
                }
            }
        }
        rows
    }

    /// A row that would be served, if its age is proven; one by `random`, or `None` if that finds none.
    #[must_use]
    pub fn sample(&self, random: u64) -> Option<(TableId, Box<[u8]>, Row)> {
        let shard = self.shard(random).lock();
        let slots = shard.slots();
        let begin = usize::try_from(random >> 16).unwrap_or(0).checked_rem(slots.len())?;
        let (before, after) = slots.split_at(begin);
        after.iter().chain(before).take(SAMPLED).find_map(|slot| match &slot.content {
            Content::Ready { row, epoch } if self.is_current(slot.table, *epoch) => {
                Some((slot.table, Box::from(&*slot.key), row.clone()))
            }
            _ => None,
        })
    }

    /// A key's row if it would be served, without a mark of use.
    #[must_use]
    pub fn peek(&self, table: TableId, key: &[u8]) -> Option<Row> {
        let hash = self.hash(table, key);
        let mut shard = self.shard(hash).lock();
        match &shard.find(table, hash, key)?.content {
            Content::Ready { row, epoch } if self.is_current(table, *epoch) => Some(row.clone()),
            _ => None,
        }
    }

    /// Notes that a comparison which began at `now` found this row right.
    pub fn confirm(&self, now: Duration, table: TableId, key: &[u8], row: &Row) {
        let hash = self.hash(table, key);
        let mut shard = self.shard(hash).lock();
        if let Some(slot) = shard.find(table, hash, key)
            && matches!(&slot.content, Content::Ready { row: cached, .. } if is_same(cached, row))
        {
            slot.checked = slot.checked.max(Tenths::of(now));
        }
    }

    /// A time at which a key's row was right, to a tenth of a second: the newest comparison, or the newest marker before
    /// its fill.
    #[must_use]
    pub fn checked(&self, table: TableId, key: &[u8]) -> Option<Duration> {
        let hash = self.hash(table, key);
        self.shard(hash).lock().find(table, hash, key).map(|slot| slot.checked.time())
    }
}

/// Compares by identity: a row that was read again is another one, though its bytes be the same.
#[must_use]
pub fn is_same(one: &Row, other: &Row) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one.as_ptr(), other.as_ptr()),
        (None, None) => true,
        _ => false,
    }
}
