//! A map from prefixes, and which of them a message begins with.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// An ordered map is enough: every prefix of a name that is in it stands before the name, and whatever
/// stands between the two begins with that prefix, too.
#[derive(Debug)]
pub(crate) struct Prefixes<T> {
    others: BTreeMap<Box<[u8]>, T>,
    /// Of the empty prefix, which is the most common and matches everything.
    empty: Option<T>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Prefixes<T> {
        Prefixes { others: BTreeMap::new(), empty: None }
    }
}

impl<T> Prefixes<T> {
    pub(crate) fn get_or_insert_with(&mut self, prefix: &[u8], new: impl FnOnce() -> T) -> &mut T {
        if prefix.is_empty() {
            return self.empty.get_or_insert_with(new);
        }
        self.others.entry(prefix.into()).or_insert_with(new)
    }

    pub(crate) fn get_mut(&mut self, prefix: &[u8]) -> Option<&mut T> {
        if prefix.is_empty() { self.empty.as_mut() } else { self.others.get_mut(prefix) }
    }

    pub(crate) fn remove(&mut self, prefix: &[u8]) -> Option<T> {
        if prefix.is_empty() { self.empty.take() } else { self.others.remove(prefix) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.empty
            .iter()
            .map(|value| (&b""[..], value))
            .chain(self.others.iter().map(|(prefix, value)| (&**prefix, value)))
    }

    /// Whether `name` begins with any of them.
    #[inline]
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.empty.is_some() || (!self.others.is_empty() && self.longest(name, true).is_some())
    }

    /// Calls `found` with the value of each that `name` begins with.
    #[inline]
    pub(crate) fn each_match<'a>(&'a self, name: &[u8], mut found: impl FnMut(&'a T)) {
        self.empty.iter().for_each(&mut found);
        if self.others.is_empty() {
            return;
        }
        let mut next = self.longest(name, true);
        while let Some((prefix, value)) = next {
            found(value);
            next = self.longest(&name[..prefix.len()], false);
        }
    }

    /// The longest that `name` begins with; itself may be one, or not.
    fn longest(&self, name: &[u8], itself: bool) -> Option<(&[u8], &T)> {
        let mut end = if itself { Included(name) } else { Excluded(name) };
        loop {
            let (candidate, value) = self.others.range::<[u8], _>((Unbounded, end)).next_back()?;
            let common = candidate.iter().zip(name).take_while(|(one, other)| one == other).count();
            if common == candidate.len() {
                return Some((candidate, value));
            }
            // Nothing between what is common and the candidate can be a prefix.
            end = Included(&name[..common]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_plain_look_at_all_finds(
            prefixes in btree_set(vec(0u8..3, 0..6), 0..40),
            names in vec(vec(0u8..3, 0..9), 1..20),
        ) {
            let mut map = Prefixes::default();
            for prefix in &prefixes {
                map.get_or_insert_with(prefix, || prefix.clone());
            }
            for name in &names {
                let mut found = Vec::new();
                map.each_match(name, |prefix| found.push(prefix.clone()));
                found.sort();
                let expected: Vec<_> = prefixes.iter().filter(|prefix| name.starts_with(prefix)).cloned().collect();
                prop_assert_eq!(map.matches(name), !expected.is_empty());
                prop_assert_eq!(found, expected);
            }
            prop_assert_eq!(map.iter().count(), prefixes.len());
            for prefix in &prefixes {
                prop_assert_eq!(map.get_mut(prefix).cloned(), Some(prefix.clone()));
                prop_assert_eq!(map.remove(prefix), Some(prefix.clone()));
            }
            prop_assert_eq!(map.iter().count(), 0);
        }
    }
}
