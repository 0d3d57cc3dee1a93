//! Headlines out of pages and feeds. Pure functions over text; a page's time is bounded, since pages are hostile.

mod explain;
mod feed;
mod filter;
mod headline;
mod json_feed;
mod lenient;
mod merge;
mod page;
mod parse;
mod suggest;

pub use feed::{FeedError, feed};
pub use headline::Headline;
pub use merge::merge;
pub use page::{ExtractError, Extraction, Step, page};
pub use suggest::{LinkPattern, Suggestion, suggest};

#[cfg(test)]
mod tests;
