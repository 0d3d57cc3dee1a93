//! A headline: clean text, a link of the web, and what makes two of them the same.

use jiff::Timestamp;
use switchboard_driver::text::steers;
use url::Url;

/// Characters of a title.
const MAX_TITLE: usize = 300;
/// Bytes of a link.
const MAX_LINK: usize = 2048;
/// Query parameters that say where a reader came from, not what is shown.
const TRACKING: [&str; 8] = ["fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "yclid"];

/// A headline.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Headline {
    /// Plain text in one line, hostile until escaped.
    pub title: String,
    /// Its `http` or `https` address, canonical.
    pub url: Url,
    /// When it was published, where a feed says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
}

impl Headline {
    /// Makes one of raw text and a raw link. `None` if nothing is left of the text, or the link leads out of the web.
    #[must_use]
    pub fn new(title: &str, link: &str, base: &Url) -> Option<Headline> {
        let title = clean(title);
        let url = canonical(base.join(link.trim()).ok()?)?;
        (!title.is_empty()).then_some(Headline { title, url, published: None })
    }

    /// Returns the form that all spellings of one title have in common.
    #[must_use]
    pub fn normalized_title(&self) -> String {
        let letters = self.title.chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' });
        let text: String = letters.collect::<String>().to_lowercase();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // A title without letters is itself.
        if words.is_empty() { self.title.clone() } else { words }
    }
}

/// One line without what steers, turns or hides text, and without what no XML may have: one such headline would make the whole
/// feed unreadable.
pub(crate) fn clean(text: &str) -> String {
    let is_hidden = |letter: char| steers(letter) || matches!(letter, '\u{FFFE}' | '\u{FFFF}');
    let mut line = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            count += 1;
        }
        for letter in word.chars().filter(|&letter| !is_hidden(letter)) {
            if count >= MAX_TITLE {
                line.push('…');
                return line;
            }
            line.push(letter);
            count += 1;
        }
    }
    line.trim_end().to_owned()
}

fn canonical(mut url: Url) -> Option<Url> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        let is_tracking = |name: &str| name.starts_with("utm_") || TRACKING.contains(&name);
        let kept: Vec<_> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !pair.is_empty() && !is_tracking(name)
            })
            .map(str::to_owned)
            .collect();
        url.set_query((!kept.is_empty()).then(|| kept.join("&")).as_deref());
    }
    (url.as_str().len() <= MAX_LINK).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        "https://News.example:443/world/".parse().expect("a URL")
    }

    #[test]
    fn a_link_is_absolute_canonical_and_of_the_web() {
        for (link, url) in [
            ("/a?utm_source=x&id=1&fbclid=2#top", "https://news.example/a?id=1"),
            ("a?utm_source=x", "https://news.example/world/a"),
            (" //other.example/b ", "https://other.example/b"),
            ("http://user:pass@x.example:80/", "http://x.example/"),
            ("?q=a%26b&", "https://news.example/world/?q=a%26b"),
        ] {
            assert_eq!(Headline::new("t", link, &base()).expect("a headline").url.as_str(), url, "{link}");
        }
        for link in [
            "javascript:alert(1)",
            "JaVa\tScript:alert(1)",
            "data:text/html,x",
            "mailto:a@b",
            "file:///x",
            "tel:1",
            "http://",
        ] {
            assert!(Headline::new("t", link, &base()).is_none(), "{link}");
        }
        let long = |length: usize| format!("/{}", "x".repeat(length - "https://news.example/".len()));
        assert!(Headline::new("t", &long(MAX_LINK), &base()).is_some());
        assert!(Headline::new("t", &long(MAX_LINK + 1), &base()).is_none());
    }

    #[test]
    fn a_title_is_one_bounded_line_of_visible_text() {
        assert_eq!(clean(" a\n\t b\u{0}c\u{202E}d\u{A0}e "), "a bcd e");
        assert_eq!(clean("\u{200B} \u{202E}\n"), "");
        assert_eq!(clean("a\u{FFFE}b\u{FFFF}c\u{FEFF}d"), "abcd");
        assert_eq!(clean(&"é".repeat(MAX_TITLE)).chars().count(), MAX_TITLE);
        assert_eq!(clean(&"é".repeat(MAX_TITLE + 1)).chars().count(), MAX_TITLE + 1);
        assert!(clean(&"é".repeat(MAX_TITLE + 1)).ends_with('…'));
    }

    #[test]
    fn two_titles_that_differ_in_hidden_characters_alone_are_the_same() {
        for hidden in ['\u{AD}', '\u{61C}', '\u{115F}', '\u{180E}', '\u{206A}', '\u{3164}', '\u{FFA0}', '\u{E0041}'] {
            assert_eq!(clean(&format!("a{hidden}b")), "ab", "{}", hidden.escape_unicode());
        }
        // The color form of a symbol is no other title, and stays.
        assert_eq!(clean("\u{2764}\u{FE0F}"), "\u{2764}\u{FE0F}");
    }

    #[test]
    fn titles_are_the_same_whatever_their_case_and_punctuation() {
        let title = |text: &str| Headline::new(text, "/", &base()).expect("a headline").normalized_title();
        assert_eq!(title("“It’s over!”  he SAID"), title("\"It's over\", he said"));
        assert_ne!(title("one"), title("two"));
        assert_ne!(title("!!!"), title("???"));
    }
}
