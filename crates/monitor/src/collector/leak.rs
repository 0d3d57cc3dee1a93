//! Detects steady growth of a process's memory.
//!
//! Only the *floor* is judged: the level that memory never fell below again. A garbage collector's sawtooth
//! has a flat floor, whatever its height; a leak under a sawtooth has a rising one. The floor at a time is
//! known only after as long as the slowest sawtooth takes ([`HORIZON`]), so that an alarm takes hours.
//!
//! A minute is the median of its samples, a bucket of ten minutes the least of its minutes, and the floor at
//! a bucket the least of all buckets from there on. What a process does in its first hour is not judged.

#[cfg(test)]
mod tests;

use crate::Millis;
use std::collections::VecDeque;

/// Milliseconds of a bucket.
const BUCKET: i64 = 10 * MINUTE;
const MINUTE: i64 = 60_000;
const BUCKETS_PER_HOUR: f64 = 6.0;
/// Buckets that are kept: a day.
const KEPT: i64 = 144;
/// Buckets after the start of a process that are not judged: caches fill.
const WARM_UP: i64 = 6;
/// Buckets that the slowest sawtooth may take: 3 h 20 min.
const HORIZON: i64 = 20;
/// Buckets over which the floor must rise; the longest that fits is tried, too.
const SPANS: [i64; 5] = [6, 12, 24, 48, 96];
/// Buckets at the end in which the floor must still rise.
const TAIL: i64 = 12;
/// Jumps that are taken for no growth: the largest ones of a span.
const JUMPS: usize = 2;
/// By how much a rise must exceed the usual change from one bucket to the next.
const OVER_NOISE: f64 = 4.0;
/// A rise without a fall raises the alarm at once from this many times the hourly limit on (1 GB by default).
const FAST: f64 = 100.0;
/// Buckets whose floor must be flat before an alarm is over, and for how many buckets in a row.
const FLAT: (i64, u32) = (24, 6);

/// The memory of one process over the last day.
#[derive(Debug, Default)]
pub(crate) struct Leak {
    /// The bucket in which the process was started.
    start: i64,
    minute: i64,
    samples: Vec<f32>,
    /// Number and least minute of each bucket, the last one unfinished.
    buckets: VecDeque<(i64, f32)>,
    /// Buckets in a row for which the floor has been flat.
    flat: u32,
    /// MB an hour, and since when.
    pub(crate) alarm: Option<(f64, Millis)>,
}

/// A change of the alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Memory grows by so many MB an hour.
    Leaks(f64),
    /// It no longer does.
    Over,
}

impl Leak {
    /// Of a process that was started then.
    pub(crate) fn new(start: Millis) -> Leak {
        Leak { start: start.0.div_euclid(BUCKET), ..Leak::default() }
    }

    /// The process was started anew then.
    pub(crate) fn restart(&mut self, start: Millis) {
        *self = Leak::new(start);
    }

    /// Takes a sample; at the end of a bucket there may be a verdict. `limit` is in MB an hour.
    pub(crate) fn sample(&mut self, time: Millis, mem: f64, limit: f64) -> Option<Verdict> {
        let minute = time.0.div_euclid(MINUTE);
        if minute < self.minute - BUCKET / MINUTE {
            // The clock was set back: what was measured before lies in the future.
            *self = Leak { alarm: self.alarm, ..Leak::new(time) };
        }
        let mut verdict = None;
        if minute > self.minute && !self.samples.is_empty() {
            let middle = self.samples.len() / 2;
            let (_, median, _) = self.samples.select_nth_unstable_by(middle, f32::total_cmp);
            let median = *median;
            self.samples.clear();
            self.remember(self.minute, median.into());
            if minute.div_euclid(BUCKET / MINUTE) > self.minute.div_euclid(BUCKET / MINUTE) {
                verdict = self.judge(time, limit);
            }
        }
        if minute >= self.minute {
            self.minute = minute;
            if self.samples.len() < 60 {
                self.samples.push(mem as f32);
            }
        }
        verdict
    }

    /// Takes a minute, in the order of time.
    pub(crate) fn remember(&mut self, minute: i64, mem: f64) {
        let (bucket, mem) = (minute.div_euclid(BUCKET / MINUTE), mem as f32);
        self.minute = self.minute.max(minute);
        if bucket < self.start {
            return;
        }
        match self.buckets.back_mut() {
            Some((last, least)) if *last == bucket => *least = least.min(mem),
            Some((last, _)) if *last > bucket => {}
            _ => self.buckets.push_back((bucket, mem)),
        }
        while self.buckets.front().is_some_and(|(first, _)| *first <= bucket - KEPT) {
            self.buckets.pop_front();
        }
    }

    fn judge(&mut self, time: Millis, limit: f64) -> Option<Verdict> {
        let floor = Floor::of(self.buckets.iter().copied().filter(|(bucket, _)| *bucket >= self.start + WARM_UP));
        let growth = floor.growth(limit);
        match &mut self.alarm {
            None => {
                let growth = growth.or_else(|| floor.fast_growth(limit))?;
                self.alarm = Some((growth, time));
                self.flat = 0;
                Some(Verdict::Leaks(growth))
            }
            Some((now, _)) => {
                *now = growth.unwrap_or(*now);
                self.flat = if floor.is_flat(limit) { self.flat + 1 } else { 0 };
                if self.flat < FLAT.1 {
                    return None;
                }
                // Growth until now raises no second alarm.
                let kept = self.buckets.back().map_or(0, |(last, _)| last - FLAT.0);
                self.buckets.retain(|(bucket, _)| *bucket >= kept);
                self.alarm = None;
                Some(Verdict::Over)
            }
        }
    }
}

/// The floor of finished buckets, and how much a bucket usually differs from the one before.
struct Floor {
    /// Number, least minute, floor.
    buckets: Vec<(i64, f64, f64)>,
    noise: f64,
}

impl Floor {
    fn of(buckets: impl Iterator<Item = (i64, f32)>) -> Floor {
        let mut buckets: Vec<(i64, f64, f64)> = buckets.map(|(at, mem)| (at, mem.into(), mem.into())).collect();
        let mut changes: Vec<f64> = buckets.windows(2).map(|two| (two[1].1 - two[0].1).abs()).collect();
        let middle = changes.len() / 2;
        let noise = if changes.is_empty() { 0.0 } else { *changes.select_nth_unstable_by(middle, f64::total_cmp).1 };
        let mut least = f64::INFINITY;
        for (.., floor) in buckets.iter_mut().rev() {
            least = least.min(*floor);
            *floor = least;
        }
        Floor { buckets, noise }
    }

    fn last(&self) -> i64 {
        self.buckets.last().map_or(0, |(bucket, ..)| *bucket)
    }

    /// MB an hour, if the floor has risen for long enough, in more than a few jumps, and still does.
    fn growth(&self, limit: f64) -> Option<f64> {
        let end = self.last() - HORIZON;
        let known = self.buckets.partition_point(|(bucket, ..)| *bucket <= end);
        let known = &self.buckets[..known];
        let longest = end - known.first()?.0;
        let tail = self.rise_since(self.last() - TAIL) * BUCKETS_PER_HOUR / TAIL as f64;
        let spans = SPANS.into_iter().filter(|span| *span < longest).chain([longest]);
        let growths = spans.filter_map(|span| {
            let known = &known[known.partition_point(|(bucket, ..)| *bucket < end - span)..];
            let (Some(first), Some(last)) = (known.first(), known.last()) else { return None };
            let hours = (last.0 - first.0) as f64 / BUCKETS_PER_HOUR;
            let rise = last.2 - first.2;
            let mut steps: Vec<f64> = known.windows(2).map(|two| two[1].2 - two[0].2).collect();
            steps.sort_unstable_by(f64::total_cmp);
            let without_jumps: f64 = steps.iter().rev().skip(JUMPS).sum();
            let growth = rise / hours;
            let is_long = last.0 - first.0 >= SPANS[0];
            let is_steady = without_jumps / hours >= limit / 3.0 && rise >= OVER_NOISE * self.noise;
            let goes_on = tail >= f64::max(limit / 2.0, growth / 2.0);
            (is_long && growth >= limit && is_steady && goes_on).then_some(growth)
        });
        growths.reduce(f64::min)
    }

    /// MB an hour, of a rise that is so large that no fall is waited for.
    fn fast_growth(&self, limit: f64) -> Option<f64> {
        let (first, last) = (self.buckets.first()?, self.buckets.last()?);
        let hours = (last.0 - first.0) as f64 / BUCKETS_PER_HOUR;
        let rise = last.1 - first.1;
        let growth = rise / hours;
        let newest = SPANS[0] / 2;
        let tail = self.rise_since(last.0 - newest) * BUCKETS_PER_HOUR / newest as f64;
        let never_falls = self.buckets.iter().all(|(_, mem, floor)| mem - floor <= rise / 20.0);
        let is_fast = last.0 - first.0 >= SPANS[0] && rise >= FAST * limit && never_falls && tail >= growth / 2.0;
        is_fast.then_some(growth)
    }

    fn is_flat(&self, limit: f64) -> bool {
        let hours = FLAT.0 as f64 / BUCKETS_PER_HOUR;
        self.rise_since(self.last() - FLAT.0) < hours * limit / 2.0
    }

    fn rise_since(&self, bucket: i64) -> f64 {
        let at = self.buckets.partition_point(|(other, ..)| *other < bucket);
        match (self.buckets.get(at), self.buckets.last()) {
            (Some(first), Some(last)) => last.2 - first.2,
            _ => 0.0,
        }
    }
}
