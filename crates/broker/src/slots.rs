use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::Index;

/// Names a row of one kind of table.
pub(crate) trait Key: Copy + Eq {
    fn new(index: usize) -> Self;
    fn index(self) -> usize;
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(NonZeroU32);

        impl Key for $name {
            fn new(index: usize) -> $name {
                let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
                $name(number.expect("a table has fewer than 2^32 rows"))
            }

            #[inline]
            fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    )+};
}

keys! {
    /// A connection that is there, or has left and is still being dealt with.
    ConnectionSlot,
    /// A channel.
    ChannelSlot,
    /// A subscription.
    SubscriptionSlot,
    /// A subscription's membership in one channel.
    MemberSlot,
    /// A charged buffer.
    AllocationSlot,
    /// A node of a trie of patterns.
    NodeSlot,
    /// A group of messages in one queue.
    GroupSlot,
}

/// Room for so many rows is kept: a table whose only row comes and goes would allocate each time.
const KEPT: usize = 8;

/// A table whose rows keep their slots until they are removed. The lowest free slot is used first,
/// so that the table becomes short again when most of its rows are gone.
#[derive(Debug)]
pub(crate) struct Slots<K, T> {
    rows: Vec<Option<T>>,
    /// Slots that were free once; some of them may be used again, or behind the end.
    free: BinaryHeap<Reverse<u32>>,
    used: usize,
    key: PhantomData<K>,
}

/// Rows of all tables that this thread has looked at, for the tests of bounded work.
#[cfg(test)]
pub(crate) mod looks {
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn count() {
        LOOKS.set(LOOKS.get() + 1);
    }

    pub(crate) fn so_far() -> u64 {
        LOOKS.get()
    }
}

impl<K: Key, T> Slots<K, T> {
    pub(crate) fn new() -> Slots<K, T> {
        Slots { rows: Vec::new(), free: BinaryHeap::new(), used: 0, key: PhantomData }
    }

    pub(crate) fn insert(&mut self, row: T) -> K {
        self.used += 1;
        while let Some(Reverse(slot)) = self.free.pop() {
            let slot = slot as usize;
            if let Some(free @ None) = self.rows.get_mut(slot) {
                *free = Some(row);
                return K::new(slot);
            }
        }
        self.rows.push(Some(row));
        K::new(self.rows.len() - 1)
    }

    pub(crate) fn remove(&mut self, key: K) -> T {
        let row = self.rows[key.index()].take().expect("the row is there");
        self.used -= 1;
        while let Some(None) = self.rows.last() {
            self.rows.pop();
        }
        if key.index() < self.rows.len() {
            self.free.push(Reverse(key.index() as u32));
        }
        if self.rows.capacity() > KEPT && self.rows.len() < self.rows.capacity() / 4 {
            self.shrink();
        }
        row
    }

    #[cold]
    fn shrink(&mut self) {
        self.rows.shrink_to((self.rows.len() * 2).max(KEPT));
        let end = self.rows.len();
        self.free.retain(|&Reverse(slot)| (slot as usize) < end);
        self.free.shrink_to(self.free.len() * 2);
    }

    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        #[cfg(test)]
        looks::count();
        self.rows.get(key.index())?.as_ref()
    }

    /// A row to change. Tables with dirty marks hide this behind an accessor that sets the mark.
    #[inline]
    pub(crate) fn row(&mut self, key: K) -> &mut T {
        #[cfg(test)]
        looks::count();
        self.rows[key.index()].as_mut().expect("the row is there")
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// One more than the highest index in use.
    pub(crate) fn end(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn at(&self, index: usize) -> Option<(K, &T)> {
        #[cfg(test)]
        looks::count();
        Some((K::new(index), self.rows.get(index)?.as_ref()?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.rows.iter().enumerate().filter_map(|(index, row)| Some((K::new(index), row.as_ref()?)))
    }
}

impl<K: Key, T> Index<K> for Slots<K, T> {
    type Output = T;

    #[inline]
    fn index(&self, key: K) -> &T {
        #[cfg(test)]
        looks::count();
        self.rows[key.index()].as_ref().expect("the row is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn rows_keep_their_slots_whatever_comes_and_goes(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400)) {
            let mut slots = Slots::<MemberSlot, usize>::new();
            let mut model = BTreeMap::new();
            for (number, (comes, index)) in steps.into_iter().enumerate() {
                if comes || model.is_empty() {
                    let slot = slots.insert(number);
                    prop_assert!(model.insert(slot, number).is_none());
                } else {
                    let slot = *index.get(&model.keys().copied().collect::<Vec<_>>());
                    prop_assert_eq!(Some(slots.remove(slot)), model.remove(&slot));
                }
                prop_assert_eq!(slots.len(), model.len());
                prop_assert!(slots.iter().map(|(slot, &row)| (slot, row)).eq(model.iter().map(|(&slot, &row)| (slot, row))));
            }
        }
    }

    #[test]
    fn a_table_becomes_short_again() {
        let mut slots = Slots::<MemberSlot, usize>::new();
        for number in 0..10_000 {
            slots.insert(number);
        }
        for slot in 1..10_000 {
            slots.remove(MemberSlot::new(slot));
        }
        assert!(slots.rows.capacity() < 10, "{}", slots.rows.capacity());
        assert!(slots.free.capacity() < 10, "{}", slots.free.capacity());
        assert_eq!(slots.insert(7), MemberSlot::new(1));
    }

    #[test]
    fn a_table_whose_only_row_comes_and_goes_keeps_its_room() {
        let mut slots = Slots::<MemberSlot, usize>::new();
        let first = slots.insert(0);
        slots.remove(first);
        let room = slots.rows.capacity();
        assert!(room > 0);
        for number in 0..10 {
            let row = slots.insert(number);
            assert_eq!(slots.remove(row), number);
            assert_eq!(slots.rows.capacity(), room);
        }
    }
}
