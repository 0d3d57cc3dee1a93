//! One entry of an outbox, and where its messages come from.

use crate::delivery::Tries;
use crate::slots::{AllocationSlot, MemberSlot};
use crate::{Batch, Time};

/// Why an entry is in an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Topic {
        member: MemberSlot,
    },
    /// Message `i` of the batch has the sequence number `first + i * step` in its queue.
    Queue {
        member: MemberSlot,
        first: u64,
        step: u64,
    },
    /// Message `i` of the batch waits for its ack under the tag `first_tag + i`.
    Leased {
        member: MemberSlot,
        first_tag: u64,
    },
    Barrier,
}

impl Origin {
    pub(crate) fn member(&self) -> Option<MemberSlot> {
        match *self {
            Origin::Topic { member } | Origin::Queue { member, .. } | Origin::Leased { member, .. } => Some(member),
            Origin::Barrier => None,
        }
    }

    /// The tag of its first message, if that waits for an ack.
    pub(crate) fn first_tag(&self) -> Option<u64> {
        match *self {
            Origin::Leased { first_tag, .. } => Some(first_tag),
            _ => None,
        }
    }

    /// Whether it is a queue's, and done when it is written or acknowledged.
    pub(crate) fn is_auto(&self) -> bool {
        matches!(self, Origin::Queue { .. })
    }

    pub(crate) fn is_of_queue(&self) -> bool {
        matches!(self, Origin::Queue { .. } | Origin::Leased { .. })
    }

    /// The origin of what is behind the first `count` messages.
    pub(crate) fn skip(self, count: usize) -> Origin {
        let count = count as u64;
        match self {
            Origin::Queue { member, first, step } => Origin::Queue { member, first: first + step * count, step },
            Origin::Leased { member, first_tag } => Origin::Leased { member, first_tag: first_tag + count },
            other => other,
        }
    }

    /// The origin of `count` messages and those of `next`, if they are one.
    pub(super) fn join(self, count: usize, next: Origin, next_count: usize) -> Option<Origin> {
        match (self, next) {
            (Origin::Topic { member }, Origin::Topic { member: other }) => {
                (member == other).then_some(Origin::Topic { member })
            }
            (Origin::Queue { member, first, step }, Origin::Queue { member: other, first: next, step: next_step }) => {
                let step = if count == 1 { next.checked_sub(first)? } else { step };
                let same = member == other && (next_count == 1 || next_step == step);
                (same && step > 0 && first + step * count as u64 == next).then_some(Origin::Queue {
                    member,
                    first,
                    step,
                })
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct OutboxEntry {
    pub(crate) batch: Batch,
    pub(crate) allocation: Option<AllocationSlot>,
    pub(crate) tries: Tries,
    pub(crate) origin: Origin,
}

impl OutboxEntry {
    /// Its reference to a buffer, if it has one, and the bytes of that which are used, for the audit.
    pub(crate) fn buffer(&self) -> Option<(AllocationSlot, usize)> {
        Some((self.allocation?, self.batch.footprint_given()))
    }

    /// When its messages expire, but for what a connection gets back of its own.
    pub(crate) fn expires(&self) -> Option<Time> {
        self.batch.expires().filter(|_| self.origin != Origin::Barrier)
    }

    /// Whether the time of its messages is over. What a connection gets back of its own never expires.
    #[inline]
    pub(crate) fn has_expired(&self, now: Time) -> bool {
        self.batch.has_expired(now) && self.origin != Origin::Barrier
    }
}
