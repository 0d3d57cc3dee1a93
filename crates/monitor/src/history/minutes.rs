//! Minutes out of seconds, and out of minutes of the same time.

use super::block::{Minute, Span};
use crate::point::{CPU, MEM, Row, Scale};

/// The minutes of rows that are in order.
pub(super) fn of_rows(rows: &[Row]) -> Vec<Minute> {
    let mut minutes = Vec::new();
    for rows in rows.chunk_by(|a, b| a.second / 60 == b.second / 60) {
        minutes.push(Minute {
            minute: rows[0].second / 60,
            count: u16::try_from(rows.len()).unwrap_or(u16::MAX),
            cpu: span(CPU, rows.iter().map(|row| row.cpu)),
            mem: span(MEM, rows.iter().map(|row| row.mem)),
        });
    }
    minutes
}

fn span(scale: Scale, codes: impl Iterator<Item = u16> + Clone) -> Span {
    let (min, max) = codes.clone().fold((u16::MAX, 0), |(min, max), code| (min.min(code), max.max(code)));
    let (sum, count) = codes.fold((0.0, 0.0), |(sum, count), code| (sum + scale.value(code), count + 1.0));
    Span { min, mean: scale.code(sum / count).clamp(min, max), max }
}

/// In order, each once: what is known of one minute from two sides is put together.
pub(super) fn in_order(minutes: &mut Vec<Minute>) {
    minutes.sort_by_key(|minute| minute.minute);
    minutes.dedup_by(|more, minute| {
        let same = more.minute == minute.minute;
        if same {
            let counts = (f64::from(minute.count), f64::from(more.count));
            minute.cpu = together(CPU, (minute.cpu, more.cpu), counts);
            minute.mem = together(MEM, (minute.mem, more.mem), counts);
            minute.count = minute.count.saturating_add(more.count).min(60);
        }
        same
    });
}

fn together(scale: Scale, (a, b): (Span, Span), (of_a, of_b): (f64, f64)) -> Span {
    let (min, max) = (a.min.min(b.min), a.max.max(b.max));
    let mean = (scale.value(a.mean) * of_a + scale.value(b.mean) * of_b) / f64::max(of_a + of_b, 1.0);
    Span { min, mean: scale.code(mean).clamp(min, max), max }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: u32, cpu: u16) -> Row {
        Row { second, cpu, mem: 10 }
    }

    #[test]
    fn a_minute_has_the_extremes_of_its_seconds() {
        let minutes = of_rows(&[row(59, 1), row(60, 5), row(61, 9), row(119, 7), row(180, 3)]);
        assert_eq!(
            minutes.iter().map(|minute| (minute.minute, minute.count)).collect::<Vec<_>>(),
            [(0, 1), (1, 3), (3, 1)]
        );
        assert_eq!(minutes[1].cpu, Span { min: 5, mean: 7, max: 9 });
    }

    #[test]
    fn two_halves_of_a_minute_are_one_minute() {
        let mut minutes = [of_rows(&[row(70, 3), row(71, 3), row(72, 3)]), of_rows(&[row(60, 7)])].concat();
        in_order(&mut minutes);
        assert_eq!(minutes.len(), 1);
        assert_eq!((minutes[0].count, minutes[0].cpu), (4, Span { min: 3, mean: 4, max: 7 }));
    }
}
