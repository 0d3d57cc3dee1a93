//! Headlines of RSS, Atom and JSON feeds.

use super::Headline;
use super::page::{Extraction, MAX_TIME, Step, limited};
use super::parse::parse;
use crate::site::Rule;
use jiff::Timestamp;
use std::time::Instant;
use url::Url;

/// Why a text is no feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a feed: {0}")]
pub struct FeedError(String);

/// Bytes of a title with markup that are read.
const MARKUP: usize = 4 << 10;

/// Reads a feed. The rule's filters count, its selectors do not. Its entries are the site's own, whatever host it is on.
///
/// # Errors
///
/// It is no feed.
pub fn feed(text: &str, base: &Url, rule: &Rule) -> Result<Extraction, FeedError> {
    // The declaration names the encoding of the bytes, which are UTF-8 by now.
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    let rest = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or(text, |(_, rest)| rest);
    let parser = feed_rs::parser::Builder::new().base_uri(Some(base.as_str())).build();
    let feed = parser.parse(rest.trim_start().as_bytes()).map_err(|error| FeedError(error.to_string()))?;
    let end = Instant::now() + MAX_TIME;
    let entries = Step { what: "entries of the feed".to_owned(), left: feed.entries.len() };
    let found = feed.entries.into_iter().filter_map(|entry| {
        let title = entry.title?;
        let is_page = |link: &&feed_rs::model::Link| link.rel.as_deref().is_none_or(|rel| rel == "alternate");
        let link = entry.links.iter().find(is_page).or(entry.links.first())?.href.clone();
        // Titles with markup, escaped once or twice, are common.
        let text: String = if title.content.contains(['<', '&']) {
            let start = &title.content[..title.content.floor_char_boundary(MARKUP)];
            parse(start, end, MAX_TIME).ok()?.root_element().text().collect()
        } else {
            title.content
        };
        let mut headline = Headline::new(&text, &link, base)?;
        let date = entry.published.or(entry.updated);
        headline.published = date.and_then(|date| Timestamp::from_second(date.timestamp()).ok());
        (rule.takes_title(&headline.title) && rule.takes_link(headline.url.as_str(), &headline.url)).then_some(headline)
    });
    let headlines: Vec<Headline> = found.collect();
    let usable = Step { what: "with a text and a link that the rule takes".to_owned(), left: headlines.len() };
    Ok(limited(headlines, vec![entries, usable], Vec::new(), rule))
}
