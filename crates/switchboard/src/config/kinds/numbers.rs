//! Sizes, durations and counts.

use super::{Kind, quote};
use crate::config::bounds::{Bounds, Unit};
use crate::config::settings::LARGEST;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;
use switchboard_driver::quantity::{LONGEST, parse_count, parse_duration, parse_size, show_duration, show_size};

pub(in crate::config) struct Size;
/// A size that is 64 bits wide on every machine.
pub(in crate::config) struct Bytes;
pub(in crate::config) struct Span;
pub(in crate::config) struct Count<T>(PhantomData<T>);
pub(in crate::config) struct Positive<T>(PhantomData<T>);
pub(in crate::config) struct Growth;

impl Kind for Size {
    type Value = usize;
    const ALLOWED: &'static str = "a size, such as \"8MiB\", \"64 KiB\" or 123";
    fn parse(text: &str) -> Option<usize> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<usize, String> {
        parse_size(text)
    }
    fn bounds() -> Option<Bounds> {
        Some(Unit::Bytes.from(1..=LARGEST))
    }
    fn amount(&bytes: &usize) -> u64 {
        bytes as u64
    }
    fn show(&bytes: &usize) -> String {
        let text = show_size(bytes);
        // A plain number is an integer in TOML; one that TOML's i64 cannot hold is quoted.
        if text.parse::<i64>().is_ok() { text } else { quote(&text) }
    }
}

impl Kind for Span {
    type Value = Duration;
    const ALLOWED: &'static str = "a duration such as \"50ms\", \"10s\" or 2 (seconds)";
    fn parse(text: &str) -> Option<Duration> {
        parse_duration(text).ok()
    }
    fn read(text: &str) -> Result<Duration, String> {
        parse_duration(text)
    }
    fn bounds() -> Option<Bounds> {
        Some(Unit::Nanoseconds.from(0..=nanoseconds(LONGEST)))
    }
    fn amount(duration: &Duration) -> u64 {
        nanoseconds(*duration)
    }
    fn show(duration: &Duration) -> String {
        quote(&show_duration(*duration))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy + Display> Kind for Count<T> {
    type Value = T;
    const ALLOWED: &'static str = "a whole number, 0 or more";
    fn parse(text: &str) -> Option<T> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<T, String> {
        let number = parse_count(text)?;
        T::try_from(number).map_err(|_| format!("it is too large: at most {}", largest::<T>()))
    }
    fn show(number: &T) -> String {
        number.to_string()
    }
    fn bounds() -> Option<Bounds> {
        Some(Unit::Count.from(0..=largest::<T>()))
    }
    fn amount(&number: &T) -> u64 {
        number.try_into().unwrap_or(u64::MAX)
    }
}

/// The largest number of this type, which is unsigned.
fn largest<T: TryFrom<u64>>() -> u64 {
    if T::try_from(u64::MAX).is_ok() { u64::MAX } else { u32::MAX.into() }
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy + Display> Kind for Positive<T> {
    type Value = T;
    const ALLOWED: &'static str = "a whole number, 1 or more";
    fn parse(text: &str) -> Option<T> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<T, String> {
        Count::read(text)
    }
    fn show(number: &T) -> String {
        number.to_string()
    }
    fn bounds() -> Option<Bounds> {
        Some(Unit::Count.from(1..=largest::<T>()))
    }
    fn amount(number: &T) -> u64 {
        Count::amount(number)
    }
}

impl Kind for Growth {
    type Value = f64;
    const ALLOWED: &'static str = "a number from 1 to 1000000";
    fn parse(text: &str) -> Option<f64> {
        text.trim().parse().ok().filter(|number| (1.0..=1e6).contains(number))
    }
    fn show(number: &f64) -> String {
        number.to_string()
    }
    fn bounds() -> Option<Bounds> {
        Some(Unit::Count.from(1..=1_000_000))
    }
    // Fractions have been checked above.
    fn amount(&number: &f64) -> u64 {
        number as u64
    }
}

impl Kind for Bytes {
    type Value = u64;
    const ALLOWED: &'static str = Size::ALLOWED;
    fn parse(text: &str) -> Option<u64> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<u64, String> {
        parse_size(text).map(|bytes| bytes as u64)
    }
    fn show(&bytes: &u64) -> String {
        Size::show(&usize::try_from(bytes).unwrap_or(usize::MAX))
    }
    fn bounds() -> Option<Bounds> {
        Size::bounds()
    }
    fn amount(&bytes: &u64) -> u64 {
        bytes
    }
}
