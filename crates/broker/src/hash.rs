use std::hash::{BuildHasherDefault, Hasher};

/// Hashes the ids that the driver chooses. No peer has a say in them, so they need no keyed hash;
/// names do.
pub(crate) type IdHash = BuildHasherDefault<IdHasher>;

/// An odd number without a pattern: the golden ratio's fraction.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0.rotate_left(5) ^ number) * u128::from(MIX);
        // Neighbors differ in the low half's high bits, multiples of powers of two in the high half.
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionId;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn ids_at_any_power_of_two_apart_spread_over_a_table() {
        for shift in 0..52 {
            let low: HashSet<u64> =
                (0..4096).map(|id| IdHash::default().hash_one(ConnectionId(id << shift)) % 4096).collect();
            assert!(low.len() > 1024, "{} of 4096 for ids {} apart", low.len(), 1u64 << shift);
        }
    }
}
