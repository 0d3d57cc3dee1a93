/// Why a sample was not taken. Each reason is counted by itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is longer than a message may be.
    #[error("message of {length} bytes is over the limit of {limit} bytes")]
    Long {
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// It is not a JSON object of the right shape.
    #[error("not a sample in JSON: {0}")]
    Json(String),
    /// A field that it must have is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A text is longer than it may be.
    #[error("`{field}` of {length} bytes is over the limit of {limit} bytes")]
    Text {
        /// Which.
        field: &'static str,
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A time is none.
    #[error("`{field}` is not a time in ISO 8601 from 1970 on: {text:?}")]
    Time {
        /// Which.
        field: &'static str,
        /// The frame.
        text: String,
    },
    /// A time is a number with a fraction, or one beyond all times.
    #[error("`{field}` = {value:?} is not in whole milliseconds since 1970{}", seconds(*value))]
    Fraction {
        /// Which.
        field: &'static str,
        /// The number.
        value: f64,
    },
    /// A value that no process can have.
    #[error("`{field}` = {value} is out of range: 0 to {limit} is accepted")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// The frame.
        value: f64,
        /// The limit.
        limit: f64,
    },
    /// Older than what is kept.
    #[error("it is {seconds} s old; samples are kept for {limit} s{}", unit(*seconds))]
    Old {
        /// The age.
        seconds: i64,
        /// The time that is kept.
        limit: i64,
    },
    /// It came in one request behind too many that were refused, and was not looked at.
    #[error("skipped: too many samples before it in this request were refused")]
    Skipped,
    /// There are as many processes as there may be.
    #[error("the limit of {limit} known processes is reached")]
    SeriesLimit {
        /// The maximum number.
        limit: usize,
    },
    /// More new processes at once than are taken.
    #[error("the limit of {limit} new processes a second is reached")]
    SeriesRate {
        /// The maximum rate a second.
        limit: u32,
    },
}

/// A hint for senders of seconds since 1970: read as milliseconds, these are days of January 1970.
fn unit(age: i64) -> &'static str {
    const DECADES: i64 = 30 * 365 * 86_400;
    if age > DECADES { " (a number is read as milliseconds since 1970: is this one in seconds?)" } else { "" }
}

/// The same hint for a number with a fraction: in milliseconds it would be before 1973.
fn seconds(number: f64) -> &'static str {
    if number.abs() < 1e11 { " (is it in seconds?)" } else { "" }
}

impl Refusal {
    /// The names of the reasons, in the order of [`Refusal::index`].
    pub const REASONS: [&'static str; 10] =
        ["long", "json", "missing", "text", "time", "out_of_range", "old", "series_limit", "series_rate", "skipped"];

    /// Which of [`Refusal::REASONS`] it is.
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Refusal::Long { .. } => 0,
            Refusal::Json(_) => 1,
            Refusal::Missing(_) => 2,
            Refusal::Text { .. } => 3,
            Refusal::Time { .. } | Refusal::Fraction { .. } => 4,
            Refusal::OutOfRange { .. } => 5,
            Refusal::Old { .. } => 6,
            Refusal::SeriesLimit { .. } => 7,
            Refusal::SeriesRate { .. } => 8,
            Refusal::Skipped => 9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_with_a_fraction_is_told_the_unit() {
        let text = |value| Refusal::Fraction { field: "timestamp", value }.to_string();
        let says = "is not in whole milliseconds since 1970";
        assert_eq!(text(1_795_878_469.186), format!("`timestamp` = 1795878469.186 {says} (is it in seconds?)"));
        assert_eq!(text(1_795_878_469_186.5), format!("`timestamp` = 1795878469186.5 {says}"));
    }

    #[test]
    fn a_time_in_seconds_is_told_that_it_is_read_as_milliseconds() {
        let text = |seconds| Refusal::Old { seconds, limit: 60 }.to_string();
        assert_eq!(text(61), "it is 61 s old; samples are kept for 60 s");
        assert!(
            text(1_794_069_055).ends_with("(a number is read as milliseconds since 1970: is this one in seconds?)")
        );
    }
}
