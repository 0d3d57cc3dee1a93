//! One site's record. Pure: time is an argument.

use crate::extract::Headline;
use crate::fetch::Validators;
use crate::site::Site;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;
use url::Url;

/// Time for which a headline that has left its site is remembered, so that it is not new when it comes back.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Headlines that are remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 5000;

/// A source of headlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The feed.
    Feed,
    /// The page as the server sends it.
    Fetch,
    /// The page after its scripts have run.
    Render,
}

/// A headline, and since when it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The headline.
    #[serde(flatten)]
    pub headline: Headline,
    /// When it was first seen.
    pub seen: Timestamp,
}

impl Seen {
    /// Returns its date for orders and feeds: a feed may say any, and one in the future would be the newest for ever.
    pub(crate) fn date(&self) -> Timestamp {
        self.headline.published.map_or(self.seen, |published| published.min(self.seen))
    }
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Attempt {
    /// With headlines.
    Good,
    /// Nothing could be fetched.
    Failed {
        /// Why, in words that name the address.
        reason: String,
    },
    /// The page was fetched, and the rule found too little in it.
    Broken {
        /// The result in words.
        reason: String,
    },
}

/// A rule has broken, or works again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAlert {
    /// The site.
    pub site: String,
    /// When.
    pub time: Timestamp,
    /// Whether it has broken.
    pub is_broken: bool,
    /// In words.
    pub text: String,
}

/// Changes by an attempt, for those who are to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Headlines that were not known.
    pub new: Vec<Seen>,
    /// The rule has broken, or works again.
    pub alert: Option<RuleAlert>,
}

/// State of a site. Kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The site's name.
    pub name: String,
    /// The rule that these headlines were found by.
    pub rule: String,
    /// The last good headlines.
    pub headlines: Vec<Seen>,
    /// Number of the source's headlines before the rule's `limit`.
    #[serde(default)]
    pub total: usize,
    /// When they were found, or found to be unchanged.
    pub fetched: Option<Timestamp>,
    /// Their source.
    pub source: Option<Source>,
    /// To ask that source for a newer version only.
    #[serde(default)]
    pub validators: Validators,
    /// When the last attempt ended.
    pub tried: Option<Timestamp>,
    /// The last attempt.
    pub last: Option<Attempt>,
    /// Attempts in a row that were not good.
    #[serde(default)]
    pub failures: u32,
    /// The least time from the last attempt to the next one, where the host asks for one.
    #[serde(default)]
    pub wait: Option<Duration>,
    /// Whether it was told that the rule is broken.
    #[serde(default)]
    pub is_told: bool,
    /// Headlines that have left the site: address and when they were last there.
    #[serde(default)]
    pub gone: HashMap<Url, (Timestamp, Timestamp)>,
}

impl Record {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(site: &Site) -> Record {
        Record {
            name: site.name.clone(),
            rule: site.fingerprint(),
            headlines: Vec::new(),
            total: 0,
            fetched: None,
            source: None,
            validators: Validators::default(),
            tried: None,
            last: None,
            failures: 0,
            wait: None,
            is_told: false,
            gone: HashMap::new(),
        }
    }

    /// Takes over what is known by another version of the rule: its headlines until there are others, and which of them
    /// are known.
    #[must_use]
    pub fn for_site(self, site: &Site) -> Record {
        let rule = site.fingerprint();
        if rule == self.rule {
            return self;
        }
        let (source, validators, tried, last) = (None, Validators::default(), None, None);
        Record { rule, source, validators, tried, last, failures: 0, wait: None, is_told: false, ..self }
    }

    /// Headlines were found.
    pub fn found(
        &mut self,
        headlines: Vec<Headline>,
        source: Source,
        validators: Validators,
        now: Timestamp,
    ) -> Changes {
        let mut known: HashMap<Url, Timestamp> =
            self.gone.iter().map(|(url, (seen, _))| (url.clone(), *seen)).collect();
        known.extend(self.headlines.iter().map(|seen| (seen.headline.url.clone(), seen.seen)));
        let before = std::mem::take(&mut self.headlines);
        let mut changes = Changes::default();
        for headline in headlines {
            let seen = Seen { seen: known.get(&headline.url).copied().unwrap_or(now), headline };
            if !known.contains_key(&seen.headline.url) {
                changes.new.push(seen.clone());
            }
            self.gone.remove(&seen.headline.url);
            self.headlines.push(seen);
        }
        for seen in before {
            if !self.headlines.iter().any(|other| other.headline.url == seen.headline.url) {
                self.gone.insert(seen.headline.url, (seen.seen, now));
            }
        }
        self.forget(now);
        (self.source, self.validators) = (Some(source), validators);
        self.good(now, &mut changes);
        changes
    }

    /// The site says that nothing has changed.
    pub fn unchanged(&mut self, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        self.good(now, &mut changes);
        changes
    }

    fn good(&mut self, now: Timestamp, changes: &mut Changes) {
        (self.fetched, self.tried, self.last, self.failures) = (Some(now), Some(now), Some(Attempt::Good), 0);
        self.wait = None;
        if std::mem::take(&mut self.is_told) {
            let text = format!("{}: its rule finds headlines again ({})", self.name, self.headlines.len());
            changes.alert = Some(RuleAlert { site: self.name.clone(), time: now, is_broken: false, text });
        }
    }

    /// Nothing could be fetched. The host may ask for a time without attempts.
    pub fn failed(&mut self, reason: String, wait: Option<Duration>, now: Timestamp) {
        self.bad(Attempt::Failed { reason }, wait, now);
    }

    /// The rule found too little: `reason` says what. Told once, until the rule works again.
    pub fn broken(&mut self, reason: String, now: Timestamp) -> Changes {
        let text = format!("{}: its rule is broken: {reason}", self.name);
        // The fetched page is no version to compare the next one with.
        self.validators = Validators::default();
        self.bad(Attempt::Broken { reason }, None, now);
        let is_first = !std::mem::replace(&mut self.is_told, true);
        let alert = RuleAlert { site: self.name.clone(), time: now, is_broken: true, text };
        Changes { new: Vec::new(), alert: is_first.then_some(alert) }
    }

    fn bad(&mut self, attempt: Attempt, wait: Option<Duration>, now: Timestamp) {
        (self.tried, self.last, self.wait) = (Some(now), Some(attempt), wait);
        self.failures = self.failures.saturating_add(1);
    }

    fn forget(&mut self, now: Timestamp) {
        self.gone.retain(|_, (_, last)| now.duration_since(*last).unsigned_abs() < REMEMBERED);
        if self.gone.len() > MAX_REMEMBERED {
            let mut ends: Vec<Timestamp> = self.gone.values().map(|(_, last)| *last).collect();
            ends.sort_unstable();
            let end = ends[self.gone.len() - MAX_REMEMBERED];
            self.gone.retain(|_, (_, last)| *last >= end);
            // Many left at one time: which of them stay does not matter.
            let more = self.gone.len().saturating_sub(MAX_REMEMBERED);
            let some: Vec<Url> = self.gone.keys().take(more).cloned().collect();
            for url in some {
                self.gone.remove(&url);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(rule: &str) -> Site {
        let text = format!("[[site]]\nname = \"a\"\nurl = \"http://a.example/\"\n{rule}\n");
        crate::site::parse(&text).expect("a site").remove(0)
    }

    fn headlines(paths: &[&str]) -> Vec<Headline> {
        let base = "http://a.example/".parse().expect("a URL");
        paths.iter().map(|path| Headline::new(path, path, &base).expect("a headline")).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn find(record: &mut Record, paths: &[&str], second: i64) -> Vec<String> {
        let changes = record.found(headlines(paths), Source::Feed, Validators::default(), at(second));
        changes.new.into_iter().map(|seen| seen.headline.title).collect()
    }

    #[test]
    fn a_headline_is_new_once_and_keeps_when_it_was_first_seen() {
        let mut record = Record::new(&site(""));
        assert_eq!(find(&mut record, &["/1", "/2"], 10), ["/1", "/2"]);
        assert_eq!(find(&mut record, &["/2", "/3"], 20), ["/3"]);
        // It comes back.
        assert!(find(&mut record, &["/1", "/3"], 30).is_empty());
        let seen: Vec<_> = record.headlines.iter().map(|seen| seen.seen).collect();
        assert_eq!(seen, [at(10), at(20)]);
        // Within a week, and after it.
        let week = REMEMBERED.as_secs().cast_signed();
        assert!(find(&mut record, &["/2"], 30 + 1).is_empty());
        find(&mut record, &[], 40);
        find(&mut record, &[], 40 + week - 1);
        assert!(find(&mut record, &["/2"], 40 + week - 1).is_empty());
        find(&mut record, &[], 50 + week);
        find(&mut record, &[], 50 + 2 * week);
        assert_eq!(find(&mut record, &["/2"], 50 + 2 * week), ["/2"]);
    }

    #[test]
    fn what_has_left_is_remembered_within_bounds() {
        let mut record = Record::new(&site(""));
        for round in 0..7 {
            let paths: Vec<String> = (0..1000).map(|number| format!("/{round}/{number}")).collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            assert_eq!(find(&mut record, &paths, round).len(), 1000);
        }
        find(&mut record, &[], 10);
        assert_eq!(record.gone.len(), MAX_REMEMBERED);
        assert!(find(&mut record, &["/6/0"], 11).is_empty());
        assert_eq!(find(&mut record, &["/0/0"], 12).len(), 1);
    }

    #[test]
    fn a_broken_rule_is_told_once_and_so_is_its_repair_and_the_headlines_stay() {
        let mut record = Record::new(&site(""));
        find(&mut record, &["/1"], 1);
        let told: Vec<bool> = (2..5).map(|second| record.broken("0 of 1".into(), at(second)).alert.is_some()).collect();
        assert_eq!(told, [true, false, false]);
        record.failed("away".into(), None, at(6));
        // A restart in between.
        let text = serde_json::to_string(&record).expect("JSON");
        let mut record: Record = serde_json::from_str(&text).expect("a record");
        assert_eq!(record.broken("0 of 1".into(), at(7)).alert, None);
        assert_eq!((record.headlines.len(), record.fetched, record.failures), (1, Some(at(1)), 5));
        let changes = record.found(headlines(&["/1"]), Source::Fetch, Validators::default(), at(8));
        assert!(changes.alert.is_some_and(|alert| !alert.is_broken && alert.text.contains("again")));
        assert_eq!(record.unchanged(at(9)).alert, None);
        assert_eq!((record.failures, record.last), (0, Some(Attempt::Good)));
        assert!(Record::new(&site("")).broken("x".into(), at(1)).alert.is_some_and(|alert| alert.is_broken));
    }

    #[test]
    fn a_page_on_which_the_rule_is_broken_is_no_version_to_compare_with() {
        let mut record = Record::new(&site(""));
        let validators = Validators { etag: Some("x".into()), last_modified: None };
        record.found(headlines(&["/1"]), Source::Fetch, validators.clone(), at(1));
        record.failed("away".into(), None, at(2));
        assert_eq!(record.validators, validators);
        record.broken("0 of 1".into(), at(3));
        assert_eq!(record.validators, Validators::default());
    }

    #[test]
    fn another_rule_asks_anew_and_keeps_the_headlines() {
        let mut record = Record::new(&site(""));
        let validators = Validators { etag: Some("x".into()), last_modified: None };
        record.found(headlines(&["/1"]), Source::Fetch, validators, at(1));
        let same = record.clone().for_site(&site("ttl = \"1h\"\ncolor = \"#000000\""));
        assert_eq!(same, record);
        for rule in [
            "item = \"h2\"",
            "limit = 3",
            "min_items = 2",
            "wait_for = \"a\"",
            "feed = \"http://a/f\"",
            "mode = \"render\"",
        ] {
            let other = record.clone().for_site(&site(rule));
            assert_eq!((other.validators, other.source, other.tried), (Validators::default(), None, None), "{rule}");
            assert_eq!(other.headlines, record.headlines);
        }
    }

    #[test]
    fn a_date_in_the_future_counts_as_now() {
        let url = "http://a.example/".parse().expect("a URL");
        let mut headline = Headline { title: "a".to_owned(), url, published: None };
        let time = |second| Timestamp::from_second(second).expect("a time");
        for (published, expected) in [(None, 100), (Some(99), 99), (Some(100), 100), (Some(101), 100)] {
            headline.published = published.map(time);
            let seen = Seen { headline: headline.clone(), seen: time(100) };
            assert_eq!(seen.date(), time(expected), "{published:?}");
        }
    }
}
