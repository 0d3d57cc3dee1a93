//! Proposals for a site's rule: the feeds that a page announces, and link patterns that repeat.

use super::ExtractError;
use super::feed::entries;
use super::headline::clean;
use super::page::MAX_TIME;
use super::parse::parse;
use std::collections::BTreeMap;
use std::time::Instant;
use url::Url;

/// Words of a link's text from which on it may be a headline.
const WORDS: usize = 4;
/// Patterns that are proposed.
const PATTERNS: usize = 10;

/// Texts that a pattern shows.
const EXAMPLES: usize = 3;

/// Ancestors of a link among which its kind of element is looked for.
const ANCESTORS: usize = 16;

/// Links that look alike.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LinkPattern {
    /// `item` of a rule.
    pub item: String,
    /// `link_prefix` of a rule.
    pub link_prefix: String,
    /// Number of the page's links that match.
    pub count: usize,
    /// Texts of some of them, each once: at most three.
    pub examples: Vec<String>,
}

/// The proposals for a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Suggestion {
    /// Feeds that the page announces, or that it is: title and address.
    pub feeds: Vec<(String, Url)>,
    /// Patterns, the most frequent first.
    pub links: Vec<LinkPattern>,
}

/// Looks for feeds and link patterns in a page. Blocks for up to 5 s.
///
/// # Errors
///
/// The page takes too long.
pub fn suggest(text: &str, base: &Url) -> Result<Suggestion, ExtractError> {
    if entries(text, base).is_ok_and(|entries| !entries.is_empty()) {
        return Ok(Suggestion { feeds: vec![(String::new(), base.clone())], links: Vec::new() });
    }
    let end = Instant::now() + MAX_TIME;
    let html = parse(text, end, MAX_TIME)?;
    let mut feeds: Vec<(String, Url)> = Vec::new();
    let mut patterns: BTreeMap<(String, String), (usize, Vec<String>)> = BTreeMap::new();
    for element in html.root_element().descendent_elements() {
        if Instant::now() >= end {
            return Err(ExtractError::TooSlow(MAX_TIME));
        }
        let Some(href) = element.attr("href") else { continue };
        let Ok(url) = base.join(href.trim()) else { continue };
        if !matches!(url.scheme(), "http" | "https") {
            continue;
        }
        if element.value().name() == "link" {
            let kind = element.attr("type").unwrap_or_default();
            let is_feed = ["application/rss+xml", "application/atom+xml", "application/feed+json"].contains(&kind);
            let is_alternate = element.attr("rel").unwrap_or_default().split_whitespace().any(|rel| rel == "alternate");
            if is_feed && is_alternate && !feeds.iter().any(|(_, known)| *known == url) {
                feeds.push((clean(element.attr("title").unwrap_or_default()), url));
            }
            continue;
        }
        let title = clean(&element.text().take(200).collect::<String>());
        if element.value().name() != "a" || url.host() != base.host() || title.split(' ').count() < WORDS {
            continue;
        }
        let class = element.value().classes().find(|class| is_plain(class));
        let parent = element
            .ancestors()
            .take(ANCESTORS)
            .filter_map(scraper::ElementRef::wrap)
            .find(|parent| matches!(parent.value().name(), "h1" | "h2" | "h3" | "h4" | "article" | "li"));
        let item = match (class, parent) {
            (Some(class), _) => format!("a.{class}"),
            (None, Some(parent)) => format!("{} a", parent.value().name()),
            (None, None) => "a".to_owned(),
        };
        let first = url.path_segments().and_then(|mut parts| parts.next().filter(|_| parts.next().is_some()));
        let prefix = first.map_or("/".to_owned(), |first| format!("/{first}/"));
        let (count, examples) = patterns.entry((item, prefix)).or_default();
        *count += 1;
        if examples.len() < EXAMPLES && !examples.contains(&title) {
            examples.push(title);
        }
    }
    let mut links: Vec<LinkPattern> = patterns
        .into_iter()
        .filter(|(_, (count, _))| *count > 1)
        .map(|((item, link_prefix), (count, examples))| LinkPattern { item, link_prefix, count, examples })
        .collect();
    links.sort_by_key(|link| std::cmp::Reverse(link.count));
    links.truncate(PATTERNS);
    Ok(Suggestion { feeds, links })
}

/// Whether a class name can stand in a selector as it is.
fn is_plain(class: &str) -> bool {
    class.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && class.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
