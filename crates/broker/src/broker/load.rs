//! Bytes that channels have of the memory budget.

use super::Broker;
use super::channel::{Channel, by_load};
use crate::name::Kind;
use crate::slots::{AllocationSlot, ChannelSlot};
use crate::{PauseReason, Refusal};

/// Channels with fewer bytes are not told apart.
const LITTLE: usize = 4096;

/// Classes of channels by load: those of each [`Kind`] without dead letters, and queues of dead letters.
pub(super) const CLASSES: usize = 3;
const DEAD: usize = 2;

/// The least load of the channels in a list.
fn least_of(bucket: u8) -> usize {
    bucket.checked_sub(1).map_or(0, |bits| 1 << bits)
}

impl Channel {
    /// The class of lists by load that it is in.
    fn load_class(&self) -> usize {
        if self.is_dead { DEAD } else { self.kind as usize }
    }
}

/// The classes that have channels of a kind.
pub(super) fn classes_of(kind: Kind) -> &'static [usize] {
    match kind {
        Kind::Topic => &[Kind::Topic as usize],
        Kind::Queue => &[Kind::Queue as usize, DEAD],
    }
}

impl Broker {
    /// The reason of a pause where memory is short.
    pub(super) fn short_memory(&self) -> PauseReason {
        PauseReason::Memory { budget: self.budget.limit(), messages: self.budget.for_messages() }
    }

    /// The refusal where memory is used up.
    pub(super) fn no_memory(&self) -> Refusal {
        Refusal::Memory {
            budget: self.budget.limit(),
            messages: self.budget.for_messages(),
            used: self.budget.used(),
            connections: self.limits.connections,
        }
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
        // Of those with little it does not matter which has more, unless they are to shed it.
        let load = if channel.load < LITTLE && !channel.is_dead { 0 } else { channel.load };
        let bucket = (usize::BITS - load.leading_zeros()) as u8;
        if bucket != channel.bucket {
            let (before, class) = (channel.bucket, channel.load_class());
            self.by_load[class][usize::from(before)].remove(self.channels.quietly(), slot, by_load);
            self.channels.quietly().row(slot).bucket = bucket;
            self.by_load[class][usize::from(bucket)].push_back(self.channels.quietly(), slot, by_load);
            if class == DEAD {
                self.dead_load = self.dead_load + least_of(bucket) - least_of(before);
                self.sheds = true;
            }
        }
    }

    /// Puts a new channel into such a list.
    pub(super) fn add_by_load(&mut self, slot: ChannelSlot) {
        let class = self.channels[slot].load_class();
        self.by_load[class][0].push_back(self.channels.quietly(), slot, by_load);
    }

    /// Takes a channel that nobody finds any more out of such a list.
    pub(super) fn remove_by_load(&mut self, slot: ChannelSlot) {
        let (bucket, class) = (self.channels[slot].bucket, self.channels[slot].load_class());
        self.by_load[class][usize::from(bucket)].remove(self.channels.quietly(), slot, by_load);
        if class == DEAD {
            self.dead_load -= least_of(bucket);
        }
    }

    /// The queue of dead letters with about the most bytes.
    pub(super) fn fullest_dead(&self) -> Option<ChannelSlot> {
        self.by_load[DEAD].iter().skip(1).rev().find_map(|channels| channels.first)
    }

    /// Another queue of dead letters with about as many bytes is next.
    pub(super) fn pass_dead(&mut self, slot: ChannelSlot) {
        let bucket = usize::from(self.channels[slot].bucket);
        self.by_load[DEAD][bucket].remove(self.channels.quietly(), slot, by_load);
        self.by_load[DEAD][bucket].push_back(self.channels.quietly(), slot, by_load);
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
