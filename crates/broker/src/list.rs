//! Doubly linked lists through the rows of a table: every operation costs the same however long a
//! list is, and a row can be taken out of the middle.

use crate::slots::{Key, Slots};

/// A row's neighbors in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link<K> {
    pub(crate) previous: Option<K>,
    pub(crate) next: Option<K>,
}

impl<K> Link<K> {
    pub(crate) const fn new() -> Link<K> {
        Link { previous: None, next: None }
    }
}

/// The ends of a list. Its owner says how to find a row's link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<K> {
    pub(crate) first: Option<K>,
    pub(crate) last: Option<K>,
}

impl<K: Key> List<K> {
    pub(crate) const fn new() -> List<K> {
        List { first: None, last: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push_back<T>(&mut self, rows: &mut Slots<K, T>, key: K, link: fn(&mut T) -> &mut Link<K>) {
        *link(rows.row(key)) = Link { previous: self.last, next: None };
        match self.last {
            Some(last) => link(rows.row(last)).next = Some(key),
            None => self.first = Some(key),
        }
        self.last = Some(key);
    }

    /// Takes out a row that is in this list.
    pub(crate) fn remove<T>(&mut self, rows: &mut Slots<K, T>, key: K, link: fn(&mut T) -> &mut Link<K>) {
        let Link { previous, next } = std::mem::replace(link(rows.row(key)), Link::new());
        match previous {
            Some(previous) => link(rows.row(previous)).next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => link(rows.row(next)).previous = previous,
            None => self.last = previous,
        }
    }

    pub(crate) fn pop_front<T>(&mut self, rows: &mut Slots<K, T>, link: fn(&mut T) -> &mut Link<K>) -> Option<K> {
        let first = self.first?;
        self.remove(rows, first, link);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::MemberSlot;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_is_what_a_vector_is(steps in prop::collection::vec((0..3u8, any::<prop::sample::Index>()), 0..200)) {
            let mut rows = Slots::<MemberSlot, Link<MemberSlot>>::new();
            let (mut list, mut model) = (List::new(), Vec::new());
            for (step, index) in steps {
                if step == 0 || model.is_empty() {
                    let key = rows.insert(Link::new());
                    list.push_back(&mut rows, key, |link| link);
                    model.push(key);
                } else if step == 1 {
                    prop_assert_eq!(list.pop_front(&mut rows, |link| link), Some(model.remove(0)));
                } else {
                    let key = model.remove(index.index(model.len()));
                    list.remove(&mut rows, key, |link| link);
                }
                let mut found = Vec::new();
                let mut next = list.first;
                while let Some(key) = next {
                    found.push(key);
                    next = rows[key].next;
                }
                prop_assert_eq!(&found, &model);
                prop_assert_eq!(list.last, model.last().copied());
            }
        }
    }
}
