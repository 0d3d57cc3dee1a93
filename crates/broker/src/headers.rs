//! Headers: names and values of messages, packed.

use std::fmt;

/// Payload bits of a byte of a length, and the bit that says that another byte follows.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// An immutable list of names and values, in the order in which they were given. Both are any bytes: no
/// protocol is known here.
///
/// All of it lies packed in one buffer of exactly its size: the lengths of name and value, then both. A length takes a byte
/// for each 7 bits of it, the lowest first, as in LEB128: nearly all are below 128.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers {
    packed: Box<[u8]>,
}

impl Headers {
    /// Headers of more packed bytes are large: what a protocol makes of them is kept once for all subscribers, and charged.
    pub const LARGE: usize = 4 << 10;

    /// Headers, in order.
    pub fn builder() -> HeadersBuilder {
        HeadersBuilder::default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Number of headers, with repeats: all are looked at.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Bytes of the packed list.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// Names and values, in order; a repeated name comes as often as it was given.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let name = take_length(&mut rest)?;
            let value = take_length(&mut rest)?;
            let (name, behind) = rest.split_at_checked(name)?;
            let (value, behind) = behind.split_at_checked(value)?;
            rest = behind;
            Some((name, value))
        })
    }

    /// The value of the first header of this name: of repeated ones the first is in force.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        length |= usize::from(byte & !MORE) << shift;
        if byte & MORE == 0 {
            return Some(length);
        }
        shift += BITS;
    }
}

fn push_length(packed: &mut Vec<u8>, mut length: u32) {
    while length >= u32::from(MORE) {
        packed.push(length as u8 | MORE);
        length >>= BITS;
    }
    packed.push(length as u8);
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
}

impl HeadersBuilder {
    /// Appends a header.
    ///
    /// # Panics
    /// If name or value is longer than `u32::MAX` bytes.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        for text in [name, value] {
            push_length(&mut self.packed, u32::try_from(text.len()).expect("a header is shorter than 4 GiB"));
        }
        self.packed.extend_from_slice(name);
        self.packed.extend_from_slice(value);
    }

    /// The headers, in a buffer of exactly their size.
    pub fn finish(self) -> Headers {
        Headers { packed: self.packed.into_boxed_slice() }
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

    #[test]
    fn a_length_below_128_takes_one_byte_and_the_longest_five() {
        for (length, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u32::MAX, 5)] {
            let mut packed = Vec::new();
            push_length(&mut packed, length);
            assert_eq!(packed.len(), bytes, "{length}");
            let mut rest = &packed[..];
            assert_eq!((take_length(&mut rest), rest), (Some(length as usize), &[][..]));
        }
    }
}
