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
    /// The kind of event.
    pub kind: AnnotationKind,
    /// In words.
    pub text: String,
}

/// Events of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnnotationKind {
    /// It was started anew: another process number, or another time of its start.
    Restart,
    /// Nothing is known of it for a while that ends here.
    Gap,
    /// It stopped reporting without a final report.
    Silent,
    /// It reports again.
    Back,
    /// Its final report came.
    Ended,
    /// Its clock is wrong.
    Clock,
    /// Its memory grows steadily.
    Leak,
    /// Its memory no longer does.
    LeakOver,
}

impl AnnotationKind {
    /// Whether it is an alert, or the end of one.
    #[must_use]
    pub fn is_alert(self) -> bool {
        matches!(self, AnnotationKind::Silent | AnnotationKind::Back | AnnotationKind::Leak | AnnotationKind::LeakOver)
    }
}
