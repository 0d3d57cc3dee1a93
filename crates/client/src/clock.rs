//! Deadlines that cannot overflow.

use std::time::{Duration, Instant};

/// As good as never, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The time `after` later than `now`.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    now + after.min(LONGEST)
}
