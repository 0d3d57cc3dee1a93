//! The keys of one pattern: mostly one.

use std::collections::BTreeSet;

#[derive(Debug)]
#[allow(clippy::box_collection, reason = "most nodes have one key or none, and are to be small")]
pub(super) enum Keys<K> {
    None,
    One(K),
    Many(Box<BTreeSet<K>>),
}

impl<K: Copy + Ord> Keys<K> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Keys::None)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Keys::None => 0,
            Keys::One(_) => 1,
            Keys::Many(keys) => keys.len(),
        }
    }

    /// Returns false if it is there.
    pub(super) fn insert(&mut self, key: K) -> bool {
        match self {
            Keys::None => *self = Keys::One(key),
            Keys::One(other) if *other == key => return false,
            Keys::One(other) => *self = Keys::Many(Box::new([*other, key].into())),
            Keys::Many(keys) => return keys.insert(key),
        }
        true
    }

    /// Returns false if it is not there.
    pub(super) fn remove(&mut self, key: K) -> bool {
        match self {
            Keys::One(other) if *other == key => *self = Keys::None,
            Keys::None | Keys::One(_) => return false,
            Keys::Many(keys) => {
                let was_there = keys.remove(&key);
                if keys.len() == 1 {
                    *self = keys.pop_first().map_or(Keys::None, Keys::One);
                }
                return was_there;
            }
        }
        true
    }

    pub(super) fn add_to(&self, all: &mut Vec<K>) {
        match self {
            Keys::None => {}
            Keys::One(key) => all.push(*key),
            Keys::Many(keys) => all.extend(keys.iter().copied()),
        }
    }
}
