//! The filters of a rule.

use crate::site::Rule;
use url::Url;

impl Rule {
    pub(crate) fn takes_title(&self, title: &str) -> bool {
        let title = title.to_lowercase();
        let contains = |text: &String| title.contains(&text.to_lowercase());
        (self.text.is_empty() || self.text.iter().any(contains)) && !self.text_not.iter().any(contains)
    }

    pub(crate) fn takes_link(&self, link: &str, base: &Url) -> bool {
        self.takes_prefix(link, base) && self.takes_suffix(link)
    }

    pub(crate) fn takes_prefix(&self, link: &str, base: &Url) -> bool {
        if self.link_prefix.is_empty() || self.link_prefix.iter().any(|prefix| link.starts_with(prefix)) {
            return true;
        }
        // The same link, spelled with its host.
        let Ok(url) = base.join(link) else { return false };
        url.host() == base.host()
            && self.link_prefix.iter().any(|prefix| prefix.starts_with('/') && url.path().starts_with(prefix))
    }

    pub(crate) fn takes_suffix(&self, link: &str) -> bool {
        let path = link.split(['?', '#']).next().unwrap_or_default();
        self.link_suffix.is_empty() || self.link_suffix.iter().any(|suffix| path.ends_with(suffix))
    }
}
