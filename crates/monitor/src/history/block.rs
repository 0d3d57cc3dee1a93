//! Some time of one series as bytes: which seconds are there, then a column for each value.

use super::bits::{put_column, put_varint, take_column, take_varint};
use crate::point::{Row, SeriesId};

/// The most rows of a block: a little more than four hours of seconds, so that a decoder knows what it
/// may be asked to allocate.
pub(super) const ROWS_MAX: usize = 16_384;

/// A minute of a series. Each value is a code, as in a [`Row`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    /// Since 1970.
    pub(crate) minute: u32,
    /// Number of its known seconds.
    pub(crate) count: u16,
    pub(crate) cpu: Span,
    pub(crate) mem: Span,
}

/// The range of a value within some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) min: u16,
    pub(crate) mean: u16,
    pub(crate) max: u16,
}

/// Seconds as bytes. They are in order, each there once, and at most [`ROWS_MAX`].
pub(super) fn put_rows(series: SeriesId, rows: &[Row], out: &mut Vec<u8>) {
    put_varint(series, out);
    put_times(rows.iter().map(|row| row.second), rows.len(), out);
    put_column(&rows.iter().map(|row| row.cpu).collect::<Vec<_>>(), out);
    put_column(&rows.iter().map(|row| row.mem).collect::<Vec<_>>(), out);
}

/// `None` if the bytes are not what [`put_rows`] writes.
pub(super) fn take_rows(mut bytes: &[u8]) -> Option<(SeriesId, Vec<Row>)> {
    let series = take_varint(&mut bytes)?;
    let times = take_times(&mut bytes)?;
    let cpu = take_column(&mut bytes, times.len())?;
    let mem = take_column(&mut bytes, times.len())?;
    let rows = times.into_iter().zip(cpu).zip(mem).map(|((second, cpu), mem)| Row { second, cpu, mem });
    bytes.is_empty().then(|| (series, rows.collect()))
}

/// Minutes as bytes, in the same way.
pub(super) fn put_minutes(series: SeriesId, minutes: &[Minute], out: &mut Vec<u8>) {
    put_varint(series, out);
    put_times(minutes.iter().map(|minute| minute.minute), minutes.len(), out);
    let mut column = |of: &dyn Fn(&Minute) -> u16| put_column(&minutes.iter().map(of).collect::<Vec<_>>(), out);
    column(&|minute| minute.count);
    for span in [|minute: &Minute| minute.cpu, |minute: &Minute| minute.mem] {
        column(&|minute| span(minute).mean);
        // Extremes are near the mean, and mostly at the same distance.
        column(&|minute| span(minute).mean - span(minute).min);
        column(&|minute| span(minute).max - span(minute).mean);
    }
}

/// `None` if the bytes are not what [`put_minutes`] writes.
pub(super) fn take_minutes(mut bytes: &[u8]) -> Option<(SeriesId, Vec<Minute>)> {
    let series = take_varint(&mut bytes)?;
    let times = take_times(&mut bytes)?;
    let counts = take_column(&mut bytes, times.len())?;
    let cpu = take_spans(&mut bytes, times.len())?;
    let mem = take_spans(&mut bytes, times.len())?;
    let minutes = times.into_iter().zip(counts).zip(cpu.into_iter().zip(mem));
    let minutes = minutes.map(|((minute, count), (cpu, mem))| Minute { minute, count, cpu, mem });
    bytes.is_empty().then(|| (series, minutes.collect()))
}

fn take_spans(bytes: &mut &[u8], length: usize) -> Option<Vec<Span>> {
    let [means, below, above] = [(); 3].map(|()| take_column(bytes, length));
    let (means, below, above) = (means?, below?, above?);
    let spans = means.into_iter().zip(below).zip(above).map(|((mean, below), above)| {
        Some(Span { min: mean.checked_sub(below)?, mean, max: mean.checked_add(above)? })
    });
    spans.collect()
}

/// Runs: how many are there one after the other, how many are missing then, and so on; all but the first
/// count from one.
fn put_times(times: impl Iterator<Item = u32>, length: usize, out: &mut Vec<u8>) {
    let mut times = times.peekable();
    put_varint(length as u32, out);
    let Some(&first) = times.peek() else { return };
    put_varint(first, out);
    let (mut next, mut run) = (first, 0);
    for time in times {
        if time != next {
            put_varint(run, out);
            put_varint(time - next, out);
            run = 0;
        }
        run += 1;
        next = time.saturating_add(1);
    }
    put_varint(run, out);
}

fn take_times(bytes: &mut &[u8]) -> Option<Vec<u32>> {
    let length = take_varint(bytes)? as usize;
    if length > ROWS_MAX {
        return None;
    }
    let mut times = Vec::with_capacity(length);
    if length == 0 {
        return Some(times);
    }
    let mut next = take_varint(bytes)?;
    loop {
        let run = take_varint(bytes)?;
        if run == 0 || run as usize > length - times.len() {
            return None;
        }
        let end = next.checked_add(run)?;
        times.extend(next..end);
        if times.len() == length {
            return Some(times);
        }
        let gap = take_varint(bytes)?;
        next = end.checked_add(gap).filter(|_| gap > 0)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn times() -> impl Strategy<Value = Vec<u32>> {
        vec(prop_oneof![9 => Just(1u32), 1 => 1u32..100_000], 0..300).prop_map(|gaps| {
            gaps.iter().scan(1_700_000_000, |time, gap| Some(std::mem::replace(time, *time + gap))).collect()
        })
    }

    proptest! {
        #[test]
        fn rows_are_read_as_written(series in any::<u32>(), times in times(), cpu in any::<u16>(), mem in any::<u16>()) {
            let rows: Vec<Row> = times.iter().map(|&second| Row {
                second,
                cpu: cpu.wrapping_mul(second as u16) % 300,
                mem: mem.wrapping_add(second as u16 % 7),
            }).collect();
            let mut bytes = Vec::new();
            put_rows(series, &rows, &mut bytes);
            prop_assert_eq!(take_rows(&bytes), Some((series, rows)));
            prop_assert_eq!(take_rows(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn minutes_are_read_as_written(series in any::<u32>(), times in times(), seed in any::<u16>()) {
            let span = |at: u32| {
                let min = seed.wrapping_mul(at as u16) % 1000;
                Span { min, mean: min + at as u16 % 9, max: min + at as u16 % 9 + seed % 17 }
            };
            let minutes: Vec<Minute> = times.iter().map(|&minute| Minute {
                minute, count: 60 - minute as u16 % 3, cpu: span(minute), mem: span(minute / 2),
            }).collect();
            let mut bytes = Vec::new();
            put_minutes(series, &minutes, &mut bytes);
            prop_assert_eq!(take_minutes(&bytes), Some((series, minutes)));
        }

        #[test]
        fn no_bytes_can_harm(bytes in vec(any::<u8>(), 0..200)) {
            let _ = take_rows(&bytes);
            let _ = take_minutes(&bytes);
        }
    }

    #[test]
    fn a_busy_second_takes_about_a_byte() {
        // A process that uses 3 % give or take 1 %, and grows by 0.1 MB every 50 s.
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0..4).map(|at| seed >> (8 * at) & 0xff).sum::<u32>() / 48
        };
        let rows: Vec<Row> = (0..14_400)
            .map(|at| Row { second: 1_700_000_000 + at, cpu: 20 + noise() as u16, mem: 1000 + (at / 50) as u16 })
            .collect();
        let mut bytes = Vec::new();
        put_rows(1, &rows, &mut bytes);
        assert!(bytes.len() < 14_400, "{} bytes for {} samples", bytes.len(), rows.len());
    }
}
