//! Durations counted in buckets, of which each is at most 1/64 wider than the one before.

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
const BUCKETS: usize = ((64 - SUB_BITS as usize) + 1) << SUB_BITS;

/// Counts nanoseconds, to within 1.6 %.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one duration, in nanoseconds.
    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds what `other` has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// Number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly, in nanoseconds; 0 when there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The quantile at `share` (0 to 1), in nanoseconds, rounded up to the bucket's end; 0 when there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut so_far = 0;
        for (index, count) in self.counts.iter().enumerate() {
            so_far += count;
            if so_far >= wanted {
                return last(index).min(self.max);
            }
        }
        self.max
    }
}

/// Values below `SUB` have a bucket each; above, each doubling has `SUB` buckets.
fn bucket(nanos: u64) -> usize {
    if nanos < SUB {
        return nanos as usize;
    }
    let shift = 63 - nanos.leading_zeros() - SUB_BITS;
    (((shift as usize) + 1) << SUB_BITS) + ((nanos >> shift) - SUB) as usize
}

/// The longest duration of a bucket.
fn last(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let shift = (index >> SUB_BITS) - 1;
    let start = (SUB + (index & (SUB - 1))) << shift;
    start + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_ends_at_most_a_64th_above_it() {
        let edges = (0..64).flat_map(|shift| [(1u64 << shift) - 1, 1 << shift, (1 << shift) + (1 << shift) / 3]);
        for nanos in edges.chain([u64::MAX]) {
            let end = last(bucket(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 64, "{nanos} ends at {end}");
        }
    }

    #[test]
    fn a_bucket_begins_where_the_one_before_ends() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(last(index)), index);
            assert_eq!(bucket(last(index) + 1), index + 1);
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        for nanos in (1..=1000).rev() {
            histogram.record(nanos * 1000);
        }
        for (share, exact) in [(0.0, 1000), (0.5, 500_000), (0.99, 990_000), (0.999, 999_000), (1.0, 1_000_000)] {
            let found = histogram.quantile(share);
            assert!((exact..=exact + exact / 64).contains(&found), "{share}: {found}");
        }
        assert_eq!(histogram.max(), 1_000_000);
    }

    #[test]
    fn merged_ones_count_what_both_have_counted() {
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        a.record(10);
        b.record(30);
        a.merge(&b);
        assert_eq!((a.count(), a.max(), a.quantile(0.5), a.quantile(1.0)), (2, 30, 10, 30));
    }

    #[test]
    fn an_empty_one_answers_nothing() {
        assert_eq!((Histogram::default().quantile(0.99), Histogram::default().max()), (0, 0));
    }
}
