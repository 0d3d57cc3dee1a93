//! Durable subscriptions: queues that topics feed, whether a subscriber is there or not.
//!
//! A topic keeps the list of the queues that it feeds. The list is made anew once durable subscriptions have come or ended,
//! before anything else is published ([`Broker::follow_rules`]), so that a queue begins with the topic's retained value and
//! gets everything behind it. Nobody could free the memory of the lists: all together have a small part of it. A topic
//! whose list finds no room there looks its queues up for each publish.

use super::Broker;
use super::channel::Channel;
use super::making::MadeFor;
use crate::name::{Kind, Pattern};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{AckMode, Attributes, Batch, Refusal, SubscriptionId, cost};
use bytes::Bytes;
use std::sync::Arc;

/// The part of the memory budget that the lists of all topics may take.
const LISTS_SHARE: usize = 16;

/// The topics that feed a durable subscription.
#[derive(Debug)]
pub(super) struct Source {
    pattern: Pattern,
    /// The [`Broker::rules_version`] with which it came: it is new to topics that follow an older one.
    version: u64,
}

impl Source {
    pub(super) fn charge(&self) -> usize {
        let bytes = self.pattern.as_bytes().len();
        cost::text(bytes) + cost::pattern(bytes)
    }

    /// The topic or the pattern of topics.
    pub(super) fn topics(&self) -> &Bytes {
        self.pattern.as_bytes()
    }
}

/// The queues that a topic feeds.
#[derive(Debug)]
pub(super) enum Feeds {
    Listed(Box<QueueList>),
    /// There was no room for the list.
    LookedUp,
}

#[derive(Debug)]
pub(super) struct QueueList {
    /// In the order of their slots.
    queues: Box<[ChannelSlot]>,
    /// Attributes of what is fed and has none from its publisher: the topic's name. All share them, so that small messages
    /// are kept together.
    plain: Arc<Attributes>,
}

impl Feeds {
    pub(super) fn charge(&self) -> usize {
        match self {
            Feeds::Listed(list) => list_charge(list.queues.len()),
            Feeds::LookedUp => 0,
        }
    }
}

const fn list_charge(queues: usize) -> usize {
    cost::LIST + queues * cost::LISTED
}

impl Broker {
    /// Subscribes to the queue of a durable subscription, which is made if it is not there.
    pub(super) fn subscribe_durable(
        &mut self,
        slot: ConnectionSlot,
        id: SubscriptionId,
        (name, source): (Bytes, Bytes),
        ack: AckMode,
    ) {
        if let Err((refused, refusal)) = self.check_durable(slot, id, (&name, &source)) {
            return self.refuse(slot, Some(refused), refusal);
        }
        if self.connections[slot].has_left() {
            return;
        }
        let more = cost::text(source.len()) + cost::pattern(source.len());
        let found = self.find_memory_for_subscription(&Pattern::new(name.clone()), more);
        match found.and_then(|()| self.find_durable(&name, source)) {
            Err(refusal) => self.refuse(slot, Some(name), refusal),
            Ok(queue) => {
                let pattern = Pattern::new(self.channels[queue].name.clone());
                let subscription = self.add_subscription(slot, id, (pattern, false), ack);
                self.join(subscription, queue);
            }
        }
    }

    /// Whether a connection may subscribe so: otherwise the name that cannot be, and why.
    fn check_durable(
        &self,
        slot: ConnectionSlot,
        id: SubscriptionId,
        (name, source): (&Bytes, &Bytes),
    ) -> Result<(), (Bytes, Refusal)> {
        self.check_subscription(slot, id, name).map_err(|refusal| (name.clone(), refusal))?;
        let limit = self.limits.channel_name;
        if Kind::of(name) != Kind::Queue {
            Err((name.clone(), Refusal::NotAQueue))
        } else if source.len() > limit {
            Err((source.clone(), Refusal::NameTooLong { length: source.len(), limit }))
        } else if Kind::of(source) != Kind::Topic {
            Err((source.clone(), Refusal::NotATopic))
        } else {
            Ok(())
        }
    }

    /// The queue of a durable subscription, with its source.
    fn find_durable(&mut self, name: &Bytes, source: Bytes) -> Result<ChannelSlot, Refusal> {
        let before = self.names.get(name).copied();
        let queue = before
            .map_or_else(|| self.make_any_channel(name, MadeFor::Subscription), Ok)
            .map_err(|error| self.refusal_of(error))?;
        match self.channels[queue].source.as_deref() {
            Some(before) if *before.pattern.as_bytes() != source => return Err(Refusal::OtherSource),
            Some(_) => {}
            None => self.set_source(queue, Some(Pattern::new(Bytes::copy_from_slice(&source)))),
        }
        Ok(queue)
    }

    /// Ends a durable subscription: its queue, what waits in it, and all its subscriptions.
    pub(super) fn end_durable(&mut self, slot: ConnectionSlot, name: Bytes) {
        let queue = self.find_queue(&name).filter(|&queue| self.channels[queue].source.is_some());
        let Some(queue) = queue else { return self.refuse(slot, Some(name), Refusal::NoDurable) };
        self.end_queue(queue);
    }

    /// Sets or removes the pattern of topics that feed a queue.
    pub(super) fn set_source(&mut self, queue: ChannelSlot, source: Option<Pattern>) {
        // Topics find their queues anew, each before it is published to.
        self.rules_version += 1;
        let version = self.rules_version;
        let row = source.clone().map(|pattern| Box::new(Source { pattern, version }));
        let lasting = self.channels[queue].lasting_charge();
        let before = self.recharge(queue, |channel| std::mem::replace(&mut channel.source, row));
        self.lasting_charge = self.lasting_charge - lasting + self.channels[queue].lasting_charge();
        if let Some(before) = &before {
            self.sources.remove(before.pattern.as_bytes(), queue);
        }
        if let Some(source) = &source {
            self.sources.insert(source.as_bytes(), queue);
        }
        // Retained values are not to wait for that, nor publishers of topics that had no subscriber. A topic that feeds
        // nothing any more is forgotten.
        let Some(source) = source.or(before.map(|before| before.pattern)) else { return };
        if !source.is_literal() {
            self.rule_change.begin_channels();
        } else if let Some(&topic) = self.names.get(source.as_bytes()) {
            self.follow_rules(topic);
        }
    }

    /// Changes what a channel is charged for: gives what the change gives.
    fn recharge<T>(&mut self, slot: ChannelSlot, change: impl FnOnce(&mut Channel) -> T) -> T {
        let channel = self.channels.edit(slot);
        let (before, lists_before) = (channel.charge(), channel.list_charge());
        let changed = change(channel);
        let (after, lists_after) = (channel.charge(), channel.list_charge());
        if channel.is_unused {
            self.unused_charge = self.unused_charge - before + after;
        }
        self.list_charge = self.list_charge - lists_before + lists_after;
        self.budget.charge(after);
        self.budget.release(before);
        changed
    }

    /// A topic finds the queues that it feeds. Those that came after this version of the rules get its retained value.
    pub(super) fn follow_sources(&mut self, topic: ChannelSlot, version: u64) {
        let row = &self.channels[topic];
        if row.kind == Kind::Queue || self.sources.is_empty() && row.feeds.is_none() {
            return;
        }
        let queues = self.queues_of(topic);
        let is_new = |queue: &&ChannelSlot| {
            self.channels[**queue].source.as_deref().is_some_and(|source| source.version > version)
        };
        let new: Vec<ChannelSlot> = queues.iter().filter(is_new).copied().collect();
        self.keep_list(topic, queues);
        if new.is_empty() {
            return;
        }
        // Publishers that waited for a subscriber need not any more.
        self.retry_waiters(topic);
        if let Some(value) = self.channels[topic].retained_value(self.now) {
            let value = self.originated(topic, &value);
            new.into_iter().for_each(|queue| self.feed_queue(queue, value.clone()));
        }
    }

    /// The queues that a topic feeds, looked up.
    fn queues_of(&mut self, topic: ChannelSlot) -> Vec<ChannelSlot> {
        let mut queues = Vec::new();
        let nodes = self.sources.matching(&self.channels[topic].name, None, usize::MAX, &mut queues).looked_at;
        queues.sort_unstable();
        // Follow-up work of many topics takes several calls.
        self.spend(queues.len());
        self.spend_nodes(nodes);
        queues
    }

    /// A topic keeps the list of its queues, if there is room for it.
    fn keep_list(&mut self, topic: ChannelSlot, queues: Vec<ChannelSlot>) {
        let row = &self.channels[topic];
        let (before, need) = (row.list_charge(), list_charge(queues.len()));
        let others = self.list_charge - before;
        let has_room = others + need <= self.budget.limit() / LISTS_SHARE && need <= self.budget.free() + before;
        let (plain, is_same) = match &row.feeds {
            Some(Feeds::Listed(list)) => (Some(list.plain.clone()), *list.queues == *queues),
            Some(Feeds::LookedUp) => (None, !has_room && !queues.is_empty()),
            None => (None, queues.is_empty()),
        };
        if is_same {
            return;
        }
        let feeds = if queues.is_empty() {
            None
        } else if has_room {
            let plain = plain.unwrap_or_else(|| Arc::new(Attributes::default().with_origin(row.name.clone())));
            Some(Feeds::Listed(Box::new(QueueList { queues: queues.into(), plain })))
        } else {
            Some(Feeds::LookedUp)
        };
        self.recharge(topic, |channel| channel.feeds = feeds);
    }

    /// Gives messages of a topic to the queues that it feeds.
    #[cold]
    #[inline(never)]
    pub(super) fn feed(&mut self, topic: ChannelSlot, batch: &Batch) {
        let fed = self.originated(topic, batch);
        let Some(Feeds::Listed(list)) = &self.channels[topic].feeds else {
            let queues = self.queues_of(topic);
            queues.iter().for_each(|&queue| self.feed_queue(queue, fed.clone()));
            // There may be room for a list again.
            return self.keep_list(topic, queues);
        };
        let count = list.queues.len();
        // Follow-up work that tries many publishers of such a topic takes several calls.
        self.spend(count);
        for at in 0..count {
            let Some(Feeds::Listed(list)) = &self.channels[topic].feeds else { return };
            let queue = list.queues[at];
            self.feed_queue(queue, fed.clone());
        }
    }

    /// The same messages, which say what topic they are of.
    fn originated(&self, topic: ChannelSlot, batch: &Batch) -> Batch {
        let row = &self.channels[topic];
        let attributes = match (batch.attributes(), &row.feeds) {
            (None, Some(Feeds::Listed(list))) => list.plain.clone(),
            (None, _) => Arc::new(Attributes::default().with_origin(row.name.clone())),
            (Some(own), _) => Arc::new(Attributes::clone(own).with_origin(row.name.clone())),
        };
        batch.clone().with_attributes(attributes)
    }

    /// Messages for a durable subscription. One that has more of the memory than is free misses them: its topic's publishers
    /// are not to wait for a subscriber that is away.
    fn feed_queue(&mut self, queue: ChannelSlot, batch: Batch) {
        self.follow_rules(queue);
        let messages = batch.len();
        let row = self.channels.edit(queue);
        let free = self.budget.free();
        let mut missed = messages;
        if row.load <= free && cost::buffer(batch.footprint()) <= free {
            missed = match self.start_life(queue, batch) {
                None => 0,
                Some(batch) => self.publish_to_queue(queue, batch).err().map_or(0, |(rest, ..)| rest.len()),
            };
            self.count_fed(queue, (messages - missed) as u64);
        }
        self.totals.dropped_overflow += missed as u64;
        self.channels.edit(queue).dropped += missed as u64;
    }

    fn count_fed(&mut self, queue: ChannelSlot, messages: u64) {
        let row = self.channels.quietly().row(queue);
        if row.published.add(self.now, messages) {
            let first = row.next_seq.saturating_sub(messages);
            self.note_age(queue, first);
        }
    }
}
