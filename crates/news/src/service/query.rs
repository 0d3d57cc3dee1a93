//! Contents and order of a page: the query of its address.

use crate::board::{Item, View};
use std::cmp::Reverse;

/// Bytes of a text that is looked for.
const MAX_TEXT: usize = 200;
/// Sites that are chosen.
const MAX_SITES: usize = 50;

/// The order of headlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Order {
    #[default]
    Title,
    Site,
    Newest,
}

const ORDERS: [(&str, &str, Order); 3] =
    [("title", "by text", Order::Title), ("site", "by site", Order::Site), ("newest", "newest first", Order::Newest)];

/// A query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Query {
    /// A headline must contain it, in any case.
    pub(super) text: String,
    /// The sites that are shown; none: all.
    pub(super) sites: Vec<String>,
    pub(super) order: Order,
    pub(super) refresh: bool,
}

impl Query {
    /// Reads a query; keys that are not known are ignored.
    ///
    /// # Errors
    ///
    /// A value is not one of those that there are, or too long; in words.
    pub(super) fn parse(query: &str) -> Result<Query, String> {
        let mut parsed = Query::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "q" if value.len() > MAX_TEXT => return Err(format!("q is longer than {MAX_TEXT} bytes")),
                "q" => parsed.text = value.trim().to_owned(),
                "site" if value.is_empty() => {}
                "site" if parsed.sites.len() >= MAX_SITES => return Err(format!("more than {MAX_SITES} sites")),
                "site" => parsed.sites.push(value.into_owned()),
                "order" => {
                    let found = ORDERS.iter().find(|(name, _, _)| *name == value);
                    parsed.order = found.ok_or("order is title, site or newest")?.2;
                }
                "refresh" => parsed.refresh = value == "1",
                _ => {}
            }
        }
        Ok(parsed)
    }

    /// The headlines that it asks for, in its order.
    pub(super) fn items<'a>(&self, view: &'a View) -> Vec<&'a Item> {
        let text = self.text.to_lowercase();
        let is_shown = |item: &&Item| {
            let is_site = self.sites.is_empty() || self.sites.contains(&view.sites[item.site].name);
            is_site && (text.is_empty() || item.seen.headline.title.to_lowercase().contains(&text))
        };
        let mut items: Vec<&Item> = view.items.iter().filter(is_shown).collect();
        match self.order {
            Order::Title => {}
            // Stable: by text within a site.
            Order::Site => items.sort_by_key(|item| item.site),
            Order::Newest => {
                items.sort_by_key(|item| Reverse(item.seen.date()));
            }
        }
        items
    }

    pub(super) fn is_filtered(&self) -> bool {
        !self.text.is_empty() || !self.sites.is_empty()
    }

    pub(super) fn is_site(&self, name: &str) -> bool {
        self.sites.iter().any(|site| site == name)
    }

    pub(super) fn orders(&self) -> [(&'static str, &'static str); 3] {
        ORDERS.map(|(name, label, _)| (name, label))
    }

    pub(super) fn is_order(&self, name: &str) -> bool {
        ORDERS.iter().any(|(known, _, order)| *known == name && *order == self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_a_text_sites_and_an_order_within_bounds() {
        let query = Query::parse("q=+Two%20words&site=A&site=B%26C&site=&order=newest&refresh=1&x=y").expect("a query");
        let sites = vec!["A".to_owned(), "B&C".to_owned()];
        assert_eq!(query, Query { text: "Two words".into(), sites, order: Order::Newest, refresh: true });
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert!(query.is_filtered() && query.is_site("A") && query.is_order("newest") && !query.is_order("title"));
        for (query, is_good) in [
            (format!("q={}", "x".repeat(MAX_TEXT)), true),
            (format!("q={}", "x".repeat(MAX_TEXT + 1)), false),
            ("order=best".to_owned(), false),
            ("order=".to_owned(), false),
            ("site=a&".repeat(MAX_SITES), true),
            ("site=a&".repeat(MAX_SITES + 1), false),
            ("q=%ff%fe".to_owned(), true),
        ] {
            assert_eq!(Query::parse(&query).is_ok(), is_good, "{query}");
        }
    }
}
