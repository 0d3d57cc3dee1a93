//! HTML to a tree, in bounded time.

use super::ExtractError;
use html5ever::driver::{ParseOpts, parse_document};
use html5ever::tendril::{StrTendril, TendrilSink};
use scraper::{Html, HtmlTreeSink};
use std::time::{Duration, Instant};

/// Bytes between two looks at the clock.
const PART: usize = 1024;

/// Parses a page until `end`, which is `limit` after the beginning. The standard's algorithm walks the open elements at
/// most tags, so a deeply nested page takes quadratic time: minutes for some hundred kilobytes.
pub(crate) fn parse(text: &str, end: Instant, limit: Duration) -> Result<Html, ExtractError> {
    let mut parser = parse_document(HtmlTreeSink::new(Html::new_document()), ParseOpts::default());
    let mut rest = text;
    while !rest.is_empty() {
        if Instant::now() >= end {
            return Err(ExtractError::TooSlow(limit));
        }
        let (part, after) = rest.split_at(rest.floor_char_boundary(PART));
        parser.process(StrTendril::from_slice(part));
        rest = after;
    }
    Ok(parser.finish())
}
