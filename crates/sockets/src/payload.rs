use crate::Message;
use bytes::Bytes;

/// What can be sent as a message: bytes and text, which are copied once, into the buffer that is written;
/// [`Bytes`] and [`Message`]s, of which long parts are not copied at all; and arrays and vectors of them, as
/// messages of several parts.
pub trait Payload: sealed::Payload {}

impl<P: sealed::Payload> Payload for P {}

pub(crate) mod sealed {
    use bytes::Bytes;

    pub trait Payload {
        fn parts(&self) -> usize {
            1
        }
        fn part(&self, number: usize) -> &[u8];
        /// The same, if it can be had without a copy.
        fn shared(&self, _number: usize) -> Option<Bytes> {
            None
        }
    }

    impl<P: Payload + ?Sized> Payload for &P {
        #[inline]
        fn parts(&self) -> usize {
            (**self).parts()
        }
        #[inline]
        fn part(&self, number: usize) -> &[u8] {
            (**self).part(number)
        }
        #[inline]
        fn shared(&self, number: usize) -> Option<Bytes> {
            (**self).shared(number)
        }
    }
}

macro_rules! one_part {
    ($($type:ty),*) => {$(
        impl sealed::Payload for $type {
            #[inline]
            fn part(&self, _number: usize) -> &[u8] {
                self.as_ref()
            }
        }
    )*};
}

one_part!([u8], str, Vec<u8>, String);

impl<const N: usize> sealed::Payload for [u8; N] {
    #[inline]
    fn part(&self, _number: usize) -> &[u8] {
        self
    }
}

impl sealed::Payload for Bytes {
    #[inline]
    fn part(&self, _number: usize) -> &[u8] {
        self
    }
    fn shared(&self, _number: usize) -> Option<Bytes> {
        Some(self.clone())
    }
}

impl sealed::Payload for Message {
    #[inline]
    fn parts(&self) -> usize {
        Message::parts(self)
    }
    #[inline]
    fn part(&self, number: usize) -> &[u8] {
        Message::part(self, number).unwrap_or_default()
    }
    fn shared(&self, number: usize) -> Option<Bytes> {
        Message::shared(self, number).cloned()
    }
}

macro_rules! many_parts {
    ($($part:ty),*) => {$(
        impl sealed::Payload for [$part] {
            fn parts(&self) -> usize {
                self.len()
            }
            fn part(&self, number: usize) -> &[u8] {
                sealed::Payload::part(&self[number], 0)
            }
            fn shared(&self, number: usize) -> Option<Bytes> {
                sealed::Payload::shared(&self[number], 0)
            }
        }

        impl<const N: usize> sealed::Payload for [$part; N] {
            fn parts(&self) -> usize {
                N
            }
            fn part(&self, number: usize) -> &[u8] {
                sealed::Payload::part(&self[number], 0)
            }
            fn shared(&self, number: usize) -> Option<Bytes> {
                sealed::Payload::shared(&self[number], 0)
            }
        }

        impl sealed::Payload for Vec<$part> {
            fn parts(&self) -> usize {
                self.len()
            }
            fn part(&self, number: usize) -> &[u8] {
                sealed::Payload::part(&self[number], 0)
            }
            fn shared(&self, number: usize) -> Option<Bytes> {
                sealed::Payload::shared(&self[number], 0)
            }
        }
    )*};
}

many_parts!(&[u8], &str, Vec<u8>, String, Bytes);
