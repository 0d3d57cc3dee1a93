use crate::slots::Slots;

/// Names a counted allocation.
pub(crate) type AllocationId = usize;

#[derive(Debug)]
struct Block {
    bytes: usize,
    holders: usize,
    channel: usize,
}

/// Counts every buffered byte, a shared allocation once.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    pub(crate) used: usize,
    pub(crate) budget: usize,
    blocks: Slots<Block>,
}

impl MemoryBudget {
    pub(crate) fn new(budget: usize) -> MemoryBudget {
        MemoryBudget { used: 0, budget, blocks: Slots::new() }
    }

    /// What may still be buffered.
    pub(crate) fn free(&self) -> usize {
        self.budget.saturating_sub(self.used)
    }

    /// Counts an allocation that has one holder and belongs to a channel.
    pub(crate) fn charge(&mut self, channel: usize, bytes: usize) -> AllocationId {
        self.used += bytes;
        self.blocks.insert(Block { bytes, holders: 1, channel })
    }

    /// One more holder.
    pub(crate) fn share(&mut self, id: AllocationId) -> AllocationId {
        self.blocks[id].holders += 1;
        id
    }

    /// One holder less. The last one frees the allocation: its channel and its bytes.
    pub(crate) fn release(&mut self, id: AllocationId) -> Option<(usize, usize)> {
        let block = &mut self.blocks[id];
        block.holders -= 1;
        if block.holders > 0 {
            return None;
        }
        let block = self.blocks.remove(id);
        self.used -= block.bytes;
        Some((block.channel, block.bytes))
    }

    /// Size of an allocation.
    pub(crate) fn size(&self, id: AllocationId) -> usize {
        self.blocks[id].bytes
    }
}
