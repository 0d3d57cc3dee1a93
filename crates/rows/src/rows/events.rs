//! The newest changes, kept so that a subscriber can go on where it stopped.

use crate::Error;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::watch;

/// Number of a change, of one cache from its start to its end.
///
/// Its text is the cache's number, hexadecimal, and the change's, with `-` between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    /// Another number for each cache: changes of another one are not compared.
    run: u64,
    number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{}", self.run, self.number)
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<EventId, Error> {
        let digits = |text: &str, radix| {
            let is_number = text.chars().all(|digit| digit.is_digit(radix));
            is_number.then(|| u64::from_str_radix(text, radix).ok()).flatten()
        };
        let id = text
            .split_once('-')
            .and_then(|(run, number)| Some(EventId { run: digits(run, 16)?, number: digits(number, 10)? }));
        id.ok_or_else(|| Error::Event { id: text.chars().take(50).collect() })
    }
}

/// A change that somebody made, or a gap in what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowChange {
    /// An event, as the trigger sent it.
    Event {
        /// Its number.
        id: EventId,
        /// The table's name.
        table: Arc<str>,
        /// JSON: `{"table","id","type","seq","data"}`, without `data` where it is too long for one; of a table with events
        /// of keys `{"table","type","seq","ids"}`; `{"table","type":"FLUSH"}` where rows are not told one by one.
        event: Arc<str>,
    },
    /// Changes were missed: the feed was lost, the subscriber was slow, or it asked for changes that are not kept.
    Gap {
        /// Number of the last that was missed.
        id: EventId,
        /// Changes that are not kept any more; 0 where nobody counts: after a lost feed, and of another cache.
        missed: u64,
    },
}

impl RowChange {
    /// Its number, to go on after it: [`RowCache::subscribe_after`](crate::RowCache::subscribe_after).
    #[must_use]
    pub fn id(&self) -> EventId {
        match self {
            RowChange::Event { id, .. } | RowChange::Gap { id, .. } => *id,
        }
    }
}

#[derive(Debug)]
pub(super) struct EventLog {
    ring: Arc<Ring>,
    /// Number of the newest. Subscribers end with it.
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    run: u64,
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// Number of the oldest, or of the next one if there is none.
    first: u64,
    changes: VecDeque<Change>,
}

/// Table and event, or a gap.
type Change = Option<(Arc<str>, Arc<str>)>;

impl EventLog {
    pub(super) fn new(capacity: usize) -> EventLog {
        let kept = Mutex::new(Kept { first: 1, changes: VecDeque::new() });
        EventLog { ring: Arc::new(Ring { run: fastrand::u64(..), capacity, kept }), newest: watch::Sender::new(0) }
    }

    pub(super) fn event(&self, table: &Arc<str>, event: &str) {
        self.push(Some((table.clone(), event.into())));
    }

    pub(super) fn gap(&self) {
        self.push(None);
    }

    fn push(&self, change: Change) {
        let newest = {
            let mut kept = self.ring.kept.lock();
            if kept.changes.len() >= self.ring.capacity {
                kept.changes.pop_front();
                kept.first += 1;
            }
            kept.changes.push_back(change);
            kept.next() - 1
        };
        self.newest.send_replace(newest);
    }

    /// Changes from now on, or after one that was seen.
    pub(super) fn subscribe(&self, after: Option<EventId>) -> Changes {
        let (ring, newest) = (self.ring.clone(), self.newest.subscribe());
        let end = ring.kept.lock().next();
        match after {
            None => Changes { ring, newest, next: end, is_foreign: false },
            Some(id) if id.run == ring.run && id.number < end => {
                Changes { ring, newest, next: id.number + 1, is_foreign: false }
            }
            Some(_) => Changes { ring, newest, next: end, is_foreign: true },
        }
    }
}

impl Kept {
    fn next(&self) -> u64 {
        self.first + self.changes.len() as u64
    }
}

/// The changes of all tables, in the order of the feed.
#[derive(Debug)]
pub struct Changes {
    ring: Arc<Ring>,
    newest: watch::Receiver<u64>,
    next: u64,
    /// It was asked for changes after one of another cache.
    is_foreign: bool,
}

impl Changes {
    /// Waits for the next change; `None` once the cache has ended. May be dropped and called again.
    pub async fn next(&mut self) -> Option<RowChange> {
        loop {
            if let Some(change) = self.try_next() {
                return Some(change);
            }
            if self.newest.changed().await.is_err() {
                // The last ones may have come just before.
                return self.try_next();
            }
        }
    }

    /// The next change, if it has come.
    pub fn try_next(&mut self) -> Option<RowChange> {
        let kept = self.ring.kept.lock();
        let id = |number| EventId { run: self.ring.run, number };
        if std::mem::take(&mut self.is_foreign) {
            return Some(RowChange::Gap { id: id(self.next - 1), missed: 0 });
        }
        if self.next < kept.first {
            let missed = kept.first - self.next;
            self.next = kept.first;
            return Some(RowChange::Gap { id: id(self.next - 1), missed });
        }
        let at = usize::try_from(self.next - kept.first).ok()?;
        let change = kept.changes.get(at)?.clone();
        let id = id(self.next);
        self.next += 1;
        Some(match change {
            Some((table, event)) => RowChange::Event { id, table, event },
            None => RowChange::Gap { id, missed: 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(capacity: usize, events: std::ops::Range<u64>) -> EventLog {
        let log = EventLog::new(capacity);
        events.for_each(|number| log.event(&"t".into(), &number.to_string()));
        log
    }

    /// Texts of events, and counts of what was missed.
    fn rest(changes: &mut Changes) -> Vec<String> {
        let next = || changes.try_next();
        std::iter::from_fn(next)
            .map(|change| match change {
                RowChange::Event { event, .. } => event.to_string(),
                RowChange::Gap { missed, .. } => format!("missed {missed}"),
            })
            .collect()
    }

    #[test]
    fn a_subscriber_goes_on_where_it_stopped() {
        let log = log(4, 0..3);
        let mut first = log.subscribe(Some(EventId { run: log.ring.run, number: 0 }));
        let seen = first.try_next().expect("an event").id();
        assert_eq!(rest(&mut log.subscribe(Some(seen))), ["1", "2"]);
        log.gap();
        assert_eq!(rest(&mut log.subscribe(Some(seen))), ["1", "2", "missed 0"]);
        assert_eq!(rest(&mut log.subscribe(None)), Vec::<String>::new());
    }

    #[test]
    fn changes_that_are_not_kept_are_a_gap_that_one_can_go_on_from() {
        for (events, missed) in [(4, None), (5, Some("missed 1")), (9, Some("missed 5"))] {
            let log = log(4, 0..events);
            let mut all = log.subscribe(Some(EventId { run: log.ring.run, number: 0 }));
            let first = all.try_next().expect("one");
            let seen: Vec<String> = missed.map(str::to_owned).into_iter().collect();
            let got = match &first {
                RowChange::Gap { missed, .. } => vec![format!("missed {missed}")],
                RowChange::Event { .. } => Vec::new(),
            };
            assert_eq!(got, seen, "{events}");
            let kept = 4 - usize::from(missed.is_none());
            assert_eq!(rest(&mut log.subscribe(Some(first.id()))).len(), kept, "{events}");
        }
    }

    #[test]
    fn changes_after_one_of_another_cache_or_of_the_future_are_a_gap() {
        let (log, other) = (log(4, 0..2), log(4, 0..2));
        let foreign = EventId { run: other.ring.run, number: 1 };
        let future = EventId { run: log.ring.run, number: 3 };
        for id in [foreign, future] {
            let mut changes = log.subscribe(Some(id));
            assert_eq!(rest(&mut changes), ["missed 0"]);
        }
        let newest = EventId { run: log.ring.run, number: 2 };
        assert_eq!(rest(&mut log.subscribe(Some(newest))), Vec::<String>::new());
    }

    #[test]
    fn the_text_of_an_id_can_be_read_again() {
        for id in [EventId { run: 0, number: 0 }, EventId { run: u64::MAX, number: u64::MAX }] {
            assert_eq!(id.to_string().parse::<EventId>().expect("an id"), id);
        }
        for text in ["", "1", "-", "g-1", "1-a", "+1-1", "1-+1", "1-18446744073709551616", "1-1-1"] {
            assert!(matches!(text.parse::<EventId>(), Err(Error::Event { .. })), "{text}");
        }
    }

    #[tokio::test]
    async fn a_subscriber_ends_with_its_cache_after_the_last_change() {
        let log = log(4, 0..0);
        let mut changes = log.subscribe(None);
        log.event(&"t".into(), "last");
        drop(log);
        assert!(matches!(changes.next().await, Some(RowChange::Event { .. })));
        assert_eq!(changes.next().await, None);
    }
}
