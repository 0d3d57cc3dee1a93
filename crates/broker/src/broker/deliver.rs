//! Delivery to a connection, and its outcome.

use super::Broker;
use super::connection::{Phase, Retained, Sweep};
use super::timers::Timer;
use crate::outbox::{Coalesced, Origin, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{DeliveryTag, Event, cost};

impl Broker {
    /// The channel that an entry's messages were published to.
    pub(super) fn channel_of(&self, origin: Origin) -> Option<ChannelSlot> {
        origin.member().map(|member| self.members[member].channel)
    }

    /// Puts an entry into an outbox and hands out what the window allows.
    pub(super) fn push_entry(&mut self, slot: ConnectionSlot, entry: OutboxEntry) {
        let connection = self.connections.edit(slot);
        if connection.outbox.is_empty() {
            connection.last_credit = self.now;
        }
        if entry.origin.is_of_queue() && !connection.timeout_armed && !self.limits.write_timeout.is_zero() {
            connection.timeout_armed = true;
            self.timers.insert((self.now + self.limits.write_timeout, Timer::Write(connection.id)));
        }
        match (connection.outbox.coalesce(&entry), self.channel_of(entry.origin)) {
            (Some(Coalesced::Into(open, charged)), Some(channel)) => {
                self.resize(channel, open, charged);
                entry.allocation.into_iter().for_each(|allocation| self.release(allocation));
            }
            (Some(Coalesced::Opened(replaced, charged)), Some(channel)) => {
                let open = self.allocate(channel, charged);
                self.connections.edit(slot).outbox.opened(open);
                [replaced, entry.allocation].into_iter().flatten().for_each(|allocation| self.release(allocation));
            }
            _ => {
                self.charge_entry(entry.origin);
                if entry.origin == Origin::Barrier {
                    self.budget.charge(entry.batch.footprint());
                }
                self.connections.edit(slot).outbox.push(entry);
            }
        }
        self.hand_out(slot);
    }

    /// Counts one more entry.
    #[inline]
    fn charge_entry(&mut self, origin: Origin) {
        match origin.member() {
            Some(member) => {
                let row = self.members.row(member);
                row.refs += 1;
                let channel = row.channel;
                self.charge(channel, cost::ENTRY);
            }
            None => self.budget.charge(cost::ENTRY),
        }
    }

    /// An entry is no longer in an outbox. Its buffer is another matter.
    #[inline]
    pub(super) fn uncharge_entry(&mut self, entry: &OutboxEntry) {
        match entry.origin.member() {
            Some(member) => {
                self.uncharge(self.members[member].channel, cost::ENTRY);
                self.unref(member, 1);
            }
            None => self.budget.release(cost::ENTRY + entry.batch.footprint()),
        }
    }

    pub(super) fn hand_out(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.edit(slot);
        let is_busy = connection.recalling || connection.sweep != Sweep::No || connection.wanted != Sweep::No;
        if is_busy || connection.phase == Phase::Gone {
            return;
        }
        let id = connection.id;
        let mut is_timed = false;
        while let Some(entry) = connection.outbox.hand_out(connection.handed_window, self.now) {
            let (member, tag) = match entry.origin {
                Origin::Topic { member } | Origin::Queue { member, .. } => (member, None),
                Origin::Leased { member, first_tag } => {
                    connection.handed_tag = first_tag + entry.batch.len() as u64;
                    let timeout = self.channels[self.members[member].channel].delivery.ack_timeout;
                    if !timeout.is_zero() {
                        let lease = connection.leases.get_mut(first_tag);
                        if let Some(lease) = lease.filter(|lease| lease.due().is_none()) {
                            let due = connection.ack_clock.at(self.now) + timeout;
                            lease.set_due(Some(due));
                            connection.ack_due.insert((due, lease.first_tag));
                            is_timed = true;
                        }
                    }
                    (member, Some(DeliveryTag(first_tag)))
                }
                Origin::Barrier => {
                    self.events.push_back(Event::Barrier { connection: id, batch: entry.batch.clone() });
                    continue;
                }
            };
            let member = &self.members[member];
            self.events.push_back(Event::Deliver {
                connection: id,
                subscription: member.id,
                channel: self.channels[member.channel].name.clone(),
                batch: entry.batch.clone(),
                redelivered: entry.tries.is_redelivered(),
                attempts: entry.tries.attempts(),
                tag,
            });
        }
        let has_times = connection.outbox.has_times;
        if is_timed {
            self.arm_acks(slot);
        }
        if has_times {
            self.pass_times(slot);
        }
    }

    pub(super) fn credit(&mut self, slot: ConnectionSlot, bytes: usize) {
        if bytes == 0 && !self.connections[slot].stalled {
            return;
        }
        let connection = self.connections.edit(slot);
        connection.last_credit = self.now;
        connection.draining = true;
        connection.took = true;
        if !connection.is_slow(self.now) {
            connection.accrue(self.limits.grace_for(bytes), &self.limits);
        }
        connection.stalled = false;
        self.count_written(slot, bytes);
        self.hand_out(slot);
    }

    /// So many further bytes are written, and with them perhaps whole entries.
    fn count_written(&mut self, slot: ConnectionSlot, bytes: usize) {
        self.connections.edit(slot).outbox.credit(bytes);
        while let Some((entry, end)) = self.connections.quietly().row(slot).outbox.pop_written() {
            self.written(slot, entry, end);
        }
    }

    /// An entry is wholly written: it is done, or waits for the peer's machine.
    fn written(&mut self, slot: ConnectionSlot, entry: OutboxEntry, end: u64) {
        let connection = self.connections.edit(slot);
        if connection.transport_acks && entry.origin.is_auto() {
            connection.retained_bytes += entry.batch.bytes();
            connection.retained.push_back(Retained { entry, end });
        } else {
            self.delivered(slot, entry);
        }
    }

    /// An entry has arrived, as far as that can be known without an ack.
    pub(super) fn delivered(&mut self, slot: ConnectionSlot, entry: OutboxEntry) {
        if let Origin::Topic { member } | Origin::Queue { member, .. } = entry.origin {
            let channel = self.members[member].channel;
            self.count_delivered(slot, channel, entry.batch.len());
            if entry.batch.attributes().is_some() && entry.origin.is_auto() {
                self.settle_group(channel, entry.batch.attributes(), entry.batch.len());
            }
        }
        self.uncharge_entry(&entry);
        entry.allocation.into_iter().for_each(|allocation| self.release(allocation));
    }

    #[inline(always)]
    pub(super) fn count_delivered(&mut self, slot: ConnectionSlot, channel: ChannelSlot, messages: usize) {
        self.channels.quietly().row(channel).delivered.add(self.now, messages as u64);
        self.connections.quietly().row(slot).delivered += messages as u64;
        self.totals.delivered += messages as u64;
    }

    pub(super) fn transport_ack(&mut self, slot: ConnectionSlot, bytes: usize) {
        if !self.connections[slot].transport_acks || bytes == 0 {
            return;
        }
        let connection = self.connections.edit(slot);
        connection.last_credit = self.now;
        let written = connection.outbox.written();
        connection.acknowledged = connection.acknowledged.saturating_add(bytes as u64).min(written);
        self.check_acknowledged(slot);
    }

    /// Completes entries that the peer's machine acknowledged, some a step.
    pub(super) fn check_acknowledged(&mut self, slot: ConnectionSlot) {
        loop {
            let connection = &self.connections[slot];
            let acknowledged = connection.acknowledged;
            if connection.retained.front().is_none_or(|front| front.end > acknowledged) {
                return;
            }
            if !self.spend(2) {
                self.connections.edit(slot);
                return;
            }
            let connection = self.connections.edit(slot);
            let Some(Retained { entry, .. }) = connection.retained.pop_front() else { return };
            connection.retained_bytes -= entry.batch.bytes();
            if connection.retained.capacity() > 64 && connection.retained.len() < connection.retained.capacity() / 4 {
                let fewer = connection.retained.len() * 2;
                connection.retained.shrink_to(fewer);
            }
            self.delivered(slot, entry);
        }
    }

    pub(super) fn recalled(&mut self, slot: ConnectionSlot, kept: usize) {
        if !self.connections[slot].recalling {
            return;
        }
        let (connection, budget) = (self.connections.edit(slot), &mut self.budget);
        connection.recalling = false;
        let second = connection.outbox.recall(kept, |allocation| budget.retain(allocation));
        if let Some(origin) = second {
            self.charge_entry(origin);
        }
        let connection = self.connections.edit(slot);
        let recalled = connection.outbox.recalled_tag().unwrap_or(u64::MAX);
        connection.handed_tag = connection.handed_tag.min(recalled);
        self.drop_recalled(slot);
        // The cut may have left an entry of which everything is written.
        self.count_written(slot, 0);
        self.sweep_queues(slot);
    }

    /// Requeues messages that are not in flight.
    pub(super) fn sweep_queues(&mut self, slot: ConnectionSlot) {
        self.connections.edit(slot).wanted = Sweep::Queues;
        self.check_leaving(slot);
    }

    /// The connection is gone: its outbox is not in the driver's hands any more.
    pub(super) fn abandon_outbox(&mut self, slot: ConnectionSlot) {
        let (connection, budget) = (self.connections.edit(slot), &mut self.budget);
        let head = connection.outbox.abandon(|allocation| budget.retain(allocation));
        if let Some((entry, end, is_cut)) = head {
            if is_cut {
                self.charge_entry(entry.origin);
            }
            self.written(slot, entry, end);
        }
    }
}
