//! The follow-up work of a call: its order, and that of changed connections and channels.

use super::connection::{Phase, Sweep};
use super::member::Skipped;
use super::{Broker, Timer};
use crate::limits::QueueOverflow;
use crate::name::Kind;
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot};

impl Broker {
    /// Does the follow-up work that the marks name, until there is none or the call has done
    /// enough.
    #[inline]
    pub(super) fn run_effects(&mut self) {
        self.note_freed();
        // After most acks there is none.
        if self.has_work() || self.draining {
            self.run_marked_effects();
        }
    }

    /// Lets publishers that wait for memory go on if some was freed.
    #[inline]
    fn note_freed(&mut self) {
        self.wakes_memory |= self.budget.take_freed() && self.paused > 0;
    }

    fn run_marked_effects(&mut self) {
        loop {
            self.note_freed();
            if self.draining {
                self.check_drain();
            }
            if self.steps == 0 {
                return;
            }
            if let Some(slot) = self.connections.next_dirty() {
                self.check_connection(slot);
            } else if let Some(slot) = self.channels.next_dirty() {
                self.check_channel(slot);
            } else if !self.has_work() {
                return;
            } else {
                self.run_rare_effects();
            }
            self.steps = self.steps.saturating_sub(1);
        }
    }

    /// Does the next step of what follows from no single row.
    #[cold]
    fn run_rare_effects(&mut self) {
        // By turns with the rest: each call may lead to another look.
        if self.looks.is_next() {
            self.go_on_looking();
        } else if std::mem::take(&mut self.sheds) {
            self.sheds = self.shed_dead_letters();
        } else if std::mem::take(&mut self.wakes_memory) {
            self.wake_memory();
        } else if let Some(wake) = self.share_wake.take() {
            self.wake_shares(wake);
        } else if !self.garbage.is_empty() || !self.abandoned.is_empty() {
            if self.collect_abandoned() {
                self.collect_garbage();
            }
        } else if !self.moving.is_empty() {
            self.go_on_moving();
        } else if !self.rule_change.is_over() {
            self.apply_rules();
        } else if self.drained_to.is_some() {
            self.close_all();
        }
    }

    /// Whether a call has left work over.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        !self.connections.is_clean()
            || !self.channels.is_clean()
            || self.wakes_memory
            || self.sheds
            || self.share_wake.is_some()
            || !self.looks.is_empty()
            || !self.garbage.is_empty()
            || !self.abandoned.is_empty()
            || !self.moving.is_empty()
            || !self.rule_change.is_over()
            || self.drained_to.is_some()
    }

    /// The follow-up work of a changed connection.
    pub(super) fn check_connection(&mut self, slot: ConnectionSlot) {
        self.note_owed(slot);
        let row = &self.connections[slot];
        if row.phase == Phase::Open && !self.draining && self.troubled.is_empty() && !row.has_follow_up() {
            return;
        }
        let row = &self.connections[slot];
        if !row.joining.is_empty() {
            self.go_on_joining(slot);
        }
        if !self.connections[slot].visits.is_empty() {
            self.go_on_visiting(slot);
        }
        if !self.connections[slot].settling.is_empty() {
            self.go_on_settling(slot);
        }
        let row = &self.connections[slot];
        if !row.pending.is_empty() && row.blocked.is_none() && !row.is_going() {
            self.advance(slot);
        }
        if std::mem::take(&mut self.connections.quietly().row(slot).untangles) {
            self.untangle(slot);
        }
        if !self.connections[slot].retained.is_empty() {
            self.check_acknowledged(slot);
        }
        let row = &self.connections[slot];
        if row.leaves || !row.ending.is_empty() || row.wanted != Sweep::No || row.sweep != Sweep::No {
            self.check_leaving(slot);
            let row = &self.connections[slot];
            let is_gone = row.phase == Phase::Gone && !row.is_going();
            if is_gone && !row.pending.is_empty() && row.blocked.is_none() {
                // All that it had is back: what it sent goes on.
                self.connections.touch(slot);
            }
        }
        self.note_owed(slot);
        self.check_room(slot);
        self.wake_subscriber(slot);
        self.wake_skipped(slot);
        let was_told = self.connections[slot].is_told;
        self.tell_pause(slot);
        if !was_told && self.connections[slot].is_told {
            // Memory has become short, and the last consumer that was read no longer is.
            self.untangle(slot);
        }
        self.check_trouble(slot);
        self.close_if_done(slot);
        if self.connections[slot].phase == Phase::Gone {
            self.end_temporary(slot);
            self.remove_if_done(slot);
        }
    }

    /// The follow-up work of a changed channel.
    pub(super) fn check_channel(&mut self, slot: ChannelSlot) {
        if self.channels[slot].is_forgotten {
            return self.take_down(slot);
        }
        self.file_by_load(slot);
        if self.channels[slot].has_follow_up() {
            self.follow_up_channel(slot);
        }
        self.forget_if_unused(slot);
    }

    /// The follow-up work of a channel that has any.
    fn follow_up_channel(&mut self, slot: ChannelSlot) {
        if self.channels[slot].admits.is_some() {
            self.go_on_admitting(slot);
        }
        if self.channels[slot].is_urgent {
            self.begin_urgent(slot);
        }
        if self.channels[slot].pauses.is_some() {
            self.take_back_unwritten(slot);
        }
        let channel = &self.channels[slot];
        if channel.backlog.has_ready() {
            match channel.kind {
                Kind::Queue => self.dispatch_backlog(slot),
                Kind::Topic => self.give_buffered(slot),
            }
        }
        let channel = &self.channels[slot];
        if !channel.backlog.is_empty() || channel.due.is_some() || channel.is_urgent {
            if channel.kind == Kind::Queue && (channel.is_dead || channel.overflow == QueueOverflow::DropOld) {
                self.trim(slot);
            }
            self.arm_due(slot);
        }
        if !self.channels[slot].waiters.is_empty() {
            self.wake_channel(slot);
        }
    }

    /// Counts the connections that have not got, or not acked, all that is theirs.
    fn note_owed(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        let is_owed = row.is_owed();
        if is_owed != row.is_owed {
            self.connections.quietly().row(slot).is_owed = is_owed;
            self.owed = if is_owed { self.owed + 1 } else { self.owed - 1 };
        }
    }

    /// Notes when an outbox has room again.
    fn check_room(&mut self, slot: ConnectionSlot) {
        self.connections.quietly().row(slot).check_ahead(self.now, &self.limits);
        if !self.connections[slot].has_room_again() {
            return;
        }
        let limits = &self.limits;
        let connection = self.connections.quietly().row(slot);
        connection.full = None;
        connection.handed_window = limits.window;
        if let Some(time) = connection.grace_ends.take() {
            self.timers.remove(&(time, Timer::Grace(connection.id)));
            let rest = time.since(self.now);
            connection.regraces = true;
            connection.accrue(rest, limits);
        }
    }

    /// Lets queues go on that found no room, as far as there is some now.
    fn wake_skipped(&mut self, slot: ConnectionSlot) {
        while let Some(&subscription) = self.connections[slot].freed.front() {
            self.go_on_passing(subscription);
            let known = self.subscriptions.get(subscription).filter(|row| row.connection == slot);
            let first = known.filter(|row| self.prefetch_left(row) > 0).and_then(|row| row.skipped.first);
            // Of all subscriptions, those with acks alone have a prefetch.
            let row = &self.connections[slot];
            let has_lapsed = row.has_lapsed;
            let able = row.is_able() && !row.is_full_for_queues() && !has_lapsed;
            let Some(member) = first.filter(|_| able) else {
                // The rest finds no room, and is told by what it waits for.
                if let Some(member) = first {
                    if !self.spend(1) {
                        self.connections.edit(slot);
                        return;
                    }
                    let waits_for = if has_lapsed { Skipped::Lapsed } else { Skipped::Outbox };
                    self.skip_again(member, waits_for);
                    continue;
                }
                self.connections.quietly().row(slot).freed.pop_front();
                continue;
            };
            if !self.wake_member(slot, member) {
                return;
            }
        }
        while self.connections[slot].is_able() && !self.connections[slot].is_full_for_queues() {
            let row = &self.connections[slot];
            let lapsed = row.lapsed.first.filter(|_| !row.has_lapsed);
            let Some(member) = row.skipped.first.or(lapsed) else { return };
            if !self.wake_member(slot, member) {
                return;
            }
        }
    }

    /// Dispatches from the queue that skipped a member; false if this call has done enough.
    fn wake_member(&mut self, slot: ConnectionSlot, member: MemberSlot) -> bool {
        if !self.spend(4) {
            self.connections.edit(slot);
            return false;
        }
        self.unskip(member);
        self.dispatch_backlog(self.members[member].channel);
        true
    }

    /// Keeps the set of those that an operator wants to see first.
    fn check_trouble(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        if row.stalled || row.blocked.is_some() || row.is_slow(self.now) {
            self.troubled.insert(slot);
        } else if !self.troubled.is_empty() {
            self.troubled.remove(&slot);
        }
    }
}
