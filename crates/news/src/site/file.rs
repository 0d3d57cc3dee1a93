//! The file: every problem with its line, not only the first.

use super::{Mode, Pattern, Problem, Rule, Site};
use jiff::SignedDuration;
use serde::Deserialize;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use url::Url;

/// Sites of one file.
pub const MAX_SITES: usize = 500;
/// Bytes of a name.
const MAX_NAME: usize = 100;
/// Headlines of one site.
const MAX_LIMIT: usize = 1000;
const DEFAULT_LIMIT: usize = 100;
const DEFAULT_TTL: Duration = Duration::from_secs(600);
const MIN_TTL: Duration = Duration::from_secs(10);
const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    site: Vec<Spanned<Raw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Spanned<String>,
    url: Spanned<String>,
    color: Option<Spanned<String>>,
    #[serde(default)]
    mode: Mode,
    feed: Option<Spanned<String>>,
    item: Option<Spanned<String>>,
    title: Option<Spanned<String>>,
    link: Option<Spanned<String>>,
    wait_for: Option<Spanned<String>>,
    limit: Option<Spanned<usize>>,
    ttl: Option<Spanned<String>>,
    min_items: Option<Spanned<usize>>,
    text: Option<Texts>,
    text_not: Option<Texts>,
    link_prefix: Option<Texts>,
    link_suffix: Option<Texts>,
}

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

/// Reads a sites file.
///
/// # Errors
///
/// All that is wrong in it, each with its line.
pub fn parse(text: &str) -> Result<Vec<Site>, Vec<Problem>> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span));
        vec![Problem { line, site: None, text: error.message().to_owned() }]
    })?;
    let mut problems = Problems { text, site: None, list: Vec::new() };
    if let Some(site) = file.site.get(MAX_SITES) {
        problems.add(site.span(), format!("a file has at most {MAX_SITES} sites"));
    }
    let mut names = HashSet::new();
    let mut sites = Vec::new();
    for raw in file.site.into_iter().take(MAX_SITES) {
        let span = raw.get_ref().name.span();
        let name = raw.get_ref().name.get_ref().clone();
        problems.site = Some(name.clone());
        if !names.insert(name) {
            problems.add(span, "another site has this name".to_owned());
        }
        sites.extend(problems.site(raw));
    }
    if problems.list.is_empty() { Ok(sites) } else { Err(problems.list) }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}

struct Problems<'a> {
    text: &'a str,
    site: Option<String>,
    list: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, span: Range<usize>, text: String) {
        self.list.push(Problem { line: line_of(self.text, span), site: self.site.clone(), text });
    }

    /// The value; or `None`, and its problem.
    fn check<T, U>(&mut self, value: Spanned<T>, parse: impl FnOnce(T) -> Result<U, String>) -> Option<U> {
        let span = value.span();
        parse(value.into_inner()).map_err(|text| self.add(span, text)).ok()
    }

    fn optional<T, U>(
        &mut self,
        value: Option<Spanned<T>>,
        parse: impl FnOnce(T) -> Result<U, String>,
    ) -> Option<Option<U>> {
        value.map_or(Some(None), |value| self.check(value, parse).map(Some))
    }

    fn site(&mut self, raw: Spanned<Raw>) -> Option<Site> {
        let span = raw.span();
        let raw = raw.into_inner();
        let has_rule = raw.item.is_some() || raw.title.is_some() || raw.link.is_some();
        // Each field is looked at before any of them ends this, so that every problem is found.
        let name = self.check(raw.name, name);
        let url = self.check(raw.url, web_url);
        let color = self.optional(raw.color, color);
        let feed = self.optional(raw.feed, web_url);
        let item = self.optional(raw.item, |text| Pattern::new(&text));
        let title = self.optional(raw.title, |text| Pattern::new(&text));
        let link = self.optional(raw.link, |text| link(&text));
        let wait_for = self.optional(raw.wait_for, |text| Pattern::new(&text).map(|pattern| pattern.text));
        let limit = self.optional(raw.limit, limit);
        let ttl = self.optional(raw.ttl, |text| ttl(&text));
        let limit_of_minimum = limit.flatten().unwrap_or(DEFAULT_LIMIT);
        let min_items = self.optional(raw.min_items, |number| {
            let text = format!("min_items is {number}, more than the limit of {limit_of_minimum} headlines");
            if number > limit_of_minimum { Err(text) } else { Ok(number) }
        });
        let feed = feed?;
        if raw.mode == Mode::Feed && feed.is_none() {
            self.add(span, "mode \"feed\" needs the key feed".to_owned());
            return None;
        }
        let (link, attribute) = link?.unwrap_or((None, "href".to_owned()));
        let default = if has_rule && link.is_some() { "*" } else { "a" };
        let rule = Rule {
            item: item?.or_else(|| Pattern::new(default).ok())?,
            title: title?,
            link,
            attribute,
            text: Texts::list(raw.text),
            text_not: Texts::list(raw.text_not),
            link_prefix: Texts::list(raw.link_prefix),
            link_suffix: Texts::list(raw.link_suffix),
            limit: limit?.unwrap_or(DEFAULT_LIMIT),
        };
        Some(Site {
            name: name?,
            url: url?,
            color: color?,
            mode: raw.mode,
            feed,
            rule,
            wait_for: wait_for?,
            ttl: ttl?.unwrap_or(DEFAULT_TTL),
            min_items: min_items?.unwrap_or(1),
        })
    }
}

fn name(text: String) -> Result<String, String> {
    let is_good = !text.trim().is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    let problem = || format!("a name has 1 to {MAX_NAME} bytes and no control characters");
    if is_good { Ok(text) } else { Err(problem()) }
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

fn color(text: String) -> Result<String, String> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    let is_color = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_color { Ok(text.to_ascii_lowercase()) } else { Err(format!("{text:?} is not a color such as #cc0000")) }
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

fn limit(number: usize) -> Result<usize, String> {
    if (1..=MAX_LIMIT).contains(&number) {
        Ok(number)
    } else {
        Err(format!("limit is {number}, not from 1 to {MAX_LIMIT}"))
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    let ttl = parsed.ok_or_else(|| format!("{text:?} is not a duration such as 10m or 1h"))?;
    if (MIN_TTL..=MAX_TTL).contains(&ttl) { Ok(ttl) } else { Err(format!("ttl is {text:?}, not from 10s to 7 days")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text).expect_err("problems").iter().map(ToString::to_string).collect()
    }

    fn one(lines: &str) -> Result<Site, Vec<String>> {
        let text = format!("[[site]]\nname = \"a\"\nurl = \"http://a/\"\n{lines}\n");
        let sites = parse(&text).map_err(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(sites.into_iter().next().expect("a site"))
    }

    #[test]
    fn every_problem_is_named_with_its_line() {
        let text = "[[site]]\nname = \"a\"\nurl = \"file:///x\"\nitem = \"a[\"\n\n[[site]]\nname = \"a\"\nurl = \"http://b/\"\ncolor = \"red\"\nttl = \"1s\"\n";
        let found = problems(text);
        for (number, start) in
            ["line 3: site \"a\": ", "line 4: site \"a\": ", "line 7: ", "line 9: ", "line 10: "].iter().enumerate()
        {
            let matching = found.iter().filter(|problem| problem.starts_with(start)).count();
            assert_eq!(matching, 1, "{number}: {start} in {found:?}");
        }
        assert_eq!(found.len(), 5, "{found:?}");
    }

    #[test]
    fn an_unknown_key_and_broken_toml_are_named_with_their_line() {
        for (text, line) in [
            ("[[site]]\nname = \"a\"\nurl = \"http://a/\"\nitems = \"a\"\n", "line 4: "),
            ("[[site]]\nname = \n", "line 2: "),
            ("\n\n[[sites]]\n", "line 3: "),
        ] {
            let found = problems(text);
            assert!(found[0].starts_with(line), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn the_limits_of_numbers_and_durations_are_exact() {
        for good in [
            "limit = 1",
            "limit = 1000",
            "ttl = \"10s\"",
            "ttl = \"168h\"",
            "ttl = \"1h 30m\"",
            "min_items = 0",
            "min_items = 100",
            "limit = 3\nmin_items = 3",
        ] {
            assert!(one(good).is_ok(), "{good}: {:?}", one(good).err());
        }
        for bad in [
            "limit = 0",
            "limit = 1001",
            "limit = -1",
            "ttl = \"9s\"",
            "ttl = \"169h\"",
            "ttl = \"-1h\"",
            "ttl = \"soon\"",
            "min_items = 101",
            "limit = 3\nmin_items = 4",
            "color = \"#12345\"",
            "color = \"#12345g\"",
            "mode = \"feed\"",
            "mode = \"magic\"",
            "link = \"a@\"",
            "link = \"a@x y\"",
            "feed = \"x\"",
        ] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_is_a_selector_and_an_attribute() {
        for (text, selector, attribute) in [
            ("a@href", Some("a"), "href"),
            ("@data-url", None, "data-url"),
            ("h2 > a", Some("h2 > a"), "href"),
            ("a[title='x@y']@HREF", Some("a[title='x@y']"), "href"),
            ("a[title='x@y']", Some("a[title='x@y']"), "href"),
        ] {
            let site = one(&format!("link = \"{text}\"")).expect("a site");
            assert_eq!(site.rule.link.map(|pattern| pattern.text).as_deref(), selector, "{text}");
            assert_eq!(site.rule.attribute, attribute, "{text}");
        }
    }

    #[test]
    fn the_number_of_sites_is_limited() {
        let sites = |count: usize| -> String {
            (0..count).map(|number| format!("[[site]]\nname = \"{number}\"\nurl = \"http://a/\"\n")).collect()
        };
        assert_eq!(parse(&sites(MAX_SITES)).expect("sites").len(), MAX_SITES);
        assert_eq!(problems(&sites(MAX_SITES + 1)).len(), 1);
        assert!(parse("").expect("no sites").is_empty());
    }

    #[test]
    fn the_example_sites_are_valid() {
        let sites = parse(include_str!("../../examples/sites.toml")).expect("valid");
        assert_eq!(sites.len(), 2);
        assert!(sites.iter().all(|site| site.feed.is_some()));
    }
}
