//! State of each site: its last good headlines, and the result of its last attempt.

mod record;
mod store;

pub use record::{Attempt, Changes, Record, RuleAlert, Seen, Source};
pub use store::Store;
