use crate::Time;
use std::time::Duration;

/// Marks that are kept at most.
const MARKS: usize = 32;

/// Messages within this time share a mark.
const APART: Duration = Duration::from_secs(1);

/// When the messages of a queue came, from their sequence numbers: a mark a second at most, so that no message carries
/// its time. Where the marks would be too many, those are left out whose loss matters least.
#[derive(Debug)]
pub(crate) struct Ages {
    /// When the queue was made: nothing in it is older.
    made: Time,
    /// From this sequence number on, messages came at this time or later.
    marks: Vec<(u64, Time)>,
}

impl Ages {
    pub(crate) fn new(made: Time) -> Ages {
        Ages { made, marks: Vec::new() }
    }

    /// Messages from this sequence number on come now. The room that the marks take grows by this many bytes.
    pub(crate) fn note(&mut self, first: u64, now: Time) -> usize {
        let last = self.marks.last().map_or(self.made, |&(_, time)| time);
        if now.since(last) < APART {
            return 0;
        }
        let before = self.bytes();
        if self.marks.len() == MARKS {
            self.thin(now);
        }
        self.marks.push((first, now));
        self.bytes() - before
    }

    /// Leaves out the mark whose messages then seem older by the least part of their age.
    fn thin(&mut self, now: Time) {
        let mut before = self.made;
        let mut least = (u128::MAX, 0);
        for (index, &(_, time)) in self.marks.iter().enumerate() {
            let (error, age) = (time.since(before).as_micros(), now.since(time).as_micros().max(1));
            least = least.min(((error << 32) / age, index));
            before = time;
        }
        self.marks.remove(least.1);
    }

    /// When a message came, or a little earlier.
    pub(crate) fn of(&self, seq: u64) -> Time {
        let later = self.marks.partition_point(|&(first, _)| first <= seq);
        later.checked_sub(1).map_or(self.made, |index| self.marks[index].1)
    }

    /// Bytes that the marks take.
    pub(crate) fn bytes(&self) -> usize {
        self.marks.capacity() * size_of::<(u64, Time)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_message_is_as_old_as_its_mark() {
        let mut ages = Ages::new(at(10));
        ages.note(0, at(10));
        ages.note(5, at(20));
        ages.note(7, Time(at(20).0 + 999_999));
        ages.note(9, at(21));
        assert_eq!([0, 4, 5, 8, 9, 1000].map(|seq| ages.of(seq)), [10, 10, 20, 20, 21, 21].map(at));
    }

    #[test]
    fn marks_are_bounded_and_no_message_seems_younger_than_it_is_or_much_older() {
        let mut ages = Ages::new(at(0));
        for second in 1..=10_000 {
            ages.note(second, at(second));
        }
        assert!(ages.marks.len() <= MARKS && ages.bytes() <= 2 * MARKS * 16);
        let now = at(10_000);
        for second in 1..=10_000 {
            let (age, seems) = (now.since(at(second)).as_secs_f64(), now.since(ages.of(second)).as_secs_f64());
            assert!(seems >= age && seems <= 2.0 * age + 2.0, "{age} s old, and seems {seems}");
        }
    }
}
