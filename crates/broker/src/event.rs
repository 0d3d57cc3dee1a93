use crate::words::{s, size};
use crate::{Batch, ConnectionId, DeliveryTag, StayReason, SubscriptionId};
use bytes::Bytes;

/// The broker's request to the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Write these messages to the peer, and return their bytes as
    /// [`Credit`](crate::Command::Credit).
    Deliver {
        /// To which connection.
        connection: ConnectionId,
        /// By which of its subscriptions.
        subscription: SubscriptionId,
        /// The channel that the messages were published to.
        channel: Bytes,
        /// The messages.
        batch: Batch,
        /// Whether they may have been seen by a consumer before.
        redelivered: bool,
        /// Unsuccessful tries of each of them by consumers so far.
        attempts: u32,
        /// The first message's tag where acks are asked for; the others' follow it by one.
        tag: Option<DeliveryTag>,
    },
    /// Everything that the connection sent before its [`Barrier`](crate::Command::Barrier) has
    /// been carried out. Counts as a delivery: write it behind the earlier ones, return credit.
    Barrier {
        /// To which connection.
        connection: ConnectionId,
        /// The batch of the command.
        batch: Batch,
    },
    /// Everything that the connection sent before its [`Receipt`](crate::Command::Receipt) has been carried out. It may
    /// be written before what was delivered earlier, and is no part of the credit: report it with
    /// [`Command::ReceiptsWritten`](crate::Command::ReceiptsWritten).
    Receipt {
        /// To which connection.
        connection: ConnectionId,
        /// The batch of the command.
        batch: Batch,
    },
    /// The last messages of a publish were not taken: their queue is full, and rejects what is over its bounds, or it is a
    /// temporary queue whose connection is gone.
    Rejected {
        /// The connection that published them.
        connection: ConnectionId,
        /// The queue.
        channel: Bytes,
        /// Messages not taken.
        messages: usize,
        /// The reason.
        refusal: Refusal,
    },
    /// Not all messages that a receipt confirms were taken: behind the `Rejected` or `Refused` that says the same. It takes
    /// the place of an [`Event::Receipt`].
    Unconfirmed {
        /// The connection that published them.
        connection: ConnectionId,
        /// The receipt of the command.
        receipt: Batch,
        /// The channel of the messages that were not taken, the last ones if there are several, and the reason. In a box, so
        /// that other events are small.
        rejected: Box<(Bytes, Refusal)>,
        /// Bytes to report with [`Command::ReceiptsWritten`](crate::Command::ReceiptsWritten) in place of the batch's: the
        /// reason is charged too.
        bytes: usize,
    },
    /// Messages went back to their queue at their ack time-out: an ack of them is refused from now on. They may have been
    /// settled in part before.
    Lapsed {
        /// The connection that had them.
        connection: ConnectionId,
        /// The subscription by which it got them.
        subscription: SubscriptionId,
        /// The first tag.
        first: DeliveryTag,
        /// The last tag, inclusive.
        last: DeliveryTag,
    },
    /// The queue of a subscription has ended, as a durable subscription that another connection has ended, and with it the
    /// subscription. Nothing more comes by it; acks of what has come may.
    Ended {
        /// The connection that had it.
        connection: ConnectionId,
        /// Which of its subscriptions.
        subscription: SubscriptionId,
    },
    /// A command was not carried out.
    Refused {
        /// The connection that sent it.
        connection: ConnectionId,
        /// The channel or pattern that the command named, if it named one.
        channel: Option<Bytes>,
        /// Why.
        refusal: Refusal,
    },
    /// Stop reading the connection until [`Event::Resume`]. For a connection with acks this comes only
    /// once what it sent meanwhile has used up [`Limits::read_ahead`](crate::Limits::read_ahead), so that
    /// its acks are read.
    Pause {
        /// Which connection.
        connection: ConnectionId,
        /// Why.
        reason: PauseReason,
    },
    /// The connection may be read again.
    Resume {
        /// Which connection.
        connection: ConnectionId,
    },
    /// The connection's outbox is full, and its grace period is at an end: from now on it misses
    /// messages, or whatever else its channels' policies say. Nothing has to be done.
    Slow {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Take back what was delivered and not begun to be written, and answer with
    /// [`Recalled`](crate::Command::Recalled). Nothing is delivered to the connection in between.
    Recall {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Close the connection, then send [`Disconnect`](crate::Command::Disconnect).
    Close {
        /// Which connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// An order of [`Broker::move_messages`](crate::Broker::move_messages) is carried out. Messages that were purged or have
    /// expired meanwhile are in neither count.
    Moved {
        /// The number of the order.
        order: u64,
        /// Messages that are in the other queue.
        moved: usize,
        /// Messages that stay.
        stayed: usize,
        /// The other queue, and why messages stay: the first reason if there are several. In a box, so that other events are
        /// small.
        reason: Option<Box<(Bytes, StayReason)>>,
    },
}

/// Why a connection is paused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseReason {
    /// The queue that it publishes to is at its bound.
    #[error("queue {} is at its bound of {} (limit: queue)", channel.escape_ascii(), size(*bound))]
    QueueFull {
        /// The queue's name.
        channel: Bytes,
        /// In bytes.
        bound: usize,
    },
    /// The queue that it publishes to is at its bound in messages.
    #[error("queue {} is at its bound of {bound} message{} (limit: queue-messages)", channel.escape_ascii(), s(*bound))]
    QueueMessages {
        /// The queue's name.
        channel: Bytes,
        /// In messages.
        bound: usize,
    },
    /// A subscriber of the topic that it publishes to has no room, and is in its grace period.
    #[error("connection {} is slow to take what is published to {}", subscriber.0, channel.escape_ascii())]
    SlowSubscriber {
        /// The topic.
        channel: Bytes,
        /// The subscriber.
        subscriber: ConnectionId,
    },
    /// It does not read the receipts that it asks for.
    #[error("its unread receipts take {} (limit: outbox)", size(*limit))]
    Receipts {
        /// In bytes.
        limit: usize,
    },
    /// The topic has no subscriber and buffers as many messages as it may.
    #[error(
        "topic {} has no subscriber and buffers {buffered} message{} already (limit: buffer-unsubscribed)",
        channel.escape_ascii(), s(*buffered)
    )]
    NoSubscribers {
        /// The topic's name.
        channel: Bytes,
        /// In messages.
        buffered: usize,
    },
    /// The topic's first subscriber has come, and is still being given what the topic buffered: what is published
    /// now comes behind it.
    #[error("topic {} still gives its first subscriber what it buffered", channel.escape_ascii())]
    FirstSubscriber {
        /// The topic's name.
        channel: Bytes,
    },
    /// The topic is new, and not all subscriptions to patterns that match it have joined it: they would miss what is
    /// published now.
    #[error("topic {} is new, and subscriptions to patterns are joining it", channel.escape_ascii())]
    Patterns {
        /// The topic's name.
        channel: Bytes,
    },
    /// Its subscription to a pattern is still being joined to the channels that are there.
    #[error("the subscription to {} is joining its channels", pattern.escape_ascii())]
    Subscribing {
        /// The pattern.
        pattern: Bytes,
    },
    /// Memory is short, and the channel has more than is free, or a new channel or a large buffer
    /// is needed.
    #[error(
        "memory is short: {messages} bytes of the budget of {budget} are for messages, half of them for a channel that is \
         alone; the rest is for connections (limits: memory, connections)"
    )]
    Memory {
        /// In bytes.
        budget: usize,
        /// Its bytes beside what is set aside for connections.
        messages: usize,
    },
}

/// Why a command was not carried out. Each names the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are as many connections as there may be.
    #[error("there are {limit} connections already (limit: connections)")]
    Connections {
        /// The limit.
        limit: usize,
    },
    /// There are as many channels as there may be.
    #[error("there are {limit} channels already (limit: channels)")]
    Channels {
        /// The limit.
        limit: usize,
    },
    /// The connection has as many subscriptions as it may have.
    #[error("the connection has {limit} subscriptions already (limit: subscriptions)")]
    Subscriptions {
        /// The limit.
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
    /// A message is too long.
    #[error("a message of {length} bytes is over the limit of {limit} (limit: message)")]
    MessageTooLong {
        /// In bytes.
        length: usize,
        /// In bytes.
        limit: usize,
    },
    /// There is no memory for a connection, a subscription or a subscriber's new channel.
    #[error(
        "memory is used up: {used} of {messages} bytes are taken, which are memory = {} less what is set aside for \
         connections = {connections} (limits: memory, connections)",
        size(*budget)
    )]
    Memory {
        /// In bytes.
        budget: usize,
        /// Its bytes beside what is set aside for connections.
        messages: usize,
        /// Bytes of these that are taken.
        used: usize,
        /// As many as there may be.
        connections: usize,
    },
    /// All retained values together would take more than is free, which nobody drains.
    #[error(
        "the value takes {bytes} bytes of memory, those of all other topics {taken}, and together they may take no more than is \
         free: {free} of memory = {} (limit: memory)",
        size(*budget)
    )]
    RetainedMemory {
        /// Cost of the value.
        bytes: usize,
        /// Cost of all others.
        taken: usize,
        /// Bytes that are free.
        free: usize,
        /// In bytes.
        budget: usize,
    },
    /// Subscriptions leave less memory than a new channel takes, with those to patterns that match its name.
    #[error(
        "a new channel takes {bytes} bytes of memory with the {patterns} subscription{} to patterns that match its name, and \
         all subscriptions leave {free} (limit: memory)",
        s(*patterns)
    )]
    ChannelMemory {
        /// Subscriptions to patterns that match the name.
        patterns: usize,
        /// Cost of the channel with these.
        bytes: usize,
        /// Bytes that subscriptions leave, whatever drains.
        free: usize,
    },
    /// Subscriptions to patterns have their share of memory.
    #[error(
        "a subscription to this pattern takes {bytes} bytes of memory, and all to patterns take {taken} of {share} already \
         (limit: memory)"
    )]
    PatternMemory {
        /// Cost of the subscription.
        bytes: usize,
        /// Cost of all that are there.
        taken: usize,
        /// The most that they may cost: a quarter of the memory for messages.
        share: usize,
    },
    /// The queue is at its bound, and takes nothing over it.
    #[error("the queue is at its bound of {} (limits: queue, overflow)", size(*bound))]
    QueueFull {
        /// In bytes.
        bound: usize,
    },
    /// The queue is at its bound in messages, and takes nothing over it.
    #[error("the queue is at its bound of {bound} message{} (limits: queue-messages, overflow)", s(*bound))]
    QueueMessages {
        /// In messages.
        bound: usize,
    },
    /// Another connection owns the temporary queue, or none does.
    #[error("a temporary queue is consumed by the connection that it belongs to, and by no other")]
    NotOwner,
    /// The connection of the temporary queue is gone, and the queue with it.
    #[error("the temporary queue has ended with its connection")]
    Ended,
    /// The durable subscription is to another topic or pattern.
    #[error("the durable subscription of this name is to another topic: end it first, or choose another name")]
    OtherSource,
    /// The source of a durable subscription is a queue.
    #[error("a durable subscription is to a topic, and this is a queue, which keeps its messages anyway")]
    NotATopic,
    /// The name of a durable subscription's queue is a topic's.
    #[error("the messages of a durable subscription wait in a queue, whose name begins with /queue")]
    NotAQueue,
    /// There is no durable subscription of this name.
    #[error("there is no durable subscription of this name")]
    NoDurable,
    /// As many topics as may have a retained value.
    #[error("{limit} topics have a retained value already (limit: retained)")]
    Retained {
        /// In topics.
        limit: usize,
    },
    /// The connection has a subscription of this name.
    #[error("the connection has a subscription of this name already")]
    SubscriptionExists,
    /// Nothing waits for an ack under this tag.
    #[error("no message waits for an ack under tag {}", tag.0)]
    UnknownTag {
        /// The first unknown one of the command's tags.
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
    /// Others waited for the memory that a part of its message held, for [`Limits::write_timeout`](crate::Limits).
    #[error("its message was not finished in time, and others waited for the memory (limits: memory, write-timeout)")]
    Unfinished,
    /// It had left while its last messages waited for room, and a new connection needed its place. The driver hands in what
    /// it has read of it, and the `Disconnect`: these messages are dropped.
    #[error("it had left, its last messages found no room, and a new connection needed its place (limit: connections)")]
    Departed,
    /// The broker ends, and what waited for the connection is written.
    #[error("the broker is shutting down")]
    Drained,
}
