//! Messages that come back from a consumer: to their places at once, after a back-off, or to the dead letters;
//! and the timer of a channel.

use super::Broker;
use super::dead::Reason;
use super::timers::Timer;
use crate::backlog::Segment;
use crate::delivery::Return;
use crate::slots::ChannelSlot;

/// The outcome for messages whose time had come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Ready,
    /// Message `i` had the sequence number `first + i * step`.
    Expired {
        first: u64,
        step: u64,
        messages: u64,
    },
}

impl Broker {
    /// A consumer has let go of messages of a queue.
    pub(super) fn take_back(&mut self, slot: ChannelSlot, mut segment: Segment, how: Return) {
        segment.tries = match how {
            Return::Unseen => segment.tries,
            Return::Seen => segment.tries.seen(),
            Return::Tried | Return::Failed | Return::Lapsed | Return::Rejected => segment.tries.tried(),
        };
        if how == Return::Unseen {
            return self.requeue(slot, segment);
        }
        if how == Return::Seen {
            self.channels.edit(slot).returned += segment.batch.len() as u64;
            return self.requeue(slot, segment);
        }
        self.follow_rules(slot);
        self.totals.failed += segment.batch.len() as u64;
        let reason = match how {
            Return::Rejected => Some(Reason::Rejected),
            _ if self.may_retry(slot, &segment) => None,
            _ => Some(Reason::Attempts),
        };
        let segment = match reason {
            None => segment,
            Some(reason) => match self.bury(slot, segment, reason) {
                Ok(()) => return,
                // No room for another channel: it is tried again rather than lost.
                Err(segment) => segment,
            },
        };
        let channel = self.channels.edit(slot);
        channel.returned += segment.batch.len() as u64;
        let (delivery, rank) = (channel.delivery, segment.batch.rank());
        let backoff = delivery.backoff(segment.tries);
        if how == Return::Tried || backoff.is_zero() {
            self.requeue(slot, segment);
            self.note_rank(slot, rank);
        } else {
            self.postpone(slot, segment, self.now + backoff);
        }
    }

    /// Whether messages may be tried once more. Those of dead letters may for ever.
    fn may_retry(&self, slot: ChannelSlot, segment: &Segment) -> bool {
        let channel = &self.channels[slot];
        channel.is_dead || !channel.delivery.is_exhausted(segment.tries)
    }

    /// Arms the timer for what a channel has postponed.
    #[inline]
    pub(super) fn arm_due(&mut self, slot: ChannelSlot) {
        let channel = &self.channels[slot];
        let mut due = channel.backlog.due();
        if channel.retained.is_some() {
            due = due.into_iter().chain(channel.retained_expires()).min();
        }
        if channel.is_urgent {
            due = due.into_iter().chain(self.urgent_due(slot)).min();
        }
        if due != channel.due {
            let before = std::mem::replace(&mut self.channels.quietly().row(slot).due, due);
            before.into_iter().for_each(|time| _ = self.timers.remove(&(time, Timer::Due(slot))));
            due.into_iter().for_each(|time| _ = self.timers.insert((time, Timer::Due(slot))));
        }
    }

    /// Messages of a channel need not wait any longer, or their time is over: some a call.
    pub(super) fn queue_is_due(&mut self, slot: ChannelSlot) {
        let channel = self.channels.edit(slot);
        channel.due = None;
        if channel.is_urgent {
            self.begin_urgent(slot);
        }
        // One at least, however little this call may still do.
        while self.go_on_with_due(slot).is_some() {
            if !self.spend(4) {
                break;
            }
        }
        self.note_bound(slot);
        self.expire_retained(slot);
        self.arm_due(slot);
    }

    /// Makes messages of a channel ready that need not wait any longer, or takes out those whose time is over: the next ones.
    pub(super) fn go_on_with_due(&mut self, slot: ChannelSlot) -> Option<Due> {
        let backlog = &mut self.channels.edit(slot).backlog;
        if let Some((rank, group)) = backlog.make_ready(self.now) {
            group.into_iter().for_each(|group| self.file_group(slot, group));
            self.note_rank(slot, rank);
            return Some(Due::Ready);
        }
        let segment = backlog.pop_expired(self.now)?;
        let due = Due::Expired { first: segment.first, step: segment.step, messages: segment.batch.len() as u64 };
        self.uncharge(slot, segment.charge());
        self.waiting -= segment.batch.len();
        self.expire(slot, segment);
        self.note_due(slot, due);
        Some(due)
    }
}
