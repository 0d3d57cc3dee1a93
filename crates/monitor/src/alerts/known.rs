//! What was alerted before this run.

use crate::annotation::{Annotation, AnnotationKind};
use crate::point::SeriesId;
use std::collections::HashSet;
use std::time::Duration;

/// For so long after a start an alert of the earlier run may come again: the rule for leaks looks back for hours.
const AGAIN: Duration = Duration::from_secs(2 * 3600);

/// The processes whose leak was alerted by an earlier run, and has not ended.
#[derive(Debug, Default)]
pub(super) struct Known {
    leaking: HashSet<SeriesId>,
}

impl Known {
    /// From the annotations of the history, in their order.
    pub(super) fn of(annotations: &[Annotation]) -> Known {
        let mut known = Known::default();
        for annotation in annotations {
            known.learn(annotation);
        }
        known
    }

    fn learn(&mut self, annotation: &Annotation) {
        match annotation.kind {
            AnnotationKind::Leak => drop(self.leaking.insert(annotation.id)),
            AnnotationKind::LeakOver | AnnotationKind::Restart | AnnotationKind::Ended => drop(self.leaking.remove(&annotation.id)),
            _ => {}
        }
    }

    /// False for an alert that an earlier run has raised already.
    pub(super) fn is_news(&mut self, annotation: &Annotation, uptime: Duration) -> bool {
        annotation.kind != AnnotationKind::Leak || !self.leaking.remove(&annotation.id) || uptime > AGAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Millis;

    fn annotation(id: SeriesId, kind: AnnotationKind) -> Annotation {
        Annotation { time: Millis(0), id, kind, text: String::new() }
    }

    #[test]
    fn a_leak_that_was_alerted_before_the_restart_is_not_alerted_again_at_once() {
        let mut known = Known::of(&[annotation(1, AnnotationKind::Leak), annotation(2, AnnotationKind::Leak), annotation(2, AnnotationKind::LeakOver)]);
        let minute = Duration::from_secs(60);
        assert!(!known.is_news(&annotation(1, AnnotationKind::Leak), minute));
        assert!(known.is_news(&annotation(1, AnnotationKind::Leak), minute), "the second time is a leak of this run");
        assert!(known.is_news(&annotation(2, AnnotationKind::Leak), minute), "it was over");
        assert!(known.is_news(&annotation(3, AnnotationKind::Leak), minute));
    }

    #[test]
    fn a_process_that_was_started_anew_or_leaks_hours_later_is_news() {
        let minute = Duration::from_secs(60);
        let mut known = Known::of(&[annotation(1, AnnotationKind::Leak), annotation(1, AnnotationKind::Restart), annotation(2, AnnotationKind::Leak)]);
        assert!(known.is_news(&annotation(1, AnnotationKind::Leak), minute));
        assert!(known.is_news(&annotation(2, AnnotationKind::Leak), AGAIN + minute));
        let mut known = Known::of(&[annotation(1, AnnotationKind::Leak)]);
        assert!(!known.is_news(&annotation(1, AnnotationKind::Leak), AGAIN));
        assert!(known.is_news(&annotation(1, AnnotationKind::Silent), minute));
    }
}
