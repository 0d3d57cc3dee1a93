//! The clock that a row's age is measured by.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time since the machine started, sleep included: a suspended machine's rows grow old, too.
pub(crate) fn now() -> Duration {
    // Linux has this clock since 2.6.39; a fixed time would serve rows for ever.
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("the kernel has CLOCK_BOOTTIME").into()
}
