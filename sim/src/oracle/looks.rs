//! An operator's look at a queue: its row, and the messages that wait in it.

use super::link::Link;
use super::{Checked, Fate, Oracle, promise};
use std::collections::BTreeSet;
use switchboard_broker::{Browsed, ConnectionId, QueueStatus};

/// A look is taken after each so many steps.
const EACH: u64 = 16;

impl Oracle {
    /// Whether an operator looks after this step.
    pub(crate) fn looks(&self) -> bool {
        self.step.is_multiple_of(EACH)
    }

    /// Checks a queue's row, and the messages that a look at it gave, page by page.
    pub(crate) fn check_look(&self, name: &'static str, row: Option<&QueueStatus>, seen: &[Browsed]) -> Checked {
        let Some(books) = self.channels.get(name) else { return Ok(()) };
        let Some(row) = row else {
            promise!(seen.is_empty(), "{name} is not there, and has messages");
            return Ok(());
        };
        let is_with = |id: &&usize| {
            let message = &self.messages[**id];
            matches!(message.fate, Fate::With(_)) && !message.is_ended
        };
        let with = books.open.iter().filter(is_with).count() as u64;
        // Messages in an outbox count as well, and without acks all of a delivery until the last has arrived.
        let is_whole = |link: &Link| link.gone || link.handed.is_empty() && link.unacknowledged.is_empty();
        let is_exact = self.is_exact(name) && self.links.values().all(is_whole);
        let is_known = row.in_flight == with || row.in_flight > with && !is_exact;
        promise!(is_known, "consumers have {with} messages of {name}, and its row says {}", row.in_flight);
        let consumers = books.rotation.len();
        promise!(row.consumers == consumers, "{name} has {consumers} consumers, and its row says {}", row.consumers);
        promise!(row.is_paused == books.is_paused, "{name} is paused: {}, and its row says not so", books.is_paused);
        promise!(row.depth == seen.len(), "{name} has {} messages, and a look finds {}", row.depth, seen.len());
        let postponed = seen.iter().filter(|message| message.postponed.is_some()).count();
        promise!(row.postponed == postponed, "a look at {name} finds {postponed} postponed, not {}", row.postponed);
        self.check_seen(name, seen)
    }

    /// Each message that is seen waits, is seen once and in its order, and says what became of it before.
    fn check_seen(&self, name: &'static str, seen: &[Browsed]) -> Checked {
        let (mut ids, mut last) = (BTreeSet::new(), None);
        for browsed in seen {
            let id = self.identify(name.as_bytes(), &browsed.body)?;
            promise!(ids.insert(id), "message {id} is seen twice in {name}");
            let (message, books) = (&self.messages[id], &self.channels[name]);
            // One that was moved back is known once it is handed out.
            if books.back > 0 && (message.fate == Fate::Dead || message.purged) {
                continue;
            }
            promise!(message.fate == Fate::Taken, "message {id} is seen in {name}, and is {message:?}");
            promise!(
                (browsed.redelivered, browsed.attempts) == (message.seen, message.tried),
                "message {id} is seen as redelivered: {}, attempts: {}, and is {message:?}",
                browsed.redelivered,
                browsed.attempts
            );
            let due = browsed.postponed.map(|rest| self.now + rest);
            // One that expires before is due when it does.
            let until = message.expires.map_or(message.not_before, |expires| expires.min(message.not_before));
            let is_right = due.is_none_or(|due| due == until || message.not_before <= self.now);
            promise!(
                is_right && (due.is_some() || message.not_before <= self.now),
                "message {id} is seen as postponed: {:?} at {:?}, and is {message:?}",
                browsed.postponed,
                self.now
            );
            if due.is_some() || message.returned || message.group.is_some() {
                continue;
            }
            if let Some(before) = last.replace(id) {
                promise!(
                    !self.goes_before(id, before),
                    "message {id} is seen behind {before} in {name}, and goes before it"
                );
            }
        }
        Ok(())
    }

    /// The pages of all queues list each that is there once.
    pub(crate) fn check_pages(&self, listed: &[QueueStatus], there: usize) -> Checked {
        let names: BTreeSet<&[u8]> = listed.iter().map(|row| &row.name[..]).collect();
        promise!(names.len() == listed.len(), "a queue is listed twice: {names:?}");
        promise!(names.len() == there, "{} queues are listed, and {there} are there", names.len());
        Ok(())
    }

    /// The window of a connection keeps its bounds.
    pub(crate) fn check_window(&self, id: ConnectionId, window: Option<usize>) -> Checked {
        let limits = &self.settings.limits;
        let Some(window) = window else { return Err(format!("{} has no window", id.0)) };
        let least = limits.first_window.min(limits.window);
        promise!((least..=limits.window).contains(&window), "the window of {} is {window}: {limits:?}", id.0);
        Ok(())
    }
}
