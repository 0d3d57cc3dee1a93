//! Connections that wait, and the causes for which they do.

use super::Broker;
use super::connection::{Phase, wait};
use super::knot::Knot;
use super::pending::Pending;
use super::publish::Taken;
use crate::delivery::Tries;
use crate::list::List;
use crate::outbox::{Origin, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{Batch, PauseReason, Refusal};
use bytes::Bytes;

/// Cause of a pause. Connections that wait for the same are a list, the longest waiting first; of a
/// list, the first that does not fit keeps its place and the others waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Room in a channel's backlog.
    Channel(ChannelSlot),
    /// Room in a connection's outbox.
    Subscriber(ConnectionSlot),
    /// Memory, because its channel has more than is free.
    Share(ChannelSlot),
    /// Memory for a buffer or a new channel.
    Memory,
    /// Its own subscriptions to have joined all channels.
    Joining,
    /// Its own receipts to be written. It is tried when they are, and by nothing else.
    Receipts,
}

/// A command that could not be carried out wholly: its rest, and what it waits for.
pub(super) struct Stop {
    pub(super) rest: Pending,
    pub(super) on: Blocked,
    pub(super) reason: PauseReason,
    pub(super) channel: Option<ChannelSlot>,
}

impl Broker {
    /// Takes what a connection sends, behind what it sent before.
    pub(super) fn accept(&mut self, slot: ConnectionSlot, command: Pending) {
        if let Pending::Publish { channel, batch } = &command {
            let longest = || batch.iter().map(<[u8]>::len).max().unwrap_or(0);
            if channel.len() > self.limits.channel_name {
                let refusal = Refusal::NameTooLong { length: channel.len(), limit: self.limits.channel_name };
                return self.refuse_publish(slot, channel.clone(), refusal);
            }
            if batch.bytes() > self.limits.message && longest() > self.limits.message {
                let refusal = Refusal::MessageTooLong { length: longest(), limit: self.limits.message };
                return self.refuse_publish(slot, channel.clone(), refusal);
            }
        }
        if let Pending::Publish { batch, .. } | Pending::Barrier { batch } | Pending::Receipt { batch, .. } = &command {
            // Bytes reserved while it came are its own.
            let reserved = self.connections[slot].reserved;
            if reserved > 0 {
                let covered = reserved.min(batch.bytes());
                self.set_reserved(slot, reserved - covered);
                self.budget.release(covered);
            }
        }
        let connection = &self.connections[slot];
        if connection.blocked.is_none() && connection.pending.is_empty() && connection.joining.is_empty() {
            // The way of nearly all: nothing waits before it.
            match self.attempt(slot, command) {
                Ok(Some(channel)) if self.over_share(channel) => self.pause_for_share(slot, channel),
                Ok(_) => {}
                Err(stop) => self.pause(slot, stop),
            }
            return;
        }
        let is_blocked = connection.blocked.is_some();
        self.note_pending(slot, &command);
        self.connections.edit(slot).pending.push_back(command);
        if is_blocked {
            self.tell_pause(slot);
            self.untangle(slot);
        } else {
            self.advance(slot);
        }
    }

    fn pause(&mut self, slot: ConnectionSlot, stop: Stop) {
        self.wait_before(slot, stop.rest);
        self.set_blocked(slot, Some((stop.on, stop.reason, stop.channel)));
        self.untangle(slot);
    }

    fn pause_for_share(&mut self, slot: ConnectionSlot, channel: ChannelSlot) {
        let reason = self.short_memory();
        self.set_blocked(slot, Some((Blocked::Share(channel), reason, Some(channel))));
        self.untangle(slot);
    }

    pub(super) fn reserve(&mut self, slot: ConnectionSlot, bytes: usize, whole: usize) {
        // A size that still waits for memory is replaced, or it would be reserved later for nothing.
        let connection = self.connections.edit(slot);
        let waited = matches!(connection.pending.front(), Some(Pending::Reserve { .. }));
        let (reserved, mut dropped) = (connection.reserved, None);
        if connection.has_pending_size {
            // Behind it are at most the messages of one read, of which the first is what it was for.
            let of_size = connection.pending.iter().rposition(|command| matches!(command, Pending::Reserve { .. }));
            let behind = of_size.map_or(0, |at| connection.pending.len() - at);
            dropped = of_size.and_then(|index| connection.pending.remove(index));
            self.spend(behind / 8);
        }
        dropped.iter().for_each(|command| self.forget_pending(slot, command));
        if bytes <= reserved {
            self.set_reserved(slot, bytes);
            self.budget.release(reserved - bytes);
        } else if waited {
            // It keeps its place among those that wait.
            self.wait_before(slot, Pending::Reserve { bytes, whole });
        } else {
            self.accept(slot, Pending::Reserve { bytes, whole });
        }
        if waited {
            self.advance(slot);
        }
    }

    /// Carries out what is pending as far as it goes and this call may; pauses or resumes the connection.
    pub(super) fn advance(&mut self, slot: ConnectionSlot) {
        self.go_on(slot, None);
        self.untangle(slot);
    }

    /// As [`Broker::advance`]. What `knot` waits for is given over its bound, until the connection may be read again.
    pub(super) fn go_on(&mut self, slot: ConnectionSlot, knot: Option<Knot>) {
        let connection = self.connections.edit(slot);
        // One that is gone and has nothing left to send is not kept for its channel's share.
        let is_over = connection.phase == Phase::Gone && connection.pending.is_empty();
        if let Some(Blocked::Share(channel)) = connection.blocked
            && !is_over
            && knot != Some(Knot::Memory)
            && self.over_share(channel)
        {
            return;
        }
        if let Some(joining) = self.connections[slot].joining.front() {
            // Others that wait for the same go on meanwhile: it leaves their list.
            let reason = PauseReason::Subscribing { pattern: joining.pattern.as_bytes().clone() };
            return self.set_blocked(slot, Some((Blocked::Joining, reason, None)));
        }
        let (mut now, mut is_first) = (None, true);
        let before = self.budget.used();
        while let Some(next) = self.next_pending(slot) {
            self.budget.lend(next.charge());
            self.over_bound = knot.filter(|_| is_first || !self.reads_on(slot));
            is_first = false;
            self.unnote_pending(slot, &next);
            let result = self.attempt(slot, next);
            self.over_bound = None;
            match result {
                Ok(Some(channel)) if self.over_share(channel) => {
                    let reason = self.short_memory();
                    now = Some((Blocked::Share(channel), reason, Some(channel)));
                }
                Ok(_) => {}
                Err(stop) => {
                    self.wait_before(slot, stop.rest);
                    now = Some((stop.on, stop.reason, stop.channel));
                }
            }
            // The next call goes on with what this one has no time for.
            if now.is_some() || !self.spend(8) {
                break;
            }
        }
        if self.budget.used() < before {
            self.budget.note_freed();
        }
        // One that is gone and has no messages left is not kept for anything.
        if let Some(next) = self.next_pending(slot) {
            self.connections.edit(slot).pending.push_front(next);
        }
        let connection = self.connections.edit(slot);
        if connection.phase == Phase::Gone && connection.pending.is_empty() {
            now = None;
        }
        if connection.pending.is_empty() && connection.pending.capacity() > 64 {
            connection.pending = std::collections::VecDeque::new();
        }
        self.set_blocked(slot, now);
    }

    /// Takes out what is to be carried out next. Of what one that is gone has sent, only its messages are.
    fn next_pending(&mut self, slot: ConnectionSlot) -> Option<Pending> {
        let is_gone = self.connections[slot].phase == Phase::Gone;
        while let Some(next) = self.connections.edit(slot).pending.pop_front() {
            if !is_gone || matches!(next, Pending::Publish { .. }) {
                return Some(next);
            }
            self.forget_pending(slot, &next);
            self.spend(1);
        }
        None
    }

    /// Puts a connection among those that wait for something, or lets it go on.
    pub(super) fn set_blocked(
        &mut self,
        slot: ConnectionSlot,
        now: Option<(Blocked, PauseReason, Option<ChannelSlot>)>,
    ) {
        self.leave_departed(slot);
        let connection = self.connections.edit(slot);
        let is_gone = connection.phase == Phase::Gone;
        let before = connection.blocked;
        let (on, reason, channel) =
            now.map_or((None, None, None), |(on, reason, channel)| (Some(on), Some(reason), channel));
        let feeds = std::mem::replace(&mut connection.paused_on, channel);
        let gone = usize::from(is_gone);
        match (before, &reason) {
            (None, Some(_)) => (self.paused, self.paused_gone) = (self.paused + 1, self.paused_gone + gone),
            (Some(_), None) => (self.paused, self.paused_gone) = (self.paused - 1, self.paused_gone - gone),
            _ => {}
        }
        connection.reason = reason;
        if feeds != channel {
            if let Some(channel) = feeds {
                let channel = self.channels.edit(channel);
                channel.paused_publishers -= 1;
                channel.gone_publishers -= u32::from(is_gone);
            }
            if let Some(channel) = channel {
                let channel = self.channels.edit(channel);
                channel.paused_publishers += 1;
                channel.gone_publishers += u32::from(is_gone);
            }
        }
        // A connection that still waits for the same keeps its place.
        if before != on {
            if let Some(before) = before {
                self.unlist(slot, before);
            }
            let row = self.connections.edit(slot);
            let was_arriving = row.is_arriving();
            row.blocked = on;
            let is_arriving = row.is_arriving();
            self.note_arriving(was_arriving, is_arriving);
            if let Some(on) = on {
                self.list(slot, on);
                // Dead letters are the first to go where memory is short.
                self.sheds |= matches!(on, Blocked::Memory | Blocked::Share(_));
            }
        }
        self.note_need(slot);
        self.note_departed(slot);
        self.tell_pause(slot);
    }

    /// A connection is gone: as one of those that are paused it is counted apart, for as long as its messages wait.
    pub(super) fn note_gone(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        self.paused_gone += usize::from(row.blocked.is_some());
        if let Some(channel) = row.paused_on {
            self.channels.quietly().row(channel).gone_publishers += 1;
        }
    }

    fn waiters(&mut self, on: Blocked) -> Option<&mut List<ConnectionSlot>> {
        Some(match on {
            Blocked::Channel(channel) => &mut self.channels.edit(channel).waiters,
            Blocked::Share(channel) => &mut self.channels.edit(channel).share_waiters,
            Blocked::Subscriber(slot) => &mut self.connections.quietly().row(slot).waiters,
            Blocked::Memory => &mut self.memory_waiters,
            Blocked::Joining | Blocked::Receipts => return None,
        })
    }

    fn list(&mut self, slot: ConnectionSlot, on: Blocked) {
        let Some(mut list) = self.waiters(on).copied() else { return };
        list.push_back(self.connections.quietly(), slot, wait);
        if let Some(waiters) = self.waiters(on) {
            *waiters = list;
        }
        match on {
            Blocked::Channel(channel) => {
                let channel = self.channels.edit(channel);
                channel.waiting += 1;
                self.stuck += usize::from(channel.members == 0);
            }
            Blocked::Share(slot) => {
                let channel = self.channels.edit(slot);
                if channel.share_key.is_none() {
                    channel.share_key = Some(channel.load);
                    self.share_waiting.insert((channel.load, slot));
                }
            }
            _ => {}
        }
    }

    fn unlist(&mut self, slot: ConnectionSlot, on: Blocked) {
        let behind = self.connections[slot].wait.next;
        match on {
            Blocked::Subscriber(subscriber) => self.connections.quietly().row(subscriber).pass.leave(slot, behind),
            Blocked::Channel(channel) => self.channels.quietly().row(channel).untangles.leave(slot, behind),
            Blocked::Share(channel) => self.channels.quietly().row(channel).share_untangles.leave(slot, behind),
            Blocked::Memory | Blocked::Joining | Blocked::Receipts => {}
        }
        let Some(mut list) = self.waiters(on).copied() else { return };
        list.remove(self.connections.quietly(), slot, wait);
        let is_empty = list.is_empty();
        if let Some(waiters) = self.waiters(on) {
            *waiters = list;
        }
        match on {
            Blocked::Channel(channel) => {
                let channel = self.channels.edit(channel);
                channel.waiting -= 1;
                self.stuck -= usize::from(channel.members == 0);
            }
            Blocked::Share(slot) if is_empty => {
                if let Some(key) = self.channels.edit(slot).share_key.take() {
                    self.share_waiting.remove(&(key, slot));
                }
            }
            // One that is gone may be waited for no more.
            Blocked::Subscriber(subscriber) if is_empty => self.connections.touch(subscriber),
            _ => {}
        }
    }

    /// A channel has its first consumer: who waits for it may go on one day.
    pub(super) fn consumers_came(&mut self, channel: ChannelSlot) {
        self.stuck -= self.channels[channel].waiting as usize;
    }

    /// A channel has no consumers any more: who waits for it is stuck.
    pub(super) fn consumers_left(&mut self, channel: ChannelSlot) {
        self.stuck += self.channels[channel].waiting as usize;
    }

    fn attempt(&mut self, slot: ConnectionSlot, command: Pending) -> Result<Taken, Stop> {
        match command {
            Pending::Publish { channel, batch } => self.publish(slot, channel, batch),
            Pending::Barrier { batch } => self.barrier(slot, batch),
            Pending::Receipt { batch, publishes } => self.receipt(slot, batch, publishes),
            Pending::Refused { channel, refusal } => {
                self.note_rejected(slot, &channel, refusal);
                Ok(None)
            }
            Pending::Reserve { bytes, whole } => self.grow_reserve(slot, bytes, whole),
        }
    }

    /// A publish is not carried out, which the receipt of it says in its turn.
    fn refuse_publish(&mut self, slot: ConnectionSlot, channel: Bytes, refusal: Refusal) {
        self.refuse(slot, Some(channel.clone()), refusal);
        let channel = channel.slice(..channel.len().min(self.limits.channel_name));
        self.accept(slot, Pending::Refused { channel, refusal });
    }

    fn barrier(&mut self, slot: ConnectionSlot, batch: Batch) -> Result<Taken, Stop> {
        if !self.connections[slot].fits(batch.bytes(), batch.len(), &self.limits) {
            let connection = self.connections.edit(slot);
            connection.set_full(batch.bytes(), &self.limits);
            let reason =
                PauseReason::SlowSubscriber { channel: Bytes::from_static(crate::ECHO), subscriber: connection.id };
            return Err(Stop {
                rest: Pending::Barrier { batch },
                on: Blocked::Subscriber(slot),
                reason,
                channel: None,
            });
        }
        self.push_entry(slot, OutboxEntry { batch, allocation: None, tries: Tries::NONE, origin: Origin::Barrier });
        Ok(None)
    }

    fn grow_reserve(&mut self, slot: ConnectionSlot, bytes: usize, whole: usize) -> Result<Taken, Stop> {
        let reserved = self.connections[slot].reserved;
        let more = bytes.saturating_sub(reserved);
        let needed = self.budget.needed_for_part(more, whole);
        let is_short = more > 0 && needed > self.budget.free() && self.budget.used() > reserved;
        if is_short && self.over_bound != Some(Knot::Memory) && !self.may_finish(slot, more) {
            let reason = self.short_memory();
            let rest = Pending::Reserve { bytes, whole };
            return Err(Stop { rest, on: Blocked::Memory, reason, channel: None });
        }
        self.set_reserved(slot, bytes.max(reserved));
        self.budget.charge(more);
        Ok(None)
    }
}
