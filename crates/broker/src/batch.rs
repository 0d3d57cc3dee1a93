use crate::{Attributes, Time};
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of a length before each message of a packed buffer.
pub(crate) const PREFIX: usize = 4;

/// Consecutive messages for one channel that arrived together: the unit in which the broker
/// works.
///
/// The messages lie back to back in one immutable buffer, each behind its length (`u32`, big
/// endian). Clones share the buffer, so that a delivery to a thousand subscribers costs a
/// thousand references. A batch is never empty; an empty message is a message.
///
/// All messages of a batch have the same [`Attributes`], or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    packed: Bytes,
    count: usize,
    attributes: Option<Arc<Attributes>>,
}

/// The buffer does not consist of whole messages behind their lengths, or has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed batch holds no whole message at byte {offset}")]
pub struct MalformedBatch {
    /// Offset of the first incomplete message in the buffer.
    pub offset: usize,
}

impl Batch {
    /// A batch of one message.
    ///
    /// # Panics
    /// If the body is longer than `u32::MAX` bytes.
    pub fn one(body: &[u8]) -> Batch {
        let mut packer = Packer::with_capacity(PREFIX + body.len());
        packer.push(body);
        packer.finish().expect("one message was pushed")
    }

    /// Takes a buffer that is packed already.
    ///
    /// # Errors
    /// If the buffer is empty or does not end with a whole message.
    pub fn from_packed(packed: Bytes) -> Result<Batch, MalformedBatch> {
        let (mut offset, mut count) = (0, 0);
        while offset < packed.len() {
            let size = size_at(&packed, offset).ok_or(MalformedBatch { offset })?;
            if packed.len() - offset < size {
                return Err(MalformedBatch { offset });
            }
            offset += size;
            count += 1;
        }
        if count == 0 {
            return Err(MalformedBatch { offset });
        }
        Ok(Batch { packed, count, attributes: None })
    }

    /// The same messages with attributes in place of those that they had. Messages of different batches are
    /// kept together only where both have none, or share these.
    #[must_use]
    pub fn with_attributes(self, attributes: impl Into<Option<Arc<Attributes>>>) -> Batch {
        Batch { attributes: attributes.into(), ..self }
    }

    /// Attributes of all messages, if their publisher's protocol has anything of the kind.
    pub fn attributes(&self) -> Option<&Arc<Attributes>> {
        self.attributes.as_ref()
    }

    /// From when on the messages are not delivered any more.
    #[inline]
    pub(crate) fn expires(&self) -> Option<Time> {
        self.attributes.as_ref().and_then(|attributes| attributes.expires())
    }

    /// The rank of messages without attributes.
    pub(crate) const RANK: u8 = Attributes::HIGHEST - Attributes::PRIORITY;

    /// The lower, the earlier they are dispatched: 0 for the highest priority.
    #[inline]
    pub(crate) fn rank(&self) -> u8 {
        Batch::rank_of(self.attributes.as_ref())
    }

    /// The rank of messages with these attributes.
    #[inline]
    pub(crate) fn rank_of(attributes: Option<&Arc<Attributes>>) -> u8 {
        attributes.map_or(Batch::RANK, |attributes| Attributes::HIGHEST.saturating_sub(attributes.priority))
    }

    /// The group that the messages are of.
    #[inline]
    pub(crate) fn group(&self) -> Option<&Bytes> {
        self.attributes.as_ref().and_then(|attributes| attributes.group())
    }

    /// Whether the time of the messages is over.
    #[inline]
    pub(crate) fn has_expired(&self, now: Time) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }

    /// Whether other messages have the same attributes, or none either.
    #[inline]
    pub(crate) fn has_attributes(&self, other: Option<&Arc<Attributes>>) -> bool {
        match (self.attributes(), other) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Bytes that are charged for the attributes.
    #[inline]
    pub(crate) fn extra(&self) -> usize {
        self.attributes.as_ref().map_or(0, |attributes| attributes.charge())
    }

    /// Bytes that a buffer of these messages is charged for.
    #[inline]
    pub(crate) fn footprint(&self) -> usize {
        self.packed.len() + self.extra()
    }

    /// As [`Batch::extra`] once they are handed out: a protocol makes its lines of the headers once for all subscribers.
    #[inline]
    pub(crate) fn extra_given(&self) -> usize {
        self.attributes.as_ref().map_or(0, |attributes| attributes.charge_given())
    }

    /// As [`Batch::footprint`] once they are handed out.
    #[inline]
    pub(crate) fn footprint_given(&self) -> usize {
        self.packed.len() + self.extra_given()
    }

    /// The packed buffer: each message behind its length.
    pub fn packed(&self) -> &Bytes {
        &self.packed
    }

    /// Number of messages.
    #[allow(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Bytes of the packed buffer. This is what credit counts; bounds count the attributes too.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// The bodies, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.iter_packed().map(|message| &message[PREFIX..])
    }

    /// The messages, each behind its length, in order.
    pub(crate) fn iter_packed(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let (message, behind) = rest.split_at(size_at(rest, 0)?);
            rest = behind;
            Some(message)
        })
    }

    /// Takes a buffer that holds so many whole messages.
    pub(crate) fn from_parts(packed: Bytes, count: usize, attributes: Option<Arc<Attributes>>) -> Batch {
        Batch { packed, count, attributes }
    }

    /// Bytes of the length before each message of a packed buffer; the packed size of an empty message.
    pub const PREFIX: usize = PREFIX;

    /// Packed size of the first `count` messages.
    pub(crate) fn size_of_first(&self, count: usize) -> usize {
        self.iter_packed().take(count).map(<[u8]>::len).sum()
    }

    /// Packed size of the first message.
    pub(crate) fn first_size(&self) -> usize {
        size_at(&self.packed, 0).expect("a batch is never empty")
    }

    /// Number of whole messages in the first `bytes` bytes, and the bytes of those messages.
    pub(crate) fn whole_within(&self, bytes: usize) -> (usize, usize) {
        let (mut offset, mut count) = (0, 0);
        while let Some(size) = size_at(&self.packed, offset) {
            if offset + size > bytes {
                break;
            }
            offset += size;
            count += 1;
        }
        (count, offset)
    }

    /// Cuts behind `count` messages that take `bytes` bytes. Either half may be missing.
    #[inline]
    pub(crate) fn split(self, count: usize, bytes: usize) -> (Option<Batch>, Option<Batch>) {
        if count == 0 {
            return (None, Some(self));
        }
        if count == self.count {
            return (Some(self), None);
        }
        self.cut(count, bytes)
    }

    fn cut(self, count: usize, bytes: usize) -> (Option<Batch>, Option<Batch>) {
        let mut head = self.packed;
        let tail = head.split_off(bytes);
        let rest = self.count - count;
        let attributes = self.attributes.clone();
        let head = Batch { packed: head, count, attributes: self.attributes };
        (Some(head), Some(Batch { packed: tail, count: rest, attributes }))
    }

    /// The same messages in a buffer of exactly their size.
    pub(crate) fn compact(&self) -> Batch {
        let packed = Bytes::copy_from_slice(&self.packed);
        Batch { packed, count: self.count, attributes: self.attributes.clone() }
    }
}

/// The size of the message at an offset, its length included.
#[inline]
pub(crate) fn size_at(packed: &[u8], offset: usize) -> Option<usize> {
    let prefix = packed.get(offset..offset + PREFIX)?;
    let length = u32::from_be_bytes(prefix.try_into().ok()?);
    (length as usize).checked_add(PREFIX)
}

/// Builds a [`Batch`].
#[derive(Debug, Default)]
pub struct Packer {
    buffer: Vec<u8>,
    count: usize,
}

impl Packer {
    /// With room for `bytes` packed bytes. A capacity that is met exactly wastes no memory.
    pub fn with_capacity(bytes: usize) -> Packer {
        Packer { buffer: Vec::with_capacity(bytes), count: 0 }
    }

    /// Makes room for a message of so many bytes, and for as many such `messages` as are expected with it, if they are not too
    /// many: room grows by half at least, and at most doubles beyond 16 KiB.
    pub fn make_room(&mut self, bytes: usize, messages: usize) {
        const SMALL: usize = 16 << 10;
        let needed = PREFIX + bytes;
        if self.buffer.capacity() - self.buffer.len() < needed {
            let (expected, most) = (messages.saturating_mul(needed), self.buffer.len().max(SMALL));
            self.buffer.reserve_exact(expected.min(most).max(self.buffer.len() / 2).max(needed));
        }
    }

    /// Appends a message.
    ///
    /// # Panics
    /// If the body is longer than `u32::MAX` bytes.
    pub fn push(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).expect("a body is shorter than 4 GiB");
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(body);
        self.count += 1;
    }

    /// Appends a message that stands behind its length already.
    ///
    /// # Panics
    /// If that is not its length.
    #[inline]
    pub fn push_packed(&mut self, message: &[u8]) {
        assert_eq!(size_at(message, 0), Some(message.len()), "a message behind its length");
        self.buffer.extend_from_slice(message);
        self.count += 1;
    }

    /// The batch; `None` if nothing was pushed.
    pub fn finish(self) -> Option<Batch> {
        if self.count == 0 {
            return None;
        }
        let packed = Bytes::from(self.buffer.into_boxed_slice());
        Some(Batch { packed, count: self.count, attributes: None })
    }
}
