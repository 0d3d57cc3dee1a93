//! A key's bytes, beside its row where they are few: an allocation costs at least 32 bytes.

use std::ops::Deref;

/// Bytes that fit beside the length where a box and the tag would be.
const INLINE: usize = 22;

#[derive(Clone, Debug)]
pub(super) enum Key {
    Short { length: u8, bytes: [u8; INLINE] },
    Long(Box<[u8]>),
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Key {
        match u8::try_from(key.len()) {
            Ok(length) if key.len() <= INLINE => {
                let mut bytes = [0; INLINE];
                bytes[..key.len()].copy_from_slice(key);
                Key::Short { length, bytes }
            }
            _ => Key::Long(key.into()),
        }
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Key::Short { length, bytes } => &bytes[..usize::from(*length)],
            Key::Long(key) => key,
        }
    }
}
