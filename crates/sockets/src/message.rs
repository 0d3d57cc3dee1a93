use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// A message: one part or more, each of them bytes. A clone copies at most 70 bytes.
#[derive(Clone)]
pub struct Message(Repr);

/// So that a message is 72 bytes.
pub(crate) const INLINE: usize = 70;

#[derive(Clone)]
enum Repr {
    /// In itself: no allocation, and no count that two cores share.
    Inline(u8, [u8; INLINE]),
    One(Bytes),
    Many(Box<[Bytes]>),
}

impl Message {
    /// One of several parts.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn multipart<P: Into<Bytes>>(parts: impl IntoIterator<Item = P>) -> Message {
        let parts: Box<[Bytes]> = parts.into_iter().map(Into::into).collect();
        assert!(!parts.is_empty(), "a message has a part");
        Message(Repr::Many(parts))
    }

    #[inline]
    pub(crate) fn inline(data: &[u8]) -> Message {
        let mut bytes = [0; INLINE];
        bytes[..data.len()].copy_from_slice(data);
        Message(Repr::Inline(data.len() as u8, bytes))
    }

    /// The first part; of most messages the only one.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Repr::One(bytes) => bytes,
            Repr::Many(parts) => &parts[0],
        }
    }

    /// The first part as text; what is no UTF-8 in it is replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.data())
    }

    /// How many parts it has.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> usize {
        match &self.0 {
            Repr::Many(parts) => parts.len(),
            _ => 1,
        }
    }

    /// The part with this number, the first is 0.
    #[inline]
    #[must_use]
    pub fn part(&self, number: usize) -> Option<&[u8]> {
        match &self.0 {
            Repr::Many(parts) => parts.get(number).map(|part| &part[..]),
            _ => (number == 0).then(|| self.data()),
        }
    }

    /// All parts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.parts()).filter_map(|number| self.part(number))
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

    /// The first part, as bytes that can be kept.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        self.into_parts().swap_remove(0)
    }

    /// Without a copy, where it has one.
    #[inline]
    pub(crate) fn shared(&self, number: usize) -> Option<&Bytes> {
        match &self.0 {
            Repr::Inline(..) => None,
            Repr::One(bytes) => Some(bytes),
            Repr::Many(parts) => parts.get(number),
        }
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.data()
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Message {
        Message(Repr::One(bytes))
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Message {
        if bytes.len() <= INLINE { Message::inline(bytes) } else { Bytes::copy_from_slice(bytes).into() }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Message {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Message {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Message {
    fn from(text: String) -> Message {
        text.into_bytes().into()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Message {}

/// A message of one part.
impl PartialEq<[u8]> for Message {
    fn eq(&self, other: &[u8]) -> bool {
        self.parts() == 1 && self.data() == other
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
