//! Charges of the memory budget beside packed bytes: the overhead of every entry, rounded up.
//!
//! The figures are those of 64-bit machines and glibc's allocator. A table that grows doubles, so
//! its rows are charged twice. `tests/memory.rs` compares the sums with what is really allocated.

use crate::attributes::Rare;
use crate::backlog::Segment;
use crate::budget::Allocation;
use crate::lease::{Lease, Marks};
use crate::outbox::OutboxEntry;
use crate::slots::ChannelSlot;
use crate::{Attributes, Headers};
use bytes::Bytes;
use std::mem::size_of;

/// An idle connection, with its timers and what the driver keeps for it.
pub(crate) const CONNECTION: usize = 4096;

/// A connection that is gone and whose messages still wait for room.
pub(crate) const GONE: usize = 1536;

/// A subscription, without its pattern.
pub(crate) const SUBSCRIPTION: usize = 256;

/// A pattern of so many bytes in the trie: two nodes at most, their texts, and what holds its key.
pub(crate) const fn pattern(bytes: usize) -> usize {
    640 + 2 * bytes
}

/// A subscription's membership in a channel.
pub(crate) const MEMBER: usize = 160;

/// A channel, without its name.
pub(crate) const CHANNEL: usize = 1024;

/// A channel whose name has so many bytes.
pub(crate) const fn channel(name: usize) -> usize {
    CHANNEL + text(name)
}

/// A retained value, without its message.
pub(crate) const RETAINED: usize = 96;

/// The list of the queues that a topic feeds, without their slots, and the attributes that name the topic.
pub(crate) const LIST: usize = 64 + ATTRIBUTES + RARE;

/// A queue in such a list.
pub(crate) const LISTED: usize = size_of::<ChannelSlot>();

/// Messages that wait in a channel.
pub(crate) const SEGMENT: usize = 2 * (size_of::<Segment>() + 8);

/// The same of a group: its entries in the sets of [`Backlog`](crate::backlog::Backlog) beside that of the segment.
pub(crate) const GROUPED: usize = 64;

/// A message that comes back from a consumer without its neighbors, without its bytes.
pub(crate) const RETURNED: usize = SEGMENT + buffer(0);

/// A group of messages in a queue, whose name has so many bytes: its row, its name, and its place in the sets.
pub(crate) const fn group(name: usize) -> usize {
    384 + text(name)
}

/// Messages that wait in an outbox, or for the peer's machine to acknowledge them; and the driver's
/// reference to them.
pub(crate) const ENTRY: usize = 2 * (size_of::<OutboxEntry>() + size_of::<Bytes>()) + 64;

/// Messages that wait for their acks, and which of them do.
pub(crate) const LEASE: usize = 2 * size_of::<Lease>() + block(size_of::<Marks>());

/// Attributes of a batch and what counts their references, without headers and properties that few messages have.
pub(crate) const ATTRIBUTES: usize = block(size_of::<Attributes>() + 16);

/// Properties that few messages have, without their texts.
pub(crate) const RARE: usize = block(size_of::<Rare>());

/// A command of a paused connection.
pub(crate) const PENDING: usize = 256;

/// Receipts that are not written: their frames in the driver's buffer, which doubles as it grows.
pub(crate) const fn receipts(receipts: usize, bytes: usize) -> usize {
    receipts * 64 + 2 * bytes
}

/// The reason in a receipt for messages to a channel whose name has so many bytes, each of which may be escaped.
pub(crate) const fn reason(name: usize) -> usize {
    4 * name + 512
}

/// A buffer: the allocator's header and rounding, the header that shares it, and the row that
/// counts it.
pub(crate) const fn buffer(bytes: usize) -> usize {
    text(bytes) + 2 * (size_of::<Option<Allocation>>() + 4)
}

/// A block of memory: with the allocator's header and rounding.
pub(crate) const fn block(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16)
}

/// A name or pattern: the allocator's header and rounding, and the header that shares it.
pub(crate) const fn text(bytes: usize) -> usize {
    block(bytes) + 48
}

/// The lines that a protocol makes of headers of so many packed bytes: of large ones up to twice as many bytes, for what is to be
/// escaped, and for versions that escape other bytes.
pub(crate) const fn lines(headers: usize) -> usize {
    if headers > Headers::LARGE { 2 * text(headers) } else { text(headers) }
}
