//! Was every message delivered, once, and in order?

use std::ops::Range;

const NUMBER_BITS: u32 = 48;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

/// The first 8 bytes of a payload: the publisher (16 bits) and its message's number (48 bits).
pub(crate) fn stamp(publisher: u16, number: u64) -> [u8; 8] {
    (u64::from(publisher) << NUMBER_BITS | number).to_le_bytes()
}

/// Check results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages, doubles included.
    pub delivered: u64,
    /// Messages that had been delivered before.
    pub doubled: u64,
    /// Messages that came behind a later one of the same publisher.
    pub out_of_order: u64,
    /// Payloads that no publisher of this run has sent.
    pub foreign: u64,
}

impl Tally {
    /// Adds what `other` has found.
    pub fn add(&mut self, other: &Tally) {
        self.delivered += other.delivered;
        self.doubled += other.doubled;
        self.out_of_order += other.out_of_order;
        self.foreign += other.foreign;
    }
}

/// Checks what one subscriber gets.
///
/// In the ordinary case it costs one comparison a message; only a surprise costs more.
#[derive(Debug, Default)]
pub struct Checker {
    /// By publisher: the number that comes next.
    next: Vec<u64>,
    /// By publisher: the numbers that were left out, in ascending order.
    gaps: Vec<Vec<Range<u64>>>,
    tally: Tally,
}

impl Checker {
    /// A checker for messages of `publishers` publishers.
    #[must_use]
    pub fn new(publishers: usize) -> Checker {
        Checker { next: vec![0; publishers], gaps: vec![Vec::new(); publishers], tally: Tally::default() }
    }

    /// The tally so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Messages of a topic left out although later ones of the same publisher came.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.gaps.iter().flatten().map(|gap| gap.end - gap.start).sum()
    }

    /// Checks the payload of a topic, of which this subscriber should get every message.
    #[inline]
    pub fn topic(&mut self, payload: &[u8]) {
        let (publisher, number) = read(payload);
        match self.next.get_mut(publisher) {
            Some(next) if *next == number => {
                *next += 1;
                self.tally.delivered += 1;
            }
            _ => self.surprise(publisher, number),
        }
    }

    /// Checks the payload of a queue, of which one worker should get each message. `seen` may be
    /// shared with other workers.
    #[inline]
    pub fn queue(&mut self, payload: &[u8], seen: &mut Seen) {
        let (publisher, number) = read(payload);
        let Some(next) = self.next.get_mut(publisher) else {
            self.tally.foreign += 1;
            return;
        };
        self.tally.delivered += 1;
        self.tally.out_of_order += u64::from(number < *next);
        *next = (*next).max(number + 1);
        self.tally.doubled += u64::from(!seen.first(publisher, number));
    }

    #[cold]
    fn surprise(&mut self, publisher: usize, number: u64) {
        let Some(next) = self.next.get_mut(publisher) else {
            self.tally.foreign += 1;
            return;
        };
        self.tally.delivered += 1;
        let gaps = &mut self.gaps[publisher];
        if number > *next {
            gaps.push(*next..number);
            *next = number + 1;
            return;
        }
        let at = gaps.partition_point(|gap| gap.end <= number);
        match gaps.get(at).cloned().filter(|gap| gap.contains(&number)) {
            Some(gap) => {
                self.tally.out_of_order += 1;
                let halves = [gap.start..number, number + 1..gap.end];
                gaps.splice(at..=at, halves.into_iter().filter(|half| !half.is_empty()));
            }
            None => self.tally.doubled += 1,
        }
    }
}

fn read(payload: &[u8]) -> (usize, u64) {
    let Some(first) = payload.first_chunk() else {
        return (usize::MAX, 0);
    };
    let stamp = u64::from_le_bytes(*first);
    ((stamp >> NUMBER_BITS) as usize, stamp & NUMBER)
}

/// Which messages of a queue were delivered: one bit each.
#[derive(Debug, Default)]
pub struct Seen {
    /// By publisher.
    bits: Vec<Vec<u64>>,
}

impl Seen {
    /// For messages of `publishers` publishers.
    #[must_use]
    pub fn new(publishers: usize) -> Seen {
        Seen { bits: vec![Vec::new(); publishers] }
    }

    #[inline]
    fn first(&mut self, publisher: usize, number: u64) -> bool {
        let words = &mut self.bits[publisher];
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= words.len() {
            words.resize((word + 1).next_power_of_two(), 0);
        }
        let first = words[word] & bit == 0;
        words[word] |= bit;
        first
    }

    /// Adds what other workers have seen, and returns how many messages both had.
    pub fn merge(&mut self, other: &Seen) -> u64 {
        let mut both = 0;
        for (mine, theirs) in self.bits.iter_mut().zip(&other.bits) {
            if mine.len() < theirs.len() {
                mine.resize(theirs.len(), 0);
            }
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                both += u64::from((*mine & theirs).count_ones());
                *mine |= theirs;
            }
        }
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(messages: &[(u16, u64)]) -> Tally {
        let mut checker = Checker::new(2);
        for &(publisher, number) in messages {
            checker.topic(&stamp(publisher, number));
        }
        checker.tally()
    }

    #[test]
    fn publishers_are_counted_apart() {
        let found = topic(&[(0, 0), (1, 0), (1, 1), (0, 1)]);
        assert_eq!(found, Tally { delivered: 4, ..Tally::default() });
    }

    #[test]
    fn what_is_left_out_is_not_delivered() {
        assert_eq!(topic(&[(0, 0), (0, 3), (0, 4)]), Tally { delivered: 3, ..Tally::default() });
    }

    #[test]
    fn one_that_comes_late_is_out_of_order_once_and_doubled_from_then_on() {
        let found = topic(&[(0, 0), (0, 4), (0, 2), (0, 2), (0, 1), (0, 3), (0, 3), (0, 4)]);
        assert_eq!(found, Tally { delivered: 8, doubled: 3, out_of_order: 3, foreign: 0 });
    }

    #[test]
    fn what_came_late_was_not_skipped() {
        let mut checker = Checker::new(1);
        for number in [0, 4, 2, 9] {
            checker.topic(&stamp(0, number));
        }
        assert_eq!(checker.skipped(), 2 + 4);
    }

    #[test]
    fn what_nobody_here_has_sent_is_foreign() {
        let mut checker = Checker::new(1);
        checker.topic(&stamp(1, 0));
        checker.topic(b"short");
        assert_eq!(checker.tally(), Tally { foreign: 2, ..Tally::default() });
    }

    #[test]
    fn a_queue_may_leave_out_but_not_go_back_or_repeat() {
        let (mut checker, mut seen) = (Checker::new(1), Seen::new(1));
        for number in [1, 5, 3, 3, 70_000] {
            checker.queue(&stamp(0, number), &mut seen);
        }
        assert_eq!(checker.tally(), Tally { delivered: 5, doubled: 1, out_of_order: 2, foreign: 0 });
    }

    #[test]
    fn what_two_groups_of_workers_have_both_seen_is_found_when_they_are_merged() {
        let (mut one, mut other) = (Seen::new(2), Seen::new(2));
        assert!(one.first(0, 1) && one.first(0, 1000) && one.first(1, 1));
        assert!(other.first(0, 1) && other.first(0, 100_000) && other.first(1, 2));
        assert_eq!(one.merge(&other), 1);
        assert!(!one.first(0, 100_000));
    }
}
