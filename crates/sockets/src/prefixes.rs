//! A map from prefixes, and the prefixes that a name begins with: a radix tree in an arena.

/// A lookup walks the name once, so its cost is linear in the length of the name, however many prefixes are nested in it. Nothing
/// recurses: the depth of the tree is in the hands of peers.
#[derive(Debug)]
pub(crate) struct Prefixes<T> {
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    values: usize,
}

#[derive(Debug)]
struct Node<T> {
    /// The bytes between the parent and this node.
    label: Box<[u8]>,
    value: Option<T>,
    /// By the first byte of their labels, in order.
    children: Vec<(u8, u32)>,
    parent: u32,
}

/// The node of the empty prefix.
const ROOT: u32 = 0;

impl<T> Default for Prefixes<T> {
    fn default() -> Prefixes<T> {
        Prefixes { nodes: vec![Node::new(&[], ROOT)], free: Vec::new(), values: 0 }
    }
}

impl<T> Node<T> {
    fn new(label: &[u8], parent: u32) -> Node<T> {
        Node { label: label.into(), value: None, children: Vec::new(), parent }
    }

    fn find(&self, first: u8) -> Result<usize, usize> {
        self.children.binary_search_by_key(&first, |child| child.0)
    }
}

impl<T> Prefixes<T> {
    fn node(&self, id: u32) -> &Node<T> {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: u32) -> &mut Node<T> {
        &mut self.nodes[id as usize]
    }

    fn add(&mut self, label: &[u8], parent: u32) -> u32 {
        let node = Node::new(label, parent);
        if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = node;
            return id;
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).expect("the subscriptions of all peers are bounded")
    }

    /// The child that `rest` goes on with, and what is left behind it.
    #[inline]
    fn step<'n>(&self, id: u32, rest: &'n [u8]) -> Option<(u32, &'n [u8])> {
        let node = self.node(id);
        let child = node.children[node.find(*rest.first()?).ok()?].1;
        Some((child, rest.strip_prefix(&*self.node(child).label)?))
    }

    fn find(&self, prefix: &[u8]) -> Option<u32> {
        let (mut id, mut rest) = (ROOT, prefix);
        while !rest.is_empty() {
            (id, rest) = self.step(id, rest)?;
        }
        Some(id)
    }

    pub(crate) fn get_or_insert_with(&mut self, prefix: &[u8], new: impl FnOnce() -> T) -> &mut T {
        let (mut id, mut rest) = (ROOT, prefix);
        while let Some(&first) = rest.first() {
            match self.node(id).find(first) {
                Err(at) => {
                    let child = self.add(rest, id);
                    self.node_mut(id).children.insert(at, (first, child));
                    (id, rest) = (child, &[]);
                }
                Ok(at) => {
                    let child = self.node(id).children[at].1;
                    let label = &self.node(child).label;
                    let common = label.iter().zip(rest).take_while(|(one, other)| one == other).count();
                    let child = if common < label.len() { self.split(child, common, at) } else { child };
                    (id, rest) = (child, &rest[common..]);
                }
            }
        }
        let node = &mut self.nodes[id as usize];
        if node.value.is_none() {
            self.values += 1;
        }
        node.value.get_or_insert_with(new)
    }

    /// Puts a node between `id`, which is its parent's child number `at`, and its parent.
    fn split(&mut self, id: u32, length: usize, at: usize) -> u32 {
        let label = std::mem::take(&mut self.node_mut(id).label);
        let parent = self.node(id).parent;
        let between = self.add(&label[..length], parent);
        self.node_mut(between).children.push((label[length], id));
        self.node_mut(parent).children[at].1 = between;
        let node = self.node_mut(id);
        (node.label, node.parent) = (label[length..].into(), between);
        between
    }

    pub(crate) fn get_mut(&mut self, prefix: &[u8]) -> Option<&mut T> {
        let id = self.find(prefix)?;
        self.node_mut(id).value.as_mut()
    }

    pub(crate) fn remove(&mut self, prefix: &[u8]) -> Option<T> {
        let id = self.find(prefix)?;
        let value = self.node_mut(id).value.take()?;
        self.values -= 1;
        if self.values == 0 {
            // The arena does not shrink otherwise.
            *self = Prefixes::default();
            return Some(value);
        }
        if id != ROOT && self.node(id).children.is_empty() {
            let (parent, first) = (self.node(id).parent, self.node(id).label[0]);
            let at = self.node(parent).find(first).expect("a node is a child of its parent");
            self.node_mut(parent).children.remove(at);
            self.release(id);
            self.merge(parent);
        } else {
            self.merge(id);
        }
        Some(value)
    }

    /// Joins a node that has neither a value nor a choice with its only child.
    fn merge(&mut self, id: u32) {
        let node = self.node(id);
        let [(_, child)] = node.children[..] else { return };
        if id == ROOT || node.value.is_some() {
            return;
        }
        let label = [&*node.label, &*self.node(child).label].concat();
        let (value, children) = (self.node_mut(child).value.take(), std::mem::take(&mut self.node_mut(child).children));
        for (_, grandchild) in &children {
            self.node_mut(*grandchild).parent = id;
        }
        let node = self.node_mut(id);
        (node.label, node.value, node.children) = (label.into(), value, children);
        self.release(child);
    }

    fn release(&mut self, id: u32) {
        *self.node_mut(id) = Node::new(&[], ROOT);
        self.free.push(id);
    }

    /// Calls `found` with each prefix and its value, in order.
    pub(crate) fn each(&self, mut found: impl FnMut(&[u8], &T)) {
        let mut prefix = Vec::new();
        // With the length of the parent's prefix.
        let mut left = vec![(ROOT, 0)];
        while let Some((id, length)) = left.pop() {
            let node = self.node(id);
            prefix.truncate(length);
            prefix.extend_from_slice(&node.label);
            node.value.iter().for_each(|value| found(&prefix, value));
            left.extend(node.children.iter().rev().map(|child| (child.1, prefix.len())));
        }
    }

    /// Returns true if `name` begins with any of them.
    #[inline]
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let (mut id, mut rest) = (ROOT, name);
        loop {
            if self.node(id).value.is_some() {
                return true;
            }
            let Some(next) = self.step(id, rest) else { return false };
            (id, rest) = next;
        }
    }

    /// Calls `found` with the value of each that `name` begins with, the shortest first.
    #[inline]
    pub(crate) fn each_match<'a>(&'a self, name: &[u8], mut found: impl FnMut(&'a T)) {
        let (mut id, mut rest) = (ROOT, name);
        loop {
            let node = self.node(id);
            node.value.iter().for_each(&mut found);
            if node.children.is_empty() {
                return;
            }
            let Some(next) = self.step(id, rest) else { return };
            (id, rest) = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    impl<T> Prefixes<T> {
        /// The invariants of the tree; returns how many nodes it has.
        fn check(&self) -> usize {
            for (id, node) in (0u32..).zip(&self.nodes) {
                if self.free.contains(&id) {
                    continue;
                }
                assert!(node.children.is_sorted() && (id == ROOT || !node.label.is_empty()));
                assert!(id == ROOT || node.value.is_some() || node.children.len() > 1, "a node without a reason");
                for (first, child) in &node.children {
                    assert_eq!((self.node(*child).parent, self.node(*child).label[0]), (id, *first));
                }
            }
            self.nodes.len() - self.free.len()
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_look_at_all_finds(
            prefixes in btree_set(vec(0u8..3, 0..6), 0..40),
            names in vec(vec(0u8..3, 0..9), 1..20),
            gone in vec(any::<bool>(), 40),
        ) {
            let mut map = Prefixes::default();
            let mut left: BTreeSet<_> = prefixes.clone();
            for prefix in &prefixes {
                map.get_or_insert_with(prefix, || prefix.clone());
                map.check();
            }
            for round in 0..2 {
                for name in &names {
                    let mut found = Vec::new();
                    map.each_match(name, |prefix| found.push(prefix.clone()));
                    let expected: Vec<_> = left.iter().filter(|prefix| name.starts_with(prefix)).cloned().collect();
                    prop_assert_eq!(map.matches(name), !expected.is_empty());
                    prop_assert_eq!(found, expected);
                }
                let mut all = Vec::new();
                map.each(|prefix, value| { assert_eq!(prefix, &value[..]); all.push(value.clone()); });
                prop_assert!(all.iter().eq(&left));
                if round == 0 {
                    for (prefix, _) in prefixes.iter().zip(&gone).filter(|(_, gone)| **gone) {
                        prop_assert_eq!(map.get_mut(prefix).cloned(), Some(prefix.clone()));
                        prop_assert_eq!(map.remove(prefix), Some(prefix.clone()));
                        prop_assert_eq!(map.remove(prefix), None);
                        left.remove(prefix);
                        prop_assert!(map.check() <= 2 * left.len() + 1);
                    }
                }
            }
        }
    }

    /// A name of 5,600 bytes with each of its prefixes subscribed to: every one is a node that is visited once.
    #[test]
    fn nested_prefixes_cost_one_node_each_and_no_stack() {
        let name = vec![b'a'; 5600];
        let mut map = Prefixes::default();
        for length in (0..=name.len()).rev() {
            map.get_or_insert_with(&name[..length], || length);
        }
        let mut found = Vec::new();
        map.each_match(&name, |length| found.push(*length));
        assert_eq!(found, (0..=name.len()).collect::<Vec<_>>());
        assert_eq!(map.nodes.len(), name.len() + 1);
        assert!(map.nodes.iter().all(|node| node.label.len() <= 1), "a label is compared twice");
        for length in 0..=name.len() {
            assert_eq!(map.remove(&name[..length]), Some(length));
        }
        assert_eq!(map.check(), 1);
    }
}
