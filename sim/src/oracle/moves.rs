//! Dead letters that an operator moves back to the queues that they came from.

use super::books::Moved;
use super::{Act, Checked, Fate, Oracle, promise};
use std::sync::Arc;
use switchboard_broker::{Attributes, Event, MoveOrder, Status, Time};

impl Oracle {
    /// An order is carried out once, and accounts for all its messages.
    pub(super) fn check_moved(&mut self, act: &Act, events: &[Event], status: &Status) -> Checked {
        let told = events.iter().filter_map(|event| match event {
            Event::Moved { order, moved, stayed, .. } => Some((*order, *moved, *stayed)),
            _ => None,
        });
        let told: Vec<(u64, usize, usize)> = told.collect();
        let ordered = match act {
            Act::Move(from, _, Some(order)) => Some((*from, *order)),
            _ => None,
        };
        let Some((from, MoveOrder { number, messages })) = ordered else {
            promise!(told.is_empty(), "messages are moved, and nobody has asked for it: {told:?}");
            return Ok(());
        };
        let [(order, moved, stayed)] = told[..] else {
            return Err(format!("an order to move is carried out {} times", told.len()));
        };
        promise!(order == number, "order {order} is carried out, and {number} was given");
        promise!(moved + stayed == messages, "{moved} of {messages} messages are moved, and {stayed} stay");
        self.counts.moved += moved as u64;
        let (moved_in_all, counted) = (self.counts.moved, status.totals.moved);
        promise!(moved_in_all == counted, "{moved_in_all} messages are moved, and {counted} are counted");
        let Some(origin) = self.origin_of(from).filter(|_| moved > 0) else { return Ok(()) };
        let books = self.channels.entry(origin).or_default();
        books.back += moved;
        books.moves.push(self.step);
        // Nobody knows which of its dead letters they are.
        books.has_times = true;
        Ok(())
    }

    /// The queue of a queue's dead letters.
    fn origin_of(&self, dead: &str) -> Option<&'static str> {
        let origin = dead.strip_prefix("/queue/dead")?;
        self.channels.keys().find(|name| **name == origin).copied()
    }

    /// A message is about to be handed out which may have been moved back: then it begins anew.
    pub(super) fn revive(&mut self, id: usize, attempts: u32, attributes: Option<&Arc<Attributes>>) -> Checked {
        let row = &self.messages[id];
        let Some(books) = self.channels.get_mut(row.channel) else { return Ok(()) };
        // One that was dropped for room may be this one or another.
        let may_be_dead = row.fate == Fate::Taken && row.purged && books.back > 0 && attempts == 0;
        if row.fate != Fate::Dead && !may_be_dead {
            return Ok(());
        }
        promise!(books.back > 0, "message {id} of {} is a dead letter that nobody has moved", row.channel);
        books.open.insert(id);
        books.back -= usize::from(row.fate == Fate::Dead);
        // It has come behind all that was there, in one of the moves since it died.
        let died = (row.fate == Fate::Dead).then_some(row.died);
        let not_before = if died.is_some() { Time::ZERO } else { self.now };
        let first = books.moves.iter().find(|&&step| died.is_some_and(|died| step >= died)).copied();
        let taken = books.moves.last().copied().unwrap_or(row.taken);
        let before = row.moved.map_or(row.taken, |moved| moved.since);
        let moved = Some(Moved { since: first.unwrap_or(before), died });
        let expires = attributes.filter(|_| died.is_none()).and_then(|attributes| attributes.expires());
        let message = &mut self.messages[id];
        message.moved = moved;
        (message.fate, message.taken, message.tried) = (Fate::Taken, taken, 0);
        (message.returned, message.delayed, message.expires, message.not_before) = (true, false, expires, not_before);
        self.counts.revived += 1;
        Ok(())
    }
}
