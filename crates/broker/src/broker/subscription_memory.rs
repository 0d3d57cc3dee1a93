//! Memory that subscriptions have: nobody could make them give it back. Those to patterns have a share of it, so that messages
//! have the rest. Where messages have all, consumers come in nevertheless: nobody else can drain it.

use super::Broker;
use super::member::Subscription;
use crate::name::Pattern;
use crate::{AckMode, Limits, Refusal, cost};

/// The part of the memory for messages that subscriptions to patterns may take.
const PATTERNS_SHARE: usize = 4;

/// The part of the memory budget that subscriptions to names may take where memory is exhausted, and as much again those
/// to patterns.
const BEYOND_SHARE: usize = 16;

/// The part of the memory for messages that those which one subscription has not acked may take if they come back one by one.
const UNACKED_SHARE: usize = 4;

/// The same of all subscriptions together is the bound from which on each gets so few further ones at a time.
const LEAST_EACH: u32 = 10;

/// Messages that a subscription may have unacked however little memory there is: the default prefetch.
const LEAST_UNACKED: isize = 100;

/// The bytes that subscriptions have of their shares.
#[derive(Debug)]
pub(super) struct Shares {
    /// The cost of those to names, each with a channel and its membership there.
    pub(super) names: usize,
    pub(super) patterns: usize,
    /// The most of the latter.
    pub(super) most_for_patterns: usize,
}

impl Shares {
    pub(super) fn new(limits: &Limits) -> Shares {
        Shares { names: 0, patterns: 0, most_for_patterns: limits.memory_for_messages() / PATTERNS_SHARE }
    }

    fn of(&mut self, row: &Subscription) -> (&mut usize, usize) {
        if row.pattern.is_literal() {
            (&mut self.names, row.charge() + channel_of(&row.pattern))
        } else {
            (&mut self.patterns, row.charge())
        }
    }

    pub(super) fn add(&mut self, row: &Subscription) {
        let (share, charge) = self.of(row);
        *share += charge;
    }

    pub(super) fn remove(&mut self, row: &Subscription) {
        let (share, charge) = self.of(row);
        *share -= charge;
    }
}

/// The cost of the channel of a subscription to a name.
fn channel_of(name: &Pattern) -> usize {
    cost::channel(name.as_bytes().len()) + cost::MEMBER
}

impl Broker {
    /// The most messages that one subscription may have unacked, whatever prefetch it asks for. Those that are handed out together
    /// cost little, and each that comes back alone costs as much as [`cost::RETURNED`].
    pub(super) fn most_unacked(&self) -> u32 {
        u32::try_from(self.most_together.max(LEAST_UNACKED)).unwrap_or(u32::MAX)
    }

    /// Further messages that may wait for their acks at a subscription: few, while all that wait so in leases with others would
    /// take more than their share of memory if they came back one by one.
    #[inline]
    pub(super) fn prefetch_left(&self, row: &Subscription) -> u32 {
        match row.ack {
            AckMode::Auto => u32::MAX,
            AckMode::Manual { prefetch } if self.leased_together > self.most_together => {
                prefetch.min(LEAST_EACH).saturating_sub(row.unacked)
            }
            AckMode::Manual { prefetch } => prefetch.saturating_sub(row.unacked),
        }
    }

    /// The most messages in leases with others from which on subscriptions get few.
    pub(super) fn most_together(limits: &Limits) -> isize {
        (limits.memory_for_messages() / UNACKED_SHARE / cost::RETURNED) as isize
    }

    /// Finds the memory for another subscription, and for so many bytes more with it, which dead letters give where need be.
    pub(super) fn find_memory_for_subscription(&mut self, pattern: &Pattern, more: usize) -> Result<(), Refusal> {
        let bytes = pattern.as_bytes().len();
        let each = cost::SUBSCRIPTION + cost::text(bytes) + more;
        let (need, share, most) = if pattern.is_literal() {
            (each + channel_of(pattern), self.shared.names, usize::MAX)
        } else {
            (each + cost::pattern(bytes), self.shared.patterns, self.shared.most_for_patterns)
        };
        if share.saturating_add(need) > most {
            return Err(Refusal::PatternMemory { bytes: need, taken: share, share: most });
        }
        while self.budget.lacks(need, self.pending_charge) > 0 && self.steps > 0 && self.shed_dead_letters() {}
        let is_short =
            if pattern.is_literal() { self.is_exhausted() } else { self.budget.lacks(need, self.pending_charge) > 0 };
        if is_short && share + need > self.limits.memory / BEYOND_SHARE {
            return Err(self.no_memory());
        }
        Ok(())
    }

    /// Whether another subscription to a name of so many bytes, and so many bytes more, have room in the share that those to
    /// names may take where memory is exhausted.
    pub(super) fn has_share_for_name(&self, name: usize, more: usize) -> bool {
        let need = cost::SUBSCRIPTION + cost::text(name) + cost::channel(name) + cost::MEMBER + more;
        self.shared.names + need <= self.limits.memory / BEYOND_SHARE
    }
}
