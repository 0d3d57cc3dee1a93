//! Subscriptions that begin or end, on their way to somebody who may be slow to take them.

use crate::Message;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// A subscription that begins, or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) begins: bool,
    /// Nobody was subscribed to the prefix before: it is no repetition.
    pub(crate) first: bool,
    pub(crate) prefix: Bytes,
}

impl Change {
    pub(crate) fn new(begins: bool, first: bool, prefix: &[u8]) -> Change {
        Change { begins, first, prefix: Bytes::copy_from_slice(prefix) }
    }
}

/// As an XPUB receives it: a byte 1 or 0, and the prefix.
impl From<Change> for Message {
    fn from(change: Change) -> Message {
        [&[u8::from(change.begins)], &change.prefix[..]].concat().into()
    }
}

/// Changes in their order. Beyond a number of them only the net change of each prefix is kept, so a reader that does not read costs no
/// more than the prefixes that are subscribed to, or that it still takes for subscribed to.
#[derive(Debug)]
pub(crate) struct ChangeQueue {
    changes: VecDeque<Change>,
    compact_at: usize,
}

/// Fewer changes are kept as they are.
const COMPACT_AT: usize = 1024;

impl Default for ChangeQueue {
    fn default() -> ChangeQueue {
        ChangeQueue { changes: VecDeque::new(), compact_at: COMPACT_AT }
    }
}

impl ChangeQueue {
    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > self.compact_at {
            self.compact();
            self.compact_at = COMPACT_AT.max(2 * self.changes.len());
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Takes all of them.
    pub(crate) fn take(&mut self) -> VecDeque<Change> {
        std::mem::take(self).changes
    }

    fn compact(&mut self) {
        // For each prefix: whether the reader knows it, and whether the first and the last change begin.
        let mut nets: HashMap<Bytes, (bool, bool, usize)> = HashMap::new();
        for (at, change) in self.changes.iter().enumerate() {
            let known = !(change.begins && change.first);
            nets.entry(change.prefix.clone()).or_insert((known, change.begins, at)).2 = at;
        }
        let mut at = 0;
        self.changes.retain_mut(|change| {
            let (known, began, last) = nets[&change.prefix];
            at += 1;
            change.first = change.begins && !known;
            // A subscription that the reader never saw need not end, and one that ended and began again has not changed.
            let no_change = (!known && !change.begins) || (known && !began && change.begins);
            last == at - 1 && !no_change
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn kept(queue: &ChangeQueue) -> Vec<(bool, Vec<u8>)> {
        queue.changes.iter().map(|change| (change.begins, change.prefix.to_vec())).collect()
    }

    #[test]
    fn up_to_the_bound_changes_are_kept_as_they_are_and_beyond_it_only_what_they_come_to() {
        let mut queue = ChangeQueue::default();
        for pair in 0..COMPACT_AT / 2 {
            let prefix = pair.to_string();
            queue.push(Change::new(true, true, prefix.as_bytes()));
            queue.push(Change::new(false, false, prefix.as_bytes()));
        }
        assert_eq!(queue.changes.len(), COMPACT_AT);
        queue.push(Change::new(true, true, b"last"));
        assert_eq!(kept(&queue), [(true, b"last".to_vec())]);
        for _ in 0..100 * COMPACT_AT {
            queue.push(Change::new(true, false, b"last"));
        }
        assert!(queue.changes.len() <= COMPACT_AT);
    }

    proptest! {
        /// Whatever was read before, the reader comes to the same end.
        #[test]
        fn a_reader_comes_to_the_same_subscriptions(
            steps in prop::collection::vec((any::<bool>(), 0u8..4, prop::option::weighted(0.2, 1usize..4)), 0..60),
        ) {
            let (mut queue, mut counts, mut seen) = (ChangeQueue::default(), BTreeMap::new(), BTreeMap::new());
            let read = |change: Change, seen: &mut BTreeMap<u8, bool>| { seen.insert(change.prefix[0], change.begins); };
            for (begins, prefix, reads) in steps {
                let count = counts.entry(prefix).or_insert(0usize);
                if begins {
                    *count += 1;
                    queue.push(Change::new(true, *count == 1, &[prefix]));
                } else if *count > 0 {
                    *count = 0;
                    queue.push(Change::new(false, false, &[prefix]));
                }
                if let Some(reads) = reads {
                    for _ in 0..reads {
                        if let Some(change) = queue.pop() { read(change, &mut seen); }
                    }
                    queue.compact();
                    prop_assert!(queue.changes.len() <= 4);
                }
            }
            queue.compact();
            while let Some(change) = queue.pop() { read(change, &mut seen); }
            for prefix in 0..4 {
                let expected = counts.get(&prefix).is_some_and(|count| *count > 0);
                prop_assert_eq!(seen.get(&prefix).copied().unwrap_or(false), expected);
            }
        }
    }
}
