//! Messages that come back from an outbox.

use super::{IN_FLIGHT, Origin, Outbox, OutboxEntry};
use crate::slots::AllocationSlot;
use std::collections::VecDeque;

impl Outbox {
    /// After a recall only `kept` further bytes are in flight. An entry that is cut becomes two:
    /// gives the origin of the second.
    pub(crate) fn recall(
        &mut self,
        kept: usize,
        mut retain: impl FnMut(AllocationSlot) -> AllocationSlot,
    ) -> Option<Origin> {
        let mut limit = self.front_written + kept;
        let mut keep = 0;
        while keep < self.in_flight && limit >= self.entries[keep].batch.bytes() {
            limit -= self.entries[keep].batch.bytes();
            keep += 1;
        }
        let mut second = None;
        let mut in_flight_bytes: usize = self.entries.iter().take(keep).map(|entry| entry.batch.bytes()).sum();
        let cut = if keep < self.in_flight { self.entries[keep].batch.whole_within(limit) } else { (0, 0) };
        if cut.0 > 0 {
            let (count, bytes) = cut;
            let entry = &mut self.entries[keep];
            let allocation = entry.allocation.map(&mut retain);
            let (Some(head), Some(rest)) = entry.batch.clone().split(count, bytes) else {
                unreachable!("a cut inside")
            };
            let rest = OutboxEntry { batch: rest, allocation, tries: entry.tries, origin: entry.origin.skip(count) };
            entry.batch = head;
            second = Some(rest.origin);
            self.extra += rest.batch.extra();
            self.queue_entries += usize::from(rest.origin.is_of_queue());
            self.entries.insert(keep + 1, rest);
            in_flight_bytes += bytes;
            keep += 1;
        }
        self.in_flight = keep;
        // After a socket failure, not even the rest of a message that was begun is kept.
        let lost = self.front_written.saturating_sub(in_flight_bytes);
        self.front_written -= lost;
        self.bytes += lost;
        self.in_flight_bytes = in_flight_bytes - self.front_written;
        second
    }

    /// The first tag of those that the last recall has taken back.
    pub(crate) fn recalled_tag(&self) -> Option<u64> {
        // A recall looks at what was in flight, and cuts one entry in two.
        let recalled = self.entries.iter().skip(self.in_flight).take(IN_FLIGHT + 1);
        recalled.filter_map(|entry| entry.origin.first_tag()).next()
    }

    /// Begins a sweep over what is not in flight.
    pub(crate) fn begin_sweep(&mut self) {
        self.close();
        debug_assert!(!self.is_swept, "one sweep at a time");
        self.is_swept = true;
        self.unswept = std::mem::take(&mut self.entries);
        for _ in 0..self.in_flight {
            self.entries.extend(self.unswept.pop_front());
        }
    }

    /// The next entry of a sweep: taken out if it is `wanted`, or passed over. `None` at the end.
    pub(crate) fn sweep(&mut self, wanted: impl FnOnce(&Origin) -> bool) -> Option<Option<OutboxEntry>> {
        let Some(entry) = self.unswept.pop_front() else {
            self.is_swept = false;
            self.unswept = VecDeque::new();
            return None;
        };
        if !wanted(&entry.origin) {
            self.entries.push_back(entry);
            return Some(None);
        }
        self.bytes -= entry.batch.bytes();
        self.uncount(&entry);
        Some(Some(entry))
    }

    /// The connection is gone: nothing is in flight any more. The part of the first entry that is
    /// written as whole messages becomes an entry of its own, and is taken out: gives it, where it
    /// ends in everything that was ever written, and whether a rest is left.
    pub(crate) fn abandon(
        &mut self,
        retain: impl FnMut(AllocationSlot) -> AllocationSlot,
    ) -> Option<(OutboxEntry, u64, bool)> {
        self.close();
        let written = std::mem::take(&mut self.front_written);
        (self.in_flight, self.in_flight_bytes) = (0, 0);
        self.bytes += written;
        let front = self.entries.front_mut()?;
        let (count, bytes) = front.batch.whole_within(written);
        if count == 0 {
            return None;
        }
        self.position += bytes as u64;
        self.bytes -= bytes;
        let mut head = self.entries.pop_front()?;
        let (whole, rest) = head.batch.clone().split(count, bytes);
        let is_cut = rest.is_some();
        if let Some(batch) = rest {
            let allocation = head.allocation.map(retain);
            let rest = OutboxEntry { batch, allocation, tries: head.tries, origin: head.origin.skip(count) };
            self.queue_entries += usize::from(rest.origin.is_of_queue());
            self.extra += rest.batch.extra();
            self.entries.push_front(rest);
        }
        head.batch = whole?;
        self.uncount(&head);
        Some((head, self.position, is_cut))
    }
}
