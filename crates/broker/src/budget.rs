use crate::Limits;
use crate::cost;
use crate::slots::{AllocationSlot, ChannelSlot, Slots};

/// A part of a message leaves free this many times the message's size, or
const PART_LEAVES: usize = 8;

/// the budget divided by this, where that is less.
const PARTS_LEAVE: usize = 16;

/// Excess over the budget of that which helps to drain it: the budget divided by this.
const BEYOND: usize = 16;

/// A charged buffer.
#[derive(Debug)]
pub(crate) struct Allocation {
    /// Bytes charged for it.
    charged: usize,
    refs: u32,
    channel: ChannelSlot,
}

/// Counts every buffered byte and the overhead of every entry; a shared buffer once.
///
/// The cost of as many idle connections as there may be is set aside from the beginning, so that
/// messages never take what a consumer needs to come and drain them.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used: usize,
    limit: usize,
    /// Bytes that may be used: `limit` without what is set aside for connections, and with `granted`.
    room: usize,
    /// Bytes that a part of one message has beyond the budget. It is no less free for others by that.
    granted: usize,
    allocations: Slots<AllocationSlot, Allocation>,
    /// Something was released since this was last asked.
    freed: bool,
}

impl MemoryBudget {
    pub(crate) fn new(limits: &Limits) -> MemoryBudget {
        let (limit, room) = (limits.memory, limits.memory_for_messages());
        MemoryBudget { used: 0, limit, room, granted: 0, allocations: Slots::new(), freed: false }
    }

    /// Bytes counted, without idle connections.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The limit without what is set aside for connections.
    pub(crate) fn for_messages(&self) -> usize {
        self.room - self.granted
    }

    /// Bytes that may still be buffered.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.room.saturating_sub(self.used)
    }

    /// Bytes that must be free for a part of a message of `whole` bytes to grow by `more`: it leaves eight times the message's
    /// size, or a sixteenth of the budget where that is less. So large messages that nobody finishes leave room for small
    /// ones, and small ones for smaller ones.
    pub(crate) fn needed_for_part(&self, more: usize, whole: usize) -> usize {
        let left = whole.saturating_mul(PART_LEAVES).min((self.room - self.granted) / PARTS_LEAVE);
        more.saturating_add(left)
    }

    /// Sets what a part of one message may have beyond the budget.
    pub(crate) fn set_granted(&mut self, bytes: usize) {
        self.room = self.room - self.granted + bytes;
        self.granted = bytes;
    }

    pub(crate) fn granted(&self) -> usize {
        self.granted
    }

    /// Bytes that `more` need and that are not free, where the `pending` bytes that paused connections sent are not counted.
    pub(crate) fn lacks(&self, more: usize, pending: usize) -> usize {
        self.used.saturating_sub(pending).saturating_add(more).saturating_sub(self.room)
    }

    /// Bytes beyond the budget that help to drain it.
    pub(crate) fn most_beyond(&self) -> usize {
        self.limit / BEYOND
    }

    /// By how much the budget would be exceeded with so many bytes more, without the `pending` bytes that paused
    /// connections sent.
    pub(crate) fn beyond(&self, more: usize, pending: usize) -> usize {
        (self.used + more).saturating_sub(pending).saturating_sub(self.room - self.granted)
    }

    /// Whether there is no memory even for what helps to drain it: 1/16 more than the budget.
    /// Those that have left do not count, nor do the `pending` bytes that paused connections sent: only
    /// a consumer can let them go.
    pub(crate) fn is_exhausted(&self, gone: usize, pending: usize) -> bool {
        let used = self.used.saturating_sub(gone * cost::GONE).saturating_sub(pending);
        used > self.room.saturating_add(self.most_beyond())
    }

    #[inline]
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.used += bytes;
    }

    #[inline]
    pub(crate) fn release(&mut self, bytes: usize) {
        self.used -= bytes;
        self.freed = true;
    }

    /// As [`MemoryBudget::release`] for what is about to be charged again: nobody is woken for it.
    pub(crate) fn lend(&mut self, bytes: usize) {
        self.used -= bytes;
    }

    /// Something was released in the end of what was lent.
    pub(crate) fn note_freed(&mut self) {
        self.freed = true;
    }

    /// Whether something was released since the last call.
    pub(crate) fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.freed)
    }

    /// Counts a buffer that has one reference. Its channel's load grows by what is charged.
    pub(crate) fn allocate(&mut self, channel: ChannelSlot, bytes: usize) -> (AllocationSlot, usize) {
        let charged = cost::buffer(bytes);
        self.used += charged;
        (self.allocations.insert(Allocation { charged, refs: 1, channel }), charged)
    }

    /// One more reference.
    #[inline]
    pub(crate) fn retain(&mut self, slot: AllocationSlot) -> AllocationSlot {
        self.allocations.row(slot).refs += 1;
        slot
    }

    /// One reference less. The last one frees the buffer: gives its channel and what was charged.
    #[inline]
    pub(crate) fn free_reference(&mut self, slot: AllocationSlot) -> Option<(ChannelSlot, usize)> {
        let allocation = self.allocations.row(slot);
        allocation.refs -= 1;
        if allocation.refs > 0 {
            return None;
        }
        let Allocation { charged, channel, .. } = self.allocations.remove(slot);
        self.release(charged);
        Some((channel, charged))
    }

    /// Whether nothing else refers to the buffer.
    pub(crate) fn is_unshared(&self, slot: AllocationSlot) -> bool {
        self.allocations[slot].refs == 1
    }

    /// Bytes charged for a buffer.
    pub(crate) fn charged(&self, slot: AllocationSlot) -> usize {
        self.allocations[slot].charged
    }

    /// The buffer has another size now: gives what was charged before, and what is now.
    pub(crate) fn resize(&mut self, slot: AllocationSlot, bytes: usize) -> (usize, usize) {
        let now = cost::buffer(bytes);
        let before = std::mem::replace(&mut self.allocations.row(slot).charged, now);
        self.used = self.used - before + now;
        self.freed |= now < before;
        (before, now)
    }

    /// Charges so many bytes more for a buffer.
    pub(crate) fn enlarge(&mut self, slot: AllocationSlot, bytes: usize) {
        self.allocations.row(slot).charged += bytes;
        self.used += bytes;
    }

    /// All buffers, their references, and what is charged for each, for the audit.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (AllocationSlot, u32, usize)> {
        self.allocations.iter().map(|(slot, allocation)| (slot, allocation.refs, allocation.charged))
    }
}
