//! What is known of each site: its last good headlines, and how its last attempt ended.

mod record;
mod store;

pub use record::{Attempt, Changes, Record, RuleAlert, Seen, Source};
pub use store::Store;
