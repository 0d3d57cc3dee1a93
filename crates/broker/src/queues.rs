//! Queues as their operator sees them: a listing, a look at what waits, and orders.

use crate::{Attributes, PauseReason, Refusal};
use bytes::Bytes;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// One queue. All counts are in messages, and since the queue was last made: one that is empty and has no consumer is
/// forgotten, unless it is paused.
#[derive(Clone, Debug)]
pub struct QueueStatus {
    /// Its name.
    pub name: Bytes,
    /// The topic, or the pattern of topics, that feeds it: it is a durable subscription's.
    pub topics: Option<Bytes>,
    /// Messages that wait in it, those that wait for their time included.
    pub depth: usize,
    /// Of these, messages that wait for the end of a back-off or delay.
    pub postponed: usize,
    /// Messages that are with consumers: on their way, or not acked.
    pub in_flight: u64,
    /// Messages that are being moved to another queue.
    pub moving: usize,
    /// Subscriptions that consume it.
    pub consumers: usize,
    /// Publishers that wait for room in it, and are there: one that has said that it sends nothing more is until it is closed.
    pub paused_publishers: usize,
    /// Why the one of them that has waited longest does.
    pub pause_reason: Option<PauseReason>,
    /// Whether it is paused, by [`Broker::pause_queue`](crate::Broker::pause_queue).
    pub is_paused: bool,
    /// Age of the oldest message that waits and is not postponed. It is never too short, and too long by a second, or
    /// by a part of itself in a queue that was published to for longer than a minute. `None` if none waits.
    pub oldest: Option<Duration>,
    /// Bytes that the memory budget counts for it, in outboxes too, without its fixed overhead.
    pub bytes: usize,
    /// Messages published to it.
    pub published: u64,
    /// Messages published a second, lately.
    pub publish_rate: f64,
    /// Messages that were acked, or wholly written to a consumer without acks.
    pub delivered: u64,
    /// The same a second, lately.
    pub deliver_rate: f64,
    /// Messages that came back after a consumer may have seen them, each as often as it did. Dead letters are not among them.
    pub returned: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages that wait in the queue of its dead letters; none of such a queue itself.
    pub dead: usize,
    /// Messages whose time was over, those that became dead letters included.
    pub expired: u64,
    /// Messages that were not taken, for it was full.
    pub rejected: u64,
    /// Messages dropped, by whatever cause; those that became dead letters are not.
    pub dropped: u64,
}

/// Some of the queues.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// In the order of the query's page.
    pub queues: Vec<QueueStatus>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<u32>,
}

/// A place among the messages that wait in a queue, to go on looking from. It may be written and read as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Lists are looked at one after the other.
    pub(crate) list: u8,
    /// In a list by time: when its segment is due, in microseconds.
    pub(crate) due: u64,
    /// The first sequence number of its segment.
    pub(crate) first: u64,
    /// Messages of that segment to pass over.
    pub(crate) passed: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}-{}", self.list, self.due, self.first, self.passed)
    }
}

/// A text names no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is four numbers with hyphens between them, as an earlier answer gave it")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Position, NoPosition> {
        let mut numbers = text.split('-');
        let mut next = || numbers.next().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        let position = (|| {
            Some(Position {
                list: next()?.parse().ok()?,
                due: next()?.parse().ok()?,
                first: next()?.parse().ok()?,
                passed: next()?.parse().ok()?,
            })
        })();
        position.filter(|_| numbers.next().is_none()).ok_or(NoPosition)
    }
}

/// Which of the messages that wait in a queue are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowseQuery {
    /// From where on: the default is the first one.
    pub from: Position,
    /// Messages; at most [`BrowseQuery::MAX_MESSAGES`].
    pub messages: usize,
    /// Bytes of bodies and headers; at most [`BrowseQuery::MAX_BYTES`]. The first message is given in any case, with as
    /// much of its body as there is room for.
    pub bytes: usize,
}

impl BrowseQuery {
    /// The most messages of one look.
    pub const MAX_MESSAGES: usize = 1000;
    /// The most bytes of one look.
    pub const MAX_BYTES: usize = 1 << 20;

    /// From the first message on.
    pub fn new(messages: usize, bytes: usize) -> BrowseQuery {
        BrowseQuery { from: Position::default(), messages, bytes }
    }
}

/// One message that waits.
#[derive(Clone, Debug)]
pub struct Browsed {
    /// Its number in its queue, which it keeps as long as it is there.
    pub seq: u64,
    /// Its body, or the beginning of it. To be copied if it is kept: it may be a part of a large buffer.
    pub body: Bytes,
    /// Length of the whole body, in bytes.
    pub length: usize,
    /// Headers and properties, if it has any. Those that do not fit into the bytes of the query are left out, and so is
    /// the body then.
    pub attributes: Option<Arc<Attributes>>,
    /// Whether its attributes were left out.
    pub is_cut: bool,
    /// Unsuccessful tries by consumers so far.
    pub attempts: u32,
    /// Whether a consumer may have seen it.
    pub redelivered: bool,
    /// Time since it came into this queue, as exact as [`QueueStatus::oldest`].
    pub age: Duration,
    /// Time until its delivery is due, if it is postponed.
    pub postponed: Option<Duration>,
}

/// Messages that wait in a queue, in the order in which it hands them out; behind them the postponed ones, by the time when
/// they are due. Messages that came back from several consumers are listed consumer by consumer.
#[derive(Clone, Debug, Default)]
pub struct Browse {
    /// The messages.
    pub messages: Vec<Browsed>,
    /// From where to go on; `None` at the end. What is taken or comes back meanwhile may be missed, or listed twice.
    pub next: Option<Position>,
}

/// An order to move messages: [`Event::Moved`](crate::Event::Moved) tells its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveOrder {
    /// Its number: no other order of this broker has the same.
    pub number: u64,
    /// Messages that will be looked at.
    pub messages: usize,
}

/// Why messages that were to be moved stay in their queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StayReason {
    /// The other queue has no room for them, or cannot be made.
    #[error("{0}")]
    Refused(Refusal),
    /// They are no dead letters, and do not say where they came from.
    #[error("messages that are no dead letters do not say where they came from")]
    NoOrigin,
    /// They came from this queue.
    #[error("they came from this queue")]
    Same,
}

/// Why messages cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// There is no such queue.
    #[error("there is no such queue")]
    NoQueue,
    /// They would go to a topic.
    #[error("messages can be moved to a queue only, whose name begins with /queue")]
    NotAQueue,
    /// They would go to where they are.
    #[error("messages cannot be moved to their own queue")]
    Same,
    /// The other queue cannot be made.
    #[error("{0}")]
    Refused(Refusal),
    /// As many orders wait as may.
    #[error("{limit} orders to move messages wait to be carried out already")]
    Orders {
        /// The limit.
        limit: usize,
    },
}
