//! Rows of messages and channels.

use std::collections::{BTreeMap, BTreeSet};
use switchboard_broker::{Attributes, Time};

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
    /// It is a dead letter, or was, and may have been moved back.
    Dead,
}

/// A move of a message back to its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// The first step in which it may have come back.
    pub(super) since: u64,
    /// The step of its death, where the books know it: the oldest dead letters are moved first.
    pub(super) died: Option<u64>,
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
    /// An operator has moved it back from the dead letters: it may have come earlier than `taken` says.
    pub(super) moved: Option<Moved>,
    /// The step in which it became a dead letter.
    pub(super) died: u64,
    pub(super) returned: bool,
    /// In which step it came back last.
    pub(super) returned_in: u64,
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
    /// The number of its publish among those of its publisher.
    pub(super) publish: usize,
    /// Its topic is to retain it, if it is not empty.
    pub(super) retains: bool,
    /// Its queue has ended: it is dropped when it comes back.
    pub(super) is_ended: bool,
    pub(super) group: Option<u8>,
    pub(super) priority: u8,
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The one message without a body, which cannot carry its number.
    pub(super) empty: Option<usize>,
    /// Of a topic: its retained value.
    pub(super) value: Option<usize>,
    /// Of a durable subscription: the topics that feed it, while it is there.
    pub(super) source: Option<bytes::Bytes>,
    /// Of a durable subscription: what it has of the topics' messages.
    pub(super) fed: BTreeMap<usize, usize>,
    /// Of a topic, for its first subscriber.
    pub(super) kept: Vec<usize>,
    /// Of a queue: what is taken in and not done, in no order.
    pub(super) open: BTreeSet<usize>,
    /// Drops that the broker counts.
    pub(super) dropped: u64,
    /// Of a queue: how many messages were dropped by purges.
    pub(super) purged: usize,
    /// Dead letters that came of it, as the status says.
    pub(super) dead: u64,
    /// Of these, those of this step that the books know of.
    pub(super) died: u64,
    /// Number of its oldest messages that are dropped in this step, before or after others of it are handed out.
    pub(super) drops: usize,
    /// Messages that may be those: later ones of their group were handed out in this step.
    pub(super) passed: BTreeSet<usize>,
    /// Number and bytes of its messages that were handed out in this step.
    pub(super) handed: (usize, usize),
    /// Dead letters that were moved back to it and were not handed out as such, and the steps of all moves.
    pub(super) back: usize,
    pub(super) moves: Vec<u64>,
    /// An operator has paused it.
    pub(super) is_paused: bool,
    /// Some of what was published expires, or was delayed: what lies in the queue is not known to the message.
    pub(super) has_times: bool,
    /// The step of the last claim of it.
    pub(super) claimed_in: u64,
    /// It was purged while some of it was of a group: what came before that was freed has kept its group with its consumer.
    pub(super) has_purged_groups: bool,
    /// Some of what was published has attributes, which count for the bound of a queue.
    pub(super) has_attributes: bool,
    /// Some of what was published is of a group.
    pub(super) has_groups: bool,
    /// Some of what was published has another priority than most.
    pub(super) has_priorities: bool,
    /// Messages by subscription, in order of delivery.
    pub(super) seen: BTreeMap<(u64, u32), Vec<usize>>,
    /// Of a queue: who works for it, the next one last.
    pub(super) rotation: Vec<(u64, u32)>,
    /// Consumers without a known turn until they get a message: they had no room when it came, and are the last in turn
    /// once they have some again. With how many messages others got while they surely had room.
    pub(super) adrift: BTreeMap<(u64, u32), usize>,
}

/// A message that its publisher means to send.
pub(super) fn new_message(publisher: u64, channel: &'static str, length: usize) -> Message {
    Message {
        channel,
        publisher,
        size: length + 4,
        fate: Fate::Said,
        taken: 0,
        moved: None,
        died: 0,
        returned: false,
        returned_in: 0,
        tried: 0,
        seen: false,
        not_before: Time::ZERO,
        expires: None,
        on_the_wire: false,
        purged: false,
        delayed: false,
        publish: 0,
        retains: false,
        is_ended: false,
        group: None,
        priority: Attributes::PRIORITY,
    }
}

/// Every byte says whose it is.
pub(super) fn body_of(id: usize, length: usize) -> Vec<u8> {
    let number = u16::try_from(id).expect("a run has fewer messages").to_be_bytes();
    let mut body: Vec<u8> = (0..length).map(|place| (place as u8) ^ number[1]).collect();
    for (byte, place) in number.into_iter().zip(0..length) {
        body[place] = byte;
    }
    body
}
