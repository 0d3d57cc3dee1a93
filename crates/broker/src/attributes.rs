//! Attributes: what the messages of a batch have in common beside their channel: headers, and the properties that the
//! rules read.

use crate::{Time, cost};
use bytes::Bytes;
use std::fmt;

/// Bytes of the two lengths before each name and value.
const LENGTHS: usize = 8;

/// An immutable list of names and values, in the order in which they were given. Both are any bytes: no
/// protocol is known here.
///
/// All of it lies packed in one buffer: the lengths of name and value (`u32`, big endian each), then both.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers {
    packed: Bytes,
    count: usize,
}

impl Headers {
    /// Headers, in order.
    pub fn builder() -> HeadersBuilder {
        HeadersBuilder::default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of headers, with repeats.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Bytes of the packed list.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// Names and values, in order; a repeated name comes as often as it was given.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let (lengths, behind) = rest.split_at_checked(LENGTHS)?;
            let (name, value) = lengths.split_at(LENGTHS / 2);
            let (name, behind) = behind.split_at(length(name));
            let (value, behind) = behind.split_at(length(value));
            rest = behind;
            Some((name, value))
        })
    }

    /// The value of the first header of this name: of repeated ones the first is in force.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

fn length(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        formatter.debug_list().entries(self.iter().map(|(name, value)| (text(name), text(value)))).finish()
    }
}

/// Builds [`Headers`].
#[derive(Debug, Default)]
pub struct HeadersBuilder {
    packed: Vec<u8>,
    count: usize,
}

impl HeadersBuilder {
    /// Appends a header.
    ///
    /// # Panics
    /// If name or value is longer than `u32::MAX` bytes.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        for text in [name, value] {
            let length = u32::try_from(text.len()).expect("a header is shorter than 4 GiB");
            self.packed.extend_from_slice(&length.to_be_bytes());
        }
        self.packed.extend_from_slice(name);
        self.packed.extend_from_slice(value);
        self.count += 1;
    }

    /// The headers, in a buffer of exactly their size.
    pub fn finish(self) -> Headers {
        Headers { packed: self.packed.into_boxed_slice().into(), count: self.count }
    }
}

/// Headers and properties that the messages of a [`Batch`](crate::Batch) have in common, stored once for all of them. The memory
/// budget charges it for each buffer of messages that has it.
///
/// The names in it should not be slices of larger buffers, which they would keep in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// As the publisher gave them, for the subscriber.
    pub headers: Headers,
    /// Whether the publisher asked for the messages to survive a restart. Nothing is stored yet.
    pub persistent: bool,
    /// From 0 to 9, [`Attributes::PRIORITY`] where nothing is said. A larger number counts as 9. A queue hands out those of
    /// a higher priority first.
    pub priority: u8,
    /// From this time on they are not delivered any more.
    pub expires: Option<Time>,
    /// Before this time they are not delivered.
    pub deliver_at: Option<Time>,
    /// A queue hands out the messages of one group to one consumer, in order: to the one that gets the first of them, until
    /// none waits or is unacked, or that consumer has left. Others flow past them.
    pub group: Option<Bytes>,
    /// The channel for an answer.
    pub reply_to: Option<Bytes>,
    /// The channel that they were first published to, of messages that were moved.
    pub origin: Option<Bytes>,
}

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes {
            headers: Headers::default(),
            persistent: false,
            priority: Attributes::PRIORITY,
            expires: None,
            deliver_at: None,
            group: None,
            reply_to: None,
            origin: None,
        }
    }
}

impl Attributes {
    /// The priority of messages for which none was asked.
    pub const PRIORITY: u8 = 4;

    /// The highest priority.
    pub const HIGHEST: u8 = 9;

    /// Bytes that are charged for them. Kept out of line: most batches have none.
    #[cold]
    #[inline(never)]
    pub(crate) fn charge(&self) -> usize {
        let text = |text: &Option<Bytes>| text.as_ref().map_or(0, |text| cost::text(text.len()));
        let headers = if self.headers.is_empty() { 0 } else { cost::text(self.headers.bytes()) };
        cost::ATTRIBUTES + headers + text(&self.group) + text(&self.reply_to) + text(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_are_given_back_as_they_were_pushed_and_the_first_of_repeated_ones_is_in_force(
            pairs in prop::collection::vec((prop::collection::vec(0..3u8, 0..3), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
        ) {
            let mut builder = Headers::builder();
            pairs.iter().for_each(|(name, value)| builder.push(name, value));
            let headers = builder.finish();
            let given: Vec<_> = headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(&given, &pairs);
            prop_assert_eq!((headers.len(), headers.is_empty()), (pairs.len(), pairs.is_empty()));
            for (name, _) in &pairs {
                let first = pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice());
                prop_assert_eq!(headers.get(name), first);
            }
            prop_assert_eq!(headers.get(b"absent"), None);
        }
    }
}
