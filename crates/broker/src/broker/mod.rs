//! The state, and the way of a command through it. What the commands do is in the siblings.

mod ack;
mod connection;
mod dispatch;
mod pause;
mod publish;
mod report;
mod subscribe;
#[cfg(test)]
mod tests;
mod timers;

use crate::budget::{AllocationId, MemoryBudget};
use crate::limits::{ChannelRule, Limits, OverflowPolicy};
use crate::meter::Meter;
use crate::name::{Kind, Pattern};
use crate::queue::{Backlog, RoundRobin, Segment};
use crate::slots::Slots;
use crate::{Batch, Command, ConnectionId, Event, Refusal, SubscriptionId, Time, Totals};
use bytes::Bytes;
use connection::Connection;
use pause::{Blocked, Effect};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use timers::Timer;

/// How many channels that only patterns keep in being are remembered while they are empty.
const UNUSED: usize = 1024;

/// Room for so many events is kept.
const EVENTS: usize = 1024;

/// The broker: channels, connections, and what waits where.
#[derive(Debug)]
pub struct Broker {
    limits: Limits,
    rules: Vec<ChannelRule>,
    now: Time,
    ids: HashMap<ConnectionId, usize>,
    connections: Slots<Connection>,
    names: HashMap<Bytes, usize>,
    channels: Slots<Channel>,
    wild: Vec<WildSubscription>,
    /// Channels that only patterns keep in being, the longest unused first.
    unused: VecDeque<usize>,
    budget: MemoryBudget,
    /// Paused publishers, the longest paused first.
    paused: VecDeque<usize>,
    effects: VecDeque<Effect>,
    timers: BTreeSet<(Time, Timer)>,
    events: VecDeque<Event>,
    draining: bool,
    subscriptions: usize,
    totals: Totals,
}

#[derive(Debug)]
struct Channel {
    name: Bytes,
    kind: Kind,
    policy: OverflowPolicy,
    buffer_unsubscribed: usize,
    bound: usize,
    subscribers: RoundRobin,
    exact_subscribers: usize,
    backlog: Backlog,
    next_place: u64,
    /// Bytes that the budget counts for the channel, in outboxes too.
    load: usize,
    published: Meter,
    delivered: Meter,
    dropped: u64,
    /// Whether it is among [`Broker::unused`].
    is_unused: bool,
}

#[derive(Debug)]
struct WildSubscription {
    pattern: Pattern,
    connection: usize,
    subscription: SubscriptionId,
}

/// A table that was large once does not stay so.
fn shrink<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    if table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2);
    }
}

impl Channel {
    /// Whether nothing but patterns could be a reason to remember it.
    fn is_idle(&self) -> bool {
        self.exact_subscribers == 0 && self.load == 0 && self.backlog.is_empty()
    }

    /// How much of a batch its bound allows to wait: so many messages, and so many bytes. One of any
    /// size may wait alone.
    fn room_for(&self, batch: &Batch) -> (usize, usize) {
        let room = self.bound.saturating_sub(self.backlog.bytes);
        match batch.whole_within(room.min(batch.bytes())) {
            (0, _) if self.backlog.is_empty() => (1, batch.first_size()),
            within => within,
        }
    }
}

impl Broker {
    /// A broker without connections or channels.
    pub fn new(limits: Limits, rules: Vec<ChannelRule>) -> Broker {
        Broker {
            budget: MemoryBudget::new(limits.memory),
            limits,
            rules,
            now: Time::ZERO,
            ids: HashMap::new(),
            connections: Slots::new(),
            names: HashMap::new(),
            channels: Slots::new(),
            wild: Vec::new(),
            unused: VecDeque::new(),
            paused: VecDeque::new(),
            effects: VecDeque::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            draining: false,
            subscriptions: 0,
            totals: Totals::default(),
        }
    }

    /// Carries out a command. Those of unknown connections do nothing: their last words may
    /// come after a `Disconnect`.
    pub fn handle(&mut self, now: Time, connection: ConnectionId, command: Command) {
        self.now = self.now.max(now);
        if matches!(command, Command::Connect { .. }) {
            self.connect(connection);
            // One that comes while all are leaving is to leave, too.
            self.run_effects();
            return;
        }
        let Some(&place) = self.ids.get(&connection) else { return };
        match command {
            Command::Connect { .. } | Command::TransportAck { .. } => {}
            Command::Publish { channel, batch } => self.accept(place, pause::Pending::Publish { channel, batch }),
            Command::Barrier { batch } => self.accept(place, pause::Pending::Barrier { batch }),
            Command::Reserve { bytes } => self.reserve(place, bytes),
            Command::Subscribe { subscription, pattern, ack } => self.subscribe(place, subscription, pattern, ack),
            Command::Unsubscribe { subscription } => self.unsubscribe(place, subscription),
            Command::Ack { first, last } => self.ack(place, first, last),
            Command::Nack { first, last } => self.nack(place, first, last),
            Command::Credit { bytes } => self.credit(place, bytes),
            Command::Recalled { kept } => self.recalled(place, kept),
            Command::Finish => self.finish(place),
            Command::Disconnect => self.disconnect(place),
        }
        self.run_effects();
    }

    /// What is to be done next by the caller.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() && self.events.capacity() > EVENTS {
            // A burst is no reason to keep the room for it.
            self.events = VecDeque::new();
        }
        event
    }

    /// Ends the service: what waits for connections is still delivered, then they are closed.
    /// The caller reads no more publishers from now on.
    pub fn drain(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.draining = true;
        self.run_effects();
    }

    /// Whether memory is short: the caller should read in small pieces.
    pub fn memory_pressed(&self) -> bool {
        self.budget.free() < self.budget.budget / 8
    }

    /// Drops what waits in a queue: how many messages, or `None` if there is no such channel.
    pub fn purge(&mut self, now: Time, name: &[u8]) -> Option<usize> {
        self.now = self.now.max(now);
        let channel = *self.names.get(name)?;
        let mut dropped = 0;
        while let Some(segment) = self.channels[channel].backlog.pop() {
            dropped += segment.batch.len();
            self.release(segment.block);
        }
        self.channels[channel].dropped += dropped as u64;
        self.effects.push_back(Effect::Retry(Blocked::Channel(channel)));
        self.effects.push_back(Effect::Forget(channel));
        self.run_effects();
        Some(dropped)
    }

    fn refuse(&mut self, place: usize, channel: Option<Bytes>, refusal: Refusal) {
        let connection = self.connections[place].id;
        self.events.push_back(Event::Refused { connection, channel, refusal });
    }

    /// Finds a channel or makes it, with everybody whose pattern matches.
    fn channel(&mut self, name: &Bytes) -> Result<usize, Refusal> {
        if let Some(&channel) = self.names.get(name) {
            return Ok(channel);
        }
        if self.channels.len() >= self.limits.channels {
            return Err(Refusal::Channels { limit: self.limits.channels });
        }
        let rule = self.rules.iter().find(|rule| rule.pattern.matches(name));
        // A copy, so that the name does not pin the buffer that it came in.
        let name = Bytes::copy_from_slice(name);
        let mut subscribers = RoundRobin::default();
        for wild in self.wild.iter().filter(|wild| wild.pattern.matches(&name)) {
            subscribers.join(wild.as_subscriber());
        }
        let channel = self.channels.insert(Channel {
            kind: Kind::of(&name),
            policy: rule.and_then(|rule| rule.policy).unwrap_or(self.limits.policy),
            buffer_unsubscribed: rule
                .and_then(|rule| rule.buffer_unsubscribed)
                .unwrap_or(self.limits.buffer_unsubscribed),
            bound: rule.and_then(|rule| rule.queue).unwrap_or(self.limits.queue),
            name: name.clone(),
            subscribers,
            exact_subscribers: 0,
            backlog: Backlog::default(),
            next_place: 0,
            load: 0,
            published: Meter::default(),
            delivered: Meter::default(),
            dropped: 0,
            is_unused: false,
        });
        self.names.insert(name, channel);
        Ok(channel)
    }

    /// A channel with nobody and nothing in it is forgotten. Where somebody listens by a pattern, a
    /// few are kept: the next batch need not find out anew who that is.
    fn forget_if_unused(&mut self, place: usize) {
        let Some(channel) = self.channels.get_mut(place) else { return };
        if !channel.is_idle() {
            return;
        }
        if channel.subscribers.len() == 0 {
            return self.forget(place);
        }
        if channel.is_unused {
            return;
        }
        channel.is_unused = true;
        self.unused.push_back(place);
        if self.unused.len() <= UNUSED {
            return;
        }
        let Some(oldest) = self.unused.pop_front() else { return };
        let channel = &mut self.channels[oldest];
        channel.is_unused = false;
        if channel.is_idle() {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, place: usize) {
        let channel = self.channels.remove(place);
        self.names.remove(&channel.name);
        shrink(&mut self.names);
        if channel.is_unused {
            self.unused.retain(|&unused| unused != place);
        }
    }

    /// Counts a new allocation for a channel.
    fn charge_block(&mut self, channel: usize, bytes: usize) -> AllocationId {
        self.channels[channel].load += bytes;
        self.budget.charge(channel, bytes)
    }

    /// One holder of an allocation less.
    fn release(&mut self, block: AllocationId) {
        if let Some((channel, bytes)) = self.budget.release(block) {
            self.channels[channel].load -= bytes;
            if self.channels[channel].load == 0 {
                self.effects.push_back(Effect::Forget(channel));
            }
            self.memory_freed();
        }
    }

    /// A piece of a backlog pins at most twice its size.
    fn keep(&mut self, channel: usize, mut segment: Segment) -> Segment {
        if self.budget.size(segment.block) > 2 * segment.batch.bytes() {
            segment.batch = segment.batch.compact();
            let block = self.charge_block(channel, segment.batch.bytes());
            self.release(std::mem::replace(&mut segment.block, block));
        }
        segment
    }
}
