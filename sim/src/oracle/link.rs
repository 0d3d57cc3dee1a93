use super::receipts::Receipts;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use switchboard_broker::{Batch, PauseReason, Time};

/// Whether a subscriber will miss a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    No,
    Maybe,
    Yes,
    /// It was published by others while a subscription to a pattern was joining its channels: only those that are
    /// joined already bring it.
    Unjoined,
}

/// A topic's message that a subscription is to get and has not been handed.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) message: usize,
    pub(super) subscription: u32,
    /// The step in which it became due.
    pub(super) since: u64,
    pub(super) lost: Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Topic { message: usize, subscription: u32, since: u64 },
    Queue { message: usize, subscription: u32, tag: Option<u64>, at: Time },
    Barrier,
}

/// A message in the driver's hands, not reported as written.
#[derive(Clone, Debug)]
pub(super) struct Handed {
    pub(super) what: What,
    pub(super) size: usize,
    /// When it expires, as it was handed out: it may have come back since, and not expire any more.
    pub(super) expires: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Sub {
    pub(super) pattern: Bytes,
    /// Messages that may wait for an ack; `None` if writing is the ack.
    pub(super) prefetch: Option<usize>,
    pub(super) active: bool,
    /// If it asked to be the only consumer of its queues: its number among all that did, and the step.
    pub(super) claim: Option<(u64, u64)>,
    /// The step in which it came.
    pub(super) since: u64,
    /// Of each queue and priority, the last message that came for the first time.
    pub(super) last_fresh: BTreeMap<(&'static str, u8), usize>,
}

/// A message that waits for an ack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) message: usize,
    pub(super) subscription: u32,
    /// When it was handed out.
    pub(super) at: Time,
}

/// The oracle's state of a connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) subs: BTreeMap<u32, Sub>,
    pub(super) sent: Vec<usize>,
    /// Number of these that were taken in.
    pub(super) taken: usize,
    pub(super) due: Vec<Due>,
    /// Messages that it certainly missed, beyond those in `due`.
    pub(super) missed: u64,
    /// The same as the broker says.
    pub(super) dropped: u64,
    pub(super) handed: VecDeque<Handed>,
    /// Bytes of the first that are written.
    pub(super) written: usize,
    pub(super) delivered: u64,
    /// Messages that wait for an ack, by tag.
    pub(super) tags: BTreeMap<u64, Owed>,
    pub(super) next_tag: u64,
    /// Barriers that it sent, the number of messages sent before each, and the step.
    pub(super) confirms: VecDeque<(Batch, usize, u64)>,
    /// Barriers that are handed, in order, so that a recall can undo it.
    pub(super) confirmed: VecDeque<(Batch, usize, u64)>,
    pub(super) barrier: u64,
    pub(super) receipts: Receipts,
    /// The bytes that must be written next: message by message, and how much of the first is.
    pub(super) wire: VecDeque<(Option<usize>, Bytes)>,
    pub(super) on_wire: usize,
    pub(super) native: bool,
    pub(super) transport_acks: bool,
    /// Bytes of the messages that are wholly credited.
    pub(super) credited: u64,
    /// Bytes that its machine acknowledged.
    pub(super) acknowledged: u64,
    /// Queues' messages that its machine did not acknowledge, and where they end.
    pub(super) unacknowledged: VecDeque<(usize, u64)>,
    pub(super) paused: bool,
    /// When it was paused, and resumed.
    pub(super) pauses: Vec<(Time, Option<Time>)>,
    /// Messages came back at their ack time-out since it was paused.
    pub(super) has_lapsed: bool,
    /// In which step it was paused or resumed.
    pub(super) paused_in: u64,
    /// Why, and since when for this reason.
    pub(super) paused_for: Option<(PauseReason, Time)>,
    pub(super) recalling: bool,
    /// A subscription has ended of which the driver has messages: a recall is due.
    pub(super) asked_back: bool,
    /// It was closed for another to come.
    pub(super) is_let_go: bool,
    /// Recalled, and not a byte since.
    pub(super) stalled: bool,
    /// Its pipe broke while it was recalled.
    pub(super) broken: bool,
    pub(super) closing: bool,
    pub(super) finishing: bool,
    /// When it said, or its driver saw, that it sends nothing more.
    pub(super) departed: Option<Time>,
    pub(super) gone: bool,
    pub(super) reserve: usize,
    /// Length of the message that it reserves for.
    pub(super) whole: usize,
    pub(super) last_credit: Time,
    /// When its outbox last was so empty that nobody need wait for it.
    pub(super) last_low: Time,
    /// When it last was down to half.
    pub(super) last_half: Time,
    pub(super) outbox: usize,
    /// Bytes of the attributes in its outbox, as the status says.
    pub(super) outbox_attributes: usize,
    /// Whether the broker said so, and since when.
    pub(super) slow: Option<Time>,
    pub(super) told_slow: bool,
    pub(super) credited_since_slow: bool,
    /// It may have been without room, and has not been empty since.
    pub(super) maybe_full: bool,
    /// Some of what is in its outbox, or came out of it in this step, has attributes.
    pub(super) has_attributes: bool,
    /// It missed something in this step, which may be among what is new.
    pub(super) dropping: bool,
    /// It was subscribed to one topic more than once: only one copy has its patience.
    pub(super) overlaps: bool,
    /// It got what a topic kept, which no bound was asked about.
    pub(super) got_kept: bool,
}

impl Link {
    /// Whether some of its subscriptions have acks.
    pub(super) fn has_acks(&self) -> bool {
        self.subs.values().any(|sub| sub.prefetch.is_some())
    }

    pub(super) fn new(now: Time, native: bool) -> Link {
        Link {
            subs: BTreeMap::new(),
            sent: Vec::new(),
            taken: 0,
            due: Vec::new(),
            missed: 0,
            dropped: 0,
            handed: VecDeque::new(),
            written: 0,
            delivered: 0,
            tags: BTreeMap::new(),
            next_tag: 1,
            confirms: VecDeque::new(),
            confirmed: VecDeque::new(),
            barrier: 0,
            receipts: Receipts::default(),
            wire: VecDeque::new(),
            on_wire: 0,
            native,
            transport_acks: false,
            credited: 0,
            acknowledged: 0,
            unacknowledged: VecDeque::new(),
            paused: false,
            pauses: Vec::new(),
            has_lapsed: false,
            paused_in: 0,
            paused_for: None,
            recalling: false,
            asked_back: false,
            is_let_go: false,
            stalled: false,
            broken: false,
            closing: false,
            finishing: false,
            departed: None,
            gone: false,
            reserve: 0,
            whole: 0,
            last_credit: now,
            last_low: now,
            last_half: now,
            outbox: 0,
            outbox_attributes: 0,
            slow: None,
            told_slow: false,
            credited_since_slow: true,
            maybe_full: false,
            has_attributes: false,
            dropping: false,
            overlaps: false,
            got_kept: false,
        }
    }

    /// When it left, if it waits for room for its last messages.
    pub(super) fn waits_since_it_left(&self) -> Option<Time> {
        self.departed.filter(|_| self.paused_for.is_some() && !self.closing && !self.gone)
    }

    /// Unwritten bytes in the driver's hands.
    pub(super) fn handed_bytes(&self) -> usize {
        self.handed.iter().map(|handed| handed.size).sum::<usize>() - self.written
    }

    /// Whether the driver may have as many entries as it gets at once: what comes behind them waits in the outbox.
    pub(super) fn is_crowded(&self) -> bool {
        self.handed.len() >= 1024
    }

    pub(super) fn confirm_bytes(&self) -> usize {
        self.confirms.iter().chain(&self.confirmed).map(|(batch, ..)| batch.bytes()).sum()
    }

    /// Takes the messages whose acks it owed in a range of tags, by tag.
    pub(super) fn take_owed(&mut self, range: &RangeInclusive<u64>) -> BTreeMap<u64, Owed> {
        let known: Vec<u64> = self.tags.keys().copied().filter(|tag| range.contains(tag)).collect();
        known.into_iter().filter_map(|tag| Some((tag, self.tags.remove(&tag)?))).collect()
    }

    /// Its acks are read from now on.
    pub(super) fn is_read_again(&mut self, now: Time) {
        self.pauses.last_mut().into_iter().for_each(|pause| _ = pause.1.get_or_insert(now));
        self.has_lapsed = false;
    }

    /// Whether a subscription gets nothing until the connection is read again.
    pub(super) fn bars(&self, subscription: u32) -> bool {
        self.has_lapsed && self.subs.get(&subscription).is_some_and(|sub| sub.prefetch.is_some())
    }

    pub(super) fn waiting_acks(&self, subscription: u32) -> usize {
        self.tags.values().filter(|owed| owed.subscription == subscription).count()
    }

    /// The active subscriptions that match.
    pub(super) fn listening(&self, channel: &str) -> Vec<u32> {
        let active = self.subs.iter().filter(|(_, sub)| sub.active);
        active.filter(|(_, sub)| super::matches(&sub.pattern, channel.as_bytes())).map(|(&id, _)| id).collect()
    }
}
