//! The view of the sites: a snapshot of one moment.

use super::words;
use crate::extract::merge;
use crate::site::{Faulty, Problem, Site};
use crate::state::{Attempt, Record, Seen, Source};
use jiff::Timestamp;
use std::collections::HashSet;
use std::time::Duration;
use url::Url;

/// Colors of sites that have chosen none: each can be seen on light and on dark.
const PALETTE: [&str; 10] =
    ["#1f77b4", "#e8710a", "#2a9d3f", "#d62f4b", "#8a63d2", "#00a3a3", "#c2569b", "#8c6d31", "#5b7fff", "#7a8b00"];

/// The state of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteState {
    /// It was not asked yet.
    Waiting,
    /// Its headlines are younger than its `ttl`.
    Fresh,
    /// They are older.
    Stale,
    /// The last attempt fetched nothing.
    Failed,
    /// The last attempt found too few headlines.
    Broken,
}

impl SiteState {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            SiteState::Waiting => "waiting",
            SiteState::Fresh => "fresh",
            SiteState::Stale => "stale",
            SiteState::Failed => "failed",
            SiteState::Broken => "rule broken",
        }
    }
}

/// A site, as it is shown.
#[derive(Clone, Debug)]
pub struct SiteView {
    /// Its name.
    pub name: String,
    /// Its page; `None` if the sites file has no usable address.
    pub url: Option<Url>,
    /// Its feed.
    pub feed: Option<Url>,
    /// `#rrggbb`.
    pub color: String,
    /// Time for which its headlines are fresh.
    pub ttl: Duration,
    /// When its headlines were found.
    pub fetched: Option<Timestamp>,
    /// When it was asked last.
    pub tried: Option<Timestamp>,
    /// The source of its headlines.
    pub source: Option<Source>,
    /// Whether it is being asked.
    pub is_asking: bool,
    /// Its last good headlines.
    pub headlines: Vec<Seen>,
    /// Number of headlines of the source; more than are shown where the rule's `limit` cuts.
    pub total: usize,
    /// Keys of its table whose value is wrong and that it can do without.
    pub warnings: Vec<Problem>,
    last: Option<Attempt>,
    has_own_color: bool,
}

impl SiteView {
    pub(super) fn new(site: &Site, record: &Record, is_asking: bool) -> SiteView {
        SiteView {
            name: site.name.clone(),
            url: Some(site.url.clone()),
            feed: site.feed.clone(),
            color: site.color.clone().unwrap_or_else(|| chosen(&site.name)),
            ttl: site.ttl,
            fetched: record.fetched,
            tried: record.tried,
            source: record.source,
            is_asking,
            headlines: record.headlines.clone(),
            total: record.total.max(record.headlines.len()),
            warnings: site.warnings.clone(),
            last: record.last.clone(),
            has_own_color: site.color.is_some(),
        }
    }

    /// A site that cannot be asked, with what was known of it.
    pub(super) fn faulty(site: &Faulty, record: Option<&Record>) -> SiteView {
        let reason = format!("it is not asked, since the sites file has a fault: {}", words(&site.problems));
        SiteView {
            name: site.name.clone(),
            url: site.url.clone(),
            feed: None,
            color: site.color.clone().unwrap_or_else(|| chosen(&site.name)),
            ttl: Duration::ZERO,
            fetched: record.and_then(|record| record.fetched),
            tried: record.and_then(|record| record.tried),
            source: record.and_then(|record| record.source),
            is_asking: false,
            headlines: record.map(|record| record.headlines.clone()).unwrap_or_default(),
            total: record.map_or(0, |record| record.total.max(record.headlines.len())),
            warnings: Vec::new(),
            last: Some(Attempt::Broken { reason }),
            has_own_color: site.color.is_some(),
        }
    }

    /// Its state at this time.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> SiteState {
        match (&self.last, self.fetched) {
            (Some(Attempt::Failed { .. }), _) => SiteState::Failed,
            (Some(Attempt::Broken { .. }), _) => SiteState::Broken,
            (_, None) => SiteState::Waiting,
            (_, Some(fetched)) => {
                let age = Duration::try_from(now.duration_since(fetched)).unwrap_or_default();
                // The next attempt begins when the time is over, and takes a while.
                let is_fresh = age <= self.ttl + Duration::from_secs(60);
                if is_fresh { SiteState::Fresh } else { SiteState::Stale }
            }
        }
    }

    /// Why it has no newer headlines.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.last {
            Some(Attempt::Failed { reason } | Attempt::Broken { reason }) => Some(reason),
            _ => None,
        }
    }
}

/// The same color for the same name.
fn chosen(name: &str) -> String {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    PALETTE[hash as usize % PALETTE.len()].to_owned()
}

/// Gives sites that have chosen no color one that no other site has, as long as there are enough.
fn spread(sites: &mut [SiteView]) {
    let own = sites.iter().filter(|site| site.has_own_color).map(|site| site.color.clone());
    let mut taken: HashSet<String> = own.collect();
    for site in sites.iter_mut().filter(|site| !site.has_own_color) {
        if taken.contains(&site.color)
            && let Some(free) = PALETTE.iter().find(|color| !taken.contains(**color))
        {
            site.color = (*free).to_owned();
        }
        taken.insert(site.color.clone());
    }
}

/// A headline of the page.
#[derive(Clone, Debug)]
pub struct Item {
    /// The index of its site in [`View::sites`].
    pub site: usize,
    /// The headline.
    pub seen: Seen,
}

/// All sites at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Counts changes.
    pub version: u64,
    /// The sites in the file's order.
    pub sites: Vec<SiteView>,
    /// The headlines of all sites, without repetitions, by their text.
    pub items: Vec<Item>,
    /// The error in the sites file, if it has one.
    pub problem: Option<String>,
}

impl View {
    pub(super) fn new(version: u64, mut sites: Vec<SiteView>, problem: Option<String>) -> View {
        spread(&mut sites);
        let all = sites.iter_mut().enumerate().flat_map(|(site, view)| {
            let headlines = view.headlines.iter();
            headlines.map(move |seen| Item { site, seen: seen.clone() }).collect::<Vec<_>>()
        });
        let items = merge(all.collect::<Vec<_>>(), |item| &item.seen.headline);
        View { version, sites, items, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_without_a_color_have_different_ones_as_long_as_there_are_enough() {
        let site = |number: usize| {
            let text = format!("[[site]]\nname = \"site {number}\"\nurl = \"http://a.example/{number}\"\n");
            let site = crate::site::parse(&text).expect("a site").remove(0);
            SiteView::new(&site, &Record::new(&site), false)
        };
        let view = View::new(0, (0..PALETTE.len()).map(site).collect(), None);
        let colors: HashSet<&str> = view.sites.iter().map(|site| site.color.as_str()).collect();
        assert_eq!(colors.len(), PALETTE.len());
        assert_eq!(View::new(0, (0..PALETTE.len() + 5).map(site).collect(), None).sites.len(), PALETTE.len() + 5);
    }

    #[test]
    fn a_site_is_fresh_for_its_ttl_then_stale_and_a_bad_attempt_says_why() {
        let text = "[[site]]\nname = \"a\"\nurl = \"http://a.example/\"\nttl = \"10m\"\n";
        let site = crate::site::parse(text).expect("a site").remove(0);
        let at = |second| Timestamp::from_second(second).expect("a time");
        let mut record = Record::new(&site);
        let state = |record: &Record, second| SiteView::new(&site, record, false).state(at(second));
        assert_eq!(state(&record, 0), SiteState::Waiting);
        record.unchanged(at(100));
        assert_eq!(state(&record, 100 + 600 + 60), SiteState::Fresh);
        assert_eq!(state(&record, 100 + 600 + 61), SiteState::Stale);
        assert_eq!(state(&record, 0), SiteState::Fresh, "a clock that was set back");
        record.failed("http://a.example/: away".into(), None, at(200));
        assert_eq!(state(&record, 201), SiteState::Failed);
        assert_eq!(SiteView::new(&site, &record, false).reason(), Some("http://a.example/: away"));
        record.broken("nothing".into(), at(300));
        assert_eq!(state(&record, 301), SiteState::Broken);
        assert_eq!(SiteView::new(&site, &record, false).color, SiteView::new(&site, &record, true).color);
    }
}
