use crate::{Batch, ConnectionId, DeliveryTag, SubscriptionId};
use bytes::Bytes;

/// What the broker asks of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Write these messages to the peer, and return their bytes as
    /// [`Credit`](crate::Command::Credit).
    Deliver {
        /// To whom.
        connection: ConnectionId,
        /// By which of its subscriptions.
        subscription: SubscriptionId,
        /// The channel that they were published to.
        channel: Bytes,
        /// The messages.
        batch: Batch,
        /// The first message's tag where acks are asked for; the others' follow it by one.
        tag: Option<DeliveryTag>,
    },
    /// Everything that the connection sent before its [`Confirm`](crate::Command::Confirm) has
    /// been carried out. Counts as a delivery: write it behind the earlier ones, return credit.
    Confirmed {
        /// To whom.
        connection: ConnectionId,
        /// What it sent.
        batch: Batch,
    },
    /// A command was not carried out.
    Refused {
        /// Whose.
        connection: ConnectionId,
        /// Why.
        refusal: Refusal,
    },
    /// Read nothing more from the connection until [`Event::Release`].
    Hold {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        reason: HoldReason,
    },
    /// The connection may be read again.
    Release {
        /// Which one.
        connection: ConnectionId,
    },
    /// The connection's outbox is full, and the patience with it is at an end: from now on it
    /// misses messages, or whatever else its channels' policies say. Nothing has to be done.
    Slow {
        /// Which one.
        connection: ConnectionId,
    },
    /// Take back what was delivered and not begun to be written, and answer with
    /// [`Recalled`](crate::Command::Recalled). Nothing is delivered to it in between.
    Recall {
        /// From whom.
        connection: ConnectionId,
    },
    /// Close the connection, then send [`Disconnect`](crate::Command::Disconnect).
    Close {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection is held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldReason {
    /// The queue that it publishes to is at its bound.
    #[error("queue {} is at its bound of {bound} bytes", channel.escape_ascii())]
    QueueFull {
        /// Its name.
        channel: Bytes,
        /// In bytes.
        bound: usize,
    },
    /// A subscriber of the topic that it publishes to has no room, and still has patience.
    #[error("connection {} is slow to take what is published to {}", subscriber.0, channel.escape_ascii())]
    SlowSubscriber {
        /// The topic.
        channel: Bytes,
        /// Who.
        subscriber: ConnectionId,
    },
    /// The topic has no subscriber and keeps as many messages as it may.
    #[error("topic {} has no subscriber and keeps {kept} messages already", channel.escape_ascii())]
    NobodyThere {
        /// Its name.
        channel: Bytes,
        /// How many.
        kept: usize,
    },
    /// Memory is short, and its channel has more than the others, or it needs a large buffer.
    #[error("the memory budget of {budget} bytes is used up")]
    Memory {
        /// In bytes.
        budget: usize,
    },
}

/// Why a command was not carried out. Each names the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are as many connections as there may be.
    #[error("there are {limit} connections already (limit: connections)")]
    Connections {
        /// How many.
        limit: usize,
    },
    /// There are as many channels as there may be.
    #[error("there are {limit} channels already (limit: channels)")]
    Channels {
        /// How many.
        limit: usize,
    },
    /// The connection has as many subscriptions as it may have.
    #[error("the connection has {limit} subscriptions already (limit: subscriptions)")]
    Subscriptions {
        /// How many.
        limit: usize,
    },
    /// The channel's name is too long.
    #[error("a channel name of {length} bytes is over the limit of {limit} (limit: channel-name)")]
    NameTooLong {
        /// In bytes.
        length: usize,
        /// In bytes.
        limit: usize,
    },
    /// The message is too long.
    #[error("a message of {length} bytes is over the limit of {limit} (limit: message)")]
    MessageTooLong {
        /// In bytes.
        length: usize,
        /// In bytes.
        limit: usize,
    },
    /// The connection has a subscription of this name.
    #[error("the connection has a subscription of this name already")]
    SubscriptionExists,
    /// Nothing waits for an ack under this tag.
    #[error("no message waits for an ack under tag {}", tag.0)]
    UnknownTag {
        /// Which one.
        tag: DeliveryTag,
    },
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// It asked for it, and has got what waited for it.
    #[error("finished")]
    Finished,
    /// It did not keep up with a channel whose policy is to disconnect.
    #[error("too slow for a channel whose policy is to disconnect")]
    Slow,
    /// The broker ends, and what waited for the connection is written.
    #[error("the broker is shutting down")]
    Drained,
}
