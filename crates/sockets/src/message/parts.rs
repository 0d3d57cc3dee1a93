use super::Message;
use bytes::Bytes;
use std::iter::FusedIterator;
use std::ops::{Index, Range};

/// The parts of a [`Message`], borrowed.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    message: &'a Message,
    left: Range<usize>,
}

/// The parts of a [`Message`], as bytes that can be kept.
pub type IntoParts = std::vec::IntoIter<Bytes>;

impl<'a> Parts<'a> {
    pub(super) fn new(message: &'a Message) -> Parts<'a> {
        Parts { message, left: 0..message.len() }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.message.get(self.left.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl DoubleEndedIterator for Parts<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.message.get(self.left.next_back()?)
    }
}

impl ExactSizeIterator for Parts<'_> {}

impl FusedIterator for Parts<'_> {}

impl<'a> IntoIterator for &'a Message {
    type Item = &'a [u8];
    type IntoIter = Parts<'a>;

    fn into_iter(self) -> Parts<'a> {
        self.iter()
    }
}

impl IntoIterator for Message {
    type Item = Bytes;
    type IntoIter = IntoParts;

    fn into_iter(self) -> IntoParts {
        self.into_parts().into_iter()
    }
}

impl<P: Into<Bytes>> FromIterator<P> for Message {
    fn from_iter<I: IntoIterator<Item = P>>(parts: I) -> Message {
        Message::multipart(parts)
    }
}

impl<P: Into<Bytes>> Extend<P> for Message {
    fn extend<I: IntoIterator<Item = P>>(&mut self, parts: I) {
        let old = std::mem::take(self).into_parts();
        *self = old.into_iter().chain(parts.into_iter().map(Into::into)).collect();
    }
}

/// # Panics
///
/// If there is no part with this number.
impl Index<usize> for Message {
    type Output = [u8];

    fn index(&self, number: usize) -> &[u8] {
        let parts = self.len();
        self.get(number).unwrap_or_else(|| panic!("part {number} of a message of {parts} parts"))
    }
}
