use bytes::Bytes;
use std::ops::Deref;

/// A message that was received. It reads like a slice of its bytes.
///
/// It is a part of the buffer that it was read into, up to 64 KiB unless it is longer itself: to keep a small message for
/// long, copy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    data: Bytes,
}

impl Message {
    pub(crate) fn new(data: Bytes) -> Message {
        Message { data }
    }

    /// Its bytes.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Its bytes, without a copy.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        self.data
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}
