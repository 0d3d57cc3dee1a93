//! Sites as a TOML file describes them: `[[site]]` tables.

mod file;
pub(crate) mod opml;
mod problem;

pub use file::{MAX_SITES, parse, parse_each};
pub use problem::Problem;

use scraper::Selector;
use scraper::error::SelectorErrorKind;
use std::time::Duration;
use url::Url;

/// The way to a site's headlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The feed if there is one, else the page, else the rendered page.
    #[default]
    Auto,
    /// The feed.
    Feed,
    /// The page as the server sends it.
    Fetch,
    /// The page after its scripts have run.
    Render,
}

/// A site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name, unique in the file.
    pub name: String,
    /// Its page.
    pub url: Url,
    /// Its color, `#rrggbb`; none: one is chosen.
    pub color: Option<String>,
    /// The way to its headlines.
    pub mode: Mode,
    /// Its feed.
    pub feed: Option<Url>,
    /// The rule for headlines in its page.
    pub rule: Rule,
    /// The selector that a rendered page is waited for.
    pub wait_for: Option<String>,
    /// Time for which a result is fresh. Default: 10 minutes.
    pub ttl: Duration,
    /// A result with fewer headlines means that the rule is broken. Default: 1.
    pub min_items: usize,
    /// Keys whose value is wrong and that the site can do without.
    pub warnings: Vec<Problem>,
}

/// A site whose table has a fault, so that it cannot be asked.
#[derive(Clone, Debug)]
pub struct Faulty {
    /// Its name; `site N`, by its place in the file, where it has no usable one.
    pub name: String,
    /// Whether the name is its own and no other site's.
    pub has_own_name: bool,
    /// Its page, where that is right.
    pub url: Option<Url>,
    /// Its color, `#rrggbb`.
    pub color: Option<String>,
    /// The faults, at least one.
    pub problems: Vec<Problem>,
}

/// A site of a file.
#[derive(Clone, Debug)]
pub enum Listed {
    /// It can be asked.
    Usable(Box<Site>),
    /// It cannot.
    Faulty(Faulty),
}

impl Listed {
    /// Its name, or what stands for it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Listed::Usable(site) => &site.name,
            Listed::Faulty(site) => &site.name,
        }
    }

    /// Returns the faults of its table.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Listed::Usable(site) => &site.warnings,
            Listed::Faulty(site) => &site.problems,
        }
    }
}

impl From<Site> for Listed {
    fn from(site: Site) -> Listed {
        Listed::Usable(Box::new(site))
    }
}

impl Site {
    /// Returns a fingerprint of the rule. Equal for two versions of a site that find the same.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let text = |pattern: &Option<Pattern>| pattern.as_ref().map(|pattern| pattern.text.clone());
        let rule = &self.rule;
        format!(
            "{:?}",
            (
                (self.url.as_str(), self.mode, self.feed.as_ref().map(Url::as_str), &self.wait_for, self.min_items),
                (&rule.item.text, text(&rule.title), text(&rule.link), &rule.attribute, rule.limit),
                (&rule.text, &rule.text_not, &rule.link_prefix, &rule.link_suffix),
            )
        )
    }
}

/// A rule for headlines in a page.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The element of one headline. Default: `a`.
    pub item: Pattern,
    /// Within an item, the element whose text is the title; an item without one does not count. None: the item's text.
    pub title: Option<Pattern>,
    /// Within an item, the element of the link. None: the item itself.
    pub link: Option<Pattern>,
    /// The attribute of that element which is the link. Default: `href`.
    pub attribute: String,
    /// A title must contain one of these texts, in any case. None: every title counts.
    pub text: Vec<String>,
    /// A title must contain none of these texts, in any case.
    pub text_not: Vec<String>,
    /// A link, as it stands in the page, must begin with one of these. A link to the page's own host may also begin so
    /// after its host.
    pub link_prefix: Vec<String>,
    /// A link, without query and fragment, must end with one of these.
    pub link_suffix: Vec<String>,
    /// Headlines that are kept. Default: 100.
    pub limit: usize,
}

/// A CSS selector, and how it was written.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it was written.
    pub text: String,
    /// Parsed.
    pub selector: Selector,
}

impl Pattern {
    /// Parses a selector.
    ///
    /// # Errors
    ///
    /// It is none, in words.
    pub fn new(text: &str) -> Result<Pattern, String> {
        if text.trim().is_empty() {
            return Err(format!("{text:?} is not a CSS selector: it is empty"));
        }
        match Selector::parse(text) {
            Ok(selector) => Ok(Pattern { text: text.to_owned(), selector }),
            // The library has no words for these.
            Err(SelectorErrorKind::UnexpectedSelectorParseError(_)) => {
                Err(format!("{text:?} is not a CSS selector: it ends too early, or holds what no selector has"))
            }
            Err(error) => Err(format!("{text:?} is not a CSS selector: {error}")),
        }
    }
}
