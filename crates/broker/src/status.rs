use crate::{ConnectionId, HoldReason, Kind};
use bytes::Bytes;

/// What the broker has and does, at one instant.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The channels, fullest first, as many as were asked for.
    pub channels: Vec<ChannelStatus>,
    /// The connections, those first that are held or slow, then in the order of their coming, as
    /// many as were asked for.
    pub connections: Vec<ConnectionStatus>,
    /// Sums over everything.
    pub totals: Totals,
}

/// Sums over all channels and connections, since the start where they count messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Channels in being.
    pub channels: usize,
    /// Connections, without those that are gone.
    pub connections: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Connections that are held.
    pub held: usize,
    /// Bytes that the ledger counts.
    pub memory: usize,
    /// The ledger's budget, in bytes.
    pub memory_budget: usize,
    /// Messages published.
    pub published: u64,
    /// Messages wholly written to subscribers.
    pub delivered: u64,
    /// Messages dropped on their way to slow subscribers.
    pub dropped_slow: u64,
    /// Messages dropped because a topic had no subscriber.
    pub dropped_nobody: u64,
    /// Messages that still waited for room when their sender left, and there was no memory for them.
    pub dropped_left: u64,
    /// Messages that went back to their queues.
    pub returned: u64,
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
    /// Bytes that the ledger counts for it, in outboxes too.
    pub bytes: usize,
    /// Subscriptions that it matches.
    pub subscribers: usize,
    /// Publishers that wait for room.
    pub held_publishers: usize,
    /// Messages published to it.
    pub published: u64,
    /// Messages handed to subscribers.
    pub delivered: u64,
    /// Messages published a second, lately.
    pub publish_rate: f64,
    /// Messages handed to subscribers a second, lately.
    pub deliver_rate: f64,
    /// Messages dropped.
    pub dropped: u64,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// Its name.
    pub id: ConnectionId,
    /// Patterns that it is subscribed to.
    pub subscriptions: Vec<Bytes>,
    /// Bytes that wait to be written to it.
    pub outbox: usize,
    /// Messages that wait for its ack.
    pub unacked: usize,
    /// Messages published by it.
    pub published: u64,
    /// Messages wholly written to it.
    pub delivered: u64,
    /// Messages that it missed because it was slow.
    pub dropped: u64,
    /// Why it is held, if it is.
    pub held: Option<HoldReason>,
    /// Whether it lately needed longer than it may for making room.
    pub slow: bool,
    /// Whether it has left, and only its last messages still wait for room.
    pub gone: bool,
    /// Whether it took no byte for so long that its messages went to other workers.
    pub stalled: bool,
}
