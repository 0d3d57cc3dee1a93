use crate::slots::Slots;

/// Names a counted allocation.
pub(crate) type BlockId = usize;

#[derive(Debug)]
struct Block {
    bytes: usize,
    holders: usize,
    channel: usize,
}

/// Counts every buffered byte, a shared allocation once.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) used: usize,
    pub(crate) budget: usize,
    blocks: Slots<Block>,
}

impl Ledger {
    pub(crate) fn new(budget: usize) -> Ledger {
        Ledger { used: 0, budget, blocks: Slots::new() }
    }

    /// What may still be buffered.
    pub(crate) fn free(&self) -> usize {
        self.budget.saturating_sub(self.used)
    }

    /// Counts an allocation that has one holder and belongs to a channel.
    pub(crate) fn hold(&mut self, channel: usize, bytes: usize) -> BlockId {
        self.used += bytes;
        self.blocks.insert(Block { bytes, holders: 1, channel })
    }

    /// One more holder.
    pub(crate) fn share(&mut self, id: BlockId) -> BlockId {
        self.blocks[id].holders += 1;
        id
    }

    /// One holder less. The last one frees the allocation: its channel and its bytes.
    pub(crate) fn release(&mut self, id: BlockId) -> Option<(usize, usize)> {
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
    pub(crate) fn size(&self, id: BlockId) -> usize {
        self.blocks[id].bytes
    }
}
