//! Waiters are woken when there is room again: each cause has its own list, which is walked as far as there is room.

use super::Broker;
use super::connection::Phase;
use crate::slots::{ChannelSlot, ConnectionSlot};
use std::collections::VecDeque;
use std::ops::Bound::{Excluded, Unbounded};

/// A look at the channels whose publishers wait for their share of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShareWake {
    /// The last one that could not go on yet: its load has changed.
    passed: Option<(usize, ChannelSlot)>,
}

/// Channels whose publishers are to be looked at: they may be part of a knot now, or another rule applies to them.
#[derive(Debug, Default)]
pub(super) struct Looks {
    channels: VecDeque<ChannelSlot>,
    /// The rest of the follow-up work is next.
    had_turn: bool,
}

impl Looks {
    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Whether it is their turn. Each time that it is asked, if there are any, the turn changes.
    pub(super) fn is_next(&mut self) -> bool {
        self.had_turn = !self.had_turn && !self.is_empty();
        self.had_turn
    }
}

/// Publishers that are looked at in one turn.
const LOOKED_AT: usize = 64;

impl Broker {
    /// Each of a channel's publishers that wait is to be looked at: it may be part of a knot now.
    pub(super) fn look_at_waiters(&mut self, slot: ChannelSlot) {
        let channel = self.channels.edit(slot);
        channel.untangles.begin(channel.waiters.first);
        channel.share_untangles.begin(channel.share_waiters.first);
        let is_over = channel.untangles.is_over() && channel.share_untangles.is_over();
        if !is_over && !std::mem::replace(&mut channel.is_looked_at, true) {
            self.looks.channels.push_back(slot);
        }
    }

    /// The same, and those that wait for room are to be tried, for another rule applies to them.
    pub(super) fn retry_waiters(&mut self, slot: ChannelSlot) {
        self.look_at_waiters(slot);
        let channel = self.channels.edit(slot);
        channel.has_new_rule = !channel.untangles.is_over();
    }

    /// Goes on with looking at publishers that wait, of each channel by turns.
    pub(super) fn go_on_looking(&mut self) {
        let Some(slot) = self.looks.channels.pop_front() else { return };
        if self.channels.get(slot).is_none_or(|channel| !channel.is_looked_at) {
            // It was forgotten, and another one has its slot.
            return;
        }
        for _ in 0..LOOKED_AT {
            if !self.look_at_next(slot) {
                if self.channels.get(slot).is_some() {
                    self.channels.quietly().row(slot).is_looked_at = false;
                }
                return;
            }
            if self.steps == 0 {
                break;
            }
        }
        self.looks.channels.push_back(slot);
    }

    /// Looks at the next publisher that waits for room in a channel, and at the next that waits for its share of memory:
    /// false if all are looked at.
    fn look_at_next(&mut self, slot: ChannelSlot) -> bool {
        self.spend(16);
        let channel = self.channels.quietly().row(slot);
        let first = channel.untangles.next(channel.waiters.first);
        channel.has_new_rule &= first.is_some();
        let is_new = channel.has_new_rule;
        if let Some(waiter) = first {
            channel.untangles.leave(waiter, self.connections[waiter].wait.next);
            if is_new {
                self.advance(waiter);
            } else {
                self.untangle(waiter);
            }
        }
        if self.channels.get(slot).is_none() {
            return false;
        }
        let channel = self.channels.quietly().row(slot);
        let of_share = channel.share_untangles.next(channel.share_waiters.first);
        if let Some(waiter) = of_share {
            channel.share_untangles.leave(waiter, self.connections[waiter].wait.next);
            self.untangle(waiter);
        }
        first.or(of_share).is_some() && self.channels.get(slot).is_some()
    }

    /// Lets those go on that wait for room in a channel, as long as there is some.
    pub(super) fn wake_channel(&mut self, slot: ChannelSlot) {
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
            connection.pass.begin(connection.waiters.first);
        }
        loop {
            let connection = self.connections.quietly().row(slot);
            let Some(next) = connection.pass.next(connection.waiters.first) else { break };
            if !self.spend(16) {
                self.connections.edit(slot);
                return;
            }
            let behind = self.connections[next].wait.next;
            self.connections.quietly().row(slot).pass.leave(next, behind);
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
