//! Bounds of settings that are sizes, durations or counts.

use super::kinds::Kind;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;
use switchboard_driver::quantity::{is_too_large, show_duration, show_size};

/// The unit that bounds are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Nanoseconds,
    Count,
}

/// The least and the greatest value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) unit: Unit,
    pub(crate) range: RangeInclusive<u64>,
    /// 0 is allowed as well, with a meaning of its own.
    pub(crate) or_zero: bool,
}

const TIB: u64 = 1 << 40;
const MINUTE: u64 = 60_000_000_000;
const HOUR: u64 = 60 * MINUTE;

impl Unit {
    pub(super) const fn from(self, range: RangeInclusive<u64>) -> Bounds {
        Bounds { unit: self, range, or_zero: false }
    }

    fn show(self, amount: u64) -> String {
        match self {
            Unit::Bytes if amount > 0 && amount.is_multiple_of(TIB) => format!("{}TiB", amount / TIB),
            Unit::Bytes => show_size(usize::try_from(amount).unwrap_or(usize::MAX)),
            // As the documentation has them: 1h, not 3600s.
            Unit::Nanoseconds => match (amount % HOUR, amount % MINUTE) {
                (0, _) if !amount.is_multiple_of(24 * HOUR) => format!("{}h", amount / HOUR),
                (_, 0) if !amount.is_multiple_of(HOUR) => format!("{}m", amount / MINUTE),
                // The longest time that can be counted is no whole number of anything.
                _ if amount == u64::MAX => format!("{}d", amount / (24 * HOUR)),
                _ => show_duration(Duration::from_nanos(amount)),
            },
            Unit::Count => amount.to_string(),
        }
    }
}

impl Bounds {
    pub(super) const fn or_zero(mut self) -> Bounds {
        self.or_zero = true;
        self
    }

    /// Checks an amount in [`Bounds::unit`].
    ///
    /// # Errors
    /// The reason, as a sentence without its end.
    pub(super) fn check(&self, amount: u64) -> Result<(), String> {
        if self.range.contains(&amount) || self.or_zero && amount == 0 {
            return Ok(());
        }
        Err(self.to_string())
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.unit.show(*self.range.start()), self.unit.show(*self.range.end()));
        write!(f, "it must be {}from {least} to {most}", if self.or_zero { "0, or " } else { "" })
    }
}

/// Reads a value within bounds. One that is too large to be counted with is over them as any other is.
///
/// # Errors
/// The reason, as a sentence without its end.
pub(super) fn read<K: Kind>(text: &str, bounds: Option<Bounds>) -> Result<K::Value, String> {
    let value = K::read(text).map_err(|reason| match &bounds {
        Some(bounds) if is_too_large(&reason) => bounds.to_string(),
        _ => reason,
    })?;
    bounds.map_or(Ok(()), |bounds| bounds.check(K::amount(&value)))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_shown_in_the_units_of_people() {
        let (second, tib) = (1_000_000_000, 1 << 40);
        for (amount, text) in [(0, "0s"), (second / 100, "10ms"), (600 * second, "10m"), (3600 * second, "1h")] {
            assert_eq!(Unit::Nanoseconds.show(amount), text);
        }
        assert_eq!(Unit::Nanoseconds.show(u64::MAX), "213503d");
        assert_eq!([24, 36].map(|hours| Unit::Nanoseconds.show(hours * 3600 * second)), ["1d", "36h"]);
        assert_eq!([1 << 10, tib, 1024 * tib].map(|bytes| Unit::Bytes.show(bytes)), ["1KiB", "1TiB", "1024TiB"]);
    }
}
