//! Promises to users, checked against simple books: every message by its number, every subscription
//! by its pattern. The oracle sees the broker's input and output, and nothing in between except for
//! the figures that an operator sees too.

mod bounds;
mod commands;
mod ending;
mod events;
mod groups;
mod link;
mod paused;
mod queues;
mod retries;
mod topics;

use crate::settings::{QUEUES, Settings, TOPICS};
use groups::Holders;
use link::Link;
use std::collections::{BTreeMap, BTreeSet};
use switchboard_broker::{AckMode, Attributes, ChannelRule, Command, Event, Refusal, Status, Time};

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
    /// A queue is paused, or goes on; whether there is such a queue.
    Pause(&'static str, bool, bool),
}

/// State of a message. A topic's has no further fate than `Taken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its publisher means to send it.
    Said,
    /// The broker knows it, and may not have had room for it yet.
    Sent,
    /// It is in its channel, and if that is a queue, nobody has it.
    Taken,
    With(u64),
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) channel: &'static str,
    pub(super) publisher: u64,
    /// With its length.
    pub(super) size: usize,
    pub(super) fate: Fate,
    /// In which step it was taken in.
    pub(super) taken: u64,
    pub(super) returned: bool,
    /// Tries without success.
    pub(super) tried: u32,
    /// A consumer may have seen it.
    pub(super) seen: bool,
    /// The end of its back-off, or of its delay.
    pub(super) not_before: Time,
    /// From when on it must not be delivered.
    pub(super) expires: Option<Time>,
    /// Wholly in the pipe to its worker.
    pub(super) on_the_wire: bool,
    /// It waited in a queue that was purged.
    pub(super) purged: bool,
    /// Its publisher said that it is to come later.
    pub(super) delayed: bool,
    pub(super) group: Option<u8>,
    pub(super) priority: u8,
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The one message without a body, which cannot carry its number.
    pub(super) empty: Option<usize>,
    /// Of a topic, for its first subscriber.
    pub(super) kept: Vec<usize>,
    /// Of a queue: what is taken in and not done, in no order.
    pub(super) open: BTreeSet<usize>,
    /// Drops that the broker counts.
    pub(super) dropped: u64,
    /// Of a queue: how many messages were dropped by purges.
    pub(super) purged: usize,
    /// An operator has paused it.
    pub(super) is_paused: bool,
    /// Some of what was published expires, or was delayed: what lies in the queue is not known to the message.
    pub(super) has_times: bool,
    /// Some of what was published is of a group.
    pub(super) has_groups: bool,
    /// Some of what was published has another priority than most.
    pub(super) has_priorities: bool,
    /// Messages by subscription, in order of delivery.
    pub(super) seen: BTreeMap<(u64, u32), Vec<usize>>,
    /// Of a queue: who works for it, the next one last.
    pub(super) rotation: Vec<(u64, u32)>,
    /// Those whose turn the oracle cannot tell until they get a message: they had no room when it came, and are the
    /// last in turn once they have some again. With how many messages others got while they surely had room.
    pub(super) adrift: BTreeMap<(u64, u32), usize>,
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
    pub(crate) returned: u64,
    /// Messages that became dead letters.
    pub(crate) dead: u64,
    purged_dead: u64,
    /// Tries without success.
    failed: u64,
    pub(crate) postponed: u64,
    pub(crate) tried_again: u64,
    pub(crate) expired: u64,
    pub(crate) delayed: u64,
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
    /// A subscription that was asked for in this step.
    subscribing: Option<(u64, u32, bytes::Bytes, AckMode)>,
    /// When the rules in force came.
    rules_since: Time,
    /// The step in which somebody told credit while the call had work left over.
    credited_between: u64,
    /// Connections that take nothing, as the status says.
    stalled: BTreeSet<u64>,
    holders: Holders,
    pub(crate) handed_of_groups: u64,
    pub(crate) freed_groups: u64,
    pub(crate) urgent: u64,
    pub(crate) skipped_turns: u64,
    pub(crate) certain_drops: u64,
}

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Oracle {
        Oracle {
            settings: settings.clone(),
            now: Time::ZERO,
            step: 0,
            messages: Vec::new(),
            channels: TOPICS.iter().chain(&QUEUES).map(|&name| (name, Channel::default())).collect(),
            links: BTreeMap::new(),
            longest: 0,
            nobody: 0,
            left: 0,
            memory: 0,
            audit: 0,
            published: 0,
            delivered: 0,
            dropped_by_gone: 0,
            returned: 0,
            dead: 0,
            purged_dead: 0,
            failed: 0,
            postponed: 0,
            tried_again: 0,
            expired: 0,
            delayed: 0,
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
            handed_of_groups: 0,
            freed_groups: 0,
            urgent: 0,
            skipped_turns: 0,
            certain_drops: 0,
        }
    }

    /// A new message's body, or `None` if its channel has had its empty one.
    pub(crate) fn mint(&mut self, publisher: u64, channel: &'static str, length: usize) -> Option<Vec<u8>> {
        let id = self.messages.len();
        let books = self.channels.entry(channel).or_default();
        if length == 0 {
            if books.empty.is_some() {
                return None;
            }
            books.empty = Some(id);
        }
        let length = if length == 0 { 0 } else { length.max(2) };
        let message = Message {
            channel,
            publisher,
            size: length + 4,
            fate: Fate::Said,
            taken: 0,
            returned: false,
            tried: 0,
            seen: false,
            not_before: Time::ZERO,
            expires: None,
            on_the_wire: false,
            purged: false,
            delayed: false,
            group: None,
            priority: Attributes::PRIORITY,
        };
        self.messages.push(message);
        Some(body_of(id, length))
    }

    /// Whose message this is; its body must be as it was minted.
    pub(super) fn identify(&self, channel: &[u8], body: &[u8]) -> Checked<usize> {
        let name = channel.escape_ascii();
        let id = match body {
            [] => self.channels.iter().find(|(key, _)| key.as_bytes() == channel).and_then(|(_, books)| books.empty),
            [high, low, ..] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
            _ => None,
        };
        let message = id.and_then(|id| self.messages.get(id));
        let (Some(id), Some(message)) = (id, message) else {
            return Err(format!("nobody sent what came from {name}"));
        };
        promise!(body == body_of(id, message.size - 4), "message {id} was changed on its way through {name}");
        promise!(message.channel.as_bytes() == channel, "message {id} came from {name}, not its channel");
        Ok(id)
    }

    /// To be called before the broker hears of it.
    pub(crate) fn before(&mut self, now: Time, act: &Act) -> Checked {
        self.now = self.now.max(now);
        self.step += 1;
        self.refusals = 0;
        match act {
            Act::Command(id, command) => self.command(*id, command)?,
            Act::Drain => self.draining = true,
            Act::SetRules(rules) => {
                self.settings.rules.clone_from(rules);
                self.rules_since = self.now;
            }
            Act::Timeout | Act::Purge(..) | Act::Pause(..) => {}
        }
        self.end_groups();
        Ok(())
    }

    /// Checks the outcome.
    pub(crate) fn after(&mut self, act: &Act, events: &[Event], status: &Status, audit: usize) -> Checked {
        self.audit = audit;
        let no_memory = |event: &Event| matches!(event, Event::Refused { refusal: Refusal::Memory { .. }, .. });
        if let Some((id, subscription, pattern, ack)) = self.subscribing.take()
            && !events.iter().any(no_memory)
        {
            self.subscribe(id, subscription, &pattern, ack);
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
        self.leave_behind(act, status)?;
        self.take_in(status)?;
        for event in events {
            self.event(event)?;
        }
        promise!(self.refusals == 0, "what was over a limit was not refused");
        let kept = self.links.iter().find(|(_, link)| link.asked_back);
        promise!(
            kept.is_none(),
            "what {:?} has of a subscription that ended is not asked back",
            kept.map(|link| link.0)
        );
        self.check_retries(act, status)?;
        self.end_groups();
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
        a.taken < b.taken || (a.publisher == b.publisher && a.taken == b.taken && first < second)
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

/// Every byte says whose it is.
fn body_of(id: usize, length: usize) -> Vec<u8> {
    let number = u16::try_from(id).expect("a run has fewer messages").to_be_bytes();
    let mut body: Vec<u8> = (0..length).map(|place| (place as u8) ^ number[1]).collect();
    for (byte, place) in number.into_iter().zip(0..length) {
        body[place] = byte;
    }
    body
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
    pattern.starts_with(b"/queue") == name.starts_with(b"/queue")
        && level(pattern_levels.iter().map(Vec::as_slice).collect(), name_levels.iter().map(Vec::as_slice).collect())
}
