//! Bytes that channels have of the memory budget.

use super::Broker;
use super::channel::by_load;
use crate::slots::{AllocationSlot, ChannelSlot};
use crate::{PauseReason, Refusal};

/// Channels with fewer bytes are not told apart.
const LITTLE: usize = 4096;

impl Broker {
    /// The reason of a pause where memory is short.
    pub(super) fn short_memory(&self) -> PauseReason {
        PauseReason::Memory { budget: self.budget.limit(), messages: self.budget.for_messages() }
    }

    /// The refusal where memory is used up.
    pub(super) fn no_memory(&self) -> Refusal {
        Refusal::Memory { budget: self.budget.limit(), messages: self.budget.for_messages() }
    }

    /// Whether a channel has more than is free: so the fullest are paused first, and each has its
    /// share however many there are (the dynamic threshold of shared-memory switches).
    #[inline]
    pub(super) fn over_share(&self, channel: ChannelSlot) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.load > self.budget.free())
    }

    /// Puts a channel into the list of those with about as many bytes.
    pub(super) fn file_by_load(&mut self, slot: ChannelSlot) {
        let channel = &self.channels[slot];
        // Of those with little it does not matter which has more.
        let load = if channel.load < LITTLE { 0 } else { channel.load };
        let bucket = (usize::BITS - load.leading_zeros()) as u8;
        if bucket != channel.bucket {
            let before = usize::from(channel.bucket);
            let kind = channel.kind as usize;
            self.by_load[kind][before].remove(self.channels.quietly(), slot, by_load);
            self.channels.quietly().row(slot).bucket = bucket;
            self.by_load[kind][usize::from(bucket)].push_back(self.channels.quietly(), slot, by_load);
        }
    }

    /// Counts bytes for a channel.
    #[inline]
    pub(super) fn charge(&mut self, slot: ChannelSlot, bytes: usize) {
        self.budget.charge(bytes);
        self.change_load(slot, |load| load + bytes);
    }

    /// Bytes of a channel are no longer buffered.
    #[inline]
    pub(super) fn uncharge(&mut self, slot: ChannelSlot, bytes: usize) {
        self.budget.release(bytes);
        self.change_load(slot, |load| load - bytes);
    }

    #[inline]
    fn change_load(&mut self, slot: ChannelSlot, change: impl FnOnce(usize) -> usize) {
        let channel = self.channels.edit(slot);
        channel.load = change(channel.load);
        if let Some(key) = channel.share_key {
            let load = channel.load;
            channel.share_key = Some(load);
            self.share_waiting.remove(&(key, slot));
            self.share_waiting.insert((load, slot));
        }
    }

    /// Counts a new buffer for a channel.
    pub(super) fn allocate(&mut self, channel: ChannelSlot, bytes: usize) -> AllocationSlot {
        let (allocation, charged) = self.budget.allocate(channel, bytes);
        self.change_load(channel, |load| load + charged);
        allocation
    }

    /// One reference to a buffer less.
    #[inline]
    pub(super) fn release(&mut self, allocation: AllocationSlot) {
        if let Some((channel, bytes)) = self.budget.free_reference(allocation) {
            self.change_load(channel, |load| load - bytes);
        }
    }

    /// Counts bytes more for a buffer of a channel.
    pub(super) fn enlarge(&mut self, channel: ChannelSlot, allocation: AllocationSlot, bytes: usize) {
        self.budget.enlarge(allocation, bytes);
        self.change_load(channel, |load| load + bytes);
    }

    pub(super) fn resize(&mut self, channel: ChannelSlot, allocation: AllocationSlot, bytes: usize) {
        let (before, now) = self.budget.resize(allocation, bytes);
        self.change_load(channel, |load| load - before + now);
    }
}
