//! Room in the outboxes of a topic's subscribers, and what becomes of a message for one without any.

use super::Broker;
use super::expire::BETWEEN_RECALLS;
use super::pause::Blocked;
use crate::limits::OverflowPolicy;
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot};
use crate::{Batch, CloseReason, PauseReason};

impl Broker {
    /// Whether a subscriber without room is in its grace period.
    pub(super) fn must_wait(
        &mut self,
        slot: ChannelSlot,
        bytes: usize,
        messages: usize,
    ) -> Option<(Blocked, PauseReason)> {
        let mut wait = None;
        // Follow-up work that tries many publishers of a large topic takes several calls.
        self.spend(self.channels[slot].members as usize / 16);
        let mut next = self.channels[slot].everybody.first;
        while let Some(member) = next {
            next = self.members[member].in_channel.next;
            let subscriber = self.members[member].connection;
            let row = &self.connections[subscriber];
            if !row.fits(bytes, messages, &self.limits) && !row.is_closing() && !self.is_parting(member) {
                let must = self.must_wait_for(slot, subscriber, bytes);
                wait = wait.or(must);
            }
        }
        wait
    }

    fn must_wait_for(
        &mut self,
        slot: ChannelSlot,
        subscriber: ConnectionSlot,
        bytes: usize,
    ) -> Option<(Blocked, PauseReason)> {
        let connection = self.connections.edit(subscriber);
        connection.set_full(bytes, &self.limits);
        if self.channels[slot].policy != OverflowPolicy::Block {
            if connection.is_slow(self.now) {
                return None;
            }
            if !connection.draining || self.limits.grace_period.is_zero() {
                self.judge_slow(subscriber);
                return None;
            }
            if connection.grace_ends.is_none() {
                connection.took = false;
                self.wait_for_room(subscriber, self.limits.grace_period);
            }
        }
        let channel = self.channels[slot].name.clone();
        let reason = PauseReason::SlowSubscriber { channel, subscriber: self.connections[subscriber].id };
        Some((Blocked::Subscriber(subscriber), reason))
    }

    /// Whether a subscriber has room, at last by the channel's policy.
    #[inline(always)]
    pub(super) fn make_room(&mut self, channel: ChannelSlot, slot: ConnectionSlot, batch: &Batch) -> bool {
        let (bytes, messages) = (batch.footprint(), batch.len());
        let row = &self.connections[slot];
        !row.is_closing()
            && (row.fits(bytes, messages, &self.limits) || self.act_by_policy(channel, slot, (bytes, messages)))
    }

    /// Acts by the channel's policy on a subscriber without room: whether there is some now.
    #[cold]
    fn act_by_policy(&mut self, channel: ChannelSlot, slot: ConnectionSlot, (bytes, messages): (usize, usize)) -> bool {
        let row = &self.connections[slot];
        match self.channels[channel].policy {
            OverflowPolicy::DropNew | OverflowPolicy::Block => false,
            // Room is kept for a retained value: nothing that is dropped would make any.
            OverflowPolicy::DropOld if row.kept_for_value > 0 => false,
            OverflowPolicy::Disconnect => {
                self.close(slot, CloseReason::Slow);
                false
            }
            OverflowPolicy::DropOld => {
                while !self.connections[slot].fits(bytes, messages, &self.limits) {
                    if !self.miss_oldest(slot, false) {
                        return self.take_beyond(slot);
                    }
                }
                true
            }
        }
    }

    /// A subscriber misses the oldest message that the driver does not have, of topics with that policy: false if there is none.
    fn miss_oldest(&mut self, slot: ConnectionSlot, newest_stays: bool) -> bool {
        let (members, channels) = (&self.members, &self.channels);
        let may_miss = |member: MemberSlot| channels[members[member].channel].policy == OverflowPolicy::DropOld;
        let Some(oldest) = self.connections.edit(slot).outbox.drop_oldest(may_miss, newest_stays) else { return false };
        if let Some(channel) = self.channel_of(oldest.origin) {
            self.count_dropped(channel, slot, oldest.batch.len());
        }
        self.uncharge_entry(&oldest);
        oldest.allocation.into_iter().for_each(|allocation| self.release(allocation));
        true
    }

    /// The driver has all that a subscriber could miss. The newest is taken beyond the bounds, once, and the driver is asked for
    /// what it has not begun to write: that is older. Until the outbox has room again it gets half of that at most, so that the
    /// rest can be missed without asking. Returns false if the outbox is beyond its bounds with other messages that wait.
    #[cold]
    fn take_beyond(&mut self, slot: ConnectionSlot) -> bool {
        let (now, limits) = (self.now, &self.limits);
        let connection = self.connections.edit(slot);
        if connection.is_beyond(limits) && !connection.outbox.is_handed_out() {
            return false;
        }
        let half = connection.outbox.in_flight_bytes().min(limits.outbox) / 2;
        connection.handed_window = connection.handed_window.min(half).max(1);
        if connection.outbox.has_in_flight() && !connection.recalling && now >= connection.recall_after {
            connection.recall_after = now + BETWEEN_RECALLS;
            self.recall(slot);
        }
        true
    }

    /// Recalled messages are missed as far as they are beyond the bounds. The newest one stays in any case.
    pub(super) fn drop_recalled(&mut self, slot: ConnectionSlot) {
        while self.connections[slot].is_beyond(&self.limits) && self.miss_oldest(slot, true) {
            self.spend(1);
        }
    }

    pub(super) fn count_dropped(&mut self, channel: ChannelSlot, connection: ConnectionSlot, messages: usize) {
        let messages = messages as u64;
        self.totals.dropped_slow += messages;
        self.channels.edit(channel).dropped += messages;
        self.connections.quietly().row(connection).dropped += messages;
    }
}
