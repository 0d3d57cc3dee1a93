//! Headlines of RSS, Atom and JSON feeds.

use super::Headline;
use super::json_feed;
use super::lenient::{reason, repaired};
use super::page::{Extraction, MAX_TIME, Step, limited};
use super::parse::parse;
use crate::site::Rule;
use jiff::Timestamp;
use std::time::Instant;
use url::Url;

/// Why a text is no feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a feed: {0}")]
pub struct FeedError(pub(super) String);

/// An entry of a feed.
pub(super) struct Entry {
    /// With markup maybe.
    pub(super) title: String,
    pub(super) link: String,
    pub(super) published: Option<Timestamp>,
}

/// Bytes of a title with markup that are read.
const MARKUP: usize = 4 << 10;

/// Reads a feed. The rule's filters count, its selectors do not. Its entries are the site's own, whatever host it is on.
///
/// # Errors
///
/// It is no feed.
pub fn feed(text: &str, base: &Url, rule: &Rule) -> Result<Extraction, FeedError> {
    let entries = entries(text, base)?;
    let end = Instant::now() + MAX_TIME;
    let all = Step { what: "entries of the feed".to_owned(), left: entries.len() };
    let found = entries.into_iter().flatten().filter_map(|entry| {
        // Titles with markup, escaped once or twice, are common.
        let text: String = if entry.title.contains(['<', '&']) {
            let start = &entry.title[..entry.title.floor_char_boundary(MARKUP)];
            parse(start, end, MAX_TIME).ok()?.root_element().text().collect()
        } else {
            entry.title
        };
        let mut headline = Headline::new(&text, &entry.link, base)?;
        headline.published = entry.published;
        (rule.takes_title(&headline.title) && rule.takes_link(headline.url.as_str(), &headline.url)).then_some(headline)
    });
    let headlines: Vec<Headline> = found.collect();
    let usable = Step { what: "with a text and a link that the rule takes".to_owned(), left: headlines.len() };
    Ok(limited(headlines, vec![all, usable], Vec::new(), rule))
}

/// The entries of a feed; one without a title or a link is `None`.
pub(super) fn entries(text: &str, base: &Url) -> Result<Vec<Option<Entry>>, FeedError> {
    // The declaration names the encoding of the bytes, which are UTF-8 by now.
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    let rest = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or(text, |(_, rest)| rest);
    let rest = rest.trim_start();
    if rest.starts_with('{') { json_feed::entries(rest) } else { xml(rest, base) }
}

/// The entries of an RSS or Atom feed; one without a title or a link is `None`.
fn xml(text: &str, base: &Url) -> Result<Vec<Option<Entry>>, FeedError> {
    let parser = feed_rs::parser::Builder::new().base_uri(Some(base.as_str())).build();
    let text = repaired(text);
    let failed = |error: feed_rs::parser::ParseFeedError| FeedError(reason(&text).unwrap_or_else(|| error.to_string()));
    let feed = parser.parse(text.as_bytes()).map_err(failed)?;
    let made = feed.entries.into_iter().map(|entry| {
        let is_page = |link: &&feed_rs::model::Link| link.rel.as_deref().is_none_or(|rel| rel == "alternate");
        let link = entry.links.iter().find(is_page).or(entry.links.first()).map(|link| link.href.clone());
        // An entry of RSS may have its address in `guid` alone.
        let is_address = |text: &String| text.parse().is_ok_and(|url: Url| matches!(url.scheme(), "http" | "https"));
        let link = link.or_else(|| Some(entry.id.trim().to_owned()).filter(is_address))?;
        let date = entry.published.or(entry.updated);
        let published = date.and_then(|date| Timestamp::from_second(date.timestamp()).ok());
        Some(Entry { title: entry.title?.content, link, published })
    });
    Ok(made.collect())
}
