//! What was alerted before this run.

use crate::mark::{Mark, MarkKind};
use crate::point::LineId;
use std::collections::HashSet;
use std::time::Duration;

/// For so long after a start an alert of the earlier run may come again: the rule for leaks looks back for hours.
const AGAIN: Duration = Duration::from_secs(2 * 3600);

/// The processes whose leak was alerted by an earlier run, and has not ended.
#[derive(Debug, Default)]
pub(super) struct Known {
    leaking: HashSet<LineId>,
}

impl Known {
    /// From the annotations of the history, in their order.
    pub(super) fn of(marks: &[Mark]) -> Known {
        let mut known = Known::default();
        for mark in marks {
            known.learn(mark);
        }
        known
    }

    fn learn(&mut self, mark: &Mark) {
        match mark.kind {
            MarkKind::Leak => drop(self.leaking.insert(mark.id)),
            MarkKind::LeakOver | MarkKind::Restart | MarkKind::Ended => drop(self.leaking.remove(&mark.id)),
            _ => {}
        }
    }

    /// False for an alert that an earlier run has raised already.
    pub(super) fn is_news(&mut self, mark: &Mark, uptime: Duration) -> bool {
        mark.kind != MarkKind::Leak || !self.leaking.remove(&mark.id) || uptime > AGAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Millis;

    fn mark(id: LineId, kind: MarkKind) -> Mark {
        Mark { time: Millis(0), id, kind, text: String::new() }
    }

    #[test]
    fn a_leak_that_was_alerted_before_the_restart_is_not_alerted_again_at_once() {
        let mut known = Known::of(&[mark(1, MarkKind::Leak), mark(2, MarkKind::Leak), mark(2, MarkKind::LeakOver)]);
        let minute = Duration::from_secs(60);
        assert!(!known.is_news(&mark(1, MarkKind::Leak), minute));
        assert!(known.is_news(&mark(1, MarkKind::Leak), minute), "the second time is a leak of this run");
        assert!(known.is_news(&mark(2, MarkKind::Leak), minute), "it was over");
        assert!(known.is_news(&mark(3, MarkKind::Leak), minute));
    }

    #[test]
    fn a_process_that_was_started_anew_or_leaks_hours_later_is_news() {
        let minute = Duration::from_secs(60);
        let mut known = Known::of(&[mark(1, MarkKind::Leak), mark(1, MarkKind::Restart), mark(2, MarkKind::Leak)]);
        assert!(known.is_news(&mark(1, MarkKind::Leak), minute));
        assert!(known.is_news(&mark(2, MarkKind::Leak), AGAIN + minute));
        let mut known = Known::of(&[mark(1, MarkKind::Leak)]);
        assert!(!known.is_news(&mark(1, MarkKind::Leak), AGAIN));
        assert!(known.is_news(&mark(1, MarkKind::Silent), minute));
    }
}
