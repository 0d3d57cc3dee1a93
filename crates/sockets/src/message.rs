mod compare;
mod convert;
mod parts;
#[cfg(test)]
mod tests;

pub use parts::{IntoParts, Parts};

use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// A message: one part or more, each of them bytes.
///
/// A clone copies at most 70 bytes. A message without parts can be made, but not sent.
#[derive(Clone)]
pub struct Message(Repr);

/// So that a message has 72 bytes.
pub(crate) const INLINE: usize = 70;

#[derive(Clone)]
enum Repr {
    /// In itself: no allocation, and no refcount that two cores share.
    Inline(u8, [u8; INLINE]),
    One(Bytes),
    Many(Box<[Bytes]>),
}

impl Message {
    /// A message of several parts. `collect` does the same.
    pub fn multipart<P: Into<Bytes>>(parts: impl IntoIterator<Item = P>) -> Message {
        Message(Repr::Many(parts.into_iter().map(Into::into).collect()))
    }

    #[inline]
    pub(crate) fn inline(data: &[u8]) -> Message {
        let mut bytes = [0; INLINE];
        bytes[..data.len()].copy_from_slice(data);
        Message(Repr::Inline(data.len() as u8, bytes))
    }

    /// The first part; of most messages the only one. Empty if there is none.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Repr::One(bytes) => bytes,
            Repr::Many(parts) => parts.first().map_or(&[], |part| part),
        }
    }

    /// The first part as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.data())
    }

    /// The first part as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.data()).ok()
    }

    /// The number of parts.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Many(parts) => parts.len(),
            _ => 1,
        }
    }

    /// Returns true if it has no part. A message of one empty part is not empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part with this number; the first is 0. `message[0]` does the same, and panics if there is none.
    #[inline]
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        match &self.0 {
            Repr::Many(parts) => parts.get(number).map(|part| &part[..]),
            _ => (number == 0).then(|| self.data()),
        }
    }

    /// All parts, in order.
    #[must_use]
    pub fn iter(&self) -> Parts<'_> {
        Parts::new(self)
    }

    /// Adds a part at the end.
    pub fn push(&mut self, part: impl Into<Bytes>) {
        let mut parts = std::mem::take(self).into_parts();
        parts.push(part.into());
        self.0 = Repr::Many(parts.into());
    }

    /// All parts, in order. Long ones are not copied.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        match self.0 {
            Repr::Inline(length, bytes) => vec![Bytes::copy_from_slice(&bytes[..usize::from(length)])],
            Repr::One(bytes) => vec![bytes],
            Repr::Many(parts) => parts.into_vec(),
        }
    }

    /// The first part, as bytes that can be kept. Empty if there is none.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        self.into_parts().into_iter().next().unwrap_or_default()
    }

    /// The part without a copy, where it has a buffer that can be shared.
    #[inline]
    pub(crate) fn shared(&self, number: usize) -> Option<&Bytes> {
        match &self.0 {
            Repr::Inline(..) => None,
            Repr::One(bytes) => Some(bytes),
            Repr::Many(parts) => parts.get(number),
        }
    }
}

/// A message without parts.
impl Default for Message {
    fn default() -> Message {
        Message(Repr::Many(Box::default()))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message(")?;
        for (number, part) in self.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            match part.get(..64) {
                Some(begin) if part.len() > 64 => {
                    write!(f, "{comma}\"{}\"... {} bytes", begin.escape_ascii(), part.len())?;
                }
                _ => write!(f, "{comma}\"{}\"", part.escape_ascii())?,
            }
        }
        f.write_str(")")
    }
}
