//! Waiters are woken when there is room again: each cause has its own list, which is walked as far as there is room.

use super::Broker;
use super::connection::Phase;
use crate::slots::{ChannelSlot, ConnectionSlot};
use std::ops::Bound::{Excluded, Unbounded};

/// A look at the channels whose publishers wait for their share of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShareWake {
    /// The last one that could not go on yet: its load has changed.
    passed: Option<(usize, ChannelSlot)>,
}

impl Broker {
    /// Looks anew at those that wait for a channel's share of memory: they may be part of a knot now.
    pub(super) fn untangle_shares(&mut self, slot: ChannelSlot) {
        while let Some(next) = self.channels[slot].share_untangles {
            if !self.spend(16) {
                self.channels.edit(slot);
                return;
            }
            let behind = self.connections[next].wait.next;
            self.channels.quietly().row(slot).share_untangles = behind;
            self.untangle(next);
        }
    }

    /// Lets those go on that wait for room in a channel, as long as there is some.
    pub(super) fn wake_channel(&mut self, slot: ChannelSlot) {
        while let Some(next) = self.channels[slot].untangles {
            if !self.spend(16) {
                self.channels.edit(slot);
                return;
            }
            let behind = self.connections[next].wait.next;
            self.channels.quietly().row(slot).untangles = behind;
            if self.channels[slot].has_new_rule {
                self.advance(next);
            } else {
                self.untangle(next);
            }
        }
        self.channels.quietly().row(slot).has_new_rule = false;
        while let Some(first) = self.channels[slot].waiters.first {
            if !self.spend(16) {
                self.channels.edit(slot);
                return;
            }
            self.advance(first);
            if self.channels.get(slot).is_none_or(|channel| channel.waiters.first == Some(first)) {
                return;
            }
        }
    }

    /// Lets those go on that wait for room in an outbox: as long as there is some, or each of them
    /// once where something else has changed.
    pub(super) fn wake_subscriber(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.quietly().row(slot);
        if std::mem::take(&mut connection.wakes_all) {
            connection.pass = connection.waiters.first;
        }
        while let Some(next) = self.connections[slot].pass {
            if !self.spend(16) {
                self.connections.edit(slot);
                return;
            }
            let behind = self.connections[next].wait.next;
            self.connections.quietly().row(slot).pass = behind;
            self.advance(next);
        }
        while let Some(first) = self.connections[slot].waiters.first {
            if self.connections[slot].full.is_some() {
                return self.grace_again(slot);
            }
            if !self.spend(16) {
                self.connections.edit(slot);
                return;
            }
            self.advance(first);
            if self.connections[slot].waiters.first == Some(first) {
                return self.grace_again(slot);
            }
        }
    }

    /// Starts a grace period for the publishers behind the first waiter, which may have no time limit.
    fn grace_again(&mut self, slot: ConnectionSlot) {
        let (now, grace) = (self.now, self.limits.grace_period);
        let connection = self.connections.quietly().row(slot);
        let regraces = std::mem::take(&mut connection.regraces) && connection.grace_ends.is_none();
        if regraces && !connection.is_slow(now) && !grace.is_zero() && connection.phase < Phase::Closing {
            connection.took = false;
            self.wait_for_room(slot, grace);
        }
    }

    /// Lets those go on that wait for memory, as long as there is some.
    pub(super) fn wake_memory(&mut self) {
        self.untangle_tied();
        if !self.wake_needs() {
            self.wakes_memory = true;
            return;
        }
        while let Some(first) = self.memory_waiters.first {
            if !self.spend(16) {
                self.wakes_memory = true;
                return;
            }
            self.advance(first);
            if self.memory_waiters.first == Some(first) {
                break;
            }
        }
        self.wake_unfinished();
        self.share_wake = Some(ShareWake::default());
    }

    /// Lets publishers go on whose channels have no more than is free, some in each call.
    pub(super) fn wake_shares(&mut self, mut wake: ShareWake) {
        loop {
            let next = match wake.passed {
                None => self.share_waiting.first(),
                Some(key) => self.share_waiting.range((Excluded(key), Unbounded)).next(),
            };
            let Some(&(load, slot)) = next.filter(|(load, _)| *load <= self.budget.free()) else { return };
            if !self.spend(16) {
                self.share_wake = Some(wake);
                return;
            }
            let Some(first) = self.channels[slot].share_waiters.first else {
                self.share_waiting.remove(&(load, slot));
                continue;
            };
            // One that is over its channel's share again moves back with its channel's load.
            self.advance(first);
            let stays = self.channels.get(slot).is_some_and(|channel| channel.share_waiters.first == Some(first));
            if stays && self.share_waiting.contains(&(load, slot)) {
                wake.passed = Some((load, slot));
            }
        }
    }
}
