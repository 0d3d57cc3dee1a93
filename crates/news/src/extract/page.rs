//! Headlines of a page, and how many elements each step of the rule left.

use super::explain;
use super::headline::Headline;
use super::parse::parse;
use crate::site::Rule;
use scraper::{ElementRef, Html};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use url::Url;

/// Elements of a page. A page with more is an attack on whoever reads it.
const MAX_ELEMENTS: usize = 300_000;
/// Time for one page. Parser and selectors take quadratic time on pages made for that.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(5);

/// Why a page has no headlines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// Too many elements.
    #[error("the page has more than {0} elements")]
    TooLarge(usize),
    /// The rule takes too long on this page.
    #[error("the rule takes more than {0:?} on this page")]
    TooSlow(Duration),
}

/// A step of a rule, and what it left.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// The step, as it stands in the file.
    pub what: String,
    /// Number of elements that remained.
    pub left: usize,
}

/// The result of a rule on a page or a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// The headlines in the source's order, a page's without repetitions.
    pub headlines: Vec<Headline>,
    /// Number of headlines before the rule's `limit`.
    pub total: usize,
    /// Each step, in order.
    pub steps: Vec<Step>,
    /// Why a step left nothing, where that can be told.
    pub hints: Vec<String>,
}

/// Each element of a page, the outermost and its head and body included.
pub(super) fn elements(html: &Html) -> Result<Vec<ElementRef<'_>>, ExtractError> {
    let elements: Vec<ElementRef> = html.root_element().descendent_elements().take(MAX_ELEMENTS + 1).collect();
    if elements.len() > MAX_ELEMENTS { Err(ExtractError::TooLarge(MAX_ELEMENTS)) } else { Ok(elements) }
}

/// Applies a rule to a page. Blocks for up to 5 s.
///
/// # Errors
///
/// The page is too large, or the rule too slow.
pub fn page(text: &str, base: &Url, rule: &Rule) -> Result<Extraction, ExtractError> {
    let end = Instant::now() + MAX_TIME;
    let html = parse(text, end, MAX_TIME)?;
    let elements = elements(&html)?;
    let in_time = || if Instant::now() < end { Ok(()) } else { Err(ExtractError::TooSlow(MAX_TIME)) };
    let base = &document_base(&html, base);
    let mut items = Vec::new();
    for element in &elements {
        in_time()?;
        if rule.item.selector.matches(element) {
            items.push(*element);
        }
    }
    let mut steps = vec![
        Step { what: "elements in the page".to_owned(), left: elements.len() },
        Step { what: format!("item = {:?}", rule.item.text), left: items.len() },
    ];
    let mut hints = Vec::new();
    if items.is_empty() {
        hints.extend(explain::nothing(&rule.item.text, &elements, end));
    }
    let mut found = Vec::new();
    for item in &items {
        in_time()?;
        let title = match &rule.title {
            None => Some(*item),
            Some(pattern) => item.select(&pattern.selector).next(),
        };
        found.extend(title.map(|title| (*item, title)));
    }
    if let Some(pattern) = &rule.title {
        steps.push(Step { what: format!("title = {:?}", pattern.text), left: found.len() });
        if found.is_empty() && !items.is_empty() {
            hints.extend(explain::nothing(&pattern.text, &elements, end));
        }
    }
    let mut linked = Vec::new();
    for (item, title) in found {
        in_time()?;
        let element = match &rule.link {
            None => Some(item),
            Some(pattern) if pattern.selector.matches(&item) => Some(item),
            Some(pattern) => item.select(&pattern.selector).next(),
        };
        let link = element.and_then(|element| element.attr(&rule.attribute));
        linked.extend(link.map(|link| (title, link.trim())));
    }
    let link = rule.link.as_ref().map_or("", |pattern| &pattern.text);
    steps.push(Step { what: format!("link = {:?}", format!("{link}@{}", rule.attribute)), left: linked.len() });
    let mut narrow = |what: String, list: &mut Vec<_>, keep: &dyn Fn(&(ElementRef, &str)) -> bool| {
        list.retain(|entry| keep(entry));
        steps.push(Step { what, left: list.len() });
    };
    if !rule.link_prefix.is_empty() {
        narrow(format!("link_prefix = {:?}", rule.link_prefix), &mut linked, &|(_, link)| {
            rule.takes_prefix(link, base)
        });
    }
    if !rule.link_suffix.is_empty() {
        narrow(format!("link_suffix = {:?}", rule.link_suffix), &mut linked, &|(_, link)| rule.takes_suffix(link));
    }
    let mut headlines: Vec<Headline> = Vec::new();
    for (title, link) in linked {
        in_time()?;
        headlines.extend(Headline::new(&title_text(title), link, base));
    }
    steps.push(Step { what: "with a text and an http(s) link".to_owned(), left: headlines.len() });
    if !rule.text.is_empty() || !rule.text_not.is_empty() {
        headlines.retain(|headline| rule.takes_title(&headline.title));
        let what = format!("text = {:?}, text_not = {:?}", rule.text, rule.text_not);
        steps.push(Step { what, left: headlines.len() });
    }
    let (mut urls, mut titles) = (HashSet::new(), HashSet::new());
    headlines.retain(|headline| urls.insert(headline.url.clone()) && titles.insert(headline.normalized_title()));
    steps.push(Step { what: "different ones".to_owned(), left: headlines.len() });
    Ok(limited(headlines, steps, hints, rule))
}

/// The last step of every rule.
pub(super) fn limited(
    mut headlines: Vec<Headline>,
    mut steps: Vec<Step>,
    hints: Vec<String>,
    rule: &Rule,
) -> Extraction {
    let total = headlines.len();
    headlines.truncate(rule.limit);
    steps.push(Step { what: format!("limit = {}", rule.limit), left: headlines.len() });
    Extraction { headlines, total, steps, hints }
}

/// `<base href>`, if the page has one.
fn document_base(html: &Html, url: &Url) -> Url {
    let mut elements = html.root_element().descendent_elements();
    let base = elements.find(|element| element.value().name() == "base" && element.attr("href").is_some());
    let href = base.and_then(|element| element.attr("href"));
    // Scripts and data are no base, by the standard of HTML; no other scheme leads to a page.
    let base = href.and_then(|href| url.join(href).ok()).filter(|base| matches!(base.scheme(), "http" | "https"));
    base.unwrap_or_else(|| url.clone())
}

/// The text without scripts and styles, which may stand within a headline.
fn title_text(element: ElementRef) -> String {
    let mut text = String::new();
    for node in element.descendants() {
        let Some(part) = node.value().as_text() else { continue };
        let parent = node.parent().and_then(ElementRef::wrap);
        if !parent.is_some_and(|parent| matches!(parent.value().name(), "script" | "style" | "noscript" | "template")) {
            text.push_str(part);
        }
        // Far more than a title has.
        if text.len() > 16 << 10 {
            break;
        }
    }
    text
}
