//! JSON Feed, item by item: one with a fault costs itself alone.

use super::feed::{Entry, FeedError};
use crate::json::mended;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The beginning of each version's name.
const VERSION: &str = "https://jsonfeed.org/version/1";

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    version: String,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// An item as generators write it: an `id` that is a number is common, although the standard asks for text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    id: Value,
    url: Value,
    external_url: Value,
    title: Value,
    date_published: Value,
    date_modified: Value,
}

/// The entries of a feed; an item that is none, or lacks a title or a link, is `None`.
pub(super) fn entries(text: &str) -> Result<Vec<Option<Entry>>, FeedError> {
    let text = mended(text.as_bytes());
    let list: List<'_> = serde_json::from_str(&text).map_err(|error| FeedError(error.to_string()))?;
    if !list.version.starts_with(VERSION) {
        return Err(FeedError(format!("its version is {:?}, and not {VERSION}", list.version)));
    }
    Ok(list.items.into_iter().map(|item| entry(serde_json::from_str(item.get()).ok()?)).collect())
}

fn entry(item: Item) -> Option<Entry> {
    let id = text(&item.id).filter(|id| id.starts_with("http://") || id.starts_with("https://"));
    let link = text(&item.url).or_else(|| text(&item.external_url)).or(id)?;
    let published = date(&item.date_published).or_else(|| date(&item.date_modified));
    Some(Entry { title: text(&item.title)?, link, published })
}

/// A value that stands for text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn date(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?.trim();
    let mail = || jiff::fmt::rfc2822::parse(text).map(|date| date.timestamp());
    text.parse().or_else(|_| mail()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(items: &str) -> Vec<Option<(String, String)>> {
        let text =
            format!("{{\"version\":\"https:\\/\\/jsonfeed.org\\/version\\/1.1\",\"title\":5,\"items\":[{items}]}}");
        let entries = entries(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        entries.into_iter().map(|entry| entry.map(|entry| (entry.title, entry.link))).collect()
    }

    #[test]
    fn a_number_stands_for_text_and_a_bad_item_costs_itself_alone() {
        let good = "{\"id\":7,\"url\":\"/1\",\"title\":\"A\"}";
        for (item, expected) in [
            ("{\"id\":7,\"url\":\"/2\",\"title\":2026}", Some(("2026", "/2"))),
            ("{\"id\":1.5,\"external_url\":\"/2\",\"title\":1e3,\"tags\":[5]}", Some(("1000.0", "/2"))),
            ("{\"id\":\"https://a.example/2\",\"title\":\"B\",\"author\":\"x\"}", Some(("B", "https://a.example/2"))),
            (
                "{\"url\":null,\"external_url\":\"/2\",\"title\":\"\\ud83d\",\"x\":\"\\udfff\"}",
                Some(("\u{FFFD}", "/2")),
            ),
            ("{\"id\":7,\"title\":\"B\"}", None),
            ("{\"url\":\"/2\",\"title\":[\"B\"]}", None),
            ("{\"url\":\"/2\",\"title\":null}", None),
            ("{\"url\":{},\"title\":\"B\"}", None),
            ("null", None),
            ("\"B\"", None),
            ("[[]]", None),
            (&format!("{{\"url\":\"/2\",\"title\":{}{}}}", "[".repeat(200), "]".repeat(200)), None),
        ] {
            let one = |(title, link): (&str, &str)| Some((title.to_owned(), link.to_owned()));
            let first = one(("A", "/1"));
            assert_eq!(
                found(&format!("{good},{item},{good}")),
                [first.clone(), expected.and_then(one), first],
                "{item}"
            );
        }
    }

    #[test]
    fn a_date_is_read_and_a_wrong_one_is_none() {
        let zulu = "2026-11-27T01:00:00Z";
        for (date, expected) in [
            ("\"2026-11-27T01:00:00Z\"", Some(zulu)),
            ("\"2026-11-27T02:00:00+01:00\"", Some(zulu)),
            ("\"Fri, 27 Nov 2026 01:00:00 +0000\"", Some(zulu)),
            ("\"soon\"", None),
            ("1764205200", None),
        ] {
            for key in ["date_published", "date_modified"] {
                let item = format!("{{\"url\":\"/\",\"title\":\"A\",\"{key}\":{date}}}");
                let found = entry(serde_json::from_str(&item).expect("an item")).expect("an entry").published;
                assert_eq!(found.map(|time| time.to_string()).as_deref(), expected, "{item}");
            }
        }
    }

    #[test]
    fn another_version_and_what_has_no_items_are_no_feed() {
        for text in [
            "{}",
            "{\"items\":[]}",
            "{\"version\":\"https://jsonfeed.org/version/2\",\"items\":[]}",
            "{\"version\"",
            "{\"version\":\"https://jsonfeed.org/version/1\"}",
            "{\"version\":\"https://jsonfeed.org/version/1\",\"items\":{}}",
        ] {
            assert!(entries(text).is_err(), "{text}");
        }
    }
}
