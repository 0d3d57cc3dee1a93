use crate::Batch;
use bytes::Bytes;

/// Names a connection. The caller chooses it and never uses one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names a subscription among those of its connection, which chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// Names a message that waits for its ack, among those of its connection: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryTag(pub u64);

/// When a queue's message counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// When it was wholly written to the worker: for protocols without acks.
    Written,
    /// When the worker acks it. At most `prefetch` messages wait for that at a time.
    Explicit {
        /// How many; at least 1.
        prefetch: u32,
    },
}

/// What a connection asks of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The connection is there.
    Connect,
    /// Messages for a channel. The name is taken literally, also when it looks like a pattern.
    Publish {
        /// The channel's name.
        channel: Bytes,
        /// The messages.
        batch: Batch,
    },
    /// Gives the batch back to its sender as [`Event::Confirmed`](crate::Event::Confirmed),
    /// behind everything that was published by it and everything that waits for it.
    Confirm {
        /// Returned as it is.
        batch: Batch,
    },
    /// Subscribes to every channel that the pattern matches.
    Subscribe {
        /// The connection's own name for it.
        subscription: SubscriptionId,
        /// A channel's name, or a pattern (see [`Pattern`](crate::Pattern)).
        pattern: Bytes,
        /// For queues; topics know no acks.
        ack: AckMode,
    },
    /// Ends a subscription. What of a queue was not handed out yet, or not acked, goes back.
    Unsubscribe {
        /// Which one.
        subscription: SubscriptionId,
    },
    /// The message was dealt with.
    Ack {
        /// Which one.
        tag: DeliveryTag,
    },
    /// The message goes back to the head of its queue.
    Nack {
        /// Which one.
        tag: DeliveryTag,
    },
    /// So many further packed bytes of what was delivered are written to the peer.
    Credit {
        /// Packed bytes, whole messages or not. 0 says only that the peer takes some again: after
        /// a recall that left nothing to write, no written byte could say so.
        bytes: usize,
    },
    /// The answer to [`Event::Recall`](crate::Event::Recall).
    Recalled {
        /// Packed bytes that will still be written, because a message was begun.
        kept: usize,
    },
    /// The connection's buffer for a message that is not whole yet has this size from now on.
    Reserve {
        /// Bytes; replaces what was reserved before.
        bytes: usize,
    },
    /// The peer says no more. What waits for it is still delivered, then the connection closes.
    Finish,
    /// The connection is gone.
    Disconnect,
}
