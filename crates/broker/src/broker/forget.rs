//! Channels that are forgotten: since nothing is in them and nobody names them, or since they have ended.

use super::Broker;
use super::channel::Channel;
use super::member::Member;
use crate::Event;
use crate::list::Link;
use crate::slots::{ChannelSlot, MemberSlot};

/// Limit on empty channels that are remembered only because a pattern matches them.
pub(super) const UNUSED: usize = 1024;
/// The part of the memory budget that these may take with their members.
const UNUSED_SHARE: usize = 64;

fn unused(channel: &mut Channel) -> &mut Link<ChannelSlot> {
    &mut channel.unused
}

impl Broker {
    /// Returns true if memory is free for another channel, or so much of it `beyond` the budget: if need be in place of
    /// some that are kept unused. None is forgotten where all of them would not suffice.
    pub(super) fn has_room_for_channel(&mut self, need: usize, beyond: usize) -> bool {
        while self.budget.lacks(need, self.pending_charge) > beyond && self.steps > 0 && self.shed_dead_letters() {}
        if self.budget.lacks(need, self.pending_charge) > beyond.saturating_add(self.unused_charge) {
            return false;
        }
        while self.budget.lacks(need, self.pending_charge) > beyond {
            if !self.forget_oldest_unused() {
                return false;
            }
        }
        true
    }

    /// A channel with nobody and nothing in it is forgotten. Where somebody listens by a pattern, or it took long to find that
    /// nobody does, a few are kept: the next batch need not find out anew who that is.
    pub(super) fn forget_if_unused(&mut self, slot: ChannelSlot) {
        let channel = &self.channels[slot];
        if !channel.is_idle() {
            return;
        }
        if channel.members == 0 && channel.feeds.is_none() && !channel.is_hard_to_find {
            return self.forget(slot);
        }
        if !channel.is_unused {
            self.unused_charge += channel.charge_when_empty();
            self.channels.quietly().row(slot).is_unused = true;
            self.unused.push_back(self.channels.quietly(), slot, unused);
            self.unused_count += 1;
        }
        // They save time alone, so they have little of what others need.
        while self.unused_count > UNUSED || self.unused_charge > self.budget.limit() / UNUSED_SHARE {
            if !self.forget_oldest_unused() {
                // Later, for nothing else may change it.
                self.channels.edit(slot);
                return;
            }
        }
    }

    /// Forgets the channel that is unused for the longest, if there is one and this call may.
    fn forget_oldest_unused(&mut self) -> bool {
        if self.steps == 0 {
            return false;
        }
        let Some(oldest) = self.unused.first else { return false };
        self.use_again(oldest);
        if self.channels[oldest].is_idle() {
            self.forget(oldest);
        }
        true
    }

    /// Takes a channel out of those that are kept unused.
    pub(super) fn use_again(&mut self, slot: ChannelSlot) {
        let channel = self.channels.quietly().row(slot);
        if std::mem::take(&mut channel.is_unused) {
            self.unused_charge -= channel.charge_when_empty();
            self.unused.remove(self.channels.quietly(), slot, unused);
            self.unused_count -= 1;
        }
    }

    /// At once for those who name it, though it may take several calls until nothing of it is left: a publisher would
    /// otherwise find it with some of its members.
    fn forget(&mut self, slot: ChannelSlot) {
        if !self.channels[slot].is_forgotten {
            self.withdraw(slot);
        }
        self.take_down(slot);
    }

    /// Ends a queue with everything in it. Nobody finds it any more, its members leave, publishers that wait for it go on,
    /// and what comes back to it later is dropped.
    pub(super) fn end_queue(&mut self, slot: ChannelSlot) {
        if self.channels[slot].is_forgotten {
            return;
        }
        if self.channels[slot].source.is_some() {
            // Whatever its name: one that is fed is never idle, and would stay for ever.
            self.set_source(slot, None);
        }
        self.drop_ended(slot);
        self.withdraw(slot);
        let channel = self.channels.edit(slot);
        if std::mem::take(&mut channel.is_paused) {
            channel.returning -= 1;
        }
        channel.pauses = None;
    }

    /// Drops what waits in a queue that ends.
    fn drop_ended(&mut self, slot: ChannelSlot) {
        let dropped = self.discard(slot);
        self.totals.dropped_ended += dropped as u64;
    }

    /// A member leaves a queue that has ended, and with it its subscription, if that is to this queue alone: its connection may
    /// subscribe so again.
    fn leave_ended(&mut self, member: MemberSlot) {
        let Member { subscription, connection, id, .. } = self.members[member];
        let row = &self.subscriptions[subscription];
        let ends = !row.by_pattern && !row.is_ended && !self.connections[connection].has_left();
        self.leave_member(member, false);
        if ends {
            self.unsubscribe(connection, id);
            let connection = self.connections[connection].id;
            self.events.push_back(Event::Ended { connection, subscription: id });
        }
    }

    /// Goes on with taking down a channel that nobody finds any more, until nothing refers to it.
    pub(super) fn take_down(&mut self, slot: ChannelSlot) {
        if !self.channels[slot].backlog.is_empty() {
            self.drop_ended(slot);
        }
        if !self.channels[slot].waiters.is_empty() {
            // Each finds anew that there is no such queue.
            self.wake_channel(slot);
        }
        // Members: some a step, and again later.
        while let Some(member) = self.channels[slot].everybody.last {
            if !self.spend(4) {
                self.channels.edit(slot);
                return;
            }
            self.leave_ended(member);
        }
        if !self.channels[slot].is_idle() {
            // Each reason that ends marks it again.
            return;
        }
        let channel = self.channels.remove(slot);
        self.list_charge -= channel.list_charge();
        self.budget.release(channel.charge());
    }

    /// Takes a channel out of everything by which it is found.
    fn withdraw(&mut self, slot: ChannelSlot) {
        let channel = self.channels.quietly().row(slot);
        (channel.is_forgotten, channel.is_urgent) = (true, false);
        self.names.remove(&channel.name);
        debug_assert!(channel.backlog.is_empty() && channel.retained.is_none());
        self.arm_due(slot);
        self.use_again(slot);
        self.remove_from_owner(slot);
        self.remove_by_load(slot);
    }
}
