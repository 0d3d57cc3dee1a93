//! A table of shapes: what memory does, in MB by the hour, and what is said of it when.

use super::*;

/// The expected verdict.
enum Says {
    Nothing,
    /// An alarm within these hours, and not that it is over.
    Leak(f64, f64),
    /// An alarm within these hours, and its end within those.
    LeakThenOver((f64, f64), (f64, f64)),
}
use Says::{Leak as Leaks, LeakThenOver, Nothing};

const LIMIT: f64 = 10.0;

/// The verdicts over so many hours, by the hour, four samples a minute.
fn verdicts(hours: f64, mem: impl Fn(f64) -> f64) -> Vec<(f64, Verdict)> {
    let begin = 1_800_000_000_000;
    let mut leak = Leak::new(Millis(begin));
    (0..(hours * 240.0) as i64)
        .filter_map(|at| {
            let hour = at as f64 / 240.0;
            Some((hour, leak.sample(Millis(begin + at * 15_000), mem(hour), LIMIT)?))
        })
        .collect()
}

/// From -1 to 1, without a pattern.
fn noise(hour: f64) -> f64 {
    let mut bits = (hour * 240.0).round() as u64;
    // SplitMix64.
    bits = bits.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// From 0 to 1 once in so many minutes, then back at once.
fn saw(hour: f64, minutes: f64) -> f64 {
    (hour * 60.0 / minutes).fract()
}

/// From 0 to 1 in so many minutes, and there it stays.
fn fill(hour: f64, minutes: f64) -> f64 {
    f64::min(hour * 60.0 / minutes, 1.0)
}

fn check(name: &str, hours: f64, mem: impl Fn(f64) -> f64, says: &Says) {
    let said = verdicts(hours, mem);
    let within = |hour: f64, (from, to): (f64, f64)| (from..=to).contains(&hour);
    let right = match (says, &said[..]) {
        (Nothing, []) => true,
        (Leaks(from, to), [(hour, Verdict::Leaks(_))]) => within(*hour, (*from, *to)),
        (LeakThenOver(leak, over), [(begin, Verdict::Leaks(_)), (end, Verdict::Over)]) => {
            within(*begin, *leak) && within(*end, *over)
        }
        _ => false,
    };
    assert!(right, "{name}: {said:?}");
}

#[test]
fn what_does_not_leak_raises_no_alarm() {
    type Shape = fn(f64) -> f64;
    let shapes: [(&str, Shape); 27] = [
        ("constant", |_| 100.0),
        ("nothing at all", |_| 0.0),
        ("noise", |h| 100.0 + 50.0 * noise(h)),
        ("loud noise", |h| 2000.0 + 1500.0 * noise(h)),
        ("warm-up of 5 min", |h| 100.0 + 500.0 * fill(h, 5.0)),
        ("warm-up of 20 min", |h| 100.0 + 500.0 * fill(h, 20.0)),
        ("warm-up of 45 min", |h| 100.0 + 500.0 * fill(h, 45.0)),
        ("warm-up of 90 min", |h| 100.0 + 500.0 * fill(h, 90.0)),
        ("warm-up of 3 h", |h| 100.0 + 500.0 * fill(h, 180.0) + noise(h)),
        ("warm-up that slows down", |h| 100.0 + 500.0 * (1.0 - (-h / 2.0).exp())),
        ("warm-up that slows down later", |h| 100.0 + 300.0 * (1.0 - (-h / 3.0).exp()) + 2.0 * noise(h)),
        ("sawtooth of 5 min", |h| 100.0 + 300.0 * saw(h, 5.0)),
        ("sawtooth of 15 min", |h| 100.0 + 60.0 * saw(h, 15.0)),
        ("sawtooth of 50 min", |h| 100.0 + 200.0 * saw(h, 50.0)),
        ("sawtooth of 70 min", |h| 100.0 + 900.0 * saw(h, 70.0) + 5.0 * noise(h)),
        ("sawtooth of 100 min", |h| 100.0 + 60.0 * saw(h, 100.0)),
        ("sawtooth of 2 h", |h| 100.0 + 200.0 * saw(h, 120.0)),
        ("sawtooth of 3 h", |h| 100.0 + 200.0 * saw(h, 180.0)),
        ("large sawtooth of 3 h", |h| 100.0 + 900.0 * saw(h, 180.0) + 10.0 * noise(h)),
        ("two sawtooths", |h| 100.0 + 90.0 * saw(h, 37.0) + 200.0 * saw(h, 140.0)),
        ("one step", |h| if h > 7.5 { 300.0 } else { 100.0 }),
        ("two steps", |h| {
            100.0 + 200.0 * f64::from(u8::from(h > 4.0)) + 100.0 * f64::from(u8::from(h > 9.0)) + noise(h)
        }),
        ("a ramp of half an hour between plateaus", |h| 100.0 + 300.0 * fill(f64::max(h - 8.0, 0.0), 30.0)),
        ("growth below the limit", |h| 200.0 + 8.0 * h + 0.5 * noise(h)),
        ("very slow growth", |h| 200.0 + h + 5.0 * noise(h)),
        ("shrinking", |h| 3000.0 - 50.0 * h),
        ("busy by day", |h| 300.0 + 100.0 * (h / 24.0 * std::f64::consts::TAU).sin().abs().min(0.2) + noise(h)),
    ];
    for (name, shape) in shapes {
        check(name, 48.0, shape, &Nothing);
    }
}

#[test]
fn what_leaks_raises_one_alarm_within_hours() {
    type Shape = fn(f64) -> f64;
    let shapes: [(&str, Shape, Says); 15] = [
        ("11 MB/h", |h| 200.0 + 11.0 * h + 0.5 * noise(h), Leaks(5.0, 7.0)),
        ("12 MB/h in noise", |h| 200.0 + 12.0 * h + 5.0 * noise(h), Leaks(5.0, 10.0)),
        ("12 MB/h in loud noise", |h| 200.0 + 12.0 * h + 40.0 * noise(h), Leaks(5.0, 24.0)),
        ("60 MB/h", |h| 200.0 + 60.0 * h, Leaks(5.0, 6.0)),
        ("60 MB/h under a sawtooth of 15 min", |h| 100.0 + 60.0 * h + 200.0 * saw(h, 15.0), Leaks(5.0, 9.0)),
        ("60 MB/h under a sawtooth of 50 min", |h| 100.0 + 60.0 * h + 200.0 * saw(h, 50.0), Leaks(5.0, 12.0)),
        ("60 MB/h under a sawtooth of 3 h", |h| 100.0 + 60.0 * h + 200.0 * saw(h, 180.0), Leaks(5.0, 18.0)),
        ("60 MB/h after a warm-up", |h| 100.0 + 400.0 * fill(h, 45.0) + 60.0 * h, Leaks(5.0, 6.0)),
        ("a step of 40 MB each hour", |h| 100.0 + 40.0 * h.floor(), Leaks(5.0, 12.0)),
        (
            "30 MB/h from the twentieth hour on",
            |h| 100.0 + 30.0 * f64::max(h - 20.0, 0.0) + noise(h),
            Leaks(23.0, 27.0),
        ),
        ("600 MB/h", |h| 200.0 + 600.0 * h, Leaks(1.5, 4.0)),
        ("3 GB/h", |h| 200.0 + 3000.0 * h, Leaks(1.5, 2.5)),
        // Until it slows down, a cache that takes a day to fill is a leak.
        (
            "a cache that takes a day to fill",
            |h| 100.0 + 600.0 * (1.0 - (-h / 8.0).exp()),
            LeakThenOver((5.0, 6.0), (20.0, 36.0)),
        ),
        (
            "60 MB/h, mended after 10 h",
            |h| 100.0 + 60.0 * f64::min(h, 10.0) + noise(h),
            LeakThenOver((5.0, 6.0), (13.0, 16.0)),
        ),
        (
            "60 MB/h, given back after 10 h",
            |h| if h < 10.0 { 100.0 + 60.0 * h } else { 100.0 },
            LeakThenOver((5.0, 6.0), (10.5, 12.0)),
        ),
    ];
    for (name, shape, says) in shapes {
        check(name, 40.0, shape, &says);
    }
}

#[test]
fn the_growth_that_is_said_is_that_of_the_leak() {
    for (rate, mem) in [(60.0, 0.0), (60.0, 200.0), (25.0, 10.0)] {
        let said = verdicts(40.0, |h| 100.0 + rate * h + mem * saw(h, 50.0));
        let [(_, Verdict::Leaks(growth))] = said[..] else { panic!("{said:?}") };
        assert!((rate * 0.7..rate * 1.4).contains(&growth), "{growth} for {rate}");
    }
}

#[test]
fn a_process_that_was_started_long_ago_has_no_warm_up() {
    let begin = 1_800_000_000_000;
    let alarm = |start: i64| {
        let mut leak = Leak::new(Millis(begin - start * 3_600_000));
        (0..10 * 240).find(|at| leak.sample(Millis(begin + at * 15_000), 60.0 * *at as f64 / 240.0, LIMIT).is_some())
    };
    let (new, old) = (alarm(0).unwrap(), alarm(100).unwrap());
    assert_eq!(new - old, 240, "an hour sooner");
}

#[test]
fn what_is_remembered_counts_as_if_it_had_come() {
    let begin = 1_800_000_000_000;
    let mut leak = Leak::new(Millis(begin));
    for minute in 0..400 {
        leak.remember(begin / MINUTE + minute, minute as f64);
    }
    let first = (400 * 4..500 * 4).find_map(|at| leak.sample(Millis(begin + at * 15_000), at as f64 / 4.0, LIMIT));
    assert!(matches!(first, Some(Verdict::Leaks(growth)) if (55.0..65.0).contains(&growth)), "{first:?}");
}

#[test]
fn a_clock_that_was_set_back_does_not_silence_the_alarm_for_ever() {
    let begin = 1_800_000_000_000;
    let mut leak = Leak::new(Millis(begin));
    leak.sample(Millis(begin + 365 * 86_400_000), 100.0, LIMIT);
    let found =
        (0..10 * 240).any(|at| leak.sample(Millis(begin + at * 15_000), 60.0 * at as f64 / 240.0, LIMIT).is_some());
    assert!(found);
}

#[test]
fn a_pause_of_hours_is_no_growth() {
    let begin = 1_800_000_000_000;
    let mut leak = Leak::new(Millis(begin));
    let mut said = Vec::new();
    for at in (0..6 * 240).chain(30 * 240..48 * 240) {
        let mem = if at < 10 * 240 { 100.0 } else { 400.0 };
        said.extend(leak.sample(Millis(begin + at * 15_000), mem, LIMIT));
    }
    assert_eq!(said, []);
}
