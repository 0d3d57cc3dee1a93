//! The rest of a frame that was begun, for the log.

use std::fmt;
use switchboard_driver::quantity::plural;

/// The rest of a frame that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// No frame was begun.
    Nothing,
    /// More may be missing: behind a length comes what it announces, behind a name the data.
    AtLeast(usize),
    /// The frame ends with a byte of which nobody knows how far it is.
    Unknown,
}

impl Missing {
    /// The same, where so many bytes have come that nobody has read.
    pub(super) fn less(self, bytes: usize) -> Missing {
        match self {
            Missing::AtLeast(missing) => Missing::AtLeast(missing.saturating_sub(bytes)),
            other => other,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Missing::AtLeast(bytes) => write!(formatter, "which lacks at least {}", plural(bytes, "byte")),
            Missing::Nothing | Missing::Unknown => formatter.write_str("whose end has not come"),
        }
    }
}
