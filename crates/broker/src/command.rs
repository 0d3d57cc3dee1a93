use crate::Batch;
use bytes::Bytes;

/// Names a connection. The driver chooses it and never uses one twice.
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
    /// When the consumer's machine acknowledged all of it, or, on a connection without transport
    /// acks, when it was wholly written: for protocols without acks.
    Auto,
    /// When the consumer acks it.
    Manual {
        /// Messages that may wait for their ack at a time; 0 for as many as [`Limits::prefetch`](crate::Limits::prefetch)
        /// or the channel's rule says.
        prefetch: u32,
    },
}

/// A connection's input to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The connection is there.
    Connect {
        /// Whether the driver reports with [`Command::TransportAck`] what the peer's machine
        /// acknowledged.
        transport_acks: bool,
    },
    /// Messages for a channel. The name is taken literally, also when it looks like a pattern.
    Publish {
        /// The channel's name.
        channel: Bytes,
        /// The messages.
        batch: Batch,
    },
    /// As `Publish`, and then gives `receipt` back as [`Event::Receipt`](crate::Event::Receipt), or as
    /// [`Event::Unconfirmed`](crate::Event::Unconfirmed) if any of the messages was refused or rejected.
    PublishWithReceipt {
        /// The channel's name.
        channel: Bytes,
        /// The messages: one, where the receipt is of one.
        batch: Batch,
        /// Returned as it is.
        receipt: Batch,
    },
    /// Gives the batch back to its sender as [`Event::Barrier`](crate::Event::Barrier), behind
    /// everything that the connection published before and everything that waits for it.
    Barrier {
        /// Returned as it is.
        batch: Batch,
    },
    /// Asks for a receipt: gives the batch back as [`Event::Receipt`](crate::Event::Receipt) once everything that the
    /// connection sent before is carried out, whatever waits to be written to it.
    Receipt {
        /// Returned as it is: a message for each receipt.
        batch: Batch,
        /// Number of the connection's commands right before this one that it is for. The driver may name the receipt
        /// where one of them is refused.
        covers: usize,
        /// Number of its [`Command::Publish`]es right before this one, beside other commands, that it confirms: it is given
        /// as [`Event::Unconfirmed`](crate::Event::Unconfirmed) if any of their messages was refused or rejected.
        publishes: usize,
    },
    /// Receipts of earlier [`Event::Receipt`](crate::Event::Receipt)s are written.
    ReceiptsWritten {
        /// Their number.
        receipts: usize,
        /// Their packed bytes.
        bytes: usize,
    },
    /// Subscribes to every channel that the pattern matches.
    Subscribe {
        /// The connection's own name for the subscription.
        subscription: SubscriptionId,
        /// A channel's name, or a pattern (see [`Pattern`](crate::Pattern)).
        pattern: Bytes,
        /// For queues; topics know no acks.
        ack: AckMode,
    },
    /// Subscribes to the queue of a durable subscription, which comes into being with its first subscriber: from then on the
    /// topics of `source` feed it, whether a subscriber is there or not. Several subscribers share it as those of any
    /// queue do.
    SubscribeDurable {
        /// The connection's own name for the subscription.
        subscription: SubscriptionId,
        /// The queue's name, taken literally (see [`durable_queue`](crate::durable_queue)).
        queue: Bytes,
        /// A topic's name, or a pattern of topics.
        source: Bytes,
        /// As of [`Command::Subscribe`].
        ack: AckMode,
    },
    /// Ends a durable subscription for all its subscribers: no topic feeds it any more, and what waits in it is dropped.
    EndDurable {
        /// The queue's name.
        queue: Bytes,
    },
    /// Asks that the subscription be the only one that its queues hand out to. Of several that asked, the one that did
    /// first is; when it ends, the next takes over. What others have already stays theirs.
    Claim {
        /// Which subscription.
        subscription: SubscriptionId,
    },
    /// Ends a subscription. A queue's messages that were not begun to be written go back. Those that were wait for their
    /// acks as before; without one they go back by a nack, at the ack time-out, or when the connection finishes or ends.
    Unsubscribe {
        /// Which subscription.
        subscription: SubscriptionId,
    },
    /// The messages with these tags were dealt with. Unknown tags in between are refused once; the
    /// known ones are settled. A tag is known once its message was delivered to this connection.
    Ack {
        /// The first tag.
        first: DeliveryTag,
        /// The last tag, inclusive.
        last: DeliveryTag,
    },
    /// The messages with these tags were tried without success. They go back to their places in their
    /// queues after a back-off, or to the dead letters. Unknown tags in between are refused once; the
    /// known ones go back.
    Nack {
        /// The first tag.
        first: DeliveryTag,
        /// The last tag, inclusive.
        last: DeliveryTag,
        /// False sends them to the dead letters at once.
        requeue: bool,
    },
    /// This many further packed bytes of what was delivered are written to the driver's side of the
    /// connection.
    Credit {
        /// Packed bytes, whole messages or not. 0 says only that the peer takes bytes again: after
        /// a recall that left nothing to write, no written byte could say so.
        bytes: usize,
    },
    /// The peer's machine acknowledged this many further packed bytes of those that
    /// [`Command::Credit`] reported. Without meaning on a connection without transport acks.
    TransportAck {
        /// Packed bytes, whole messages or not.
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
        /// Length of the buffer once the message is whole, as far as is known; at least `bytes`. Where memory is short,
        /// small messages go before large ones by this.
        whole: usize,
    },
    /// The peer sends nothing more. What waits for it is still delivered, then the connection
    /// closes.
    Finish,
    /// The peer of a connection that is not read has shut its side down: once what has come is read, it sends nothing more.
    /// While it waits for room it may be let go for a new connection.
    Depart,
    /// The connection is gone.
    Disconnect,
}
