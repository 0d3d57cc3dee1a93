//! The answers of `news check`, `news test` and `news suggest`.

use crate::board::{read, words};
use crate::extract::{Suggestion, suggest as propose};
use crate::fetch::{Fetched, Validators};
use crate::scrape::{Known, Outcome, Try};
use crate::service::{NewsSettings, StartError, scraper, sites};
use crate::site::{Listed, Problem, parse};
use serde_json::{Value, json};
use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;
use switchboard_driver::quantity::plural;
use url::Url;

/// Headlines that a report shows.
const SHOWN: usize = 20;

/// A sites file is not right.
#[derive(Debug, PartialEq, Eq)]
pub enum CheckError {
    /// It cannot be read; in words that name it.
    Unreadable(String),
    /// All its faults, by line.
    Faults(Vec<Problem>),
}

/// Validates a sites file without fetching anything. Returns how many sites it has.
///
/// # Errors
///
/// It cannot be read, or has faults.
pub fn check(file: &Path) -> Result<usize, CheckError> {
    let text = read(file).map_err(CheckError::Unreadable)?;
    parse(&text).map(|sites| sites.len()).map_err(CheckError::Faults)
}

/// A site cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The file has no site of this name.
    #[error("there is no site {name:?}; there are {names}")]
    NoSuchSite {
        /// The requested name.
        name: String,
        /// All names.
        names: String,
    },
    /// The site's table has faults.
    #[error("site {name:?} cannot be asked: {faults}")]
    Faulty {
        /// The site.
        name: String,
        /// All of them, with their lines.
        faults: String,
    },
    /// The settings or the sites file cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The result of a site's rule.
#[derive(Clone, Debug)]
pub struct Report {
    /// The site.
    pub site: String,
    /// Each way that was tried.
    pub tries: Vec<Try>,
    /// The outcome.
    pub outcome: Outcome,
}

impl Report {
    /// Whether there are enough headlines.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Found { .. })
    }

    /// The whole of it, for programs: `site`, `right`, `outcome` (`found`, `unchanged`, `broken` or `failed`), its `reason`,
    /// the `headlines`, their number before the rule's limit (`total`), and the `tries`.
    #[must_use]
    pub fn json(&self) -> Value {
        let (outcome, reason) = match &self.outcome {
            Outcome::Found { .. } => ("found", None),
            Outcome::Unchanged => ("unchanged", None),
            Outcome::Broken { reason } => ("broken", Some(reason)),
            Outcome::Failed { reason, .. } => ("failed", Some(reason)),
        };
        let (headlines, total) = match &self.outcome {
            Outcome::Found { headlines, total, .. } => (headlines.as_slice(), *total),
            _ => (&[][..], 0),
        };
        json!({
            "site": self.site, "right": self.is_good(), "outcome": outcome, "reason": reason, "headlines": headlines,
            "total": total, "tries": self.tries,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tried in &self.tries {
            writeln!(f, "{:?} {}", tried.source, tried.url)?;
            for step in &tried.steps {
                writeln!(f, "  {:>6}  {}", step.left, step.what)?;
            }
            for hint in &tried.hints {
                writeln!(f, "  hint: {hint}")?;
            }
            if let Some(error) = &tried.error {
                writeln!(f, "  failed: {error}")?;
            }
            for headline in tried.headlines.iter().take(SHOWN) {
                writeln!(f, "  - {}\n    {}", headline.title, headline.url)?;
            }
            if tried.headlines.len() > SHOWN {
                writeln!(f, "  and {} more", tried.headlines.len() - SHOWN)?;
            }
        }
        match &self.outcome {
            Outcome::Found { headlines, total, .. } if *total > headlines.len() => {
                write!(f, "{}: {} of {}, by the rule's limit", self.site, headlines.len(), plural(*total, "headline"))
            }
            Outcome::Found { headlines, .. } => write!(f, "{}: {}", self.site, plural(headlines.len(), "headline")),
            Outcome::Unchanged => write!(f, "{}: unchanged", self.site),
            Outcome::Broken { reason } => write!(f, "{}: the rule is broken: {reason}", self.site),
            Outcome::Failed { reason, .. } => write!(f, "{}: {reason}", self.site),
        }
    }
}

/// Asks one site of the settings' sites file, and says what each step of its rule left. To be used inside a tokio runtime.
///
/// # Errors
///
/// The settings or the sites file cannot be used, there is no such site, or its table has faults.
pub async fn test(settings: &NewsSettings, name: &str) -> Result<Report, TestError> {
    settings.check().map_err(StartError::from)?;
    let (_, all) = sites(settings.sites.clone())?;
    let names = all.iter().map(|site| format!("{:?}", site.name())).collect::<Vec<_>>().join(", ");
    let site = match all.into_iter().find(|site| site.name() == name) {
        Some(Listed::Usable(site)) => *site,
        Some(Listed::Faulty(site)) => {
            let faults = words(&site.problems);
            return Err(TestError::Faulty { name: site.name, faults });
        }
        None => return Err(TestError::NoSuchSite { name: name.to_owned(), names }),
    };
    let (outcome, tries) = scraper(settings)?.tries(&Arc::new(site), &Known::default()).await;
    Ok(Report { site: name.to_owned(), tries, outcome })
}

/// Proposes rules for a page: the feeds that it announces, and the link patterns that repeat. To be used inside a tokio
/// runtime.
///
/// # Errors
///
/// The settings cannot be used, or the page cannot be fetched; the text names it.
pub async fn suggest(settings: &NewsSettings, url: &Url) -> Result<(Suggestion, String), String> {
    settings.check().map_err(|error| error.to_string())?;
    let scraper = scraper(settings).map_err(|error| error.to_string())?;
    let fetched = scraper.fetcher().fetch(url, &Validators::default()).await.map_err(|error| error.to_string())?;
    let Fetched::Page(page) = fetched else { return Err(format!("{url}: not modified")) };
    let base = page.url.clone();
    let proposing = tokio::task::spawn_blocking(move || propose(&page.text(), &page.url));
    let found = proposing.await.map_err(|error| error.to_string())?.map_err(|error| format!("{url}: {error}"))?;
    let text = tables(&found, &base);
    Ok((found, text))
}

/// Characters of a title that a proposal shows.
const TITLE: usize = 80;

/// The proposals as text, which is a sites file: what was found, then a `[[site]]` table for each proposal.
fn tables(found: &Suggestion, url: &Url) -> String {
    let quote = |text: &str| toml::Value::from(text).to_string();
    let plain = |text: &str| -> String { text.chars().filter(|letter| !letter.is_control()).take(TITLE).collect() };
    let host = url.host_str().unwrap_or("site");
    let mut number = 0;
    // Unique, so that the whole of the text is a sites file.
    let mut table = || {
        number += 1;
        let name = if number == 1 { host.to_owned() } else { format!("{host} ({number})") };
        format!("[[site]]\nname = {}\nurl = {}\n", quote(&name), quote(url.as_str()))
    };
    if found.feeds.is_empty() && found.links.is_empty() {
        return format!(
            "# {url} announces no feed, and no link pattern repeats; its headlines may need mode = \"render\"\n"
        );
    }
    let (feeds, links) = (plural(found.feeds.len(), "feed"), plural(found.links.len(), "link pattern"));
    let mut text = match &found.feeds[..] {
        [(_, feed)] if feed == url => format!("# {url} is a feed. Try it: news test NAME\n"),
        _ => format!("# {url}: {feeds} announced, {links} repeated. Keep one table, and try it: news test NAME\n"),
    };
    // Writing to a string does not fail.
    for (title, feed) in &found.feeds {
        let title = if title.is_empty() { "without a title".to_owned() } else { plain(title) };
        let _ = write!(text, "\n# Feed: {title}\n{}mode = \"feed\"\nfeed = {}\n", table(), quote(feed.as_str()));
    }
    for link in &found.links {
        let _ = writeln!(text, "\n# {} to {}:", plural(link.count, "link"), plain(&link.link_prefix));
        for title in &link.examples {
            let _ = writeln!(text, "#   {}", plain(title));
        }
        let (item, prefix) = (quote(&link.item), quote(&link.link_prefix));
        let _ = write!(text, "{}item = {item}\nlink_prefix = {prefix}\n", table());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proposal_is_a_valid_site() {
        let page = "<link rel=alternate type=application/rss+xml title=\"A\n[[site]]\" href=/f.xml>\
                    <a class=h href=/n/1>one two three four \"five\"</a><a class=h href=/n/2>one two three four six</a>";
        let url = "http://a.example/".parse().expect("a URL");
        let text = tables(&propose(page, &url).expect("proposals"), &url);
        assert_eq!(parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}")).len(), 2);
        for part in text.split("\n\n").skip(1) {
            assert_eq!(parse(part).unwrap_or_else(|problems| panic!("{part}: {problems:?}")).len(), 1);
        }
        assert!(text.starts_with("# http://a.example/: 1 feed announced, 1 link pattern repeated."), "{text}");
        assert!(
            text.contains("# 2 links to /n/:\n#   one two three four \"five\"\n#   one two three four six\n"),
            "{text}"
        );
        assert!(tables(&Suggestion::default(), &url).contains("announces no feed"));
        let own = Suggestion { feeds: vec![(String::new(), url.clone())], links: Vec::new() };
        let text = tables(&own, &url);
        assert!(text.starts_with("# http://a.example/ is a feed."), "{text}");
        assert_eq!(parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))[0].feed, Some(url));
    }

    #[test]
    fn a_check_names_every_problem_with_its_line() {
        let base = tempfile::tempdir().expect("a directory");
        let file = base.path().join("sites.toml");
        assert!(matches!(check(&file), Err(CheckError::Unreadable(reason)) if reason.contains("sites.toml")));
        std::fs::write(&file, "[[site]]\nname = \"a\"\nurl = \"x\"\nttl = \"1s\"\n").expect("written");
        let Err(CheckError::Faults(faults)) = check(&file) else { panic!("no faults") };
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [3, 4]);
        std::fs::write(&file, include_str!("../examples/sites.toml")).expect("written");
        assert_eq!(check(&file), Ok(2));
    }
}
