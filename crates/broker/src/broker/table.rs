use crate::slots::{Key, Slots};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::ops::Index;

/// A row that can be marked as changed.
pub(super) trait Marked {
    fn mark(&mut self) -> &mut bool;
}

/// A table that notes which of its rows were changed. A row is changed through [`Table::edit`]
/// alone, so that no change can be without its follow-up work.
#[derive(Debug)]
pub(super) struct Table<K, T> {
    slots: Slots<K, T>,
    /// Marked rows, and rows that were removed since.
    dirty: VecDeque<K>,
}

/// Room for so many marks is kept.
const MARKS: usize = 1024;

impl<K: Key, T: Marked> Table<K, T> {
    pub(super) fn new() -> Table<K, T> {
        Table { slots: Slots::new(), dirty: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, row: T) -> K {
        self.slots.insert(row)
    }

    pub(super) fn remove(&mut self, key: K) -> T {
        self.slots.remove(key)
    }

    /// A row to change, which is marked.
    #[inline]
    pub(super) fn edit(&mut self, key: K) -> &mut T {
        let row = self.slots.row(key);
        if !std::mem::replace(row.mark(), true) {
            self.dirty.push_back(key);
        }
        row
    }

    /// Marks a row, if it is there.
    pub(super) fn touch(&mut self, key: K) {
        if self.slots.get(key).is_some() {
            self.edit(key);
        }
    }

    /// For lists through the rows, and for counters: what nothing follows from.
    #[inline]
    pub(super) fn quietly(&mut self) -> &mut Slots<K, T> {
        &mut self.slots
    }

    /// The row that was marked first, without its mark.
    pub(super) fn next_dirty(&mut self) -> Option<K> {
        while let Some(key) = self.dirty.pop_front() {
            if self.dirty.is_empty() && self.dirty.capacity() > MARKS {
                self.dirty = VecDeque::new();
            }
            if self.slots.get(key).is_some() && std::mem::take(self.slots.row(key).mark()) {
                return Some(key);
            }
        }
        None
    }

    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, key: K) -> Option<&T> {
        self.slots.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn end(&self) -> usize {
        self.slots.end()
    }

    pub(super) fn at(&self, index: usize) -> Option<(K, &T)> {
        self.slots.at(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.slots.iter()
    }
}

impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;

    #[inline]
    fn index(&self, key: K) -> &T {
        &self.slots[key]
    }
}

/// A table that was large once does not stay so.
pub(super) fn shrink<K: Eq + Hash, V, S: BuildHasher>(table: &mut HashMap<K, V, S>) {
    if table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2);
    }
}
