//! What `news check`, `news test` and `news suggest` say.

use crate::board::read;
use crate::extract::{Suggestion, suggest as propose};
use crate::fetch::{Fetched, Validators};
use crate::scrape::{Known, Outcome, Try};
use crate::service::{NewsSettings, StartError, scraper, sites};
use crate::site::parse;
use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// Headlines that a report shows.
const SHOWN: usize = 20;

/// Validates a sites file without fetching anything. Returns how many sites it has.
///
/// # Errors
///
/// It cannot be read, or has problems: all of them, each with its line.
pub fn check(file: &Path) -> Result<usize, String> {
    let text = read(file)?;
    parse(&text).map(|sites| sites.len()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("{}: {problem}", file.display())).collect();
        lines.join("\n")
    })
}

/// What a site's rule finds.
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
            Outcome::Found { headlines, .. } => write!(f, "{}: {} headlines", self.site, headlines.len()),
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
/// The settings or the sites file cannot be used, or there is no such site.
pub async fn test(settings: &NewsSettings, name: &str) -> Result<Report, StartError> {
    settings.check()?;
    let (_, all) = sites(settings.sites.clone())?;
    let names = all.iter().map(|site| format!("{:?}", site.name)).collect::<Vec<_>>().join(", ");
    let site = all.into_iter().find(|site| site.name == name);
    let site = site.ok_or_else(|| StartError::Sites(format!("there is no site {name:?}; there are {names}")))?;
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

/// The proposals as text: what was found, then `[[site]]` tables to choose from.
fn tables(found: &Suggestion, url: &Url) -> String {
    let quote = |text: &str| toml::Value::from(text).to_string();
    let name = quote(url.host_str().unwrap_or("site"));
    let mut text = String::new();
    // Writing to a string does not fail.
    for (title, feed) in &found.feeds {
        let comment: String = title.chars().filter(|letter| !letter.is_control()).collect();
        let _ = write!(
            text,
            "# a feed that the page announces: {comment}\n[[site]]\nname = {name}\nurl = {}\n",
            quote(url.as_str())
        );
        let _ = write!(text, "feed = {}\n\n", quote(feed.as_str()));
    }
    for link in &found.links {
        let _ = writeln!(text, "# {} links, such as {}", link.count, quote(&link.example));
        let _ = write!(text, "[[site]]\nname = {name}\nurl = {}\n", quote(url.as_str()));
        let _ = write!(text, "item = {}\nlink_prefix = {}\n\n", quote(&link.item), quote(&link.link_prefix));
    }
    if text.is_empty() {
        text = format!(
            "# {url} announces no feed, and no link pattern repeats; its headlines may need mode = \"render\"\n"
        );
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
        let parts: Vec<&str> = text.split("\n\n").filter(|part| !part.trim().is_empty()).collect();
        assert_eq!(parts.len(), 2, "{text}");
        for part in parts {
            assert_eq!(parse(part).unwrap_or_else(|problems| panic!("{part}: {problems:?}")).len(), 1);
        }
        assert!(tables(&Suggestion::default(), &url).contains("announces no feed"));
    }

    #[test]
    fn a_check_names_every_problem_with_its_file_and_line() {
        let base = tempfile::tempdir().expect("a directory");
        let file = base.path().join("sites.toml");
        assert!(check(&file).expect_err("no file").contains("sites.toml"));
        std::fs::write(&file, "[[site]]\nname = \"a\"\nurl = \"x\"\nttl = \"1s\"\n").expect("written");
        let text = check(&file).expect_err("problems");
        assert!(text.lines().count() == 2 && text.contains("sites.toml: line 3") && text.contains("line 4"), "{text}");
        std::fs::write(&file, include_str!("../examples/sites.toml")).expect("written");
        assert_eq!(check(&file), Ok(2));
    }
}
