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

    pub(crate) fn push_front<T>(&mut self, rows: &mut Slots<K, T>, key: K, link: fn(&mut T) -> &mut Link<K>) {
        *link(rows.row(key)) = Link { previous: None, next: self.first };
        match self.first {
            Some(first) => link(rows.row(first)).previous = Some(key),
            None => self.last = Some(key),
        }
        self.first = Some(key);
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
}

/// A list without ends: one row is the next, and behind the last comes the next again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<K> {
    pub(crate) next: Option<K>,
    pub(crate) len: u32,
}

impl<K: Key> Ring<K> {
    pub(crate) const fn new() -> Ring<K> {
        Ring { next: None, len: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    /// Puts a row in as the last.
    pub(crate) fn push_back<T>(&mut self, rows: &mut Slots<K, T>, key: K, link: fn(&mut T) -> &mut Link<K>) {
        self.len += 1;
        let Some(next) = self.next else {
            *link(rows.row(key)) = Link { previous: Some(key), next: Some(key) };
            self.next = Some(key);
            return;
        };
        let last = link(rows.row(next)).previous.replace(key);
        *link(rows.row(key)) = Link { previous: last, next: Some(next) };
        if let Some(last) = last {
            link(rows.row(last)).next = Some(key);
        }
    }

    /// Puts a row in as the next.
    pub(crate) fn push_front<T>(&mut self, rows: &mut Slots<K, T>, key: K, link: fn(&mut T) -> &mut Link<K>) {
        self.push_back(rows, key, link);
        self.next = Some(key);
    }

    /// Takes out a row that is in this ring.
    pub(crate) fn remove<T>(&mut self, rows: &mut Slots<K, T>, key: K, link: fn(&mut T) -> &mut Link<K>) {
        self.len -= 1;
        let Link { previous, next } = std::mem::replace(link(rows.row(key)), Link::new());
        if next == Some(key) {
            self.next = None;
            return;
        }
        if self.next == Some(key) {
            self.next = next;
        }
        if let (Some(previous), Some(next)) = (previous, next) {
            link(rows.row(previous)).next = Some(next);
            link(rows.row(next)).previous = Some(previous);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::MemberSlot;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ring_is_a_queue_whose_front_may_be_taken_out_anywhere(
            steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut rows = Slots::<MemberSlot, Link<MemberSlot>>::new();
            let (mut ring, mut model) = (Ring::new(), std::collections::VecDeque::new());
            for (step, index) in steps {
                match step {
                    2 if !model.is_empty() => {
                        let key = model.remove(index.index(model.len())).expect("it is there");
                        ring.remove(&mut rows, key, |link| link);
                    }
                    3 if !model.is_empty() => {
                        model.rotate_left(1);
                        ring.next = ring.next.and_then(|next| rows[next].next);
                    }
                    _ => {
                        let key = rows.insert(Link::new());
                        if step == 0 {
                            ring.push_back(&mut rows, key, |link| link);
                            model.push_back(key);
                        } else {
                            ring.push_front(&mut rows, key, |link| link);
                            model.push_front(key);
                        }
                    }
                }
                let (mut found, mut next) = (Vec::new(), ring.next);
                while let Some(key) = next {
                    found.push(key);
                    next = rows[key].next.filter(|&next| ring.next != Some(next));
                    prop_assert!(found.len() <= model.len());
                }
                prop_assert_eq!(&found, &model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!((ring.len as usize, ring.is_empty()), (model.len(), model.is_empty()));
            }
        }

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
                    list.remove(&mut rows, model.remove(0), |link| link);
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
