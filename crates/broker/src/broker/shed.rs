//! Messages that queues drop to keep their bounds, the oldest first; and the share of memory that dead letters have.

use super::Broker;
use super::dead::Reason;
use crate::Time;
use crate::backlog::{Place, Segment};
use crate::name::is_durable;
use crate::slots::ChannelSlot;

/// Queues that are looked at for dead letters to drop.
const LOOKED_AT: usize = 8;

impl Broker {
    /// Drops the oldest dead letters of the fullest such queue, if all together have more than is free: others need not wait
    /// for what nobody may ever look at. Some are dropped a call; false if there is nothing to do.
    pub(super) fn shed_dead_letters(&mut self) -> bool {
        if self.dead_load <= self.budget.free() {
            return false;
        }
        // Messages that consumers have of the fullest are not dropped, nor what is being moved: others may have more that waits.
        self.spend(4);
        for _ in 0..LOOKED_AT {
            let Some(slot) = self.fullest_dead() else { return false };
            let channel = &self.channels[slot];
            if channel.is_whole()
                && !channel.backlog.is_empty()
                && let Some((segment, _)) = self.pop_oldest(slot)
            {
                self.drop_oldest(slot, segment);
                self.file_by_load(slot);
                return true;
            }
            self.pass_dead(slot);
        }
        false
    }

    /// Drops the oldest messages of a queue that are over its bounds, some a call; they become dead letters if they are
    /// none. One message of any size may wait alone. Dead letters have no more than is free, either, and none waits where
    /// nothing is free.
    pub(super) fn trim(&mut self, slot: ChannelSlot) {
        loop {
            let channel = &self.channels[slot];
            let (backlog, most) = (&channel.backlog, channel.messages);
            let bytes = backlog.bytes().saturating_sub(channel.bound);
            let messages = if most == 0 { 0 } else { backlog.depth.saturating_sub(most) };
            let free = self.budget.free();
            let is_over_share = channel.is_dead && backlog.weight() > free;
            let others = if is_over_share && free == 0 { backlog.depth } else { backlog.depth.saturating_sub(1) };
            if (bytes, messages, is_over_share) == (0, 0, false) || others == 0 || !channel.is_whole() {
                return;
            }
            if !self.spend(4) {
                self.channels.edit(slot);
                return;
            }
            let Some((segment, due)) = self.pop_oldest(slot) else { return };
            let (mut count, mut size) = (segment.batch.len(), segment.batch.bytes());
            if is_over_share {
                // A part of a buffer would free nothing.
                count = count.min(others);
            } else if count > others || (count > messages && size > bytes) {
                (count, size) = (0, 0);
                let mut sizes = segment.batch.iter_packed().map(<[u8]>::len);
                while count < others && (count < messages || size < bytes) {
                    let Some(next) = sizes.next() else { break };
                    (count, size) = (count + 1, size + next);
                }
            }
            let (oldest, rest) = self.split(segment, count);
            rest.into_iter().for_each(|rest| self.return_rest(slot, rest, due));
            self.drop_oldest(slot, oldest);
        }
    }

    /// Messages are over the bounds of their queue.
    fn drop_oldest(&mut self, slot: ChannelSlot, segment: Segment) {
        // Of dead letters they are dropped, and counted. A durable subscription has missed them, as a slow one would.
        let is_missed = is_durable(&self.channels[slot].name);
        let buried = if is_missed { Err(segment) } else { self.bury(slot, segment, Reason::Overflow) };
        let Err(segment) = buried else { return };
        let messages = segment.batch.len() as u64;
        self.totals.dropped_overflow += messages;
        let row = self.channels.edit(slot);
        (row.dropped, row.left) = (row.dropped + messages, row.left + messages);
        self.leave_group(slot, segment.group, segment.batch.len());
        self.release(segment.allocation);
    }

    /// The oldest messages of the lowest priority that wait in a channel, and until when they are postponed.
    fn pop_oldest(&mut self, slot: ChannelSlot) -> Option<(Segment, Option<Time>)> {
        let backlog = &self.channels[slot].backlog;
        let (present, postponed) = (backlog.oldest_present(), backlog.oldest_postponed());
        let is_postponed =
            |place: &Place| present.is_none_or(|(rank, first)| place.0 > rank || place.0 == rank && place.1 < first);
        if postponed.is_some_and(|place| is_postponed(&place)) {
            let (segment, due) = self.pop_oldest_postponed(slot)?;
            return Some((segment, Some(due)));
        }
        let (rank, _) = present?;
        let segment = self.pop_backlog_from(slot, rank)?;
        // Postponed ones may be older than some of what came back together.
        let before = postponed
            .filter(|place| place.0 == rank)
            .map_or(u64::MAX, |(_, first)| first.saturating_sub(segment.first));
        let count = usize::try_from(before.div_ceil(segment.step)).unwrap_or(usize::MAX).max(1);
        let (segment, rest) = self.split(segment, count);
        rest.into_iter().for_each(|rest| self.requeue_front(slot, rest));
        Some((segment, None))
    }
}
