//! OPML in: the feeds of a list, as sites.

use super::{Listed, MAX_SITES, Problem, parse_each};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashSet;
use std::fmt::Write;

/// Elements of a list.
const MAX_ELEMENTS: usize = 20_000;
/// Bytes of a name.
const MAX_NAME: usize = 100;

/// A list cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpmlError {
    #[error("this is not an OPML list: {0}")]
    Syntax(String),
    #[error("the list has no feeds that are not there already")]
    Nothing,
    #[error("with this list there would be more than {MAX_SITES} sites")]
    TooMany,
}

/// The feeds of a list that are not among the sites: `[[site]]` tables to be added to their file, and how many.
pub(crate) fn import(opml: &str, sites: &[Listed]) -> Result<(String, usize), OpmlError> {
    let mut names: HashSet<String> = sites.iter().map(|site| site.name().to_owned()).collect();
    let feed = |site: &Listed| match site {
        Listed::Usable(site) => Some(site.feed.as_ref()?.as_str().to_owned()),
        Listed::Faulty(_) => None,
    };
    let mut feeds: HashSet<String> = sites.iter().filter_map(feed).collect();
    let (mut tables, mut count) = (String::new(), 0);
    let mut reader = Reader::from_str(opml.trim_start_matches('\u{FEFF}'));
    let syntax = |error: &dyn std::fmt::Display| OpmlError::Syntax(error.to_string());
    let mut is_opml = false;
    for _ in 0..MAX_ELEMENTS {
        let element = match reader.read_event().map_err(|error| syntax(&error))? {
            Event::Start(element) | Event::Empty(element) => element,
            Event::Eof if !is_opml => return Err(syntax(&"there is no opml element")),
            Event::Eof if count == 0 => return Err(OpmlError::Nothing),
            Event::Eof => return Ok((tables, count)),
            _ => continue,
        };
        is_opml |= element.name().as_ref().eq_ignore_ascii_case(b"opml");
        if !element.name().as_ref().eq_ignore_ascii_case(b"outline") {
            continue;
        }
        let feed = attribute(&element, b"xmlUrl").map_err(|error| syntax(&error))?;
        let Some(feed) = feed.as_deref().and_then(web) else { continue };
        if !feeds.insert(feed.clone()) {
            continue;
        }
        let page = attribute(&element, b"htmlUrl").ok().flatten().as_deref().and_then(web);
        let title = [b"title".as_slice(), b"text"]
            .iter()
            .find_map(|key| attribute(&element, key).ok().flatten().filter(|text| !text.trim().is_empty()));
        let name = unused(&title.unwrap_or_else(|| feed.clone()), &mut names);
        let (page, quote) = (page.unwrap_or_else(|| feed.clone()), |text: &str| toml::Value::from(text).to_string());
        let _ = write!(
            tables,
            "\n[[site]]\nname = {}\nurl = {}\nfeed = {}\nmode = \"feed\"\n",
            quote(&name),
            quote(&page),
            quote(&feed)
        );
        count += 1;
        if sites.len() + count > MAX_SITES {
            return Err(OpmlError::TooMany);
        }
    }
    Err(syntax(&format!("it has more than {MAX_ELEMENTS} elements")))
}

fn attribute(element: &BytesStart, key: &[u8]) -> Result<Option<String>, String> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.key.as_ref().eq_ignore_ascii_case(key) {
            let value = std::str::from_utf8(&attribute.value).map_err(|error| error.to_string())?;
            let text = quick_xml::escape::unescape(value).map_err(|error| error.to_string())?;
            return Ok(Some(text.into_owned()));
        }
    }
    Ok(None)
}

/// An address as a sites file takes it.
fn web(text: &str) -> Option<String> {
    let url: url::Url = text.trim().parse().ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && is_plain).then(|| url.to_string())
}

/// A name that no other site has.
fn unused(title: &str, names: &mut HashSet<String>) -> String {
    let clean: String = title.trim().chars().filter(|letter| !letter.is_control()).collect();
    let clean = if clean.trim().is_empty() { "feed".to_owned() } else { clean };
    for number in 1.. {
        let end = if number == 1 { String::new() } else { format!(" ({number})") };
        let name = format!("{}{end}", &clean[..clean.floor_char_boundary(MAX_NAME - end.len())]);
        if names.insert(name.clone()) {
            return name;
        }
    }
    clean
}

/// The sites of a file with these tables added.
#[cfg_attr(not(feature = "service"), allow(dead_code, reason = "only the service adds to its file"))]
pub(crate) fn added(file: &str, tables: &str) -> Result<(String, Vec<Listed>), Vec<Problem>> {
    let text = format!("{}{}{tables}", file.trim_end(), if file.trim().is_empty() { "" } else { "\n" });
    parse_each(&text).map(|sites| (text, sites))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "<?xml version=\"1.0\"?><opml version=\"2.0\"><head><title>x</title></head><body>\
        <outline text=\"Folder\"><outline type=\"rss\" text=\"A &amp; &quot;B&quot;\" xmlUrl=\"http://a.example/f?x=1&amp;y=2\" htmlUrl=\"http://a.example/\"/>\
        <outline title=\"A &amp; &quot;B&quot;\" xmlUrl=\"http://b.example/f\"/></outline>\
        <outline text=\"again\" xmlUrl=\"http://b.example/f\"/><outline text=\"bad\" xmlUrl=\"file:///etc/passwd\"/>\
        <outline text=\"page only\" url=\"http://c.example/\"/></body></opml>";

    #[test]
    fn the_feeds_of_a_list_become_sites_once() {
        let (tables, count) = import(LIST, &[]).expect("feeds");
        let (text, sites) = added("# mine\n", &tables).expect("sites");
        assert!(text.starts_with("# mine\n"));
        let found: Vec<_> = sites
            .iter()
            .map(|listed| match listed {
                Listed::Usable(site) => {
                    (site.name.as_str(), site.url.as_str(), site.feed.as_ref().map(url::Url::as_str))
                }
                Listed::Faulty(site) => panic!("{site:?}"),
            })
            .collect();
        assert_eq!(
            found,
            [
                ("A & \"B\"", "http://a.example/", Some("http://a.example/f?x=1&y=2")),
                ("A & \"B\" (2)", "http://b.example/f", Some("http://b.example/f")),
            ]
        );
        assert_eq!(count, 2);
        assert_eq!(import(LIST, &sites), Err(OpmlError::Nothing));
    }

    #[test]
    fn what_is_no_list_or_too_long_a_list_is_refused() {
        for bad in ["", "nonsense", "<a", "<html></html>", "<opml><outline xmlUrl='http://a/&x;'/></opml>", "{}"] {
            assert!(matches!(import(bad, &[]), Err(OpmlError::Syntax(_))), "{bad}: {:?}", import(bad, &[]));
        }
        let list = |count: usize| -> String {
            let outlines: String = (0..count).map(|n| format!("<outline xmlUrl='http://a.example/{n}'/>")).collect();
            format!("<opml><body>{outlines}</body></opml>")
        };
        assert_eq!(import(&list(MAX_SITES), &[]).expect("feeds").1, MAX_SITES);
        assert_eq!(import(&list(MAX_SITES + 1), &[]), Err(OpmlError::TooMany));
        let deep = "<outline>".repeat(MAX_ELEMENTS + 1);
        assert!(matches!(import(&format!("<opml>{deep}"), &[]), Err(OpmlError::Syntax(_))));
    }

    #[test]
    fn a_name_is_cut_and_unique() {
        let mut names = HashSet::new();
        let long = "é".repeat(200);
        let (one, two) = (unused(&long, &mut names), unused(&long, &mut names));
        assert!(one.len() <= MAX_NAME && two.len() <= MAX_NAME && two.ends_with(" (2)") && one != two);
        assert_eq!(unused("\u{7}", &mut names), "feed");
    }
}
