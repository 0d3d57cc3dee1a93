use crate::{ConnectionId, Kind, PauseReason};
use bytes::Bytes;

/// Which rows of a [`Status`] are wanted. Its cost is bounded by the two pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusQuery {
    /// Which channels.
    pub channels: Page,
    /// Which connections.
    pub connections: Page,
}

/// Which rows of a table are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// At most this many of those that matter most: the channels with the most bytes (to a factor of
    /// two, and from 4 KiB on), the connections that are paused, slow or stalled, then the others.
    Top(usize),
    /// At most this many, in an order that stays the same while rows come and go: every row that is
    /// there from the first page to the last is listed once.
    After {
        /// 0, then the `next` of the page before.
        cursor: u32,
        /// Rows; at most [`Page::MAX`].
        limit: usize,
    },
}

impl Page {
    /// The most rows of one page.
    pub const MAX: usize = 1000;

    /// Number of rows wanted.
    pub fn limit(self) -> usize {
        match self {
            Page::Top(limit) | Page::After { limit, .. } => limit.min(Page::MAX),
        }
    }
}

impl StatusQuery {
    /// The rows that matter most, at most `limit` of each table.
    pub fn top(limit: usize) -> StatusQuery {
        StatusQuery { channels: Page::Top(limit), connections: Page::Top(limit) }
    }
}

/// The state of the broker at one instant.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The channels of the page.
    pub channels: Vec<ChannelStatus>,
    /// The cursor of the next page of channels, if there may be one. A page may be short, even
    /// empty, and not the last.
    pub next_channel: Option<u32>,
    /// The connections of the page.
    pub connections: Vec<ConnectionStatus>,
    /// The cursor of the next page of connections, if there may be one.
    pub next_connection: Option<u32>,
    /// Sums over everything.
    pub totals: Totals,
    /// The last topics whose messages were dropped because nobody subscribed, the latest first.
    pub unheard: Vec<Unheard>,
}

/// A topic whose messages were dropped because nobody subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// The topic's name.
    pub name: Bytes,
    /// Messages dropped since its name is among the last ones.
    pub dropped: u64,
}

impl Unheard {
    /// The most topics that are named.
    pub const MAX: usize = 5;
}

/// Sums over all channels and connections, since the start where they count messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Channels.
    pub channels: usize,
    /// Connections, without those that are gone.
    pub connections: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Paused connections, without those that are gone.
    pub paused: usize,
    /// Connections that are gone, and of which something is left: messages that wait for room.
    pub gone: usize,
    /// Topics with a retained value.
    pub retained: usize,
    /// Bytes that the memory budget counts, overhead included.
    pub memory: usize,
    /// The memory budget, in bytes.
    pub memory_budget: usize,
    /// The part of it that is for messages and channels, in bytes: the rest is set aside for as many connections as there may be.
    pub memory_for_messages: usize,
    /// Messages published.
    pub published: u64,
    /// Messages wholly written to subscribers, and not taken back since.
    pub delivered: u64,
    /// Messages dropped on their way to slow subscribers.
    pub dropped_slow: u64,
    /// Messages dropped because a topic had no subscriber.
    pub dropped_no_subscribers: u64,
    /// Messages that still waited for room when their publisher left, and there was no memory for them, or that waited when
    /// another connection needed its place.
    pub dropped_publisher_gone: u64,
    /// Messages that went back to their queues.
    pub requeued: u64,
    /// Tries of messages without success: nacks, ack time-outs, and the oldest unacked message of each subscription of a
    /// connection that was lost.
    pub failed: u64,
    /// Messages whose time was over before they were handed to a subscriber, those that became dead letters
    /// included. A topic's count once for each subscriber.
    pub expired: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages that were not taken: their queue was full and rejects what is over its bounds, or it was a temporary queue
    /// whose connection is gone.
    pub rejected: u64,
    /// Messages dropped from a full queue that could not become dead letters either, and those that a full durable
    /// subscription has missed.
    pub dropped_overflow: u64,
    /// Messages dropped with temporary queues and durable subscriptions that have ended.
    pub dropped_ended: u64,
    /// Dead letters that were dropped: the oldest of those over a bound, those that were rejected again, and those of
    /// temporary queues.
    pub dropped_dead: u64,
    /// Messages that were moved to another queue, or as dead letters back to theirs.
    pub moved: u64,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct ChannelStatus {
    /// Its name.
    pub name: Bytes,
    /// Queue or topic.
    pub kind: Kind,
    /// Messages that wait for a subscriber.
    pub depth: usize,
    /// Messages of a queue that are with consumers: on their way, or not acked.
    pub in_flight: u64,
    /// Whether it is a queue that is paused.
    pub is_paused: bool,
    /// Bytes that the memory budget counts for it, in outboxes too, without its fixed overhead.
    pub bytes: usize,
    /// Subscriptions that it matches.
    pub subscribers: usize,
    /// Publishers that wait for room, and are there: one that has said that it sends nothing more is until it is closed.
    pub paused_publishers: usize,
    /// Messages published to it.
    pub published: u64,
    /// Messages handed to subscribers, and not taken back since.
    pub delivered: u64,
    /// Messages published a second, lately.
    pub publish_rate: f64,
    /// Messages handed to subscribers a second, lately.
    pub deliver_rate: f64,
    /// Messages dropped.
    pub dropped: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Its name.
    pub id: ConnectionId,
    /// Patterns that it is subscribed to, at most [`ConnectionStatus::SUBSCRIPTIONS`] of them.
    pub subscriptions: Vec<Bytes>,
    /// Bytes that wait to be written to it.
    pub outbox: usize,
    /// Bytes of attributes that count for the bound of what waits, beside these.
    pub outbox_attributes: usize,
    /// Messages that wait for its ack.
    pub unacked: usize,
    /// Packed bytes that were written and that its machine did not acknowledge yet.
    pub unacknowledged: usize,
    /// Messages published by it.
    pub published: u64,
    /// Messages wholly written to it, and not taken back since.
    pub delivered: u64,
    /// Messages that it missed because it was slow.
    pub dropped: u64,
    /// Why it is paused, if it is; of one that is gone, why its messages wait.
    pub paused: Option<PauseReason>,
    /// Whether it lately needed longer than its grace period for making room.
    pub slow: bool,
    /// Whether it has left, and only its last messages still wait for room. One whose peer has shut its side down keeps
    /// its connection, and is among those that are gone, until its messages have room or another needs its place.
    pub gone: bool,
    /// Messages that it has sent and that wait for room.
    pub pending: usize,
    /// Whether it took no byte for so long that its messages went to other consumers.
    pub stalled: bool,
}

impl ConnectionStatus {
    /// The most subscriptions that are listed for one connection.
    pub const SUBSCRIPTIONS: usize = 20;
}
