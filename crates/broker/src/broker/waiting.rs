//! Messages that wait in channels: how they get there, go back, and are purged.

use super::Broker;
use crate::backlog::Segment;
use crate::delivery::Tries;
use crate::name::Kind;
use crate::slots::{ChannelSlot, GroupSlot};
use crate::{Batch, Time, cost};

impl Broker {
    /// A piece of a batch pins at most about twice its size.
    pub(super) fn compacted(&mut self, channel: ChannelSlot, mut segment: Segment) -> Segment {
        if self.budget.charged(segment.allocation) > 2 * cost::buffer(segment.batch.footprint()) {
            segment.batch = segment.batch.compact();
            let allocation = self.allocate(channel, segment.batch.footprint());
            self.release(std::mem::replace(&mut segment.allocation, allocation));
        }
        segment
    }

    /// Messages wait in a channel, behind all others.
    pub(super) fn push_backlog(&mut self, slot: ChannelSlot, batch: Batch, first: u64) {
        self.waiting += batch.len();
        let is_of_queue = batch.attributes().is_some() && self.channels[slot].kind == Kind::Queue;
        let group = if is_of_queue { self.join_group(slot, &batch) } else { None };
        if is_of_queue && self.is_delayed(&batch) {
            return self.delay(slot, batch, first, group);
        }
        if group.is_some() {
            return self.push_segment(slot, batch, first, group);
        }
        let (budget, channel) = (&self.budget, self.channels.edit(slot));
        let coalesced =
            channel.backlog.coalesce(&batch, Tries::NONE, first, |allocation| budget.is_unshared(allocation));
        if let Some((allocation, charged)) = coalesced {
            return self.resize(slot, allocation, charged);
        }
        self.push_segment(slot, batch, first, None);
    }

    fn push_segment(&mut self, slot: ChannelSlot, batch: Batch, first: u64, group: Option<GroupSlot>) {
        let allocation = self.allocate(slot, batch.footprint());
        let segment = Segment { batch, allocation, tries: Tries::NONE, first, step: 1, group };
        self.charge(slot, segment.charge());
        let had_groups = group.is_none() || self.channels[slot].backlog.has_groups();
        self.channels.edit(slot).backlog.push(segment);
        if let Some(group) = group {
            self.file_waiting(slot, group, had_groups);
        }
    }

    /// Messages wait for their time, and then in their places.
    #[cold]
    fn delay(&mut self, slot: ChannelSlot, batch: Batch, first: u64, group: Option<GroupSlot>) {
        let until = batch.attributes().and_then(|attributes| attributes.deliver_at()).unwrap_or_default();
        let allocation = self.allocate(slot, batch.footprint());
        let segment = Segment { batch, allocation, tries: Tries::NONE, first, step: 1, group };
        self.charge(slot, segment.charge());
        self.channels.edit(slot).backlog.postpone(segment, until);
    }

    /// Messages go back to their places in a queue.
    pub(super) fn requeue(&mut self, slot: ChannelSlot, segment: Segment) {
        let segment = self.count_requeued(slot, segment);
        let group = segment.group;
        let had_groups = group.is_none() || self.channels[slot].backlog.has_groups();
        self.channels.edit(slot).backlog.requeue(segment);
        if let Some(group) = group {
            self.file_waiting(slot, group, had_groups);
        }
    }

    /// As [`Broker::requeue`], from a time on.
    pub(super) fn postpone(&mut self, slot: ChannelSlot, segment: Segment, until: Time) {
        let segment = self.count_requeued(slot, segment);
        let group = segment.group;
        self.channels.edit(slot).backlog.postpone(segment, until);
        group.into_iter().for_each(|group| self.file_group(slot, group));
    }

    fn count_requeued(&mut self, slot: ChannelSlot, segment: Segment) -> Segment {
        let segment = self.compacted(slot, segment);
        let messages = segment.batch.len();
        self.waiting += messages;
        self.totals.requeued += messages as u64;
        self.charge(slot, segment.charge());
        segment
    }

    /// The rest of what [`Broker::pop_backlog`] gave.
    pub(super) fn requeue_front(&mut self, slot: ChannelSlot, segment: Segment) {
        let segment = self.compacted(slot, segment);
        self.waiting += segment.batch.len();
        self.charge(slot, segment.charge());
        let group = segment.group;
        self.channels.edit(slot).backlog.requeue_front(segment);
        group.into_iter().for_each(|group| self.file_group(slot, group));
    }

    /// The first messages of a channel that may be dispatched.
    pub(super) fn pop_backlog(&mut self, slot: ChannelSlot) -> Option<Segment> {
        self.pop_any(slot, None)
    }

    /// The first messages of at least this rank, whether they may be dispatched or not.
    pub(super) fn pop_backlog_from(&mut self, slot: ChannelSlot, rank: u8) -> Option<Segment> {
        self.pop_any(slot, Some(rank))
    }

    #[inline]
    fn pop_any(&mut self, slot: ChannelSlot, rank: Option<u8>) -> Option<Segment> {
        let (budget, backlog) = (&mut self.budget, &mut self.channels.edit(slot).backlog);
        let before = backlog.segments();
        let retain = |allocation| budget.retain(allocation);
        let segment = match rank {
            None => backlog.pop(retain),
            Some(rank) => backlog.pop_from(rank, retain),
        }?;
        let after = backlog.segments();
        self.waiting -= segment.batch.len();
        if self.draining && !self.channels[slot].backlog.has_ready() {
            // Connections that were kept for these messages may close now.
            self.drain_anew();
        }
        if after < before {
            self.uncharge(slot, segment.charge());
        }
        if let Some(group) = segment.group {
            self.file_group(slot, group);
        }
        Some(segment)
    }

    /// Cuts a segment behind so many messages: what is behind them, if anything is.
    pub(super) fn split(&mut self, segment: Segment, count: usize) -> (Segment, Option<Segment>) {
        if segment.batch.len() <= count {
            return (segment, None);
        }
        let Segment { batch, allocation, tries, first, step, group } = segment;
        let bytes = batch.size_of_first(count);
        let (Some(head), Some(rest)) = batch.split(count, bytes) else { unreachable!("a cut in the middle") };
        let allocation_of_rest = self.budget.retain(allocation);
        let behind = first + step * count as u64;
        let rest = Segment { batch: rest, allocation: allocation_of_rest, tries, first: behind, step, group };
        (Segment { batch: head, allocation, tries, first, step, group }, Some(rest))
    }

    /// Drops what waits in a queue: how many messages, or `None` if there is no such channel. The
    /// memory becomes free in steps.
    pub fn purge(&mut self, now: Time, name: &[u8]) -> Option<usize> {
        self.begin(now);
        let slot = *self.names.get(name)?;
        let has_value = self.channels[slot].has_buffered_value();
        let dropped = self.discard(slot);
        if has_value {
            self.give_buffered_value(slot, None);
        }
        self.run_effects();
        Some(dropped)
    }

    /// Drops what waits in a channel: how many messages. The memory becomes free in steps.
    pub(super) fn discard(&mut self, slot: ChannelSlot) -> usize {
        // Messages that an order has set aside would come back otherwise.
        let aside = self.take_aside(slot);
        let channel = self.channels.edit(slot);
        let backlog = std::mem::take(&mut channel.backlog);
        self.waiting -= backlog.depth;
        let mut dropped = 0;
        for backlog in aside.into_iter().chain([backlog]).filter(|backlog| !backlog.is_empty()) {
            dropped += backlog.depth;
            self.garbage.push_back((slot, backlog));
        }
        (channel.dropped, channel.left) = (channel.dropped + dropped as u64, channel.left + dropped as u64);
        dropped
    }

    /// Frees what was purged.
    pub(super) fn collect_garbage(&mut self) {
        while let Some((slot, mut backlog)) = self.garbage.pop_front() {
            loop {
                if !self.spend(4) {
                    self.garbage.push_front((slot, backlog));
                    return;
                }
                if !backlog.has_present() {
                    let _ = backlog.make_ready(Time(u64::MAX));
                }
                let before = backlog.segments();
                let budget = &mut self.budget;
                let Some(segment) = backlog.pop_from(0, |allocation| budget.retain(allocation)) else { break };
                self.release(segment.allocation);
                if backlog.segments() < before {
                    self.uncharge(slot, segment.charge());
                }
                self.leave_group(slot, segment.group, segment.batch.len());
            }
        }
    }
}
