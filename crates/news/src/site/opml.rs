//! OPML in: the feeds of a list, as sites.

use super::{Listed, MAX_SITES, Problem, parse_each};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashSet;
use std::fmt::{self, Write};
use switchboard_driver::text::steers;

/// Elements of a list.
const MAX_ELEMENTS: usize = 20_000;
/// Bytes of a name.
const MAX_NAME: usize = 100;
/// Bytes of an address that is dropped.
const MAX_SHOWN: usize = 200;

/// A list cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpmlError {
    #[error("this is not an OPML list: {0}")]
    Syntax(String),
    #[error("the list has no feeds that can be added{}", Sentence(*present, dropped))]
    Nothing { present: usize, dropped: Vec<Dropped> },
    #[error("with this list there would be more than {MAX_SITES} sites")]
    TooMany,
}

/// A feed that no site can have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Dropped {
    name: String,
    feed: String,
    reason: &'static str,
}

/// The numbers of an error, in words.
struct Sentence<'a>(usize, &'a [Dropped]);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sentence(present, dropped) = self;
        match present {
            0 => {}
            present => write!(f, "; there already: {present}")?,
        }
        match dropped.first() {
            None => Ok(()),
            Some(first) => {
                let Dropped { name, feed, reason } = first;
                write!(f, "; cannot be used: {}, the first of them {feed:?} of {name:?}: {reason}", dropped.len())
            }
        }
    }
}

/// The feeds of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Import {
    /// `[[site]]` tables to be added to the file of the sites.
    pub(crate) tables: String,
    /// Number of these tables.
    pub(crate) added: usize,
    /// Feeds that are among the sites, or in the list twice.
    pub(crate) present: usize,
    /// Feeds that no site can have.
    pub(crate) dropped: Vec<Dropped>,
}

/// Reads a list for these sites.
pub(crate) fn import(opml: &str, sites: &[Listed]) -> Result<Import, OpmlError> {
    let mut names: HashSet<String> = sites.iter().map(|site| site.name().to_owned()).collect();
    let feed = |site: &Listed| match site {
        Listed::Usable(site) => Some(site.feed.as_ref()?.as_str().to_owned()),
        Listed::Faulty(_) => None,
    };
    let mut feeds: HashSet<String> = sites.iter().filter_map(feed).collect();
    let mut made = Import::default();
    let mut reader = Reader::from_str(opml.trim_start_matches('\u{FEFF}'));
    let syntax = |error: &dyn fmt::Display| OpmlError::Syntax(error.to_string());
    let (mut is_opml, mut open) = (false, 0_usize);
    for _ in 0..MAX_ELEMENTS {
        let event = reader.read_event().map_err(|error| syntax(&error))?;
        match &event {
            Event::Start(_) => open += 1,
            Event::End(_) => open = open.saturating_sub(1),
            _ => {}
        }
        let element = match event {
            Event::Start(element) | Event::Empty(element) => element,
            // A part of a list would look like the whole.
            Event::Eof if is_opml && open > 0 => return Err(syntax(&"it is cut off: an element has no end")),
            Event::Eof if !is_opml => return Err(syntax(&"there is no opml element")),
            Event::Eof if made.added == 0 => {
                return Err(OpmlError::Nothing { present: made.present, dropped: made.dropped });
            }
            Event::Eof => return Ok(made),
            _ => continue,
        };
        is_opml |= element.name().as_ref().eq_ignore_ascii_case(b"opml");
        if !element.name().as_ref().eq_ignore_ascii_case(b"outline") {
            continue;
        }
        let feed = attribute(&element, b"xmlUrl").map_err(|error| syntax(&error))?;
        let Some(text) = feed.filter(|feed| !feed.trim().is_empty()) else { continue };
        let title = [b"title".as_slice(), b"text"]
            .iter()
            .find_map(|key| attribute(&element, key).ok().flatten().filter(|text| !text.trim().is_empty()));
        let feed = match web(&text) {
            Ok(feed) => feed,
            Err(reason) => {
                let (name, feed) = (cut(&title.unwrap_or_default(), MAX_NAME), cut(&text, MAX_SHOWN));
                made.dropped.push(Dropped { name, feed, reason });
                continue;
            }
        };
        if !feeds.insert(feed.clone()) {
            made.present += 1;
            continue;
        }
        let page = attribute(&element, b"htmlUrl").ok().flatten().and_then(|text| web(&text).ok());
        let name = unused(&title.unwrap_or_else(|| feed.clone()), &mut names);
        let (page, quote) = (page.unwrap_or_else(|| feed.clone()), |text: &str| toml::Value::from(text).to_string());
        let _ = write!(
            made.tables,
            "\n[[site]]\nname = {}\nurl = {}\nfeed = {}\nmode = \"feed\"\n",
            quote(&name),
            quote(&page),
            quote(&feed)
        );
        made.added += 1;
        if sites.len() + made.added > MAX_SITES {
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
fn web(text: &str) -> Result<String, &'static str> {
    let url: url::Url = text.trim().parse().map_err(|_| "it is not a whole address, with http:// or https://")?;
    if !matches!(url.scheme(), "http" | "https") {
        Err("it is not an http:// or https:// address")
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("its address holds a name or a password")
    } else {
        Ok(url.to_string())
    }
}

/// The beginning of a text, in one line.
fn cut(text: &str, limit: usize) -> String {
    let clean: String = text.trim().chars().filter(|letter| !steers(*letter)).collect();
    clean[..clean.floor_char_boundary(limit)].to_owned()
}

/// A name that no other site has.
fn unused(title: &str, names: &mut HashSet<String>) -> String {
    let clean: String = title.trim().chars().filter(|letter| !steers(*letter)).collect();
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
        let made = import(LIST, &[]).expect("feeds");
        let (text, sites) = added("# mine\n", &made.tables).expect("sites");
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
        assert_eq!((made.added, made.present), (2, 1));
        assert_eq!(import(LIST, &sites), Err(OpmlError::Nothing { present: 3, dropped: made.dropped }));
    }

    #[test]
    fn each_feed_that_no_site_can_have_is_named_with_its_reason() {
        let long = format!("data:{}", "é".repeat(MAX_SHOWN));
        let cases = [
            ("javascript:alert(1)", "it is not an http:// or https:// address"),
            ("file:///etc/passwd", "it is not an http:// or https:// address"),
            ("/feed.xml", "it is not a whole address, with http:// or https://"),
            ("feeds.example/f", "it is not a whole address, with http:// or https://"),
            ("http://me:secret@a.example/f", "its address holds a name or a password"),
            (&long, "it is not an http:// or https:// address"),
        ];
        let outline = |(feed, _): &(&str, &str)| format!("<outline title='N\u{7}ame' xmlUrl='{feed}'/>");
        let list = |more: &str| format!("<opml>{}{more}</opml>", cases.iter().map(outline).collect::<String>());
        let made = import(&list("<outline xmlUrl=''/><outline xmlUrl='http://a/'/>"), &[]).expect("a feed");
        assert_eq!((made.added, made.present, made.dropped.len()), (1, 0, cases.len()));
        for (dropped, (feed, reason)) in made.dropped.iter().zip(cases) {
            assert_eq!((dropped.name.as_str(), dropped.reason), ("Name", reason), "{feed}");
            assert!(feed.starts_with(&dropped.feed) && dropped.feed.len() <= MAX_SHOWN, "{dropped:?}");
        }
        let nothing = import(&list(""), &[]).expect_err("nothing").to_string();
        assert!(
            nothing.contains("cannot be used: 6, the first of them \"javascript:alert(1)\" of \"Name\": it"),
            "{nothing}"
        );
        assert_eq!(
            OpmlError::Nothing { present: 0, dropped: vec![] }.to_string(),
            "the list has no feeds that can be added"
        );
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
        assert_eq!(import(&list(MAX_SITES), &[]).expect("feeds").added, MAX_SITES);
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
        assert_eq!(unused("a\u{202E}b\u{200B}", &mut names), "ab");
    }

    #[test]
    fn a_list_that_is_cut_off_anywhere_is_refused() {
        for end in 0..LIST.len() {
            if LIST.is_char_boundary(end) {
                assert!(matches!(import(&LIST[..end], &[]), Err(OpmlError::Syntax(_))), "{}", &LIST[..end]);
            }
        }
    }
}
