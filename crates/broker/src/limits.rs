use crate::name::Pattern;
use std::time::Duration;

/// The bounds of everything. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. As many that have left may have messages that still wait for room.
    pub connections: usize,
    /// Channels in being at a time.
    pub channels: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// A channel's name.
    pub channel_name: usize,
    /// One message.
    pub message: usize,
    /// What may wait for one connection. An empty outbox takes one message of any legal size.
    pub outbox: usize,
    /// How much of the outbox is handed out ahead of its credit.
    pub window: usize,
    /// What may wait in one queue, or in one topic that holds. An empty one takes one message.
    pub queue: usize,
    /// All buffered bytes together.
    pub memory: usize,
    /// How long a full but draining topic subscriber may hold the publishers; zero for not at all.
    /// It earns as much again with each half of an outbox that it takes, and keeps at most ten
    /// times as much for later. As much is advanced once: six parts of ten while it takes something
    /// in each such time, the others also when it takes nothing, unless the topic's other
    /// subscribers keep up.
    pub patience: Duration,
    /// How long a slow subscriber earns no new patience.
    pub slow: Duration,
    /// How long a worker may take no byte before its unwritten messages go to others.
    pub stall: Duration,
    /// What happens to messages for a slow subscriber of a topic.
    pub policy: OverflowPolicy,
    /// How many messages a topic without subscribers keeps before it holds its publishers;
    /// 0 drops (and counts) them.
    pub hold: usize,
}

const MIB: usize = 1 << 20;
/// How often its patience a subscriber may save.
const SAVED_PATIENCE: u32 = 10;
/// How much of the advance is only for one that takes something. The rest is for one that does
/// not: on a busy machine it may have had no processor yet.
const ADVANCE_FOR_READING: u32 = 6;

impl Limits {
    /// What a subscriber earns that takes so many bytes.
    pub(crate) fn patience_for(&self, bytes: usize) -> Duration {
        let nanos = self.patience.as_nanos() * bytes as u128 / (self.outbox as u128 / 2).max(1);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(self.longest_patience())
    }

    pub(crate) fn longest_patience(&self) -> Duration {
        self.patience.saturating_mul(SAVED_PATIENCE)
    }

    pub(crate) fn advance_for_reading(&self) -> Duration {
        self.patience.saturating_mul(ADVANCE_FOR_READING)
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
            window: MIB / 4,
            queue: 64 * MIB,
            memory: 512 * MIB,
            patience: Duration::from_millis(50),
            slow: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            policy: OverflowPolicy::DropNew,
            hold: 0,
        }
    }
}

/// What happens to a message for a topic's subscriber that has no room and no patience left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverflowPolicy {
    /// The subscriber misses the new message.
    #[default]
    DropNew,
    /// The subscriber misses the oldest that it has not begun to receive.
    DropOld,
    /// The subscriber is disconnected.
    Disconnect,
    /// The publisher is held for as long as it takes.
    Block,
}

/// What differs from [`Limits`] for the channels that a pattern matches. The first rule that
/// matches a channel is the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRule {
    /// Which channels.
    pub pattern: Pattern,
    /// See [`Limits::policy`].
    pub policy: Option<OverflowPolicy>,
    /// See [`Limits::hold`].
    pub hold: Option<usize>,
    /// See [`Limits::queue`].
    pub queue: Option<usize>,
}
