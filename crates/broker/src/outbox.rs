use crate::budget::{AllocationId, MemoryBudget};
use crate::{Batch, DeliveryTag, SubscriptionId};
use std::collections::VecDeque;

/// Why a entry is in an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Topic {
        channel: usize,
        subscription: SubscriptionId,
    },
    /// Message `i` of the batch has the place `first + i * step` in its queue.
    Queue {
        channel: usize,
        subscription: SubscriptionId,
        first: u64,
        step: u64,
    },
    /// One message of a queue that waits for its ack elsewhere too.
    Tagged {
        channel: usize,
        subscription: SubscriptionId,
        tag: DeliveryTag,
    },
    Barrier,
}

/// Room for so many entries is kept.
const ENTRIES: usize = 64;

impl Origin {
    pub(crate) fn is_of_queue(&self) -> bool {
        matches!(self, Origin::Queue { .. } | Origin::Tagged { .. })
    }
}

#[derive(Debug)]
pub(crate) struct OutboxEntry {
    pub(crate) batch: Batch,
    pub(crate) block: Option<AllocationId>,
    pub(crate) origin: Origin,
}

/// What waits to be written to one connection. The first `handed` entries are in the caller's
/// hands already.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: VecDeque<OutboxEntry>,
    handed: usize,
    in_flight_bytes: usize,
    front_written: usize,
    bytes: usize,
}

impl Outbox {
    /// Unwritten bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unwritten bytes in the caller's hands.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn has_handed(&self) -> bool {
        self.handed > 0
    }

    pub(crate) fn holds_queue_messages(&self) -> bool {
        self.entries.iter().any(|entry| entry.origin.is_of_queue())
    }

    pub(crate) fn push(&mut self, entry: OutboxEntry) {
        self.bytes += entry.batch.bytes();
        self.entries.push_back(entry);
    }

    /// The next entry to hand out, unless a window's worth is out already.
    pub(crate) fn hand_out(&mut self, window: usize) -> Option<&OutboxEntry> {
        if self.handed == self.entries.len() || self.in_flight_bytes >= window {
            return None;
        }
        let entry = &self.entries[self.handed];
        self.handed += 1;
        self.in_flight_bytes += entry.batch.bytes();
        Some(entry)
    }

    /// Takes credit for written bytes; gives the entries that are wholly written.
    pub(crate) fn credit(&mut self, bytes: usize, mut done: impl FnMut(OutboxEntry)) {
        let bytes = bytes.min(self.in_flight_bytes);
        self.in_flight_bytes -= bytes;
        self.bytes -= bytes;
        self.front_written += bytes;
        while self.handed > 0 && self.front_written >= self.entries[0].batch.bytes() {
            let entry = self.entries.pop_front().expect("a handed entry");
            self.front_written -= entry.batch.bytes();
            self.handed -= 1;
            done(entry);
        }
        if self.entries.is_empty() && self.entries.capacity() > ENTRIES {
            // A burst must not leave its bookkeeping behind with an idle connection.
            self.entries = VecDeque::new();
        }
    }

    /// Takes out the oldest topic entry that is not handed out.
    pub(crate) fn drop_oldest(&mut self) -> Option<OutboxEntry> {
        let oldest = (self.handed..self.entries.len())
            .find(|&place| matches!(self.entries[place].origin, Origin::Topic { .. }))?;
        let entry = self.entries.remove(oldest)?;
        self.bytes -= entry.batch.bytes();
        Some(entry)
    }

    /// After a recall, only `kept` further bytes are in the caller's hands. Takes out the entries
    /// behind them that `taken` names, and the unwritten rest of one that is cut.
    pub(crate) fn reclaim(
        &mut self,
        kept: usize,
        budget: &mut MemoryBudget,
        taken: impl Fn(&Origin) -> bool,
    ) -> Vec<OutboxEntry> {
        let mut limit = self.front_written + kept;
        let mut stay = Outbox { front_written: self.front_written, ..Outbox::default() };
        let mut out = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            let size = entry.batch.bytes();
            if limit >= size {
                limit -= size;
                stay.handed += 1;
                stay.entries.push_back(entry);
                continue;
            }
            let (count, cut) = entry.batch.whole_within(limit);
            limit = 0;
            let (block, origin) = (entry.block, entry.origin);
            let (written, rest) = entry.batch.split(count, cut);
            let has_written = written.is_some();
            if let Some(batch) = written {
                stay.handed += 1;
                let block = if rest.is_some() { block.map(|block| budget.share(block)) } else { block };
                stay.entries.push_back(OutboxEntry { batch, block, origin });
            }
            let Some(batch) = rest else { continue };
            let origin = if has_written { skip(origin, count) } else { origin };
            let entry = OutboxEntry { batch, block, origin };
            if taken(&entry.origin) { out.push(entry) } else { stay.entries.push_back(entry) }
        }
        // Where the socket failed, not even the rest of a message that was begun is kept.
        let handed: usize = stay.entries.iter().take(stay.handed).map(|entry| entry.batch.bytes()).sum();
        stay.front_written = stay.front_written.min(handed);
        stay.in_flight_bytes = handed - stay.front_written;
        let total: usize = stay.entries.iter().map(|entry| entry.batch.bytes()).sum();
        stay.bytes = total - stay.front_written;
        *self = stay;
        out
    }

    /// Everything, the front without its messages that are wholly written.
    pub(crate) fn take_all(&mut self) -> (Vec<OutboxEntry>, Option<OutboxEntry>) {
        let written = self.front_written;
        let mut entries: VecDeque<OutboxEntry> = std::mem::take(self).entries;
        let mut done = None;
        if let Some(front) = entries.pop_front() {
            let (count, cut) = front.batch.whole_within(written);
            let (head, rest) = front.batch.split(count, cut);
            let (mut block, origin) = (front.block, front.origin);
            if let Some(batch) = rest {
                entries.push_front(OutboxEntry { batch, block: block.take(), origin: skip(origin, count) });
            }
            done = head.map(|batch| OutboxEntry { batch, block, origin });
        }
        (entries.into(), done)
    }
}

/// The origin of what is behind the first `count` messages.
fn skip(origin: Origin, count: usize) -> Origin {
    match origin {
        Origin::Queue { channel, subscription, first, step } => {
            Origin::Queue { channel, subscription, first: first + step * count as u64, step }
        }
        other => other,
    }
}
