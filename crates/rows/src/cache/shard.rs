//! A part of the cache: slots in an array, an index, and a clock hand that evicts.

use super::freshness::Tenths;
use super::key::Key;
use super::lease::Flight;
use super::{Row, TableId};
use hashbrown::HashTable;
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Content {
    Loading { flight: Arc<Flight>, epoch: u64 },
    Ready { row: Row, epoch: u64 },
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) table: TableId,
    /// Read since the clock hand passed.
    pub(super) used: bool,
    /// The row was right then.
    pub(super) checked: Tenths,
    pub(super) hash: u64,
    pub(super) key: Key,
    pub(super) content: Content,
}

impl Slot {
    /// Bytes of key and row.
    pub(super) fn bytes(&self) -> usize {
        let row = match &self.content {
            Content::Ready { row, .. } => row.as_ref().map_or(0, bytes::Bytes::len),
            Content::Loading { .. } => 0,
        };
        self.key.len() + row
    }

    fn is(&self, table: TableId, key: &[u8]) -> bool {
        self.table == table && *self.key == *key
    }
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    slots: Vec<Slot>,
    index: HashTable<u32>,
    hand: usize,
}

impl Shard {
    pub(super) fn find(&mut self, table: TableId, hash: u64, key: &[u8]) -> Option<&mut Slot> {
        let slots = &self.slots;
        let at = *self.index.find(hash, |&at| slots[at as usize].is(table, key))?;
        Some(&mut self.slots[at as usize])
    }

    /// Adds a slot for a key that has none.
    pub(super) fn insert(&mut self, slot: Slot) {
        // Doubling would cost as much again as the slots do.
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(self.slots.len() / 8 + 4);
        }
        let at = u32::try_from(self.slots.len()).expect("a shard has fewer than 2^32 slots");
        let slots = &self.slots;
        self.index.insert_unique(slot.hash, at, |&at| slots[at as usize].hash);
        self.slots.push(slot);
    }

    pub(super) fn remove(&mut self, table: TableId, hash: u64, key: &[u8]) -> Option<Slot> {
        let slots = &self.slots;
        let entry = self.index.find_entry(hash, |&at| slots[at as usize].is(table, key)).ok()?;
        let (at, _) = entry.remove();
        Some(self.take(at))
    }

    /// Takes the slot out of the array; the last one moves into its place.
    fn take(&mut self, at: u32) -> Slot {
        let last = u32::try_from(self.slots.len() - 1).expect("a shard has fewer than 2^32 slots");
        if at != last {
            let hash = self.slots[last as usize].hash;
            let moved = self.index.find_mut(hash, |&index| index == last).expect("every slot is in the index");
            *moved = at;
        }
        self.slots.swap_remove(at as usize)
    }

    /// Evicts a row: the first that `is_stale`, or that was not read since the hand passed. `None` if there is no row.
    pub(super) fn evict(&mut self, is_stale: impl Fn(TableId, u64) -> bool) -> Option<Slot> {
        // The first round clears the marks of use, so the second finds a row if there is one.
        for _ in 0..self.slots.len() * 2 {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let slot = &mut self.slots[self.hand];
            match slot.content {
                Content::Ready { epoch, .. } if !slot.used || is_stale(slot.table, epoch) => {
                    let (hash, at) = (slot.hash, u32::try_from(self.hand).expect("a shard has fewer than 2^32 slots"));
                    self.index.find_entry(hash, |&index| index == at).expect("every slot is in the index").remove();
                    return Some(self.take(at));
                }
                _ => slot.used = false,
            }
            self.hand += 1;
        }
        None
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }
}
