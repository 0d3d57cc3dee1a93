//! Columns of whole numbers in few bits.
//!
//! A column is written as Rice codes of what differs from a prediction: the value before, or one base for
//! all. Which of the two, and how many low bits are written plainly, is chosen for each column by what is
//! shortest. A column that never changes has no bits at all.

/// A quotient from here on is written as itself, in [`RAW`] bits.
const ESCAPE: u32 = 24;
/// The difference of two 16-bit numbers has a sign, too.
const RAW: u32 = 17;
/// More low bits are never better.
const LOW_BITS_MAX: u8 = 16;

const CONSTANT: u8 = 0;
const BEFORE: u8 = 1;
const BASE: u8 = 2;

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn put_varint(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front; `None` if there is none.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for at in 0..5 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u32::from(byte & 0x7f);
        if at == 4 && part > 0xf {
            return None;
        }
        number |= part << (7 * at);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Appends a column.
pub(super) fn put_column(column: &[u16], out: &mut Vec<u8>) {
    let Some(&first) = column.first() else { return };
    if column.iter().all(|&value| value == first) {
        out.push(CONSTANT);
        return put_varint(first.into(), out);
    }
    let mut sorted = column.to_vec();
    let (_, &mut middle, _) = sorted.select_nth_unstable(column.len() / 2);
    let ways = [(BEFORE, first), (BASE, middle)].map(|(way, base)| {
        let folded = || differences(column, way, base).map(fold);
        let (bits, low) =
            (0..=LOW_BITS_MAX).map(|low| (folded().map(|n| cost(n, low)).sum::<u64>(), low)).min().unwrap();
        (bits, low, way, base)
    });
    let (_, low, way, base) = ways[0].min(ways[1]);
    out.push(way | low << 2);
    put_varint(base.into(), out);
    let mut writer = Writer { out, hold: 0, held: 0 };
    for number in differences(column, way, base).map(fold) {
        let quotient = number >> low;
        if quotient < ESCAPE {
            // The quotient in ones, and a zero.
            writer.put((1u64 << quotient) - 1, quotient + 1);
            writer.put(u64::from(number) & ((1 << low) - 1), low.into());
        } else {
            writer.put((1 << ESCAPE) - 1, ESCAPE);
            writer.put(number.into(), RAW);
        }
    }
    writer.end();
}

/// Takes a column of so many values off the front; `None` if the bytes are none.
pub(super) fn take_column(bytes: &mut &[u8], length: usize) -> Option<Vec<u16>> {
    if length == 0 {
        return Some(Vec::new());
    }
    let (&head, rest) = bytes.split_first()?;
    *bytes = rest;
    let (way, low) = (head & 3, head >> 2);
    let base = u16::try_from(take_varint(bytes)?).ok()?;
    match way {
        CONSTANT if low == 0 => return Some(vec![base; length]),
        BEFORE | BASE if low <= LOW_BITS_MAX => {}
        _ => return None,
    }
    let mut reader = Reader { bytes, hold: 0, held: 0 };
    let mut column = Vec::with_capacity(length);
    let mut reference = base;
    for _ in 0..length {
        let mut quotient = 0;
        while quotient < ESCAPE && reader.take(1)? == 1 {
            quotient += 1;
        }
        let number = if quotient == ESCAPE { reader.take(RAW)? } else { quotient << low | reader.take(low.into())? };
        let value = u16::try_from(i32::from(reference) + unfold(number)).ok()?;
        column.push(value);
        if way == BEFORE {
            reference = value;
        }
    }
    Some(column)
}

fn differences(column: &[u16], way: u8, base: u16) -> impl Iterator<Item = i32> {
    let before = std::iter::once(base).chain(column.iter().copied());
    column
        .iter()
        .zip(before)
        .map(move |(&value, before)| i32::from(value) - i32::from(if way == BEFORE { before } else { base }))
}

/// 0, -1, 1, -2, 2 as 0, 1, 2, 3, 4.
fn fold(number: i32) -> u32 {
    ((number << 1) ^ (number >> 31)).cast_unsigned()
}

fn unfold(number: u32) -> i32 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn cost(number: u32, low: u8) -> u64 {
    let quotient = number >> low;
    u64::from(if quotient < ESCAPE { quotient + 1 + u32::from(low) } else { ESCAPE + RAW })
}

/// The first bit is the lowest of the first byte.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    hold: u64,
    held: u32,
}

impl Writer<'_> {
    fn put(&mut self, bits: u64, count: u32) {
        self.hold |= bits << self.held;
        self.held += count;
        while self.held >= 8 {
            self.out.push(self.hold as u8);
            self.hold >>= 8;
            self.held -= 8;
        }
    }

    fn end(self) {
        if self.held > 0 {
            self.out.push(self.hold as u8);
        }
    }
}

struct Reader<'a, 'b> {
    bytes: &'a mut &'b [u8],
    hold: u64,
    held: u32,
}

impl Reader<'_, '_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        while self.held < count {
            let (&byte, rest) = self.bytes.split_first()?;
            *self.bytes = rest;
            self.hold |= u64::from(byte) << self.held;
            self.held += 8;
        }
        let bits = self.hold & ((1 << count) - 1);
        self.hold >>= count;
        self.held -= count;
        Some(bits as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(column: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_column(column, &mut bytes);
        bytes
    }

    #[test]
    fn a_column_that_never_changes_has_no_bits() {
        assert_eq!(written(&[7; 14_400]).len(), 2);
    }

    #[test]
    fn extremes_survive() {
        for column in [&[0, u16::MAX][..], &[u16::MAX, 0, u16::MAX], &[0], &[]] {
            let bytes = written(column);
            assert_eq!(take_column(&mut &bytes[..], column.len()).as_deref(), Some(column));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            column in prop_oneof![
                proptest::collection::vec(any::<u16>(), 0..200),
                proptest::collection::vec(500u16..530, 0..200),
            ],
            number in any::<u32>(),
        ) {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            put_column(&column, &mut bytes);
            put_varint(number, &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_varint(&mut rest), Some(number));
            prop_assert_eq!(take_column(&mut rest, column.len()), Some(column));
            prop_assert_eq!(take_varint(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }
    }
}
