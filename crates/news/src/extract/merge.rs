//! Headlines of several results as one list.

use super::Headline;
use std::collections::HashSet;

/// Keeps the first of equal addresses, then the first of equal titles, and sorts by title.
#[must_use]
pub fn merge<T>(items: impl IntoIterator<Item = T>, headline: impl Fn(&T) -> &Headline) -> Vec<T> {
    let (mut urls, mut titles) = (HashSet::new(), HashSet::new());
    let mut kept: Vec<T> = items
        .into_iter()
        .filter(|item| urls.insert(headline(item).url.clone()) && titles.insert(headline(item).normalized_title()))
        .collect();
    kept.sort_by_cached_key(|item| (headline(item).normalized_title(), headline(item).url.clone()));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_addresses_or_titles_stays_and_titles_are_sorted() {
        let base = "http://a.example/".parse().expect("a URL");
        let make = |title: &str, link: &str| Headline::new(title, link, &base).expect("a headline");
        let list = [
            make("zebra", "/1"),
            make("Apple", "/2"),
            make("other words, same address", "/1?utm_source=x#y"),
            make("ZEBRA!", "/3"),
            make("“Berry”", "/4"),
        ];
        let titles: Vec<_> = merge(list, |headline| headline).into_iter().map(|headline| headline.title).collect();
        assert_eq!(titles, ["Apple", "“Berry”", "zebra"]);
    }
}
