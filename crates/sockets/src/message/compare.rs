use super::Message;
use bytes::Bytes;
use std::hash::{Hash, Hasher};

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Message {}

/// Two messages are equal if their parts are, however they are stored.
impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.iter().for_each(|part| part.hash(state));
    }
}

impl Message {
    fn is_one(&self, bytes: &[u8]) -> bool {
        self.len() == 1 && self.data() == bytes
    }
}

/// A message of one part equals its bytes.
macro_rules! equals_bytes {
    ($($type:ty),*) => {$(
        impl PartialEq<$type> for Message {
            fn eq(&self, other: &$type) -> bool {
                self.is_one(other.as_ref())
            }
        }

        impl PartialEq<Message> for $type {
            fn eq(&self, other: &Message) -> bool {
                other.is_one(self.as_ref())
            }
        }
    )*};
}

equals_bytes!([u8], &[u8], str, &str, Vec<u8>, String, Bytes);

impl<const N: usize> PartialEq<[u8; N]> for Message {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.is_one(other)
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Message {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.is_one(*other)
    }
}
