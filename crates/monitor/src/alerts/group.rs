//! Which alerts go into one notice, and when. It asks no clock and does no I/O.
//!
//! A notice goes out at once if the last one is long enough ago; what comes meanwhile is in the next one. A process that
//! flaps has a token bucket: after [`BURST`] notices about it the next waits, and says how often it has changed.

use super::Alert;
use crate::Millis;
use crate::point::SeriesId;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Notices about one process that may follow each other without a pause.
pub(super) const BURST: u32 = 4;
/// Processes that may wait for one notice; of further ones it says how many they are.
const PROCESSES: usize = 1000;

/// The rate of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// The shortest time between two notices.
    pub(crate) interval: Duration,
    /// The time after which a further notice about the same process may go out, when it has had [`BURST`].
    pub(crate) repeat: Duration,
}

/// Changes of one process since the last notice about it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The latest.
    pub(super) alert: Alert,
    /// When the first of them was.
    pub(super) first: Millis,
    /// Their number.
    pub(super) changes: usize,
    /// It was in a notice that could not be delivered: its token is taken already.
    paid: bool,
}

/// Alerts that are sent together.
#[derive(Clone, Debug, Default)]
pub(super) struct Notice {
    /// One for each process, in the order in which they came.
    pub(super) entries: Vec<Entry>,
    /// Alerts of further processes.
    pub(super) omitted: usize,
}

impl Notice {
    /// Returns the number of alerts that it stands for.
    pub(super) fn alerts(&self) -> usize {
        self.entries.iter().map(|entry| entry.changes).sum::<usize>() + self.omitted
    }
}

/// The alerts that wait for one receiver.
#[derive(Debug)]
pub(super) struct Group {
    pace: Pace,
    waiting: VecDeque<Entry>,
    omitted: usize,
    /// When each process's bucket is full again.
    buckets: HashMap<SeriesId, Instant>,
    /// When the next notice may go out; `None` before the first.
    open: Option<Instant>,
}

impl Group {
    pub(super) fn new(pace: Pace) -> Group {
        Group { pace, waiting: VecDeque::new(), omitted: 0, buckets: HashMap::new(), open: None }
    }

    /// Takes an alert.
    pub(super) fn push(&mut self, alert: Alert) {
        let first = alert.annotation.time;
        if let Some(entry) = self.waiting.iter_mut().find(|entry| entry.alert.annotation.id == alert.annotation.id) {
            entry.alert = alert;
            entry.changes += 1;
        } else if self.waiting.len() < PROCESSES {
            self.waiting.push_back(Entry { alert, first, changes: 1, paid: false });
        } else {
            self.omitted += 1;
        }
    }

    /// When [`Group::take`] has something; `None` if nothing waits.
    pub(super) fn next(&self) -> Option<Instant> {
        let ready = self.waiting.iter().map(|entry| self.ready_at(entry)).min()?;
        // `None` is at once.
        Some(ready.max(self.open).unwrap_or_else(Instant::now))
    }

    fn ready_at(&self, entry: &Entry) -> Option<Instant> {
        let full = self.buckets.get(&entry.alert.annotation.id).filter(|_| !entry.paid)?;
        full.checked_sub(self.pace.repeat * (BURST - 1))
    }

    /// Takes the notice that is due now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Notice> {
        if self.open.is_some_and(|open| open > now) {
            return None;
        }
        let (ready, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|entry| self.ready_at(entry) <= Some(now));
        self.waiting = waiting;
        if ready.is_empty() {
            return None;
        }
        self.open = Some(now + self.pace.interval);
        self.buckets.retain(|_, full| *full > now);
        for entry in ready.iter().filter(|entry| !entry.paid) {
            let full = self.buckets.entry(entry.alert.annotation.id).or_insert(now);
            *full += self.pace.repeat;
        }
        Some(Notice { entries: ready.into(), omitted: std::mem::take(&mut self.omitted) })
    }

    /// All that waits, whenever it was to be told.
    pub(super) fn take_all(&mut self) -> Option<Notice> {
        let entries: Vec<Entry> = std::mem::take(&mut self.waiting).into();
        let omitted = std::mem::take(&mut self.omitted);
        (!entries.is_empty()).then_some(Notice { entries, omitted })
    }

    /// Puts back a notice that was not delivered; what has come meanwhile joins it.
    pub(super) fn put_back(&mut self, notice: Notice) {
        for mut old in notice.entries.into_iter().rev() {
            let same = |entry: &Entry| entry.alert.annotation.id == old.alert.annotation.id;
            if let Some(at) = self.waiting.iter().position(same)
                && let Some(newer) = self.waiting.remove(at)
            {
                old.alert = newer.alert;
                old.changes += newer.changes;
            }
            old.paid = true;
            self.waiting.push_front(old);
        }
        self.omitted += notice.omitted;
        while self.waiting.len() > PROCESSES {
            self.omitted += self.waiting.pop_back().map_or(0, |entry| entry.changes);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::annotation::{Annotation, AnnotationKind};

    pub(crate) fn alert(id: SeriesId, second: i64) -> Alert {
        let (time, text) = (Millis(second * 1000), format!("p{id} is silent"));
        Alert { annotation: Annotation { time, id, kind: AnnotationKind::Silent, text }, name: format!("p{id}") }
    }

    const PACE: Pace = Pace { interval: Duration::from_secs(10), repeat: Duration::from_secs(300) };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn told(notice: Option<Notice>) -> Vec<(SeriesId, usize)> {
        notice
            .into_iter()
            .flat_map(|notice| notice.entries)
            .map(|entry| (entry.alert.annotation.id, entry.changes))
            .collect()
    }

    #[test]
    fn the_first_goes_out_at_once_and_what_comes_within_the_interval_together() {
        let (mut group, start) = (Group::new(PACE), Instant::now());
        group.push(alert(1, 0));
        assert_eq!(told(group.take(start)), [(1, 1)]);
        assert_eq!(group.next(), None);
        group.push(alert(2, 1));
        group.push(alert(3, 1));
        assert_eq!(group.next(), Some(after(start, 10)));
        assert!(group.take(after(start, 9)).is_none());
        assert_eq!(told(group.take(after(start, 10))), [(2, 1), (3, 1)]);
    }

    #[test]
    fn a_process_that_flaps_is_told_a_few_times_and_then_as_a_number() {
        let (mut group, start) = (Group::new(PACE), Instant::now());
        let mut notices = 0;
        for second in 0..600 {
            group.push(alert(1, second));
            notices += usize::from(group.take(after(start, second as u64)).is_some());
        }
        // The burst, and then one every five minutes.
        assert_eq!(notices, BURST as usize + 1);
        let due = group.next().expect("more wait");
        assert_eq!(due, after(start, 600));
        let last = group.take(due).expect("a notice");
        assert_eq!((last.entries[0].changes, last.entries[0].first), (299, Millis(301_000)));
    }

    #[test]
    fn one_that_flaps_holds_no_other() {
        let (mut group, start) = (Group::new(PACE), Instant::now());
        for second in 0..100 {
            group.push(alert(1, second));
            let _ = group.take(after(start, second as u64));
        }
        group.push(alert(2, 100));
        assert_eq!(told(group.take(after(start, 110))), [(2, 1)]);
    }

    #[test]
    fn what_was_not_delivered_comes_again_with_what_came_meanwhile() {
        let (mut group, start) = (Group::new(PACE), Instant::now());
        group.push(alert(1, 0));
        group.push(alert(2, 0));
        let notice = group.take(start).expect("a notice");
        group.push(alert(3, 1));
        group.push(alert(2, 2));
        group.put_back(notice);
        let again = group.take(after(start, 10)).expect("a notice");
        assert_eq!((told(Some(again.clone())), again.alerts()), (vec![(1, 1), (2, 2), (3, 1)], 4));
        assert_eq!(again.entries[1].first, Millis(0));
    }

    #[test]
    fn more_processes_than_the_limit_are_a_number() {
        let (mut group, start) = (Group::new(PACE), Instant::now());
        for id in 0..=PROCESSES as SeriesId {
            group.push(alert(id, 0));
        }
        let notice = group.take(start).expect("a notice");
        assert_eq!((notice.entries.len(), notice.omitted, notice.alerts()), (PROCESSES, 1, PROCESSES + 1));
        group.push(alert(5000, 0));
        group.put_back(notice);
        let again = group.take_all().expect("a notice");
        assert_eq!((again.entries.len(), again.omitted), (PROCESSES, 2));
    }

    #[test]
    fn without_pauses_each_is_told_at_once() {
        let mut group = Group::new(Pace { interval: Duration::ZERO, repeat: Duration::ZERO });
        let now = Instant::now();
        for second in 0..10 {
            group.push(alert(1, second));
            assert_eq!(told(group.take(now)), [(1, 1)]);
        }
    }
}
