//! The table of channels by their names.

use super::shrink;
use crate::slots::ChannelSlot;
use bytes::Bytes;
use std::collections::HashMap;

/// Parts of the table.
const PARTS: usize = 256;

/// Multiplier of the hash that says in which part a name is: the golden ratio's bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Channels by their names, in parts that each grow for themselves: one table of a million names would take a second to grow,
/// and everybody would wait.
///
/// Within its part a name is found by a keyed hash. Names that somebody chose so that they are all in one part are no worse
/// than one table.
#[derive(Debug)]
pub(super) struct Names {
    parts: Box<[HashMap<Bytes, ChannelSlot>]>,
}

fn part_of(name: &[u8]) -> usize {
    let (words, rest) = name.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    let hash = words.iter().fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, &byte| mix(hash, u64::from(byte)));
    (hash >> (u64::BITS - PARTS.trailing_zeros())) as usize
}

impl Names {
    pub(super) fn new() -> Names {
        Names { parts: (0..PARTS).map(|_| HashMap::new()).collect() }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&ChannelSlot> {
        self.parts[part_of(name)].get(name)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(HashMap::len).sum()
    }

    pub(super) fn contains_key(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn insert(&mut self, name: Bytes, channel: ChannelSlot) {
        self.parts[part_of(&name)].insert(name, channel);
    }

    /// Takes out a name. A part that was large once does not stay so.
    pub(super) fn remove(&mut self, name: &[u8]) {
        let part = &mut self.parts[part_of(name)];
        part.remove(name);
        shrink(part);
    }
}

#[cfg(test)]
impl std::ops::Index<&[u8]> for Names {
    type Output = ChannelSlot;

    fn index(&self, name: &[u8]) -> &ChannelSlot {
        &self.parts[part_of(name)][name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Key;

    #[test]
    fn a_table_of_many_names_has_no_part_that_is_much_larger_than_others() {
        let numbers = |form: fn(usize) -> String| (0..100_000).map(form).collect::<Vec<_>>();
        for names in [
            numbers(|number| format!("/queue/orders/{number}")),
            numbers(|number| format!("/topic/{number}/state")),
            numbers(|number| format!("/queue/{number:x}/requests/of/one/customer")),
            numbers(|number| format!("/queue/temp/{}/{}", number / 10, number % 10)),
        ] {
            let mut table = Names::new();
            for (slot, name) in names.iter().enumerate() {
                table.insert(Bytes::copy_from_slice(name.as_bytes()), ChannelSlot::new(slot));
            }
            let most = table.parts.iter().map(HashMap::len).max().unwrap_or(0);
            assert!(most < 3 * names.len() / PARTS, "{most} names like {} in one part", names[0]);
            for (slot, name) in names.iter().enumerate() {
                assert_eq!(table.get(name.as_bytes()), Some(&ChannelSlot::new(slot)));
                assert_eq!(table[name.as_bytes()], ChannelSlot::new(slot));
                table.remove(name.as_bytes());
                assert!(!table.contains_key(name.as_bytes()));
            }
            let room: usize = table.parts.iter().map(HashMap::capacity).sum();
            assert!(room < 8 * PARTS, "room for {room} names is left");
        }
    }
}
