//! Full queues: what is rejected, and what is dropped for room.

use super::{Checked, Fate, Oracle, promise};
use switchboard_broker::{Event, QueueOverflow, Refusal, Status};

impl Oracle {
    /// The last messages of a publish were not taken.
    pub(super) fn reject(&mut self, events: &[Event], status: &Status) -> Checked {
        for event in events {
            let Event::Rejected { connection, channel, messages, refusal } = event else { continue };
            let (id, count) = (connection.0, *messages);
            let link = &self.links[&id];
            // In order, of those that were not taken. Where a queue rejects what is over its bound, nothing waits.
            let mut pending = link.sent.iter().enumerate().skip(link.taken);
            let is_of = |message: usize| self.messages[message].channel.as_bytes() == channel;
            let first = pending.find(|(_, message)| is_of(**message)).map(|(at, &message)| (at, message));
            let Some((mut first, message)) = first else {
                return Err(format!("{id} is told of a rejection of what it sent to {channel:?}, and nothing is"));
            };
            let publish = self.messages[message].publish;
            let whole = link.sent[first..].iter().filter(|&&other| self.messages[other].publish == publish).count();
            promise!(count > 0 && count <= whole, "{count} of {whole} messages of a publish are rejected");
            let is_ended = *refusal == Refusal::Ended;
            // A queue that ends in this very step may have taken some of them before, which end with it.
            let name = self.messages[message].channel;
            let may_be_part = !is_ended || self.ending.contains(&name);
            promise!(
                may_be_part || count == whole,
                "{count} of {whole} messages to a queue that has ended are rejected"
            );
            first += whole - count;
            let link = self.link(id);
            let rejected: Vec<usize> = link.sent.drain(first..first + count).collect();
            link.receipts.reject(publish, channel, count, first);
            link.confirms.iter_mut().filter(|confirm| confirm.1 > first).for_each(|confirm| confirm.1 -= count);
            self.check_refusal(rejected[0], *refusal)?;
            rejected.into_iter().for_each(|message| self.messages[message].fate = Fate::Done);
            self.counts.rejected += count as u64;
            self.counts.too_late += if is_ended { count as u64 } else { 0 };
        }
        let counted = status.totals.rejected;
        promise!(counted == self.counts.rejected, "{} are rejected, and {counted} counted", self.counts.rejected);
        Ok(())
    }

    /// A message that is rejected for a bound would have been over it.
    fn check_refusal(&mut self, message: usize, refusal: Refusal) -> Checked {
        let (name, size) = (self.messages[message].channel, self.messages[message].size);
        if refusal == Refusal::Ended {
            return self.check_is_gone(name);
        }
        promise!(self.settings.limits.overflow == QueueOverflow::Reject, "{name} rejects a message, and no queue does");
        let bounds = (self.bound_of(name), self.bound_in_messages(name));
        match refusal {
            Refusal::QueueMessages { bound } => promise!(bound == bounds.1, "the bound is another: {refusal}"),
            Refusal::QueueFull { bound } => promise!(bound == bounds.0, "the bound is another: {refusal}"),
            other => return Err(format!("a message of {name} is rejected for another reason: {other}")),
        }
        self.full.push((name, size, refusal));
        Ok(())
    }

    /// The queues that have rejected something in this step are full when it is over.
    pub(super) fn check_full(&mut self) -> Checked {
        for (name, size, refusal) in std::mem::take(&mut self.full) {
            // Credit that is told while the call has work left over makes room again.
            if !self.is_exact(name) || self.credited_between == self.step {
                continue;
            }
            let (depth, bytes) = self.waiting_in(name);
            let is_full = match refusal {
                Refusal::QueueMessages { bound } => depth >= bound,
                // Bytes of attributes are not known here.
                _ => depth > 0 && (bytes + size > self.bound_of(name) || !self.counts_bytes(name)),
            };
            promise!(is_full, "{name} has {depth} messages and {bytes} bytes, and rejected one of {size}: {refusal}");
        }
        Ok(())
    }

    /// Whether what a queue counts for its bound are the bytes of its messages: attributes take more.
    fn counts_bytes(&self, name: &str) -> bool {
        let books = &self.channels[name];
        books.source.is_none() && !books.has_attributes
    }

    /// Messages that wait in a queue, and that no purge can have dropped.
    fn waiting(&self, name: &str) -> Vec<usize> {
        let waits = |id: &usize| self.messages[*id].fate == Fate::Taken && !self.messages[*id].purged;
        self.channels[name].open.iter().copied().filter(waits).collect()
    }

    /// Number and bytes of the messages that wait in a queue.
    fn waiting_in(&self, name: &str) -> (usize, usize) {
        let waiting = self.waiting(name);
        (waiting.len(), waiting.iter().map(|&id| self.messages[id].size).sum())
    }

    /// Messages of a queue that became dead letters, or were dropped where it has none.
    fn counted_dead(&self, name: &str, status: &Status) -> u64 {
        let reported = status.channels.iter().find(|row| row.name == name.as_bytes());
        // A durable subscription misses what is over its bound.
        let has_dead = self.channels[name].source.is_none() && Oracle::owner_of(name.as_bytes()).is_none();
        reported.map_or(0, |row| if has_dead { row.dead_lettered } else { row.dropped })
    }

    /// Notes the queues that drop their oldest in this step.
    pub(super) fn note_drops(&mut self, status: &Status) {
        for name in self.queues() {
            let counted = self.counted_dead(name, status);
            let drops_old = self.settings.limits.overflow == QueueOverflow::DropOld;
            let books = self.channels.entry(name).or_default();
            let new = counted.saturating_sub(books.dead + books.died) as usize;
            books.drops = if drops_old || books.source.is_some() { new } else { 0 };
            books.passed.clear();
            books.handed = (0, 0);
        }
    }

    /// Messages over the bounds of their queues are dead letters: the oldest of the lowest priority.
    pub(super) fn drop_over_bounds(&mut self, status: &Status) -> Checked {
        for name in self.queues() {
            let is_durable = self.channels[name].source.is_some();
            let counted = self.counted_dead(name, status);
            let books = self.channels.entry(name).or_default();
            let before = std::mem::replace(&mut books.dead, counted);
            // It begins to count anew when it was forgotten.
            let new = if counted < before { counted } else { counted - before };
            let died = std::mem::take(&mut books.died);
            let dropped = new.saturating_sub(if is_durable { 0 } else { died }) as usize;
            if dropped > 0 {
                self.drop_oldest(name, dropped)?;
            }
            let may_wait = |id: &&usize| self.messages[**id].fate == Fate::Taken && !self.messages[**id].purged;
            let stays = self.channels[name].passed.iter().find(may_wait);
            promise!(
                stays.is_none(),
                "later messages of its group went before {stays:?} of {name}, which was not dropped"
            );
        }
        Ok(())
    }

    fn drop_oldest(&mut self, name: &'static str, dropped: usize) -> Checked {
        let is_durable = self.channels[name].source.is_some();
        promise!(
            is_durable || self.settings.limits.overflow == QueueOverflow::DropOld,
            "{dropped} messages of {name} are dead letters for nothing"
        );
        self.counts.missed += if is_durable { dropped as u64 } else { 0 };
        self.counts.dropped_old += dropped as u64;
        let (depth, bytes) = self.waiting_in(name);
        let (bound, most) = (self.bound_of(name), self.bound_in_messages(name));
        // A credit in the middle of the call may have made room for some that waited when others were dropped.
        let is_between = self.credited_between == self.step;
        let (handed, handed_bytes) = if is_between { self.channels[name].handed } else { (0, 0) };
        let (depth, bytes) = (depth + handed, bytes + handed_bytes);
        let is_exact = self.is_exact(name);
        promise!(!is_exact || dropped < depth, "{dropped} of the {depth} messages of {name} are dropped");
        promise!(
            !is_exact || most > 0 && depth > most || bytes > bound || !self.counts_bytes(name),
            "{dropped} messages of {name} are dropped, which has {depth} of {most}, and {bytes} bytes of {bound}"
        );
        // Also one that waits for its time.
        let mut waiting = self.waiting(name);
        let order =
            |id: &usize| (self.messages[*id].priority, self.messages[*id].taken, self.messages[*id].publisher, *id);
        waiting.sort_by_key(order);
        let is_surely_before = |first: usize, second: usize| {
            let (own, others) = (self.messages[first].priority, self.messages[second].priority);
            own < others || own == others && self.is_before(first, second)
        };
        let is_certain = is_exact && waiting.len() > dropped && {
            let (gone, kept) = waiting.split_at(dropped);
            gone.iter().all(|&gone| kept.iter().all(|&kept| is_surely_before(gone, kept)))
        };
        if is_certain {
            self.counts.certain_old += dropped as u64;
            let gone: usize = waiting[..dropped].iter().map(|&id| self.messages[id].size).sum();
            let last = self.messages[waiting[dropped - 1]].size;
            let is_over = most > 0 && depth - dropped + 1 > most || bytes - gone + last > bound;
            promise!(
                is_over || !self.counts_bytes(name),
                "{dropped} messages of {name} are dropped, more than are over its bounds"
            );
            waiting[..dropped].iter().for_each(|&id| if is_durable { self.done(id) } else { self.die(id) });
        } else {
            match Oracle::owner_of(name.as_bytes()) {
                Some(_) => self.counts.dropped_temporary += dropped as u64,
                None => self.counts.dead += if is_durable { 0 } else { dropped as u64 },
            }
            let books = self.channels.entry(name).or_default();
            books.purged += dropped;
            for &id in &books.open {
                let message = &mut self.messages[id];
                message.purged |= message.fate == Fate::Taken;
            }
        }
        self.channels.entry(name).or_default().died = 0;
        Ok(())
    }
}
