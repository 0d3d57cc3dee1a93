//! A search for the patterns that match a name, in parts: depth first, a level's own text before `*`.

use super::keys::Keys;
use super::{Levels, Trie, cut, first_level};
use crate::name::levels;
use crate::slots::NodeSlot;
use std::cmp::Ordering;

/// A place among the patterns that may match a name, where a search goes on. Of each level of the patterns, whether it is
/// `*`: the patterns that match one name differ in nothing else. Patterns that come or go in between do not matter.
#[derive(Debug)]
pub(crate) struct Cursor(Box<[bool]>);

/// The end of a search, or of a part of it.
#[derive(Debug)]
pub(crate) struct Searched {
    /// Nodes and levels that were looked at.
    pub(crate) looked_at: usize,
    /// The rest of the search: there is none if all was found, or nothing more was wanted.
    pub(crate) rest: Option<Cursor>,
}

/// A node that a search is to look at.
struct Open<'a> {
    node: NodeSlot,
    /// The name's levels behind its parent.
    name: Levels<'a>,
    /// While the search has not come to its cursor: the levels of it that are passed.
    passed: Option<usize>,
}

impl<K: Copy + Ord> Trie<K> {
    /// Calls `found` for the patterns that match, until it returns false, or about as much was looked at as may be. Goes on
    /// at a cursor, or begins.
    pub(super) fn search(
        &self,
        name: &[u8],
        from: Option<&Cursor>,
        most: usize,
        mut found: impl FnMut(&Keys<K>) -> bool,
    ) -> Searched {
        let (mut looked_at, mut goes_on) = (0, false);
        if self.len == 0 {
            return Searched { looked_at, rest: None };
        }
        let begin = Open { node: self.root, name: Some(name), passed: from.map(|_| 0) };
        let mut open = vec![begin];
        while let Some(Open { node, mut name, mut passed }) = open.pop() {
            if goes_on && looked_at >= most {
                return Searched { looked_at, rest: Some(self.cursor_at(node)) };
            }
            looked_at += 1;
            let row = &self.nodes[node];
            // The side of the cursor comes first: it takes one level of a node that was passed, however many the name has of it.
            if node != self.root
                && let (Some(cursor), Some(levels)) = (from, passed)
            {
                match cursor.pass(levels, &row.levels) {
                    Passed::Before => continue,
                    Passed::At(levels) => passed = Some(levels),
                    Passed::Behind => passed = None,
                }
            }
            passed = passed.filter(|&levels| from.is_some_and(|cursor| levels < cursor.0.len()));
            // Of those that lead to the cursor, the patterns were found before.
            let is_new = passed.is_none();
            // Also by a node that does not match: many of them are looked at in parts.
            goes_on |= is_new;
            if node != self.root {
                let (is_match, levels) = match_levels(&row.levels, &mut name);
                looked_at += levels - 1;
                if !is_match {
                    continue;
                }
            }
            let Some(rest) = name else {
                if is_new && !row.here.is_empty() && !found(&row.here) {
                    break;
                }
                continue;
            };
            if is_new && !row.rest.is_empty() && !found(&row.rest) {
                break;
            }
            let children = [row.any, row.named(first_level(rest))];
            open.extend(children.into_iter().flatten().map(|node| Open { node, name, passed }));
        }
        Searched { looked_at, rest: None }
    }

    /// The place of a node among all that match a name.
    #[cold]
    fn cursor_at(&self, mut node: NodeSlot) -> Cursor {
        let mut kinds = Vec::new();
        while node != self.root {
            let row = &self.nodes[node];
            kinds.extend(row.levels.rsplit(|&byte| byte == b'/').map(|level| level == b"*"));
            node = row.parent;
        }
        kinds.reverse();
        Cursor(kinds.into())
    }
}

/// Takes the levels of a node off a name, if it begins with them: whether it does, and the number of levels that were
/// looked at.
fn match_levels(levels: &[u8], name: &mut Levels) -> (bool, usize) {
    let (mut wanted, mut count) = (Some(levels), 0);
    while let Some(text) = wanted {
        count += 1;
        let Some(have) = *name else { return (false, count) };
        let ((want, more), (have, behind)) = (cut(text), cut(have));
        if want != b"*" && want != have {
            return (false, count);
        }
        (wanted, *name) = (more, behind);
    }
    (true, count)
}

/// The side of a cursor on which a node is.
enum Passed {
    Before,
    /// It leads to the cursor: so many levels of it are passed.
    At(usize),
    Behind,
}

impl Cursor {
    /// Passes the levels of a node, behind those that lead to it. A level's own text comes before `*`.
    fn pass(&self, mut passed: usize, node: &[u8]) -> Passed {
        for level in levels(node) {
            let Some(&wanted) = self.0.get(passed) else { return Passed::Behind };
            match (level == b"*").cmp(&wanted) {
                Ordering::Less => return Passed::Before,
                Ordering::Greater => return Passed::Behind,
                Ordering::Equal => passed += 1,
            }
        }
        Passed::At(passed)
    }
}
