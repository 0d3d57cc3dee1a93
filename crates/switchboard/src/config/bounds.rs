//! Bounds of settings that are sizes, durations or counts.

use std::ops::RangeInclusive;
use std::time::Duration;
use switchboard_driver::quantity::{show_duration, show_size};

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

impl Unit {
    pub(super) const fn from(self, range: RangeInclusive<u64>) -> Bounds {
        Bounds { unit: self, range, or_zero: false }
    }

    fn show(self, amount: u64) -> String {
        match self {
            Unit::Bytes => show_size(usize::try_from(amount).unwrap_or(usize::MAX)),
            Unit::Nanoseconds => show_duration(Duration::from_nanos(amount)),
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
        let (least, most) = (self.unit.show(*self.range.start()), self.unit.show(*self.range.end()));
        Err(format!("it must be {}from {least} to {most}", if self.or_zero { "0, or " } else { "" }))
    }
}
