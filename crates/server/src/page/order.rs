//! The order of rows, and the first of them.

use std::cmp::Ordering;

/// Keeps the first rows in an order out of any number of them, in memory for twice as many.
pub(super) struct First<T, F> {
    rows: Vec<T>,
    limit: usize,
    order: F,
}

impl<T, F: Fn(&T, &T) -> Ordering> First<T, F> {
    pub(super) fn new(limit: usize, order: F) -> First<T, F> {
        First { rows: Vec::new(), limit, order }
    }

    pub(super) fn push(&mut self, row: T) {
        self.rows.push(row);
        if self.rows.len() >= 2 * self.limit.max(1) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.rows.sort_by(&self.order);
        self.rows.truncate(self.limit);
    }

    pub(super) fn finish(mut self) -> Vec<T> {
        self.cut();
        self.rows
    }
}

/// Compares names as people count: `job-2` before `job-10`. Names that differ only in leading zeros are not equal.
pub(super) fn natural(one: &[u8], other: &[u8]) -> Ordering {
    let (mut a, mut b) = (one, other);
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        if first.is_ascii_digit() && second.is_ascii_digit() {
            let (left, right) = (digits(&mut a), digits(&mut b));
            match left.len().cmp(&right.len()).then_with(|| left.cmp(right)) {
                Ordering::Equal => continue,
                different => return different,
            }
        }
        match first.cmp(second) {
            Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
            different => return different,
        }
    }
    a.len().cmp(&b.len()).then_with(|| one.cmp(other))
}

/// Takes a number off the front, and returns it without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    let zeros = number.iter().take_while(|byte| **byte == b'0').count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_people_count() {
        for (less, greater) in [
            ("", "a"),
            ("job-2", "job-10"),
            ("job-2a", "job-2b"),
            ("a9", "a10b"),
            ("a1b2", "a1b10"),
            ("1", "01"),
            ("99999999999999999999998", "99999999999999999999999"),
            ("a", "a0"),
            ("/queue/x", "/topic/a"),
        ] {
            let compared = natural(less.as_bytes(), greater.as_bytes());
            let expected = if less == "1" { Ordering::Greater } else { Ordering::Less };
            assert_eq!(compared, expected, "{less} {greater}");
            assert_eq!(natural(greater.as_bytes(), less.as_bytes()), expected.reverse(), "{greater} {less}");
        }
        assert_eq!(natural(b"\xff1", b"\xff1"), Ordering::Equal);
    }

    #[test]
    fn the_first_rows_of_many_are_kept() {
        for limit in [0, 1, 2, 99, 100, 101] {
            let mut first = First::new(limit, |a: &u32, b: &u32| a.cmp(b));
            // 37 and 100 have no common divisor, so every number comes once.
            (0..100).for_each(|at| first.push(at * 37 % 100));
            assert!(first.rows.len() <= 2 * limit.max(1));
            assert_eq!(first.finish(), (0..100).take(limit).collect::<Vec<u32>>(), "{limit}");
        }
    }
}
