//! The page, its list, and the feeds out, as texts.

use super::query::Query;
use crate::board::{Item, SiteView, View};
use askama::Template;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::fmt::Write;
use std::time::Duration;

/// A site of the list.
struct Site<'a> {
    index: usize,
    view: &'a SiteView,
    /// For the style.
    state: &'static str,
    word: &'static str,
    /// When its headlines were found: the time, and how long ago.
    age: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct List<'a> {
    view: &'a View,
    query: &'a Query,
    sites: Vec<Site<'a>>,
    /// The number of sites, and of those in each state.
    summary: String,
    items: Vec<&'a Item>,
    empty: &'static str,
    /// Of the style sheet with the sites' colors.
    colors: String,
    now: Timestamp,
}

impl List<'_> {
    fn ago(&self, time: &Timestamp) -> String {
        ago(age(*time, self.now))
    }
}

#[derive(Template)]
#[template(path = "news.html")]
struct Page<'a> {
    view: &'a View,
    query: &'a Query,
    path: &'static str,
    colors: String,
    list: String,
}

#[derive(Template)]
#[template(path = "rss.xml")]
struct Rss<'a> {
    view: &'a View,
    items: Vec<&'a Item>,
    link: &'a str,
}

impl Rss<'_> {
    fn date(&self, item: &Item) -> String {
        item.seen.date().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

#[derive(Template)]
#[template(path = "opml.xml")]
struct Opml<'a> {
    view: &'a View,
}

fn age(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// As the page's script says it.
fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{count} {unit} ago")
}

/// Number of sites that are shown whatever the width. On a phone, more would fill the screen before the first headline.
const MANY: usize = 4;

/// The number of sites, and of those in each state, the most frequent state first.
fn summary(sites: &[Site]) -> String {
    let mut states: Vec<(usize, &str)> = Vec::new();
    for site in sites {
        match states.iter_mut().find(|(_, word)| *word == site.word) {
            Some((count, _)) => *count += 1,
            None => states.push((1, site.word)),
        }
    }
    states.sort_by_key(|(count, _)| Reverse(*count));
    let states: Vec<String> = states.into_iter().map(|(count, word)| format!("{count} {word}")).collect();
    format!("{} sites: {}", sites.len(), states.join(", "))
}

/// The sites and headlines, as HTML.
pub(super) fn list(view: &View, query: &Query, now: Timestamp) -> String {
    let site = |(index, site): (usize, _)| {
        let view: &SiteView = site;
        let state = view.state(now);
        let name = match state {
            crate::board::SiteState::Broken => "broken",
            other => other.word(),
        };
        let age = view.fetched.map(|time| (time.to_string(), ago(age(time, now))));
        Site { index, view, state: name, word: state.word(), age }
    };
    let items = query.items(view);
    let empty = if query.is_filtered() && !view.items.is_empty() {
        "No headline matches."
    } else if view.sites.iter().any(|site| site.is_asking || site.tried.is_none()) {
        "The sites are being asked."
    } else {
        "There are no headlines yet."
    };
    let sites: Vec<Site> = view.sites.iter().enumerate().map(site).collect();
    let summary = summary(&sites);
    List { view, query, sites, summary, items, empty, colors: hash(&colors(view)), now }.render().unwrap_or_default()
}

/// The whole page.
pub(super) fn page(view: &View, query: &Query, path: &'static str, now: Timestamp) -> String {
    let colors = hash(&colors(view));
    Page { view, query, path, colors, list: list(view, query, now) }.render().unwrap_or_default()
}

pub(super) fn rss(view: &View, query: &Query, link: &str) -> String {
    Rss { view, items: query.items(view), link }.render().unwrap_or_default()
}

pub(super) fn opml(view: &View) -> String {
    Opml { view }.render().unwrap_or_default()
}

/// Each site's color: a style sheet, since the page takes no inline style.
pub(super) fn colors(view: &View) -> String {
    view.sites.iter().enumerate().fold(String::new(), |mut text, (index, site)| {
        // The sites file allows `#rrggbb` alone.
        let _ = writeln!(text, ".s{index} {{ --site: {}; }}", site.color);
        text
    })
}

/// Changes with the text; no secret.
pub(super) fn hash(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

pub(super) fn json(view: &View, query: &Query, now: Timestamp) -> Value {
    let sites: Vec<Value> = view
        .sites
        .iter()
        .map(|site| {
            json!({
                "name": site.name, "url": site.url, "color": site.color, "state": site.state(now),
                "reason": site.reason(), "fetched": site.fetched, "tried": site.tried,
                "age": site.fetched.map(|time| age(time, now).as_secs()), "asking": site.is_asking,
                "source": site.source, "headlines": site.headlines.len(),
                "total": site.total,
                "warnings": site.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    let headlines: Vec<Value> = query
        .items(view)
        .iter()
        .map(|item| {
            let (site, headline) = (&view.sites[item.site], &item.seen.headline);
            json!({
                "title": headline.title, "url": headline.url, "site": site.name, "color": site.color,
                "seen": item.seen.seen, "published": headline.published,
            })
        })
        .collect();
    json!({ "time": now, "problem": view.problem, "sites": sites, "headlines": headlines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_one_number_and_its_unit() {
        for (seconds, text) in [
            (0, "0 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), text);
        }
    }
}
