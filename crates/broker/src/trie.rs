//! Patterns and what follows them: subscriptions, or the queues of durable ones. A radix tree, level by level: levels
//! that no two patterns tell apart are one node, so a pattern adds two nodes at most, however many levels it has.

use crate::slots::{Key, NodeSlot, Slots};
use std::collections::HashMap;

mod keys;
mod search;
#[cfg(test)]
mod tests;

use keys::Keys;
pub(crate) use search::{Cursor, Searched};

/// A part of a pattern, as levels with slashes between them; `None` for no level, which an empty text is not.
type Levels<'a> = Option<&'a [u8]>;

#[derive(Debug)]
#[allow(clippy::box_collection, reason = "most nodes have no children, and are to be small")]
struct Node<K> {
    /// The levels between its parent and itself: one at least, but for the root.
    levels: Box<[u8]>,
    parent: NodeSlot,
    /// By the first level of each.
    children: Option<Box<HashMap<Box<[u8]>, NodeSlot>>>,
    /// The child whose first level is `*`.
    any: Option<NodeSlot>,
    /// Patterns that end here.
    here: Keys<K>,
    /// Patterns that end here with a last level `>`.
    rest: Keys<K>,
}

impl<K: Copy + Ord> Node<K> {
    fn new(levels: &[u8], parent: NodeSlot) -> Node<K> {
        Node { levels: levels.into(), parent, children: None, any: None, here: Keys::None, rest: Keys::None }
    }

    fn child(&self, first: &[u8]) -> Option<NodeSlot> {
        if first == b"*" { self.any } else { self.named(first) }
    }

    /// The child whose first level is this one, and not `*`.
    fn named(&self, first: &[u8]) -> Option<NodeSlot> {
        self.children.as_ref()?.get(first).copied()
    }

    fn link(&mut self, first: &[u8], child: NodeSlot) {
        if first == b"*" {
            self.any = Some(child);
        } else {
            self.children.get_or_insert_default().insert(first.into(), child);
        }
    }

    fn unlink(&mut self, first: &[u8]) {
        if first == b"*" {
            self.any = None;
            return;
        }
        let Some(children) = &mut self.children else { return };
        children.remove(first);
        if children.is_empty() {
            self.children = None;
        } else if children.len() < children.capacity() / 8 {
            children.shrink_to(children.len() * 2);
        }
    }

    fn has_keys(&self) -> bool {
        !self.here.is_empty() || !self.rest.is_empty()
    }

    /// Its child, if it has one alone.
    #[allow(clippy::disallowed_methods, reason = "there is one alone")]
    fn only_child(&self) -> Option<NodeSlot> {
        match (&self.children, self.any) {
            (None, any) => any,
            (Some(children), None) if children.len() == 1 => children.values().next().copied(),
            _ => None,
        }
    }

    fn is_leaf(&self) -> bool {
        self.children.is_none() && self.any.is_none()
    }
}

/// Finds the patterns that match a name at the cost of its levels and of the patterns that agree
/// with them so far, however many others there are. One that agrees with many is searched in parts.
#[derive(Debug)]
pub(crate) struct Trie<K> {
    nodes: Slots<NodeSlot, Node<K>>,
    root: NodeSlot,
    /// Number of patterns.
    len: usize,
}

fn first_level(text: &[u8]) -> &[u8] {
    cut(text).0
}

/// The first level, and the levels behind it.
fn cut(text: &[u8]) -> (&[u8], Levels<'_>) {
    match text.iter().position(|&byte| byte == b'/') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The levels behind the first bytes of a text, which are whole levels.
fn behind(text: &[u8], bytes: usize) -> Levels<'_> {
    text.get(bytes + 1..)
}

/// Length of the first levels that two texts have in common, whose first level is the same.
fn common(one: &[u8], other: &[u8]) -> usize {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let ends = |text: &[u8]| text.get(same).is_none_or(|&byte| byte == b'/');
    if ends(one) && ends(other) {
        return same;
    }
    one[..same].iter().rposition(|&byte| byte == b'/').unwrap_or(0)
}

/// A pattern without a last level `>`, and whether it has that.
fn without_rest(pattern: &[u8]) -> (Levels<'_>, bool) {
    match pattern.strip_suffix(b">") {
        Some(b"") => (None, true),
        Some(text) if text.ends_with(b"/") => (Some(&text[..text.len() - 1]), true),
        _ => (Some(pattern), false),
    }
}

impl<K: Copy + Ord> Trie<K> {
    pub(crate) fn new() -> Trie<K> {
        let mut nodes = Slots::new();
        let root = nodes.insert(Node::new(b"", NodeSlot::new(0)));
        Trie { nodes, root, len: 0 }
    }

    pub(crate) fn insert(&mut self, pattern: &[u8], key: K) {
        let (mut rest, is_rest) = without_rest(pattern);
        let mut node = self.root;
        while let Some(text) = rest {
            let Some(child) = self.nodes[node].child(first_level(text)) else {
                node = self.add(node, text);
                break;
            };
            let bytes = common(&self.nodes[child].levels, text);
            node = if bytes < self.nodes[child].levels.len() { self.split(child, bytes) } else { child };
            rest = behind(text, bytes);
        }
        let row = self.nodes.row(node);
        let keys = if is_rest { &mut row.rest } else { &mut row.here };
        self.len += usize::from(keys.insert(key));
    }

    fn add(&mut self, parent: NodeSlot, text: &[u8]) -> NodeSlot {
        let node = self.nodes.insert(Node::new(text, parent));
        self.nodes.row(parent).link(first_level(text), node);
        node
    }

    /// Puts a node between another one and its parent, with the first levels of it.
    fn split(&mut self, node: NodeSlot, bytes: usize) -> NodeSlot {
        let parent = self.nodes[node].parent;
        let levels = self.nodes[node].levels.clone();
        let upper = self.add(parent, &levels[..bytes]);
        let lower = behind(&levels, bytes).unwrap_or_default();
        let row = self.nodes.row(node);
        (row.levels, row.parent) = (lower.into(), upper);
        self.nodes.row(upper).link(first_level(lower), node);
        upper
    }

    pub(crate) fn remove(&mut self, pattern: &[u8], key: K) {
        let (mut rest, is_rest) = without_rest(pattern);
        let mut node = self.root;
        while let Some(text) = rest {
            let Some(child) = self.nodes[node].child(first_level(text)) else { return };
            let bytes = self.nodes[child].levels.len();
            if common(&self.nodes[child].levels, text) < bytes {
                return;
            }
            (node, rest) = (child, behind(text, bytes));
        }
        let row = self.nodes.row(node);
        let keys = if is_rest { &mut row.rest } else { &mut row.here };
        self.len -= usize::from(keys.remove(key));
        self.tidy(node);
    }

    /// Takes out a node that has no use any more, or that need not be told from its only child.
    fn tidy(&mut self, mut node: NodeSlot) {
        while node != self.root && !self.nodes[node].has_keys() {
            let parent = self.nodes[node].parent;
            if self.nodes[node].is_leaf() {
                let row = self.nodes.remove(node);
                self.nodes.row(parent).unlink(first_level(&row.levels));
                node = parent;
                continue;
            }
            let Some(child) = self.nodes[node].only_child() else { return };
            let row = self.nodes.remove(node);
            let lower = self.nodes.row(child);
            (lower.levels, lower.parent) = ([&*row.levels, b"/", &*lower.levels].concat().into(), parent);
            self.nodes.row(parent).link(first_level(&row.levels), child);
            return;
        }
    }

    /// Adds the keys whose patterns match to a list, in no order that means anything.
    pub(crate) fn matching(&self, name: &[u8], from: Option<&Cursor>, most: usize, all: &mut Vec<K>) -> Searched {
        self.search(name, from, most, |some| {
            some.add_to(all);
            true
        })
    }

    /// Number of keys whose patterns match: at most so many, if the search did not come to its end.
    pub(crate) fn count(&self, name: &[u8], most: usize) -> (usize, usize) {
        let mut count = 0;
        let Searched { looked_at, rest } = self.search(name, None, most, |some| {
            count += some.len();
            true
        });
        (if rest.is_some() { self.len } else { count }, looked_at)
    }

    /// Whether any pattern matches, as far as a search came.
    pub(crate) fn matches(&self, name: &[u8], most: usize) -> (bool, Searched) {
        let mut any = false;
        let searched = self.search(name, None, most, |_| {
            any = true;
            false
        });
        (any, searched)
    }

    /// Number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no pattern.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}
