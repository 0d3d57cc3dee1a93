use crate::cost;
use crate::delivery::{Delivery, DeliveryRule};
use crate::name::Pattern;
use std::time::Duration;

/// The bounds of everything. Sizes are in bytes. [`Limits::check`] says which values are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. As many that have left may have messages that still wait for room.
    pub connections: usize,
    /// Channels at a time.
    pub channels: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// A channel's name.
    pub channel_name: usize,
    /// One message.
    pub message: usize,
    /// Bytes that may wait for one connection. An empty outbox takes one message of any legal size.
    pub outbox: usize,
    /// Messages that may wait for one connection; 0 for as many as `outbox` takes.
    pub outbox_messages: usize,
    /// Bytes of the outbox that are handed out ahead of its credit; with transport acks, bytes of queues'
    /// messages that are handed out and not yet acknowledged by the consumer's machine.
    pub window: usize,
    /// The part of `window` that a queue's consumer without acks begins with. It doubles while the
    /// consumer takes half of it within 50 ms, and is halved when that takes more than a second.
    pub first_window: usize,
    /// Bytes that may wait in one queue, or in one topic that buffers. An empty one takes one message.
    pub queue: usize,
    /// Messages that may wait in one queue; 0 for as many as `queue` takes.
    pub queue_messages: usize,
    /// Policy for a message to a queue that is at its bounds.
    pub overflow: QueueOverflow,
    /// Messages that may wait for their acks at a subscription that names no prefetch of its own; 0 for any number. One to
    /// a pattern follows the rule that matches the pattern as if it were a name.
    pub prefetch: u32,
    /// Topics that may have a retained value; 0 for none.
    pub retained: usize,
    /// Bytes that a connection that has messages to ack, or a subscription with acks, may send while its
    /// messages wait for room, overhead included: it is read on, so that its acks arrive. 0 pauses it at
    /// once.
    pub read_ahead: usize,
    /// All buffered bytes and the overhead of every entry together.
    pub memory: usize,
    /// Time that a full but draining topic subscriber may pause the publishers; 0 for none.
    /// It accrues as much again with each half of an outbox that it takes, and saves at most ten
    /// times as much. Its initial grace is as much once: six tenths while it takes something in
    /// each such time, the rest also when it takes nothing, unless the topic's other subscribers
    /// keep up.
    pub grace_period: Duration,
    /// Time that a slow subscriber accrues no new grace; 0 for none.
    pub slow_consumer: Duration,
    /// Time that a consumer may take no byte before its unwritten messages go to others; 0 for ever.
    pub write_timeout: Duration,
    /// Redelivery of a queue's messages.
    pub delivery: Delivery,
    /// Policy for messages to a slow subscriber of a topic.
    pub policy: OverflowPolicy,
    /// Messages that a topic without subscribers buffers before it pauses its publishers;
    /// 0 drops (and counts) them.
    pub buffer_unsubscribed: usize,
}

/// A setting is outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It is too small.
    #[error("{setting} = {value} is not allowed: it must be at least {bound}")]
    TooSmall {
        /// The setting's name.
        setting: &'static str,
        /// The value asked for.
        value: usize,
        /// The least that is allowed.
        bound: usize,
    },
    /// It is too large.
    #[error("{setting} = {value} is not allowed: it must be at most {bound}")]
    TooLarge {
        /// The setting's name.
        setting: &'static str,
        /// The value asked for.
        value: usize,
        /// The most that is allowed.
        bound: usize,
    },
    /// It is too short.
    #[error("{setting} = {value:?} is not allowed: it must be 0 or at least {bound:?}")]
    TooShort {
        /// The setting's name.
        setting: &'static str,
        /// The value asked for.
        value: Duration,
        /// The least that is allowed beside 0.
        bound: Duration,
    },
    /// The memory budget does not suffice for as many idle connections as there may be and two of
    /// the longest messages.
    #[error(
        "memory = {value} is not allowed: it must be at least {bound}, \
         which {connections} connections and two messages of {message} bytes take"
    )]
    Memory {
        /// The budget asked for, in bytes.
        value: usize,
        /// The least that is allowed, in bytes.
        bound: usize,
        /// The limit `connections`.
        connections: usize,
        /// The limit `message`, in bytes.
        message: usize,
    },
}

const MIB: usize = 1 << 20;
/// Grace periods that a subscriber may save.
const SAVED_GRACE: u32 = 10;
/// Grace periods of the initial grace that are only for one that takes something. The rest is for
/// one that does not: on a busy machine it may have had no processor yet.
const INITIAL_GRACE_FOR_READING: u32 = 6;

impl Limits {
    /// Charge of the memory budget for an idle connection, in bytes.
    pub const CONNECTION: usize = cost::CONNECTION;

    /// The shortest time limit that is not 0.
    pub const SHORTEST: Duration = Duration::from_millis(1);

    /// Whether all values are within their bounds.
    ///
    /// # Errors
    /// The first setting that is not, with its value and bound.
    pub fn check(&self) -> Result<(), LimitError> {
        for (setting, value) in [
            ("connections", self.connections),
            ("channels", self.channels),
            ("subscriptions", self.subscriptions),
            ("channel-name", self.channel_name),
            ("message", self.message),
            ("outbox", self.outbox),
            ("window", self.window),
            ("first-window", self.first_window),
            ("queue", self.queue),
        ] {
            if value < 1 {
                return Err(LimitError::TooSmall { setting, value, bound: 1 });
            }
        }
        // The slots of connections and channels are 32-bit numbers, and so is a message's length.
        for (setting, value, bound) in [
            ("connections", self.connections, u32::MAX as usize / 4),
            ("channels", self.channels, u32::MAX as usize / 4),
            ("subscriptions", self.subscriptions, u32::MAX as usize / 4),
            ("message", self.message, u32::MAX as usize),
            ("read-ahead", self.read_ahead, isize::MAX as usize),
            ("memory", self.memory, isize::MAX as usize),
        ] {
            if value > bound {
                return Err(LimitError::TooLarge { setting, value, bound });
            }
        }
        for (setting, value) in [
            ("grace-period", self.grace_period),
            ("slow-consumer", self.slow_consumer),
            ("write-timeout", self.write_timeout),
        ] {
            if !value.is_zero() && value < Limits::SHORTEST {
                return Err(LimitError::TooShort { setting, value, bound: Limits::SHORTEST });
            }
        }
        self.delivery.check()?;
        let (connections, message) = (self.connections, self.message);
        let bound = connections.saturating_mul(cost::CONNECTION).saturating_add(message.saturating_mul(2));
        if self.memory < bound {
            return Err(LimitError::Memory { value: self.memory, bound, connections, message });
        }
        Ok(())
    }

    /// The part of `memory` that is for messages and channels: the rest is set aside for as many connections as there may be.
    pub fn memory_for_messages(&self) -> usize {
        self.memory.saturating_sub(self.connections.saturating_mul(cost::CONNECTION))
    }

    /// The grace that so many bytes taken give a subscriber, before the cap on what it saves.
    pub(crate) fn grace_for(&self, bytes: usize) -> Duration {
        let half = (self.outbox as u64 / 2).max(1);
        let small = u64::try_from(self.grace_period.as_nanos()).ok().and_then(|nanos| nanos.checked_mul(bytes as u64));
        let nanos = match small {
            Some(product) => product / half,
            None => {
                let nanos = self.grace_period.as_nanos() * bytes as u128 / u128::from(half);
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        };
        Duration::from_nanos(nanos)
    }

    /// [`Limits::first_window`], which is never more than [`Limits::window`].
    pub fn initial_window(&self) -> usize {
        self.first_window.min(self.window)
    }

    pub(crate) fn longest_grace(&self) -> Duration {
        self.grace_period.saturating_mul(SAVED_GRACE)
    }

    pub(crate) fn initial_grace_for_reading(&self) -> Duration {
        self.grace_period.saturating_mul(INITIAL_GRACE_FOR_READING)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 20_000,
            channels: 1_000_000,
            subscriptions: 10_000,
            channel_name: 1024,
            message: 16 * MIB,
            outbox: 8 * MIB,
            outbox_messages: 1_000_000,
            window: MIB,
            first_window: MIB / 16,
            queue: 64 * MIB,
            queue_messages: 10_000_000,
            overflow: QueueOverflow::Throttle,
            prefetch: 100,
            retained: 10_000,
            read_ahead: MIB / 4,
            memory: 512 * MIB,
            grace_period: Duration::from_millis(50),
            slow_consumer: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            delivery: Delivery::default(),
            policy: OverflowPolicy::DropNew,
            buffer_unsubscribed: 0,
        }
    }
}

/// Policy for a message to a topic's subscriber that has no room and no grace left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverflowPolicy {
    /// The subscriber misses the new message.
    #[default]
    DropNew,
    /// The subscriber misses the oldest that it has not begun to receive.
    DropOld,
    /// The subscriber is disconnected.
    Disconnect,
    /// The publisher is paused for as long as it takes.
    Block,
}

/// Policy for a message to a queue that is at its bounds in bytes or messages. For a further dead letter its queue drops the
/// oldest in any case, and so do the queues of durable subscriptions: there it does not become a dead letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOverflow {
    /// Its publisher is paused until there is room; that of a queue of dead letters is told, as with `Reject`.
    #[default]
    Throttle,
    /// It is not taken, and its publisher is told with [`Event::Rejected`](crate::Event::Rejected).
    Reject,
    /// It is taken, and the oldest that wait become dead letters.
    DropOld,
}

/// Overrides of [`Limits`] for the channels that a pattern matches. The first rule that matches a
/// channel is the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRule {
    /// Which channels.
    pub pattern: Pattern,
    /// See [`Limits::policy`].
    pub policy: Option<OverflowPolicy>,
    /// See [`Limits::buffer_unsubscribed`].
    pub buffer_unsubscribed: Option<usize>,
    /// See [`Limits::queue`].
    pub queue: Option<usize>,
    /// See [`Limits::queue_messages`].
    pub queue_messages: Option<usize>,
    /// See [`Limits::overflow`].
    pub overflow: Option<QueueOverflow>,
    /// See [`Limits::prefetch`].
    pub prefetch: Option<u32>,
    /// See [`Limits::delivery`].
    pub delivery: DeliveryRule,
}

impl ChannelRule {
    /// A rule for the channels of a pattern that says nothing yet.
    pub fn new(pattern: Pattern) -> ChannelRule {
        ChannelRule {
            pattern,
            policy: None,
            buffer_unsubscribed: None,
            queue: None,
            queue_messages: None,
            overflow: None,
            prefetch: None,
            delivery: DeliveryRule::default(),
        }
    }
}
