use super::{INLINE, Message, Repr};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::string::FromUtf8Error;
use std::sync::Arc;

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

macro_rules! from_owned {
    ($($type:ty),*) => {$(
        impl From<$type> for Message {
            fn from(bytes: $type) -> Message {
                Message(Repr::One(Bytes::from(bytes)))
            }
        }
    )*};
}

from_owned!(Vec<u8>, String, Box<[u8]>, BytesMut);

macro_rules! from_shared {
    ($($type:ty),*) => {$(
        impl From<$type> for Message {
            fn from(bytes: $type) -> Message {
                if bytes.len() <= INLINE { Message::inline(bytes.as_ref()) } else { Bytes::from_owner(bytes).into() }
            }
        }
    )*};
}

from_shared!(Arc<[u8]>);

impl From<Arc<str>> for Message {
    fn from(text: Arc<str>) -> Message {
        Message::from(Arc::<[u8]>::from(text))
    }
}

impl From<Box<str>> for Message {
    fn from(text: Box<str>) -> Message {
        String::from(text).into()
    }
}

impl From<Cow<'_, [u8]>> for Message {
    fn from(bytes: Cow<'_, [u8]>) -> Message {
        match bytes {
            Cow::Borrowed(bytes) => bytes.into(),
            Cow::Owned(bytes) => bytes.into(),
        }
    }
}

impl From<Cow<'_, str>> for Message {
    fn from(text: Cow<'_, str>) -> Message {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl<const N: usize> From<[u8; N]> for Message {
    fn from(bytes: [u8; N]) -> Message {
        bytes[..].into()
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Message {
        bytes[..].into()
    }
}

macro_rules! from_parts {
    ($($part:ty),*) => {$(
        impl From<Vec<$part>> for Message {
            fn from(parts: Vec<$part>) -> Message {
                Message::multipart(parts)
            }
        }
    )*};
}

from_parts!(Bytes, Vec<u8>, String);

/// The only part, or the first of several.
impl From<Message> for Vec<u8> {
    fn from(message: Message) -> Vec<u8> {
        message.into_data().into()
    }
}

/// The only part, or the first of several.
impl TryFrom<Message> for String {
    type Error = FromUtf8Error;

    fn try_from(message: Message) -> Result<String, FromUtf8Error> {
        String::from_utf8(message.into())
    }
}
