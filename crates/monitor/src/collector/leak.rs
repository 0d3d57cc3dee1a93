//! Whether the memory of a process grows steadily.
//!
//! Each minute has a median, so that a moment's peak is nothing. Over the last hour of these, the slope is
//! the median of the slopes between all pairs (Theil and Sen): a sawtooth of a garbage collector, or one
//! jump, leaves it near zero. That it is no accident is the test of Mann and Kendall; that it still goes on,
//! the slope of the newer half.

use crate::Millis;
use std::collections::VecDeque;

/// Minutes that are looked at.
const WINDOW: i64 = 60;
/// Minutes that must be known.
const LEAST: usize = 30;
/// Standard deviations by which pairs must rise more often than they fall.
const SURE: f64 = 4.0;

/// The memory of one process over the last hour.
#[derive(Debug, Default)]
pub(crate) struct Leak {
    minute: i64,
    samples: Vec<f32>,
    medians: VecDeque<(i64, f32)>,
    /// MB an hour, and since when.
    pub(crate) alarm: Option<(f64, Millis)>,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It grows by so many MB an hour.
    Leaks(f64),
    /// It no longer does.
    Over,
}

impl Leak {
    /// Takes a sample; at the end of a minute there may be a verdict. `limit` is in MB an hour.
    pub(crate) fn sample(&mut self, time: Millis, mem: f64, limit: f64) -> Option<Verdict> {
        let minute = time.0.div_euclid(60_000);
        // What comes late changes no median.
        let done = minute > self.minute && !self.samples.is_empty();
        let verdict = done.then(|| self.end_minute(time, limit)).flatten();
        if minute >= self.minute {
            self.minute = minute;
            if self.samples.len() < 60 {
                self.samples.push(mem as f32);
            }
        }
        verdict
    }

    /// Takes a minute that an earlier run has kept.
    pub(crate) fn remember(&mut self, minute: i64, mem: f64) {
        if self.medians.back().is_none_or(|(last, _)| *last < minute) {
            self.medians.push_back((minute, mem as f32));
        }
    }

    fn end_minute(&mut self, time: Millis, limit: f64) -> Option<Verdict> {
        let middle = self.samples.len() / 2;
        let (_, median, _) = self.samples.select_nth_unstable_by(middle, f32::total_cmp);
        let median = *median;
        self.samples.clear();
        self.remember(self.minute, median.into());
        while self.medians.front().is_some_and(|(minute, _)| *minute <= self.minute - WINDOW) {
            self.medians.pop_front();
        }
        let medians = self.medians.make_contiguous();
        let growth = growth(medians);
        let newer = slope(&medians[medians.len() / 2..]).0;
        match (&mut self.alarm, growth) {
            (None, Some(growth)) if growth >= limit && newer >= limit / 2.0 => {
                self.alarm = Some((growth, time));
                Some(Verdict::Leaks(growth))
            }
            // Half of the limit, lest it come and go.
            (Some(_), growth) if growth.is_none_or(|growth| growth < limit / 2.0) => {
                self.alarm = None;
                Some(Verdict::Over)
            }
            (Some((now, _)), Some(growth)) => {
                *now = growth;
                None
            }
            _ => None,
        }
    }
}

/// MB an hour, if enough is known and it is no accident.
fn growth(medians: &[(i64, f32)]) -> Option<f64> {
    let count = medians.len();
    if count < LEAST {
        return None;
    }
    let (slope, rises) = slope(medians);
    let n = count as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    (rises as f64 - 1.0 >= SURE * deviation).then_some(slope)
}

/// The median slope in MB an hour, and how many more pairs rise than fall.
fn slope(medians: &[(i64, f32)]) -> (f64, i64) {
    let mut slopes = Vec::with_capacity(medians.len() * medians.len() / 2);
    let mut rises = 0;
    for (at, (minute, mem)) in medians.iter().enumerate() {
        for (later, more) in &medians[at + 1..] {
            let rise = f64::from(more - mem);
            rises += i64::from(rise > 0.0) - i64::from(rise < 0.0);
            slopes.push(rise * 60.0 / (later - minute).max(1) as f64);
        }
    }
    if slopes.is_empty() {
        return (0.0, 0);
    }
    let middle = slopes.len() / 2;
    (*slopes.select_nth_unstable_by(middle, f64::total_cmp).1, rises)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdicts over so many minutes, four samples in each.
    fn judged(minutes: i64, mem: impl Fn(f64) -> f64) -> Vec<(i64, Verdict)> {
        let mut leak = Leak::default();
        (0..minutes * 4)
            .filter_map(|at| {
                let time = Millis(1_800_000_000_000 + at * 15_000);
                Some((at / 4, leak.sample(time, mem(at as f64 / 240.0), 10.0)?))
            })
            .collect()
    }

    /// From -1 to 1, without a pattern.
    fn noise(hours: f64) -> f64 {
        (hours * 240.0 * 12.9898).sin() * 43_758.545_3 % 1.0
    }

    #[test]
    fn a_steady_growth_of_ten_megabytes_an_hour_is_a_leak() {
        let verdicts = judged(120, |hours| 200.0 + 11.0 * hours + 0.5 * noise(hours));
        let [(minute, Verdict::Leaks(growth))] = verdicts[..] else { panic!("{verdicts:?}") };
        assert!((30..60).contains(&minute), "after {minute} minutes");
        assert!((9.0..14.0).contains(&growth), "{growth}");
        assert_eq!(judged(120, |hours| 200.0 + 8.0 * hours + 0.5 * noise(hours)), []);
    }

    #[test]
    fn what_is_no_leak_is_none() {
        assert_eq!(judged(240, |_| 100.0), []);
        assert_eq!(judged(240, |hours| 100.0 + 50.0 * noise(hours)), []);
        // A cache that fills, a garbage collector's sawtooth, one jump, a shrinking one.
        assert_eq!(judged(240, |hours| 100.0 + 500.0 * f64::min(hours, 0.2)), []);
        assert_eq!(judged(240, |hours| 100.0 + 60.0 * (hours * 4.0).fract()), []);
        assert_eq!(judged(240, |hours| if hours > 1.5 { 300.0 } else { 100.0 }), []);
        assert_eq!(judged(240, |hours| 1000.0 - 50.0 * hours), []);
    }

    #[test]
    fn a_leak_that_was_mended_is_over() {
        let verdicts = judged(240, |hours| 100.0 + 60.0 * f64::min(hours, 1.5));
        assert!(matches!(verdicts[..], [(_, Verdict::Leaks(_)), (_, Verdict::Over)]), "{verdicts:?}");
    }
}
