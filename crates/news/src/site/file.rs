//! The file: every problem with its line, not only the first. A fault in one site's table leaves the others as they are.

use super::{Faulty, Listed, Mode, Pattern, Problem, Rule, Site};
use cssparser::color::{parse_hash_color, parse_named_color};
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use url::Url;

/// Sites of one file.
pub const MAX_SITES: usize = 500;
/// Bytes of a name.
const MAX_NAME: usize = 100;
/// Headlines of one site.
const MAX_LIMIT: usize = 1000;
/// Characters of a wrong number that are shown.
const MAX_SHOWN: usize = 40;
const DEFAULT_LIMIT: usize = 100;
const DEFAULT_TTL: Duration = Duration::from_secs(600);
const MIN_TTL: Duration = Duration::from_secs(10);
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn list(texts: Option<Texts>) -> Vec<String> {
        let mut list = match texts {
            None => Vec::new(),
            Some(Texts::One(text)) => vec![text],
            Some(Texts::Many(list)) => list,
        };
        list.retain(|text| !text.is_empty());
        list
    }
}

/// Reads a sites file that is to be right as a whole.
///
/// # Errors
///
/// All that is wrong in it, each with its line; warnings count.
pub fn parse(text: &str) -> Result<Vec<Site>, Vec<Problem>> {
    let (mut sites, mut problems) = (Vec::new(), Vec::new());
    for listed in parse_each(text)? {
        match listed {
            Listed::Usable(site) => {
                problems.extend(site.warnings.iter().cloned());
                sites.push(*site);
            }
            Listed::Faulty(site) => problems.extend(site.problems),
        }
    }
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() { Ok(sites) } else { Err(problems) }
}

/// Reads a sites file, each site for itself: one with a fault does not stop the others.
///
/// # Errors
///
/// No site can be told from the text: it is no TOML, has something else than `[[site]]` tables, or too many of them.
pub fn parse_each(text: &str) -> Result<Vec<Listed>, Vec<Problem>> {
    let whole = |span: Option<Range<usize>>, reason: String| {
        vec![Problem { line: span.map_or(1, |span| line_of(text, span)), site: None, text: reason }]
    };
    let file = DeTable::parse(text).map_err(|error| whole(error.span(), error.message().to_owned()))?;
    let mut tables = Vec::new();
    for (key, value) in file.into_inner() {
        let span = Some(key.span());
        match (&*key.into_inner(), value.into_inner()) {
            ("site", DeValue::Array(list)) => tables.extend(list),
            (key, _) => {
                return Err(whole(span, format!("{key:?} is not known: a sites file has [[site]] tables")));
            }
        }
    }
    if let Some(site) = tables.get(MAX_SITES) {
        return Err(whole(Some(site.span()), format!("a file has at most {MAX_SITES} sites")));
    }
    let mut names = HashSet::new();
    let mut listed = Vec::new();
    for (at, table) in tables.into_iter().enumerate() {
        let span = table.span();
        let DeValue::Table(table) = table.into_inner() else {
            return Err(whole(Some(span), "site is not a [[site]] table".to_owned()));
        };
        listed.push(Table { text, table, span, site: None, problems: Vec::new() }.read(at + 1, &mut names));
    }
    Ok(listed)
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}

/// A `[[site]]` table whose keys are taken out one by one.
struct Table<'a> {
    text: &'a str,
    table: DeTable<'a>,
    span: Range<usize>,
    site: Option<String>,
    problems: Vec<Problem>,
}

impl Table<'_> {
    fn problem(&self, span: Range<usize>, text: String) -> Problem {
        Problem { line: line_of(self.text, span), site: self.site.clone(), text }
    }

    fn add(&mut self, span: Range<usize>, text: String) {
        self.problems.push(self.problem(span, text));
    }

    /// A key's value with its place; `None` if there is no such key, or its type is wrong, which is a problem.
    fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<Spanned<T>> {
        let (_, value) = self.table.remove_entry(key)?;
        let span = value.span();
        match T::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(Spanned::new(span, value)),
            Err(error) => {
                self.add(span, format!("{key}: {}", error.message()));
                None
            }
        }
    }

    /// A key's value, parsed. A wrong one is a problem.
    fn parsed<T: DeserializeOwned, U>(&mut self, key: &str, parse: impl FnOnce(T) -> Result<U, String>) -> Option<U> {
        let value = self.take(key)?;
        let span = value.span();
        parse(value.into_inner()).map_err(|text| self.add(span, text)).ok()
    }

    /// A key's number within its bounds, which `last` explains. Another value is a problem that shows it as it was written.
    fn number(&mut self, key: &str, bounds: RangeInclusive<usize>, last: &str) -> Option<usize> {
        let (_, value) = self.table.remove_entry(key)?;
        let span = value.span();
        let number = match value.get_ref() {
            DeValue::Integer(digits) => usize::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let shown: String = self.text.get(span.clone()).unwrap_or_default().chars().take(MAX_SHOWN).collect();
            let (least, most) = bounds.into_inner();
            self.add(span, format!("{key} is {shown}, not a whole number from {least} to {most}{last}"));
        }
        number
    }

    /// `number` is that of the table in the file, which names a site without a usable name.
    fn read(mut self, number: usize, names: &mut HashSet<String>) -> Listed {
        let name: Option<Spanned<String>> = self.take("name");
        // Before it is checked, so that each problem is found by the name that the file has.
        self.site = name.as_ref().map(|name| name.get_ref().clone());
        let is_repeated = match name {
            Some(name) => {
                let span = name.span();
                let is_repeated = !names.insert(name.get_ref().clone());
                if is_repeated {
                    self.add(span.clone(), "another site has this name".to_owned());
                }
                if let Err(text) = check_name(name.get_ref()) {
                    self.site = None;
                    self.add(span, text);
                }
                is_repeated
            }
            None => {
                if self.problems.is_empty() {
                    self.add(self.span.clone(), "the key name is missing".to_owned());
                }
                false
            }
        };
        let before = self.problems.len();
        let url = self.parsed("url", web_url);
        if url.is_none() && self.problems.len() == before {
            self.add(self.span.clone(), "the key url is missing".to_owned());
        }
        let (color, warnings) = self.color();
        let site = self.rest(url.clone(), color.clone(), warnings.clone());
        for (key, _) in std::mem::take(&mut self.table) {
            self.add(key.span(), format!("the key {:?} is not known", &**key.get_ref()));
        }
        let name = self.site.take();
        match (name, site) {
            (Some(name), Some(site)) if self.problems.is_empty() => Site { name, ..site }.into(),
            (name, _) => {
                self.problems.extend(warnings);
                self.problems.sort_by_key(|problem| problem.line);
                let has_own_name = name.is_some() && !is_repeated;
                let name = name.unwrap_or_else(|| format!("site {number}"));
                Listed::Faulty(Faulty { name, has_own_name, url, color, problems: self.problems })
            }
        }
    }

    /// The color; a wrong one is a warning, since the site can do without.
    fn color(&mut self) -> (Option<String>, Vec<Problem>) {
        let before = self.problems.len();
        let color = self.parsed("color", color);
        let warnings = self.problems.split_off(before).into_iter();
        let warn = |problem: Problem| Problem { text: format!("{}; another color is used", problem.text), ..problem };
        (color, warnings.map(warn).collect())
    }

    /// All keys but name, URL and color. `None`: a problem was found.
    fn rest(&mut self, url: Option<Url>, color: Option<String>, warnings: Vec<Problem>) -> Option<Site> {
        let has_rule = ["item", "title", "link"].iter().any(|key| self.table.contains_key(*key));
        let has_feed = self.table.contains_key("feed");
        // Each key is looked at before any of them ends this, so that every problem is found.
        let mode_span = self.table.get("mode").map(Spanned::span);
        let mode = self.parsed("mode", |text: String| mode(&text)).unwrap_or_default();
        let feed = self.parsed("feed", web_url);
        let item = self.parsed("item", |text: String| Pattern::new(&text));
        let title = self.parsed("title", |text: String| Pattern::new(&text));
        let link = self.parsed("link", |text: String| link(&text));
        let wait_for = self.parsed("wait_for", |text: String| Pattern::new(&text).map(|pattern| pattern.text));
        let limit = self.number("limit", 1..=MAX_LIMIT, "").unwrap_or(DEFAULT_LIMIT);
        let ttl = self.parsed("ttl", |value| ttl(&value)).unwrap_or(DEFAULT_TTL);
        let min_items = self.number("min_items", 0..=limit, ", the limit of headlines").unwrap_or(1);
        let mut texts = |key| Texts::list(self.take(key).map(Spanned::into_inner));
        let (text, text_not) = (texts("text"), texts("text_not"));
        let (link_prefix, link_suffix) = (texts("link_prefix"), texts("link_suffix"));
        if mode == Mode::Feed && !has_feed {
            self.add(mode_span.unwrap_or(self.span.clone()), "mode \"feed\" needs the key feed".to_owned());
        }
        let (link, attribute) = link.unwrap_or((None, "href".to_owned()));
        let default = if has_rule && link.is_some() { "*" } else { "a" };
        let item = item.or_else(|| Pattern::new(default).ok())?;
        let rule = Rule { item, title, link, attribute, text, text_not, link_prefix, link_suffix, limit };
        Some(Site { name: String::new(), url: url?, color, mode, feed, rule, wait_for, ttl, min_items, warnings })
    }
}

fn check_name(text: &str) -> Result<(), String> {
    let is_good = !text.trim().is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    if is_good { Ok(()) } else { Err(format!("a name has 1 to {MAX_NAME} bytes and no control characters")) }
}

fn web_url(text: String) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_web = matches!(url.scheme(), "http" | "https");
    if is_web && is_plain {
        Ok(url)
    } else {
        Err(format!("{text:?} is not an http:// or https:// URL without a password"))
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "auto" => Ok(Mode::Auto),
        "feed" => Ok(Mode::Feed),
        "fetch" => Ok(Mode::Fetch),
        "render" => Ok(Mode::Render),
        _ => Err(format!("mode is {text:?}, not auto, feed, fetch or render")),
    }
}

/// `#rgb`, `#rrggbb` or a name of CSS, as `#rrggbb`.
fn color(text: String) -> Result<String, String> {
    let (red, green, blue) = match text.strip_prefix('#') {
        Some(digits) if matches!(digits.len(), 3 | 6) => {
            parse_hash_color(digits.as_bytes()).map(|(red, green, blue, _)| (red, green, blue))
        }
        Some(_) => Err(()),
        None => parse_named_color(&text.to_ascii_lowercase()),
    }
    .map_err(|()| format!("{text:?} is not a color such as #c00, #cc0000 or crimson"))?;
    Ok(format!("#{red:02x}{green:02x}{blue:02x}"))
}

/// `a@href`, `@data-url`, or a selector alone.
fn link(text: &str) -> Result<(Option<Pattern>, String), String> {
    let (selector, attribute) = match text.rsplit_once('@') {
        // An @ within an attribute selector's value.
        Some((selector, attribute)) if !attribute.contains([']', '"', '\'']) => (selector, attribute),
        _ => (text, "href"),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
    if attribute.is_empty() || !attribute.bytes().all(is_name) {
        return Err(format!("{text:?} is not SELECTOR@ATTRIBUTE: {attribute:?} is not an attribute's name"));
    }
    let pattern = if selector.trim().is_empty() { None } else { Some(Pattern::new(selector)?) };
    Ok((pattern, attribute.to_ascii_lowercase()))
}

fn ttl(value: &toml::Value) -> Result<Duration, String> {
    let parsed = value.as_str().and_then(|text| text.parse::<SignedDuration>().ok());
    let ttl = parsed.and_then(|time| Duration::try_from(time).ok());
    let ttl = ttl.ok_or_else(|| format!("ttl is {value}, not a duration such as \"10m\" or \"1h\""))?;
    if (MIN_TTL..=MAX_TTL).contains(&ttl) { Ok(ttl) } else { Err(format!("ttl is {value}, not from 10s to 7 days")) }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
