//! The newest annotations, in memory. A process that is started anew every second takes no room from others:
//! what goes first is the oldest of the series that has most.

use crate::annotation::Annotation;
use crate::point::SeriesId;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// An annotation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Counts annotations.
    pub(super) key: u64,
    #[serde(flatten)]
    pub(crate) annotation: Annotation,
}

/// Changes to be written: the text of each key, an empty one for an annotation that is no longer kept.
pub(super) type Changes = Vec<(u64, String)>;

#[derive(Debug)]
pub(super) struct Annotations {
    max: usize,
    next: u64,
    kept: VecDeque<Kept>,
    counts: HashMap<SeriesId, usize>,
}

impl Annotations {
    /// With those of an earlier run, in the order of their keys.
    pub(super) fn new(max: usize, kept: Vec<Kept>) -> Annotations {
        let next = kept.last().map_or(0, |last| last.key + 1);
        let mut counts = HashMap::new();
        kept.iter().for_each(|kept| *counts.entry(kept.annotation.id).or_default() += 1);
        let mut annotations = Annotations { max, next, kept: kept.into(), counts };
        while annotations.kept.len() > max {
            annotations.evict();
        }
        annotations
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.kept.iter().map(|kept| &kept.annotation)
    }

    pub(super) fn add(&mut self, new: Vec<Annotation>) -> Changes {
        let mut changes = Changes::new();
        for annotation in new {
            let kept = Kept { key: self.next, annotation };
            self.next += 1;
            *self.counts.entry(kept.annotation.id).or_default() += 1;
            changes.extend(serde_json::to_string(&kept).ok().map(|text| (kept.key, text)));
            self.kept.push_back(kept);
            if self.kept.len() > self.max {
                changes.extend(self.evict().map(|key| (key, String::new())));
            }
        }
        changes
    }

    fn evict(&mut self) -> Option<u64> {
        let (&id, _) = self.counts.iter().max_by_key(|(_, count)| **count)?;
        let at = self.kept.iter().position(|kept| kept.annotation.id == id)?;
        let count = self.counts.get_mut(&id)?;
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&id);
        }
        self.kept.remove(at).map(|kept| kept.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Millis;
    use crate::annotation::AnnotationKind;

    fn of(id: SeriesId, time: i64) -> Annotation {
        Annotation { time: Millis(time), id, kind: AnnotationKind::Restart, text: String::new() }
    }

    #[test]
    fn the_noisiest_series_pays_for_the_room_that_it_takes() {
        let mut annotations = Annotations::new(10, Vec::new());
        annotations.add(vec![of(1, 0), of(2, 1), of(1, 2)]);
        for time in 0..100 {
            annotations.add(vec![of(7, time)]);
        }
        let ids: Vec<SeriesId> = annotations.iter().map(|annotation| annotation.id).collect();
        assert_eq!(ids, [1, 2, 1, 7, 7, 7, 7, 7, 7, 7]);
        assert_eq!(annotations.iter().last().unwrap().time, Millis(99));
    }

    #[test]
    fn as_many_as_the_limit_are_kept_and_what_goes_is_written() {
        for (max, count, gone) in [(0, 1, 1), (3, 2, 0), (3, 3, 0), (3, 4, 1)] {
            let mut annotations = Annotations::new(max, Vec::new());
            let changes = annotations.add((0..count).map(|time| of(1, time)).collect());
            assert_eq!(changes.iter().filter(|(_, text)| text.is_empty()).count(), gone, "{count} of {max}");
            assert_eq!(annotations.iter().count(), count as usize - gone);
        }
    }

    #[test]
    fn keys_go_on_where_an_earlier_run_has_ended() {
        let mut first = Annotations::new(10, Vec::new());
        let kept: Vec<Kept> =
            first.add(vec![of(1, 0), of(1, 1)]).iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
        let mut second = Annotations::new(1, kept);
        assert_eq!(second.iter().count(), 1);
        assert_eq!(second.add(vec![of(2, 2)])[0].0, 2);
    }
}
