//! Promises to users, checked against simple books: every message by its number, every subscription
//! by its pattern. The oracle sees the broker's input and output, and nothing in between except for
//! the figures that an operator sees too.

mod books;
mod bounds;
mod claims;
mod coming;
mod commands;
mod counts;
mod durable;
mod ending;
mod events;
mod groups;
mod link;
mod looks;
mod moves;
mod overflow;
mod paused;
mod queues;
mod receipts;
mod retries;
mod returns;
mod temporary;
mod topics;

use crate::settings::{DURABLE, QUEUES, Settings, TOPICS};
use books::{Channel, Fate, Message, body_of, new_message};
use counts::Counts;
use groups::Holders;
use link::Link;
use std::collections::{BTreeMap, BTreeSet};
use switchboard_broker::{AckMode, ChannelRule, Command, Event, MoveOrder, Refusal, Status, Time};

/// The sentence that was broken, if one was.
pub(crate) type Checked<T = ()> = Result<T, String>;

macro_rules! promise {
    ($holds:expr, $($sentence:tt)+) => {
        if !$holds {
            return Err(format!($($sentence)+));
        }
    };
}
pub(crate) use promise;

/// Most lateness of a timer, in microseconds.
pub(crate) const LATENESS: u64 = 3_000;

/// Something that changes the broker.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Command(u64, Command),
    Timeout,
    Drain,
    SetRules(Vec<ChannelRule>),
    Purge(&'static str, Option<usize>),
    /// At most so many dead letters go back to where they came from; the order, if there is such a queue.
    Move(&'static str, usize, Option<MoveOrder>),
    /// A queue is paused, or goes on; whether there is such a queue.
    Pause(&'static str, bool, bool),
}

pub(crate) struct Oracle {
    settings: Settings,
    now: Time,
    step: u64,
    messages: Vec<Message>,
    channels: BTreeMap<&'static str, Channel>,
    links: BTreeMap<u64, Link>,
    /// The longest message that was sent, with its length.
    longest: usize,
    nobody: u64,
    /// Messages that leaving senders left behind, and that were dropped.
    left: u64,
    memory: usize,
    /// Charged bytes, counted anew.
    audit: usize,
    published: u64,
    delivered: u64,
    dropped_by_gone: u64,
    purged_dead: u64,
    /// Tries without success.
    failed: u64,
    /// The longest batch, in bytes.
    overshoot: usize,
    /// Senders since memory was last within its budget.
    feeders: BTreeSet<u64>,
    draining: bool,
    /// Refusals that the command at hand must bring.
    refusals: usize,
    /// The first tag of the command at hand that nothing waits for.
    unknown_tag: Option<u64>,
    connections: usize,
    /// A subscription that was asked for in this step, with its source if it is a durable one.
    subscribing: Option<(u64, u32, bytes::Bytes, AckMode, Option<bytes::Bytes>)>,
    /// When the rules in force came.
    rules_since: Time,
    /// The step in which somebody told credit while the call had work left over.
    credited_between: u64,
    /// Connections that take nothing, as the status says.
    stalled: BTreeSet<u64>,
    holders: Holders,
    /// The last consumers of groups that lost them.
    lost_holders: Holders,
    /// Queues that end in this step.
    ending: Vec<&'static str>,
    /// Subscriptions that end with them, of which their connections are to be told.
    ended: BTreeSet<(u64, u32)>,
    /// Queues that have rejected a message in this step, its size and the reason.
    full: Vec<(&'static str, usize, Refusal)>,
    /// Subscriptions that asked to be the only consumers.
    claims: u64,
    /// An exclusive consumer has been late with an ack.
    passes: bool,
    pub(crate) counts: Counts,
}

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Oracle {
        Oracle {
            settings: settings.clone(),
            now: Time::ZERO,
            step: 0,
            messages: Vec::new(),
            channels: names().map(|name| (name, Channel::default())).collect(),
            links: BTreeMap::new(),
            longest: 0,
            nobody: 0,
            left: 0,
            memory: 0,
            audit: 0,
            published: 0,
            delivered: 0,
            dropped_by_gone: 0,
            purged_dead: 0,
            failed: 0,
            overshoot: 0,
            feeders: BTreeSet::new(),
            draining: false,
            refusals: 0,
            unknown_tag: None,
            connections: 0,
            subscribing: None,
            rules_since: Time::ZERO,
            credited_between: 0,
            stalled: BTreeSet::new(),
            holders: Holders::new(),
            lost_holders: Holders::new(),
            ending: Vec::new(),
            ended: BTreeSet::new(),
            full: Vec::new(),
            claims: 0,
            passes: false,
            counts: Counts::default(),
        }
    }

    /// A new message's body, or `None` if its channel has had its empty one.
    pub(crate) fn mint(&mut self, publisher: u64, channel: &'static str, length: usize) -> Option<Vec<u8>> {
        let id = self.messages.len();
        let books = self.channels.entry(channel).or_default();
        if length == 0 {
            // A durable subscription could not say of which topic it is.
            if books.empty.is_some() || self.settings.durable {
                return None;
            }
            books.empty = Some(id);
        }
        let length = if length == 0 { 0 } else { length.max(2) };
        self.messages.push(new_message(publisher, channel, length));
        Some(body_of(id, length))
    }

    /// A message that clears a topic's retained value, if it has one, when no other empty one is on its way.
    pub(crate) fn mint_clearing(&mut self, publisher: u64, channel: &'static str) -> bool {
        let books = self.channels.entry(channel).or_default();
        let has_value = books.value.is_some();
        if has_value {
            books.empty = Some(self.messages.len());
            self.messages.push(new_message(publisher, channel, 0));
        }
        has_value
    }

    /// Whose message this is; its body must be as it was minted.
    pub(super) fn identify(&self, channel: &[u8], body: &[u8]) -> Checked<usize> {
        let name = channel.escape_ascii();
        let id = match body {
            [] => self.channels.iter().find(|(key, _)| key.as_bytes() == channel).and_then(|(_, books)| books.empty),
            [high, low, ..] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
            _ => None,
        };
        let fed = self.channels.iter().find(|(key, books)| key.as_bytes() == channel && !books.fed.is_empty());
        let original = id;
        let id = id.and_then(|id| fed.map_or(Some(id), |(_, books)| books.fed.get(&id).copied()));
        let message = id.and_then(|id| self.messages.get(id));
        let (Some(id), Some(message)) = (id, message) else {
            return Err(format!("nobody sent what came from {name}"));
        };
        promise!(
            body == body_of(original.unwrap_or(id), message.size - 4),
            "message {id} was changed on its way through {name}"
        );
        promise!(message.channel.as_bytes() == channel, "message {id} came from {name}, not its channel");
        Ok(id)
    }

    /// To be called before the broker hears of it.
    pub(crate) fn before(&mut self, now: Time, act: &Act) -> Checked {
        self.now = self.now.max(now);
        self.step += 1;
        self.refusals = 0;
        self.ended.clear();
        match act {
            Act::Command(id, command) => self.command(*id, command)?,
            Act::Drain => {
                self.draining = true;
                self.links.values_mut().for_each(|link| link.is_read_again(now));
            }
            Act::SetRules(rules) => {
                self.settings.rules.clone_from(rules);
                self.rules_since = self.now;
            }
            Act::Timeout | Act::Purge(..) | Act::Move(..) | Act::Pause(..) => {}
        }
        self.end_groups();
        Ok(())
    }

    /// Checks the outcome.
    pub(crate) fn after(&mut self, act: &Act, events: &[Event], status: &Status, audit: usize) -> Checked {
        self.audit = audit;
        let is_of_memory = |refusal| matches!(refusal, Refusal::Memory { .. } | Refusal::PatternMemory { .. });
        let no_memory = |event: &Event| matches!(*event, Event::Refused { refusal, .. } if is_of_memory(refusal));
        if let Some((id, subscription, pattern, ack, source)) = self.subscribing.take()
            && !events.iter().any(no_memory)
        {
            self.subscribe(id, subscription, &pattern, (ack, source));
        }
        if let Act::Purge(name, Some(count)) = act {
            self.purge(name, *count)?;
        }
        if let &Act::Pause(name, pauses, true) = act {
            self.pause_queue(name, pauses);
        }
        let stalled = status.connections.iter().filter(|connection| connection.stalled);
        self.stalled = stalled.map(|connection| connection.id.0).collect();
        self.end_groups();
        self.check_moved(act, events, status)?;
        self.leave_behind(act, status)?;
        self.reject(events, status)?;
        self.take_in(status)?;
        self.note_drops(status);
        for event in events {
            self.event(event)?;
        }
        promise!(self.refusals == 0, "what was over a limit was not refused");
        promise!(self.ended.is_empty(), "{:?} end with their queue, and nobody is told", self.ended);
        let kept = self.links.iter().find(|(_, link)| link.asked_back);
        promise!(
            kept.is_none(),
            "what {:?} has of a subscription that ended is not asked back",
            kept.map(|link| link.0)
        );
        self.check_ended(status)?;
        self.check_retries(act, status)?;
        self.end_groups();
        self.check_full()?;
        self.check_queues(act, events, status)?;
        self.check_drops(status)?;
        self.check_blocking(matches!(act, Act::Purge(..)), status)?;
        self.check_patience(status)?;
        self.check_bounds(status)?;
        self.check_paused(status)
    }

    /// Whether a step is known to lie before another; unknown for two publishers in one step.
    pub(super) fn is_before(&self, first: usize, second: usize) -> bool {
        let (a, b) = (&self.messages[first], &self.messages[second]);
        let is_earlier = a.taken < b.moved.map_or(b.taken, |moved| moved.since);
        is_earlier
            || match (a.moved, b.moved) {
                (None, None) => a.publisher == b.publisher && a.taken == b.taken && first < second,
                (Some(a), Some(b)) => a.died.zip(b.died).is_some_and(|(a, b)| a < b),
                _ => false,
            }
    }

    /// Whether a message that has waited since an earlier step is to be handed out before another one of its queue.
    pub(super) fn goes_before(&self, first: usize, second: usize) -> bool {
        let (a, b) = (&self.messages[first], &self.messages[second]);
        a.priority == b.priority && self.is_before(first, second) || a.priority > b.priority && a.taken < self.step
    }

    pub(super) fn is_topic(&self, id: usize) -> bool {
        !self.messages[id].channel.starts_with("/queue")
    }
}

/// All channels that are published to, or fed.
fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.into_iter().chain(QUEUES).chain(DURABLE.map(|(queue, _)| queue))
}

/// The rule in force for a channel: the first that matches.
pub(super) fn rule_of<'a>(rules: &'a [ChannelRule], name: &[u8]) -> Option<&'a ChannelRule> {
    rules.iter().find(|rule| matches(rule.pattern.as_bytes(), name))
}

/// Whether a pattern matches a name: the rule as the documentation says it, level by level.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    fn level(mut pattern: Vec<&[u8]>, mut name: Vec<&[u8]>) -> bool {
        if pattern.is_empty() || name.is_empty() {
            return pattern.is_empty() && name.is_empty();
        }
        if pattern == [b">"] {
            return true;
        }
        let (want, have) = (pattern.remove(0), name.remove(0));
        (want == b"*" || want == have) && level(pattern, name)
    }
    let split = |bytes: &'_ [u8]| bytes.split(|&byte| byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (pattern_levels, name_levels) = (split(pattern), split(name));
    let is_apart = |prefix: &[u8]| name.starts_with(prefix) && !pattern.starts_with(prefix);
    let apart: [&[u8]; 3] = [b"/queue/dead/", b"/queue/subscription/", b"/queue/temp/"];
    pattern.starts_with(b"/queue") == name.starts_with(b"/queue")
        && !apart.into_iter().any(is_apart)
        && level(pattern_levels.iter().map(Vec::as_slice).collect(), name_levels.iter().map(Vec::as_slice).collect())
}
