//! Series whose names were forgotten on purpose, so that a name that is gone for another reason is missed.

use std::collections::{BTreeMap, HashMap};

/// Ranges of keys, by the first of each; their number is limited by that of the names between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forgotten(BTreeMap<u64, u64>);

impl Forgotten {
    pub(super) fn contains(&self, key: u64) -> bool {
        self.0.range(..=key).next_back().is_some_and(|(_, last)| key <= *last)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the keys of a range.
    pub(super) fn add(&mut self, first: u64, last: u64) {
        match self.0.range_mut(..=first).next_back() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => drop(self.0.insert(first, last)),
        }
    }

    /// Joins ranges with no name between them: the keys there belong to no process that can be found again.
    pub(super) fn join(&mut self, names: &HashMap<u64, String>) {
        let mut named: Vec<u64> = names.keys().copied().collect();
        named.sort_unstable();
        let mut joined = BTreeMap::<u64, u64>::new();
        for (first, last) in std::mem::take(&mut self.0) {
            match joined.last_entry() {
                Some(mut open) if first <= *open.get() || !is_between(&named, *open.get(), first) => {
                    let end = last.max(*open.get());
                    open.insert(end);
                }
                _ => drop(joined.insert(first, last)),
            }
        }
        self.0 = joined;
    }

    /// Returns a line for each range.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(first, last)| Self::line(*first, *last))
    }

    pub(super) fn line(first: u64, last: u64) -> String {
        format!(r#"{{"id":{first},"forgotten":{last}}}"#)
    }

    /// The range of a line; `None` if it is a name.
    pub(super) fn range(line: &str) -> Option<(u64, u64)> {
        let line: serde_json::Value = line.contains("\"forgotten\":").then(|| serde_json::from_str(line).ok())??;
        let (first, last) = (line.get("id")?.as_u64()?, line.get("forgotten")?.as_u64()?);
        (first <= last).then_some((first, last))
    }
}

/// Returns true if one of the sorted keys lies between two others.
fn is_between(sorted: &[u64], after: u64, before: u64) -> bool {
    sorted.get(sorted.partition_point(|key| *key <= after)).is_some_and(|key| *key < before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten(ranges: &[(u64, u64)]) -> Forgotten {
        let mut forgotten = Forgotten::default();
        ranges.iter().for_each(|(first, last)| forgotten.add(*first, *last));
        forgotten
    }

    #[test]
    fn a_range_holds_its_ends_and_no_more() {
        let forgotten = forgotten(&[(3, 5), (4, 4), (9, 9)]);
        let held: Vec<u64> = (0..12).filter(|key| forgotten.contains(*key)).collect();
        assert_eq!(held, [3, 4, 5, 9]);
    }

    #[test]
    fn ranges_join_unless_a_name_lies_between_them() {
        let names = |keys: &[u64]| keys.iter().map(|key| (*key, String::new())).collect::<HashMap<_, _>>();
        for (keys, expected) in [(&[][..], &[(1, 9)][..]), (&[7], &[(1, 3), (9, 9)]), (&[4, 10], &[(1, 3), (9, 9)])] {
            let mut ranges = forgotten(&[(1, 1), (2, 3), (9, 9)]);
            ranges.join(&names(keys));
            assert_eq!(ranges, forgotten(expected), "{keys:?}");
        }
    }

    #[test]
    fn a_line_is_read_as_written_and_a_name_is_none() {
        assert_eq!(Forgotten::range(&Forgotten::line(3, 5)), Some((3, 5)));
        for line in
            [r#"{"id":3,"name":"forgotten"}"#, r#"{"id":3,"name":"\"forgotten\":5"}"#, r#"{"id":5,"forgotten":3}"#]
        {
            assert_eq!(Forgotten::range(line), None, "{line}");
        }
    }
}
