//! The collector's own clock, which may be set, or stand still while the machine sleeps.

use super::Collector;
use crate::Millis;

/// Milliseconds between two looks at the clock, at most: it is looked at once a second.
const LONGEST: i64 = 5000;

impl Collector {
    /// Nobody is silent because the clock was set, or the machine slept; and what came before it was set back is not
    /// newer than what comes now.
    pub(super) fn observe(&mut self, now: Millis) {
        let passed = now.since(self.observed);
        self.observed = now;
        if (0..=LONGEST).contains(&passed) {
            return;
        }
        self.counts.jumps += 1;
        let jump = if passed < 0 { passed } else { passed - 1000 };
        for series in &mut self.series {
            series.arrived = Millis(series.arrived.0.saturating_add(jump));
            series.last = series.last.min(now);
            series.meta.first = series.meta.first.min(now);
            series.before = series.before.map(|(pid, until)| (pid, until.min(now)));
        }
    }
}
