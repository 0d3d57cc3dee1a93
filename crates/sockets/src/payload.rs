use crate::Message;
use bytes::{Bytes, BytesMut};
use sealed::Part;
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// The types that can be sent as a message:
///
/// - bytes and text, owned or borrowed: `&str`, `String`, `&[u8]`, `[u8; N]`, `Vec<u8>`, `Box<[u8]>`, `Cow`, `BytesMut` and so on. They
///   are copied once, into the buffer that is written.
/// - [`Bytes`], `Arc<[u8]>` and [`Message`], of which parts from 16 KiB on are not copied at all.
/// - arrays, slices, vectors and tuples of these, except messages, as messages of several parts.
pub trait Payload: sealed::Payload {}

impl<P: sealed::Payload + ?Sized> Payload for P {}

pub(crate) mod sealed {
    use bytes::Bytes;

    pub trait Payload {
        fn parts(&self) -> usize;
        fn part(&self, number: usize) -> &[u8];
        /// The part without a copy, if it can be shared.
        fn shared(&self, number: usize) -> Option<Bytes>;
    }

    /// One part.
    pub trait Part {
        fn bytes(&self) -> &[u8];
        /// The same without a copy, if it can be shared.
        fn shared_bytes(&self) -> Option<Bytes> {
            None
        }
    }
}

impl<P: sealed::Payload + ?Sized> sealed::Payload for &P {
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

impl<P: Part + ?Sized> Part for &P {
    #[inline]
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
    fn shared_bytes(&self) -> Option<Bytes> {
        (**self).shared_bytes()
    }
}

/// A part is a message of one part. (Not for every `Part` at once: `&P` would have it twice.)
macro_rules! one_part {
    ($({$($generic:tt)*})? $type:ty) => {
        impl $(<$($generic)*>)? sealed::Payload for $type {
            #[inline]
            fn parts(&self) -> usize {
                1
            }
            #[inline]
            fn part(&self, _number: usize) -> &[u8] {
                Part::bytes(self)
            }
            fn shared(&self, _number: usize) -> Option<Bytes> {
                self.shared_bytes()
            }
        }
    };
}

macro_rules! copied {
    ($($type:ty),*) => {$(
        impl Part for $type {
            #[inline]
            fn bytes(&self) -> &[u8] {
                self.as_ref()
            }
        }
        one_part!($type);
    )*};
}

copied!([u8], Vec<u8>, BytesMut, Box<[u8]>, Rc<[u8]>, Cow<'_, [u8]>);

macro_rules! text {
    ($($type:ty),*) => {$(
        impl Part for $type {
            #[inline]
            fn bytes(&self) -> &[u8] {
                str::as_bytes(self)
            }
        }
        one_part!($type);
    )*};
}

text!(str, String, Box<str>, Rc<str>, Cow<'_, str>);

impl<const N: usize> Part for [u8; N] {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
}
one_part!({ const N: usize } [u8; N]);

impl Part for Bytes {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
    fn shared_bytes(&self) -> Option<Bytes> {
        Some(self.clone())
    }
}
one_part!(Bytes);

impl Part for Arc<[u8]> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
    fn shared_bytes(&self) -> Option<Bytes> {
        Some(Bytes::from_owner(self.clone()))
    }
}
one_part!(Arc<[u8]>);

impl Part for Arc<str> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
    fn shared_bytes(&self) -> Option<Bytes> {
        Some(Bytes::from_owner(Arc::<[u8]>::from(self.clone())))
    }
}
one_part!(Arc<str>);

impl sealed::Payload for Message {
    #[inline]
    fn parts(&self) -> usize {
        self.len()
    }
    #[inline]
    fn part(&self, number: usize) -> &[u8] {
        self.get(number).unwrap_or_default()
    }
    fn shared(&self, number: usize) -> Option<Bytes> {
        Message::shared(self, number).cloned()
    }
}

impl<P: Part> sealed::Payload for [P] {
    fn parts(&self) -> usize {
        self.len()
    }
    fn part(&self, number: usize) -> &[u8] {
        self[number].bytes()
    }
    fn shared(&self, number: usize) -> Option<Bytes> {
        self[number].shared_bytes()
    }
}

macro_rules! many_parts {
    ($({$($generic:tt)*} $type:ty),*) => {$(
        impl<P: Part, $($generic)*> sealed::Payload for $type {
            fn parts(&self) -> usize {
                self.len()
            }
            fn part(&self, number: usize) -> &[u8] {
                self[number].bytes()
            }
            fn shared(&self, number: usize) -> Option<Bytes> {
                self[number].shared_bytes()
            }
        }
    )*};
}

many_parts!({ const N: usize } [P; N], {} Vec<P>, {} Box<[P]>, {} Arc<[P]>);

macro_rules! tuples {
    ($($($name:ident $number:tt)+;)*) => {$(
        impl<$($name: Part),+> sealed::Payload for ($($name,)+) {
            fn parts(&self) -> usize {
                [$($number),+].len()
            }
            fn part(&self, number: usize) -> &[u8] {
                match number {
                    $($number => self.$number.bytes(),)+
                    _ => unreachable!("no such part"),
                }
            }
            fn shared(&self, number: usize) -> Option<Bytes> {
                match number {
                    $($number => self.$number.shared_bytes(),)+
                    _ => None,
                }
            }
        }
    )*};
}

tuples! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}
