//! Times that may be as long as anybody likes.

use std::time::{Duration, Instant};

/// As good as never, and no clock minds it.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The time that is `after` behind `now`.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    now + after.min(LONGEST)
}
