use crate::Millis;
use crate::point::SeriesId;
use serde::{Deserialize, Serialize};

/// Something that happened to a process, to be drawn on its chart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// When.
    pub time: Millis,
    /// The number of its series.
    pub id: SeriesId,
    /// What.
    pub kind: AnnotationKind,
    /// In words.
    pub text: String,
}

/// What can happen to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnnotationKind {
    /// It was started anew: another process number, or another time of its start.
    Restart,
    /// Nothing is known of it for a while that ends here.
    Gap,
    /// It has stopped reporting, and has not said that it would.
    Silent,
    /// It reports again.
    Back,
    /// It has said that it ended.
    Ended,
    /// Its clock is wrong.
    Clock,
    /// Its memory grows steadily.
    Leak,
    /// Its memory no longer does.
    LeakOver,
}

impl AnnotationKind {
    /// Whether somebody wants to be woken up by it, or told that they may sleep again.
    #[must_use]
    pub fn is_alert(self) -> bool {
        matches!(self, AnnotationKind::Silent | AnnotationKind::Back | AnnotationKind::Leak | AnnotationKind::LeakOver)
    }
}
