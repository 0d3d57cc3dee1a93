use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Index, IndexMut};

/// A table whose rows keep their place until they are removed. The lowest free place is used
/// first, so that the table becomes short again when most of its rows are gone.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    rows: Vec<Option<T>>,
    /// Places that were free once; some of them may be used again, or behind the end.
    free: BinaryHeap<Reverse<usize>>,
    used: usize,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots { rows: Vec::new(), free: BinaryHeap::new(), used: 0 }
    }

    pub(crate) fn insert(&mut self, row: T) -> usize {
        self.used += 1;
        while let Some(Reverse(place)) = self.free.pop() {
            if let Some(free @ None) = self.rows.get_mut(place) {
                *free = Some(row);
                return place;
            }
        }
        self.rows.push(Some(row));
        self.rows.len() - 1
    }

    pub(crate) fn remove(&mut self, place: usize) -> T {
        let row = self.rows[place].take().expect("the row is there");
        self.used -= 1;
        while let Some(None) = self.rows.last() {
            self.rows.pop();
        }
        if place < self.rows.len() {
            self.free.push(Reverse(place));
        }
        if self.rows.len() < self.rows.capacity() / 4 {
            self.rows.shrink_to(self.rows.len() * 2);
            let end = self.rows.len();
            self.free.retain(|&Reverse(place)| place < end);
            self.free.shrink_to(self.free.len() * 2);
        }
        row
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.rows.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.rows.get_mut(place)?.as_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.rows.iter().enumerate().filter_map(|(place, row)| Some((place, row.as_ref()?)))
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        self.rows[place].as_ref().expect("the row is there")
    }
}

impl<T> IndexMut<usize> for Slots<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        self.rows[place].as_mut().expect("the row is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn rows_keep_their_places_whatever_comes_and_goes(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400)) {
            let mut slots = Slots::new();
            let mut model = BTreeMap::new();
            for (number, (comes, index)) in steps.into_iter().enumerate() {
                if comes || model.is_empty() {
                    let place = slots.insert(number);
                    prop_assert!(model.insert(place, number).is_none());
                } else {
                    let place = *index.get(&model.keys().copied().collect::<Vec<_>>());
                    prop_assert_eq!(Some(slots.remove(place)), model.remove(&place));
                }
                prop_assert_eq!(slots.len(), model.len());
                prop_assert!(slots.iter().map(|(place, &row)| (place, row)).eq(model.iter().map(|(&place, &row)| (place, row))));
            }
        }
    }

    #[test]
    fn a_table_becomes_short_again() {
        let mut slots = Slots::new();
        for number in 0..10_000 {
            slots.insert(number);
        }
        for place in 1..10_000 {
            slots.remove(place);
        }
        assert!(slots.rows.capacity() < 10, "{}", slots.rows.capacity());
        assert!(slots.free.capacity() < 10, "{}", slots.free.capacity());
        assert_eq!(slots.insert(7), 1);
    }
}
