//! Columns out of a history.

use super::block::{self, Minute};
use super::minutes;
use super::sealed::{Entry, Sealed, read_block, take_name};
use super::store::{Active, Names, Shared, in_order};
use crate::Millis;
use crate::point::{CPU, MEM, Row, Scale, SeriesId};
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// Steps that a reader of a chart finds natural, in seconds.
const STEPS: [u32; 20] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

/// Which values a range is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Second,
    Minute,
}

impl Tier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tier::Second => "second",
            Tier::Minute => "minute",
        }
    }
}

/// A range of time: seconds since 1970, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) step: u32,
    pub(crate) tier: Tier,
}

impl Range {
    /// At most about `points` columns; `oldest` is the first second that is kept as such.
    pub(crate) fn new(from: Millis, to: Millis, points: u32, oldest: u32) -> Range {
        let (from, to) = (from.second(), to.second().max(from.second()));
        let min = (to - from) / points.max(1);
        let mut step = STEPS.into_iter().find(|&step| step >= min).unwrap_or(min.next_multiple_of(86_400));
        if from < oldest {
            step = step.max(60);
        }
        // The same columns whenever somebody looks.
        let from = from - from % step;
        Range { from, to, step, tier: if step < 60 { Tier::Second } else { Tier::Minute } }
    }

    pub(crate) fn columns(&self) -> usize {
        ((self.to - self.from) / self.step + 1) as usize
    }
}

/// A value in each step; `min` and `max` are empty where a step is one sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    pub(crate) mean: Vec<Option<f64>>,
    pub(crate) min: Vec<Option<f64>>,
    pub(crate) max: Vec<Option<f64>>,
}

/// CPU and memory of a series.
pub(crate) type Columns = (Column, Column);

/// Reads a series; blocks while it does.
pub(super) fn columns(shared: &Shared, series: SeriesId, range: Range) -> Columns {
    match range.tier {
        Tier::Second => {
            let rows = rows(shared, series, range.from, range.to);
            let minutes: Vec<Minute> = rows
                .iter()
                .map(|row| {
                    let span = |code| block::Span { min: code, mean: code, max: code };
                    Minute { minute: row.second, count: 1, cpu: span(row.cpu), mem: span(row.mem) }
                })
                .collect();
            gather(&minutes, range, 1)
        }
        Tier::Minute => gather(&minutes(shared, series, range.from / 60, range.to / 60), range, 60),
    }
}

/// The seconds of a series, in order.
pub(super) fn rows(shared: &Shared, series: SeriesId, from: u32, to: u32) -> Vec<Row> {
    let state = shared.lock();
    let sealed = state.seconds.clone();
    let active = state.active.as_ref().map(|active| ActivePart::of(active, series, from, to));
    let open = state.open.get(&series).cloned().unwrap_or_default();
    drop(state);
    let mut rows = Vec::new();
    for sealed in sealed.iter().filter(|sealed| sealed.from <= to && sealed.to >= from) {
        sealed_rows(shared, sealed, series, from, to, &mut rows);
    }
    if let Some(active) = active {
        active.rows(shared, &mut rows);
    }
    rows.extend(open);
    rows.retain(|row| (from..=to).contains(&row.second));
    in_order(&mut rows);
    rows
}

/// The minutes of a series, in order: kept ones, and those that are not sealed yet.
fn minutes(shared: &Shared, series: SeriesId, from: u32, to: u32) -> Vec<Minute> {
    let state = shared.lock();
    let sealed = state.minutes.clone();
    let (first, last) = (from.saturating_mul(60), to.saturating_mul(60).saturating_add(59));
    let active = state.active.as_ref().map(|active| ActivePart::of(active, series, first, last));
    let open = state.open.get(&series).cloned().unwrap_or_default();
    drop(state);
    let mut found = Vec::new();
    for sealed in sealed.iter().filter(|sealed| sealed.from <= to && sealed.to >= from) {
        for entry in wanted(&sealed_entries(shared, sealed), series, from, to) {
            let minutes = shared.readable(&sealed.path, &entry, sealed.block(&entry), block::take_minutes);
            found.extend(minutes.into_iter().flat_map(|(_, minutes)| minutes));
        }
    }
    let mut earlier = Vec::new();
    if let Some(active) = active {
        active.rows(shared, &mut earlier);
    }
    earlier.extend(open);
    in_order(&mut earlier);
    found.extend(minutes::of_rows(&earlier));
    found.retain(|minute| (from..=to).contains(&minute.minute));
    minutes::in_order(&mut found);
    found
}

/// The minutes of all series from one on, in no order, with their means. A file is read once, whatever it holds.
pub(super) fn visit_minutes(shared: &Shared, from: u32, visit: &mut dyn FnMut(SeriesId, u32, f64)) {
    let state = shared.lock();
    let (sealed, active) = (state.minutes.clone(), state.active.clone());
    let open = state.open.clone();
    drop(state);
    let mut take = |series, minutes: Vec<Minute>| {
        for minute in minutes.into_iter().filter(|minute| minute.minute >= from) {
            visit(series, minute.minute, MEM.value(minute.mem.mean));
        }
    };
    for sealed in sealed.iter().filter(|sealed| sealed.to >= from) {
        for entry in sealed_entries(shared, sealed).into_iter().filter(|entry| entry.to >= from) {
            let block = shared.readable(&sealed.path, &entry, sealed.block(&entry), block::take_minutes);
            block.into_iter().for_each(|(series, minutes)| take(series, minutes));
        }
    }
    let mut earlier: HashMap<SeriesId, Vec<Row>> = HashMap::new();
    if let Some(active) = active {
        for entry in active.entries.iter().filter(|entry| entry.to / 60 >= from) {
            let block = shared.readable(&active.path, entry, read_block(&active.file, entry), block::take_rows);
            block.into_iter().for_each(|(series, rows)| earlier.entry(series).or_default().extend(rows));
        }
    }
    open.into_iter().for_each(|(series, rows)| earlier.entry(series).or_default().extend(rows));
    for (series, mut rows) in earlier {
        in_order(&mut rows);
        take(series, minutes::of_rows(&rows));
    }
}

/// The part of the active file that is to be read.
struct ActivePart {
    path: PathBuf,
    file: Arc<File>,
    entries: Vec<Entry>,
}

impl ActivePart {
    fn of(active: &Active, series: SeriesId, from: u32, to: u32) -> ActivePart {
        let entries = wanted(&active.entries, series, from, to);
        ActivePart { path: active.path.clone(), file: active.file.clone(), entries }
    }

    fn rows(self, shared: &Shared, rows: &mut Vec<Row>) {
        for entry in self.entries {
            let block = shared.readable(&self.path, &entry, read_block(&self.file, &entry), block::take_rows);
            rows.extend(block.into_iter().flat_map(|(_, rows)| rows));
        }
    }
}

fn wanted(entries: &[Entry], series: SeriesId, from: u32, to: u32) -> Vec<Entry> {
    let is_wanted = |entry: &&Entry| entry.series == series && !entry.is_name() && entry.overlaps(from, to);
    entries.iter().filter(is_wanted).copied().collect()
}

/// The index of a sealed file; empty, logged and counted, if it cannot be read any more.
fn sealed_entries(shared: &Shared, sealed: &Sealed) -> Vec<Entry> {
    let what = match sealed.entries() {
        Ok(Some(entries)) => return entries,
        Ok(None) => "its index is damaged".to_owned(),
        Err(error) => format!("its index cannot be read: {error}"),
    };
    shared.damaged(&sealed.path, None, &what);
    Vec::new()
}

/// Names out of a sealed file, of the series that are asked for.
pub(super) fn sealed_names(shared: &Shared, sealed: &Sealed, is_wanted: &mut dyn FnMut(SeriesId) -> bool) -> Names {
    let entries = sealed_entries(shared, sealed).into_iter();
    let entries = entries.filter(|entry| entry.is_name() && is_wanted(entry.series));
    entries.filter_map(|entry| shared.readable(&sealed.path, &entry, sealed.block(&entry), take_name)).collect()
}

/// Seconds of a series out of a sealed file.
pub(super) fn sealed_rows(shared: &Shared, sealed: &Sealed, series: SeriesId, from: u32, to: u32, rows: &mut Vec<Row>) {
    for entry in wanted(&sealed_entries(shared, sealed), series, from, to) {
        let block = shared.readable(&sealed.path, &entry, sealed.block(&entry), block::take_rows);
        rows.extend(block.into_iter().flat_map(|(_, rows)| rows));
    }
}

/// Puts what is known into steps; `unit` is how many seconds one of it is.
fn gather(known: &[Minute], range: Range, unit: u32) -> Columns {
    let several = range.step > unit || unit > 1;
    let of = |scale: Scale, span: fn(&Minute) -> block::Span| {
        let mut column = Column { mean: vec![None; range.columns()], ..Column::default() };
        if several {
            (column.min, column.max) = (column.mean.clone(), column.mean.clone());
        }
        let place = |minute: &Minute| ((minute.minute * unit).saturating_sub(range.from) / range.step) as usize;
        for known in known.chunk_by(|a, b| place(a) == place(b)) {
            let at = place(&known[0]);
            if at >= column.mean.len() {
                continue;
            }
            let count: f64 = known.iter().map(|minute| f64::from(minute.count)).sum();
            let sum: f64 = known.iter().map(|m| scale.value(span(m).mean) * f64::from(m.count)).sum();
            // The digits beyond are none that were measured.
            column.mean[at] = Some((sum / f64::max(count, 1.0) * 100.0).round() / 100.0);
            if several {
                column.min[at] = known.iter().map(|m| span(m).min).min().map(|code| scale.value(code));
                column.max[at] = known.iter().map(|m| span(m).max).max().map(|code| scale.value(code));
            }
        }
        column
    };
    (of(CPU, |minute| minute.cpu), of(MEM, |minute| minute.mem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_peak_vanishes_at_any_resolution(
            codes in proptest::collection::btree_map(0u32..7200, 0u16..3000, 1..200),
            points in 1u32..8000,
        ) {
            let rows: Vec<Row> = codes.iter().map(|(&second, &cpu)| Row { second, cpu, mem: cpu }).collect();
            let range = Range::new(Millis(0), Millis(7_199_000), points, 0);
            let one = |row: &Row| {
                let span = |code| block::Span { min: code, mean: code, max: code };
                Minute { minute: row.second, count: 1, cpu: span(row.cpu), mem: span(row.mem) }
            };
            let seconds: Vec<Minute> = rows.iter().map(one).collect();
            let (known, unit) = if range.tier == Tier::Second { (seconds, 1) } else { (minutes::of_rows(&rows), 60) };
            let (cpu, _) = gather(&known, range, unit);
            let (highs, lows) = if cpu.max.is_empty() { (&cpu.mean, &cpu.mean) } else { (&cpu.max, &cpu.min) };
            let find = |values: &[Option<f64>], of: fn(f64, f64) -> f64| values.iter().flatten().copied().reduce(of);
            prop_assert_eq!(find(highs, f64::max), codes.values().max().map(|code| CPU.value(*code)));
            prop_assert_eq!(find(lows, f64::min), codes.values().min().map(|code| CPU.value(*code)));
        }
    }

    #[test]
    fn a_range_has_about_as_many_columns_as_were_asked_for() {
        let hour = Range::new(Millis(7_200_000), Millis(10_800_000), 1000, 0);
        assert_eq!((hour.step, hour.tier, hour.columns()), (5, Tier::Second, 721));
        let days = Range::new(Millis(0), Millis(14 * 86_400_000), 1000, 0);
        assert_eq!((days.step, days.tier, days.columns()), (1800, Tier::Minute, 673));
        let old = Range::new(Millis(60_000), Millis(120_000), 1000, 61);
        assert_eq!((old.step, old.tier), (60, Tier::Minute));
        let backwards = Range::new(Millis(9_000), Millis(0), 0, 0);
        assert_eq!((backwards.from, backwards.to, backwards.columns()), (9, 9, 1));
    }

    #[test]
    fn steps_of_several_samples_have_extremes() {
        let row = |minute, code| {
            let span = block::Span { min: code, mean: code, max: code };
            Minute { minute, count: 1, cpu: span, mem: span }
        };
        let range = Range { from: 10, to: 19, step: 5, tier: Tier::Second };
        let (cpu, _) = gather(&[row(10, 10), row(14, 30)], range, 1);
        assert_eq!(cpu.mean, [Some(2.0), None]);
        assert_eq!((cpu.min, cpu.max), (vec![Some(1.0), None], vec![Some(3.0), None]));
        let range = Range { step: 1, ..range };
        let (cpu, _) = gather(&[row(10, 10), row(14, 30)], range, 1);
        assert_eq!((cpu.mean[0], cpu.mean[1], cpu.mean[4]), (Some(1.0), None, Some(3.0)));
        assert!(cpu.min.is_empty() && cpu.max.is_empty());
    }
}
