//! Patterns and what follows them: subscriptions, or the queues of durable ones; level by level.

use crate::name::levels;
use crate::slots::{NodeSlot, Slots};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};

#[derive(Debug)]
struct Node<K> {
    children: HashMap<Bytes, NodeSlot>,
    /// The level `*`.
    any: Option<NodeSlot>,
    /// Patterns that end here.
    here: BTreeSet<K>,
    /// Patterns that end here with a last level `>`.
    rest: BTreeSet<K>,
}

impl<K> Default for Node<K> {
    fn default() -> Node<K> {
        Node { children: HashMap::new(), any: None, here: BTreeSet::new(), rest: BTreeSet::new() }
    }
}

impl<K> Node<K> {
    fn is_unused(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }
}

/// Finds the patterns that match a name at the cost of its levels and of the patterns that agree
/// with them so far, however many others there are.
#[derive(Debug)]
pub(crate) struct Trie<K> {
    nodes: Slots<NodeSlot, Node<K>>,
    root: NodeSlot,
}

impl<K: Copy + Ord> Trie<K> {
    pub(crate) fn new() -> Trie<K> {
        let mut nodes = Slots::new();
        let root = nodes.insert(Node::default());
        Trie { nodes, root }
    }

    pub(crate) fn insert(&mut self, pattern: &Bytes, key: K) {
        let mut node = self.root;
        let mut rest = levels(pattern).peekable();
        while let Some(level) = rest.next() {
            if level == b">" && rest.peek().is_none() {
                self.nodes.row(node).rest.insert(key);
                return;
            }
            let next = if level == b"*" { self.nodes[node].any } else { self.nodes[node].children.get(level).copied() };
            node = next.unwrap_or_else(|| {
                let next = self.nodes.insert(Node::default());
                let row = self.nodes.row(node);
                if level == b"*" {
                    row.any = Some(next);
                } else {
                    // A slice of the pattern, which lives as long as any subscription to it.
                    row.children.insert(pattern.slice_ref(level), next);
                }
                next
            });
        }
        self.nodes.row(node).here.insert(key);
    }

    pub(crate) fn remove(&mut self, pattern: &[u8], key: K) {
        let mut path = vec![(self.root, &b""[..])];
        let mut rest = levels(pattern).peekable();
        let mut is_rest = false;
        while let Some(level) = rest.next() {
            let (node, _) = path[path.len() - 1];
            if level == b">" && rest.peek().is_none() {
                is_rest = true;
                break;
            }
            let next = if level == b"*" { self.nodes[node].any } else { self.nodes[node].children.get(level).copied() };
            let Some(next) = next else { return };
            path.push((next, level));
        }
        let (last, _) = path[path.len() - 1];
        let row = self.nodes.row(last);
        if is_rest {
            row.rest.remove(&key)
        } else {
            row.here.remove(&key)
        };
        while let Some((node, level)) = path.pop() {
            let Some(&(parent, _)) = path.last() else { return };
            if !self.nodes[node].is_unused() {
                return;
            }
            self.nodes.remove(node);
            let row = self.nodes.row(parent);
            if level == b"*" {
                row.any = None;
            } else {
                row.children.remove(level);
                if row.children.len() < row.children.capacity() / 8 {
                    row.children.shrink_to(row.children.len() * 2);
                }
            }
        }
    }

    /// Calls `found` for the patterns that match, until it returns false. Gives the number of nodes that it looked at.
    fn search(&self, name: &[u8], mut found: impl FnMut(&BTreeSet<K>) -> bool) -> usize {
        let mut nodes = 0;
        // A name's levels behind what a node has matched; `None` behind the last.
        let mut open = vec![(self.root, Some(name))];
        while let Some((slot, rest)) = open.pop() {
            nodes += 1;
            let node = &self.nodes[slot];
            let Some(rest) = rest else {
                if !node.here.is_empty() && !found(&node.here) {
                    break;
                }
                continue;
            };
            if !node.rest.is_empty() && !found(&node.rest) {
                break;
            }
            let (level, behind) = match rest.iter().position(|&byte| byte == b'/') {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            open.extend(node.any.map(|next| (next, behind)));
            open.extend(node.children.get(level).map(|&next| (next, behind)));
        }
        nodes
    }

    /// The keys whose patterns match, in no order that means anything, and the number of nodes that were looked at.
    pub(crate) fn matching(&self, name: &[u8]) -> (Vec<K>, usize) {
        let mut all = Vec::new();
        let nodes = self.search(name, |some| {
            all.extend(some.iter().copied());
            true
        });
        (all, nodes)
    }

    /// Number of keys whose patterns match, and of nodes that were looked at.
    pub(crate) fn count(&self, name: &[u8]) -> (usize, usize) {
        let mut count = 0;
        let nodes = self.search(name, |some| {
            count += some.len();
            true
        });
        (count, nodes)
    }

    /// Whether there is no pattern.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes[self.root].is_unused()
    }

    /// Whether any pattern matches, and the number of nodes that were looked at.
    pub(crate) fn matches(&self, name: &[u8]) -> (bool, usize) {
        let mut any = false;
        let nodes = self.search(name, |_| {
            any = true;
            false
        });
        (any, nodes)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pattern;
    use crate::slots::{Key, SubscriptionSlot};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_trie_finds_what_the_patterns_match_and_forgets_them_wholly(
            patterns in prop::collection::vec("(/?[ab*>]?){0,4}", 0..12),
            names in prop::collection::vec("(/?[ab>*]?){0,4}", 1..8),
        ) {
            let mut trie = Trie::new();
            let patterns: Vec<Bytes> = patterns.into_iter().map(Bytes::from).collect();
            for (index, pattern) in patterns.iter().enumerate() {
                trie.insert(pattern, SubscriptionSlot::new(index));
            }
            for name in &names {
                let (mut found, nodes) = trie.matching(name.as_bytes());
                found.sort_unstable();
                let expected = patterns.iter().enumerate().filter(|(_, pattern)| Pattern::new((*pattern).clone()).matches(name.as_bytes()));
                let expected: Vec<SubscriptionSlot> = expected.map(|(index, _)| SubscriptionSlot::new(index)).collect();
                prop_assert!((1..=trie.len()).contains(&nodes), "{nodes} nodes");
                prop_assert_eq!(trie.count(name.as_bytes()), (expected.len(), nodes));
                let (any, first) = trie.matches(name.as_bytes());
                prop_assert_eq!(any, !expected.is_empty());
                prop_assert!(first <= nodes, "it ends with the first, {first} of {nodes}");
                prop_assert_eq!(&found, &expected, "{} in {:?}", name, patterns);
            }
            for (index, pattern) in patterns.iter().enumerate() {
                trie.remove(pattern, SubscriptionSlot::new(index));
            }
            prop_assert_eq!(trie.len(), 1);
        }
    }
}
