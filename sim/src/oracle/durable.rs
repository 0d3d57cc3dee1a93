//! Durable subscriptions: queues that topics feed. What a topic's message becomes there has a row of its own.
//! And retained values, with which subscriptions begin.

use super::{Checked, Fate, Message, Oracle, matches, promise};
use crate::settings::DURABLE;
use bytes::Bytes;
use switchboard_broker::{Batch, Status};

impl Oracle {
    /// Whether a durable subscription is refused: there is one of this name to another source.
    pub(super) fn has_other_source(&self, queue: &[u8], source: &Bytes) -> bool {
        self.channels[durable(queue)].source.as_ref().is_some_and(|before| before != source)
    }

    pub(super) fn set_source(&mut self, queue: &[u8], source: Bytes) {
        let name = durable(queue);
        let before = self.channels.entry(name).or_default().source.replace(source.clone());
        let topics = self.channels.iter().filter(|(topic, _)| before.is_none() && matches(&source, topic.as_bytes()));
        let values: Vec<usize> = topics.filter_map(|(_, books)| books.value).collect();
        self.counts.values += values.len() as u64;
        for value in values {
            let copy = self.feed_queue(name, value);
            // Values of several topics come in no order.
            self.messages[copy].publisher = u64::MAX - copy as u64;
        }
    }

    /// A topic retains a message, or, if it is empty, nothing any more.
    pub(super) fn retain(&mut self, id: usize) {
        let message = &self.messages[id];
        let value = (message.size > Batch::PREFIX).then_some(id);
        let books = self.channels.entry(message.channel).or_default();
        let before = std::mem::replace(&mut books.value, value);
        self.counts.cleared += u64::from(before.is_some() && value.is_none());
    }

    /// A topic's message says that it is the retained value if and only if it was published before the subscription came.
    pub(super) fn check_value(&mut self, message: usize, (id, subscription): (u64, u32), batch: &Batch) -> Checked {
        let says = batch.attributes().is_some_and(|attributes| attributes.headers.get(b"retained").is_some());
        let sub = self.links[&id].subs.get(&subscription);
        let taken = self.messages[message].taken;
        let is_old = self.messages[message].retains && sub.is_some_and(|sub| taken < sub.since);
        if says && is_old {
            self.note_value(message, (id, subscription));
        }
        promise!(says == is_old, "{id} got message {message} as a retained value: {says}, and it is one: {is_old}");
        Ok(())
    }

    /// Of what two publishers sent in one step it is not known which is the value, until somebody gets it.
    fn note_value(&mut self, message: usize, (id, subscription): (u64, u32)) {
        let (name, taken) = (self.messages[message].channel, self.messages[message].taken);
        let messages = &self.messages;
        let link = self.links.get_mut(&id).expect("the link is known");
        if link.due.iter().any(|due| (due.message, due.subscription) == (message, subscription)) {
            return;
        }
        let mut own = link.due.iter_mut().filter(|due| due.subscription == subscription);
        let is_either = |other: usize| {
            let other = &messages[other];
            (other.channel, other.taken, other.retains) == (name, taken, true)
        };
        if let Some(due) = own.find(|due| is_either(due.message)) {
            due.message = message;
            self.channels.entry(name).or_default().value = Some(message);
        }
    }

    /// A topic has taken a message: whether it feeds a queue with it.
    pub(super) fn feed(&mut self, id: usize) -> bool {
        let queues = self.fed_queues(self.messages[id].channel);
        for &queue in &queues {
            self.feed_queue(queue, id);
        }
        !queues.is_empty()
    }

    /// A queue takes a topic's message: the number of its copy.
    fn feed_queue(&mut self, queue: &'static str, id: usize) -> usize {
        let (copy, fate, taken) = (self.messages.len(), Fate::Taken, self.step);
        let message = Message { channel: queue, fate, taken, ..self.messages[id].clone() };
        let books = self.channels.entry(queue).or_default();
        books.open.insert(copy);
        books.fed.insert(id, copy);
        books.has_groups |= message.group.is_some();
        self.messages.push(message);
        self.counts.fed += 1;
        copy
    }

    /// The queues that a topic feeds.
    pub(super) fn fed_queues(&self, topic: &str) -> Vec<&'static str> {
        let is_fed = |queue: &&'static str| {
            let source = self.channels[*queue].source.as_ref();
            source.is_some_and(|source| matches(source, topic.as_bytes()))
        };
        DURABLE.into_iter().map(|(queue, _)| queue).filter(is_fed).collect()
    }

    /// A durable subscription ends for all its subscribers. What waits in it is dropped, and what comes back later.
    pub(super) fn end_durable(&mut self, queue: &[u8]) {
        let name = durable(queue);
        let Some(books) = self.channels.get_mut(name) else { return };
        if books.source.take().is_none() {
            self.refusals = 1;
            return;
        }
        // Subscriptions to it alone end with it.
        let subs = self.links.iter().filter(|(_, link)| !link.gone).flat_map(|(&id, link)| {
            let own = link.subs.iter().filter(|(_, sub)| sub.active && sub.pattern[..] == *name.as_bytes());
            own.map(move |(&subscription, _)| (id, subscription))
        });
        let subs: Vec<(u64, u32)> = subs.collect();
        self.ended.extend(&subs);
        subs.into_iter().for_each(|(id, subscription)| self.unsubscribe(id, subscription));
        self.end_queue(name);
    }

    /// A queue ends with everything in it, and what comes back later.
    pub(super) fn end_queue(&mut self, name: &'static str) {
        let books = self.channels.entry(name).or_default();
        books.rotation.clear();
        books.adrift.clear();
        self.holders.retain(|(channel, _), _| *channel != name);
        self.note_ended(name);
        self.ending.push(name);
    }

    /// Messages of a queue that ends are dropped when they come back. Publishers that waited may have gone on in the step of its end, before it.
    fn note_ended(&mut self, name: &str) {
        for &id in &self.channels[name].open {
            let message = &mut self.messages[id];
            (message.group, message.is_ended) = (None, true);
        }
    }

    /// Messages that are dropped with a queue are counted.
    pub(super) fn check_ended(&mut self, status: &Status) -> Checked {
        for name in std::mem::take(&mut self.ending) {
            self.note_ended(name);
            let waits = |id: &usize| self.messages[*id].is_ended && self.messages[*id].fate == Fate::Taken;
            let waiting: Vec<usize> = self.channels[name].open.iter().copied().filter(waits).collect();
            // Some may have been dropped for room before, and it is not known which.
            let books = self.channels.entry(name).or_default();
            self.counts.ended += (waiting.len() - std::mem::take(&mut books.purged)) as u64;
            waiting.into_iter().for_each(|id| self.done(id));
        }
        let (ended, counted) = (self.counts.ended, status.totals.dropped_ended);
        promise!(ended == counted, "{ended} messages are dropped with their queues, and {counted} are counted");
        Ok(())
    }
}

/// The name of a durable subscription's queue.
fn durable(queue: &[u8]) -> &'static str {
    let known = DURABLE.iter().find(|(name, _)| name.as_bytes() == queue);
    known.map_or("", |(name, _)| name)
}
