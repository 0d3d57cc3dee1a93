//! A connection's leases, by their tags.

use crate::lease::Lease;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// Leases of one chunk at most: what is moved when one is taken out of its middle is bounded by this.
const CHUNK: usize = 64;

/// Room for so many leases is kept where new ones come.
const KEPT: usize = 4;

/// Leases in the order of their tags, which follow each other without a gap until leases are taken out.
///
/// They lie side by side in chunks: a map of leases would leave half of its room unused where they come in order.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// Chunks that once were full, none of them empty, by the first tag that each had then.
    older: BTreeMap<u64, VecDeque<Lease>>,
    /// Behind these, where new ones come.
    newest: VecDeque<Lease>,
    len: usize,
}

/// Index of the lease with a first tag in a chunk, or the one that it would have.
fn position(chunk: &VecDeque<Lease>, first_tag: u64) -> Result<usize, usize> {
    chunk.binary_search_by_key(&first_tag, |lease| lease.first_tag)
}

/// Index of the lease with a tag in a chunk.
fn position_of(chunk: &VecDeque<Lease>, tag: u64) -> Option<usize> {
    let index = match chunk.front() {
        // Most acks are for the oldest messages.
        Some(front) if front.end_tag() > tag => 0,
        _ => chunk.partition_point(|lease| lease.end_tag() <= tag),
    };
    chunk.get(index).filter(|lease| lease.first_tag <= tag).map(|_| index)
}

impl Leases {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.older.values().flatten().chain(&self.newest)
    }

    /// Appends a lease, whose tags are behind those of all others.
    pub(crate) fn push(&mut self, lease: Lease) {
        if self.newest.len() == CHUNK
            && let Some(first) = self.newest.front().map(|front| front.first_tag)
        {
            self.older.insert(first, std::mem::take(&mut self.newest));
        }
        let len = self.newest.len();
        if len == self.newest.capacity() {
            // By half, and not to twice its size: it would shrink with the next lease that is taken out.
            self.newest.reserve_exact((len / 2).max(KEPT).min(CHUNK - len));
        }
        self.newest.push_back(lease);
        self.len += 1;
    }

    /// The lease with a tag.
    #[inline]
    pub(crate) fn get_mut(&mut self, tag: u64) -> Option<&mut Lease> {
        let chunk = if self.is_newest(tag) { &mut self.newest } else { self.older.range_mut(..=tag).next_back()?.1 };
        let index = position_of(chunk, tag)?;
        chunk.get_mut(index)
    }

    /// The next lease that begins at a tag or behind it.
    pub(crate) fn next_from(&self, tag: u64) -> Option<&Lease> {
        let next = |chunk: &VecDeque<Lease>| position(chunk, tag).unwrap_or_else(|next| next);
        if self.is_newest(tag) {
            return self.newest.get(next(&self.newest));
        }
        let within = self.older.range(..=tag).next_back().and_then(|(_, chunk)| chunk.get(next(chunk)));
        let behind = || self.older.range((Excluded(tag), Unbounded)).next().and_then(|(_, chunk)| chunk.front());
        within.or_else(behind).or_else(|| self.newest.front())
    }

    /// Takes out the lease whose first tag this is.
    pub(crate) fn remove(&mut self, first_tag: u64) -> Option<Lease> {
        if self.is_newest(first_tag) {
            let index = position(&self.newest, first_tag).ok()?;
            let lease = self.newest.remove(index)?;
            self.len -= 1;
            shrink(&mut self.newest, KEPT);
            return Some(lease);
        }
        let (&key, chunk) = self.older.range_mut(..=first_tag).next_back()?;
        let index = position(chunk, first_tag).ok()?;
        let lease = chunk.remove(index)?;
        self.len -= 1;
        shrink(chunk, 1);
        if chunk.is_empty() {
            self.older.remove(&key);
        }
        Some(lease)
    }

    /// Takes out the first lease.
    pub(crate) fn pop_first(&mut self) -> Option<Lease> {
        let first_tag = self.iter().next()?.first_tag;
        self.remove(first_tag)
    }

    fn is_newest(&self, tag: u64) -> bool {
        self.older.is_empty() || self.newest.front().is_some_and(|front| front.first_tag <= tag)
    }
}

/// A chunk takes at most twice the room of its leases.
fn shrink(chunk: &mut VecDeque<Lease>, kept: usize) {
    if chunk.capacity() > kept && chunk.len() <= chunk.capacity() / 2 {
        chunk.shrink_to((chunk.len() + chunk.len() / 4).max(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Tries;
    use crate::slots::{AllocationSlot, Key, MemberSlot};
    use crate::{Batch, Packer};
    use proptest::prelude::*;

    fn lease(first_tag: u64, messages: u64) -> Lease {
        let mut packer = Packer::default();
        (0..messages).for_each(|_| packer.push(b""));
        let batch: Batch = packer.finish().expect("a message");
        Lease::new(MemberSlot::new(0), AllocationSlot::new(0), first_tag, (0, 1), Tries::NONE, batch)
    }

    fn room(leases: &Leases) -> usize {
        leases.older.values().map(VecDeque::capacity).sum::<usize>() + leases.newest.capacity()
    }

    proptest! {
        #[test]
        fn leases_are_found_by_their_tags_whatever_is_taken_out(
            lengths in prop::collection::vec(1..4u64, 1..400),
            steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 0..600),
        ) {
            let (mut leases, mut model) = (Leases::default(), BTreeMap::new());
            let (mut lengths, mut end) = (lengths.into_iter(), 1);
            for (step, index) in steps {
                let at = 1 + index.index(end as usize + 2) as u64;
                match (step, lengths.next()) {
                    (0 | 1, Some(length)) => {
                        leases.push(lease(end, length));
                        model.insert(end, end + length);
                        end += length;
                    }
                    (2, _) => {
                        let removed = leases.remove(at).map(|lease| (lease.first_tag, lease.end_tag()));
                        prop_assert_eq!(removed, model.remove(&at).map(|end| (at, end)));
                    }
                    _ => {
                        let first = leases.pop_first().map(|lease| (lease.first_tag, lease.end_tag()));
                        prop_assert_eq!(first, model.pop_first());
                    }
                }
                let found = leases.get_mut(at).map(|lease| lease.first_tag);
                let known = model.range(..=at).next_back().filter(|(_, end)| **end > at).map(|(&first, _)| first);
                prop_assert_eq!(found, known);
                let next = leases.next_from(at).map(|lease| lease.first_tag);
                prop_assert_eq!(next, model.range(at..).next().map(|(&first, _)| first));
                prop_assert_eq!((leases.len(), leases.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(room(&leases) <= 2 * leases.len() + CHUNK, "{} for {}", room(&leases), leases.len());
            }
            prop_assert!(leases.iter().map(|lease| lease.first_tag).eq(model.into_keys()));
        }
    }

    #[test]
    fn one_that_comes_and_one_that_goes_move_no_others() {
        for kept in 0..2 * CHUNK as u64 {
            let mut leases = Leases::default();
            (1..=kept).for_each(|tag| leases.push(lease(tag, 1)));
            let mut changes = 0;
            for tag in kept + 1..kept + 11 {
                let before = leases.newest.capacity();
                leases.push(lease(tag, 1));
                changes += usize::from(leases.newest.capacity() != before);
                assert!(leases.remove(tag).is_some());
            }
            assert!(changes <= 1, "{changes} for {kept}");
        }
    }

    #[test]
    fn leases_that_come_in_order_take_hardly_more_than_their_own_room() {
        let mut leases = Leases::default();
        (1..=10_000).for_each(|tag| leases.push(lease(tag, 1)));
        assert!(room(&leases) < 10_000 + CHUNK, "{}", room(&leases));
        // All but one of each chunk.
        for tag in (1..=10_000).filter(|tag| tag % CHUNK as u64 != 0) {
            assert!(leases.remove(tag).is_some());
        }
        assert!(room(&leases) <= 2 * leases.len() + KEPT, "{} for {}", room(&leases), leases.len());
        while leases.pop_first().is_some() {}
        assert!(leases.older.is_empty() && leases.newest.capacity() <= KEPT);
    }
}
