use super::*;
use crate::Pattern;
use crate::slots::{Key, SubscriptionSlot};
use proptest::prelude::*;

fn key(number: usize) -> SubscriptionSlot {
    SubscriptionSlot::new(number)
}

fn with(patterns: &[impl AsRef<[u8]>]) -> Trie<SubscriptionSlot> {
    let mut trie = Trie::new();
    patterns.iter().enumerate().for_each(|(number, pattern)| trie.insert(pattern.as_ref(), key(number)));
    trie
}

fn all(trie: &Trie<SubscriptionSlot>, name: &[u8]) -> (Vec<SubscriptionSlot>, usize) {
    let mut found = Vec::new();
    let Searched { looked_at, rest } = trie.matching(name, None, usize::MAX, &mut found);
    assert!(rest.is_none());
    found.sort_unstable();
    (found, looked_at)
}

/// As [`all`], in parts: after each of them something may change. Gives the number of parts.
fn in_parts(
    trie: &mut Trie<SubscriptionSlot>,
    name: &[u8],
    most: usize,
    mut between: impl FnMut(&mut Trie<SubscriptionSlot>),
) -> (Vec<SubscriptionSlot>, usize) {
    let (mut found, mut from, mut parts) = (Vec::new(), None, 0);
    loop {
        let searched = trie.matching(name, from.as_ref(), most, &mut found);
        parts += 1;
        let Some(rest) = searched.rest else { break };
        from = Some(rest);
        between(trie);
    }
    found.sort_unstable();
    (found, parts)
}

proptest! {
    #[test]
    fn a_trie_finds_what_the_patterns_match_and_forgets_them_wholly(
        patterns in prop::collection::vec("(/?[ab*>]?){0,5}", 0..12),
        names in prop::collection::vec("(/?[ab>*]?){0,5}", 1..8),
    ) {
        let mut trie = with(&patterns);
        let patterns: Vec<Pattern> = patterns.into_iter().map(Pattern::new).collect();
        // Two nodes each at most, and the root.
        prop_assert!(trie.nodes.len() <= 2 * patterns.len() + 1);
        for name in &names {
            let (found, looked_at) = all(&trie, name.as_bytes());
            let expected = patterns.iter().enumerate().filter(|(_, pattern)| pattern.matches(name.as_bytes()));
            let expected: Vec<SubscriptionSlot> = expected.map(|(index, _)| key(index)).collect();
            prop_assert_eq!(trie.count(name.as_bytes(), usize::MAX), (expected.len(), looked_at));
            let (any, first) = trie.matches(name.as_bytes(), usize::MAX);
            prop_assert_eq!(any, !expected.is_empty());
            prop_assert!(first.looked_at <= looked_at, "it ends with the first, {first:?} of {looked_at}");
            prop_assert_eq!(&found, &expected, "{} in {:?}", name, patterns);
        }
        for (index, pattern) in patterns.iter().enumerate() {
            trie.remove(pattern.as_bytes(), key(index));
        }
        prop_assert_eq!((trie.nodes.len(), trie.len()), (1, 0));
    }

    /// The more is looked at in each part, the fewer there are.
    #[test]
    fn a_search_in_parts_finds_each_pattern_once_whatever_comes_and_goes_in_between(
        patterns in prop::collection::vec("(/[ab*]){1,6}(/>)?", 1..20),
        changes in prop::collection::vec(("(/[ab*]){1,6}(/>)?", any::<bool>()), 0..20),
        name in "(/[ab]){1,6}",
        most in 1..12usize,
    ) {
        let stays = patterns.len();
        let mut trie = with(&patterns);
        let mut coming: Vec<(usize, String)> = Vec::new();
        for (number, (pattern, is_there)) in changes.iter().enumerate() {
            if *is_there {
                trie.insert(pattern.as_bytes(), key(stays + number));
                coming.push((stays + number, pattern.clone()));
            }
        }
        let mut changes = changes.into_iter().enumerate();
        let (found, _) = in_parts(&mut trie, name.as_bytes(), most, |trie| {
            let Some((number, (pattern, is_there))) = changes.next() else { return };
            if is_there {
                trie.remove(pattern.as_bytes(), key(stays + number));
            } else {
                trie.insert(pattern.as_bytes(), key(stays + number));
            }
        });
        let found: Vec<SubscriptionSlot> = found.into_iter().filter(|slot| slot.index() < stays).collect();
        let matching = patterns.iter().enumerate().filter(|(_, pattern)| Pattern::new((*pattern).clone()).matches(name.as_bytes()));
        prop_assert_eq!(found, matching.map(|(number, _)| key(number)).collect::<Vec<_>>());
    }
}

/// Different patterns of this many levels, all of which a name of the level `a` agrees with to the last level.
fn hostile(patterns: usize, levels: usize) -> Vec<String> {
    let pattern = |number: usize| {
        let forks: String = (0..14).map(|bit| if number >> bit & 1 == 0 { "/a" } else { "/*" }).collect();
        format!("/topic{forks}{}/x", "/*".repeat(levels - 14))
    };
    (0..patterns).map(pattern).collect()
}

#[test]
fn a_search_looks_at_few_nodes_and_levels_in_each_part_however_many_patterns_agree_with_the_name() {
    const MOST: usize = 1000;
    let levels = 400;
    let name = format!("/topic{}/y", "/a".repeat(levels));
    for patterns in [1, 1_000, 10_000] {
        let trie = with(&hostile(patterns, levels));
        let (mut found, mut from, mut parts, mut sum) = (Vec::new(), None, 0, 0);
        loop {
            let Searched { looked_at, rest } = trie.matching(name.as_bytes(), from.as_ref(), MOST, &mut found);
            // The node at hand is looked at wholly, and so are those that lead to where it goes on.
            assert!(looked_at <= MOST + 2 * levels, "{looked_at} of {patterns}");
            (parts, sum) = (parts + 1, sum + looked_at);
            let Some(rest) = rest else { break };
            from = Some(rest);
        }
        assert!(found.is_empty());
        assert!(parts >= patterns * levels / 2 / MOST, "{parts} parts of {patterns}");
        assert!(sum <= 3 * (patterns + 1) * levels, "{sum} of {patterns}");
    }
}

#[test]
fn nodes_before_and_behind_the_cursor_that_do_not_match_are_looked_at_once_and_in_parts() {
    const MOST: usize = 1000;
    let levels: usize = 400;
    let name = format!("/topic{}/y", "/a".repeat(levels));
    // Each pattern leaves the way at another level, and agrees with the name up to its last one.
    for (way, fork) in [("/a", "/*"), ("/*", "/a")] {
        let rest = |at: usize| format!("{fork}{}/x", "/a".repeat(levels - at - 1));
        let patterns: Vec<String> = (0..levels).map(|at| format!("/topic{}{}", way.repeat(at), rest(at))).collect();
        let trie = with(&patterns);
        let (mut from, mut sum) = (None, 0);
        loop {
            let Searched { looked_at, rest } = trie.matching(name.as_bytes(), from.as_ref(), MOST, &mut Vec::new());
            assert!(looked_at <= MOST + 2 * levels, "{looked_at} where {way} leads to {fork}");
            sum += looked_at;
            let Some(rest) = rest else { break };
            from = Some(rest);
        }
        let once = all(&trie, name.as_bytes()).1;
        assert!(sum <= 3 * once, "{sum} in parts, {once} at once");
    }
}

#[test]
fn levels_that_no_two_patterns_tell_apart_are_one_node() {
    for levels in [1, 2, 500] {
        let long = format!("/topic/{}", "*/a/".repeat(levels));
        assert_eq!(with(&[format!("{long}>")]).nodes.len(), 2, "{levels}");
        let trie = with(&[format!("{long}b/c/d"), format!("{long}b/x/d"), format!("{long}b")]);
        assert_eq!(trie.nodes.len(), 4, "{levels}");
    }
    // A node that was split is joined again.
    let mut trie = with(&["/a/b/c", "/a/b/*"]);
    assert_eq!(trie.nodes.len(), 4);
    trie.remove(b"/a/b/*", key(1));
    assert_eq!(trie.nodes.len(), 2);
    assert_eq!(all(&trie, b"/a/b/c").0, [key(0)]);
}
