//! Faults of feeds that every reader forgives.

use quick_xml::Reader;
use quick_xml::events::Event;
use std::borrow::Cow;

/// Versions of RSS that the parser knows.
const VERSIONS: [&str; 3] = ["2.0", "0.91", "0.92"];
/// Bytes between `&` and `;`.
const MAX_REFERENCE: usize = 32;

/// An RSS of no version, or of one that nobody has written, as 2.0, and each `&` that begins no reference as text.
pub(super) fn repaired(text: &str) -> Cow<'_, str> {
    let text = escaped(text);
    match versioned(&text) {
        Some(text) => text.into(),
        None => text,
    }
}

fn versioned(text: &str) -> Option<String> {
    let (before, rest) = text.split_at(text.find("<rss")? + "<rss".len());
    let (tag, after) = rest.split_at(rest.find('>')?);
    if !tag.is_empty() && !tag.starts_with(|letter: char| letter.is_ascii_whitespace() || letter == '/') {
        return None;
    }
    let Some(at) = tag.find("version").filter(|at| tag[..*at].ends_with(|letter: char| letter.is_ascii_whitespace()))
    else {
        return Some(format!("{before} version=\"2.0\"{tag}{after}"));
    };
    let value = tag[at + "version".len()..].trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    let (version, rest) = value[1..].split_once(quote)?;
    (!VERSIONS.contains(&version)).then(|| format!("{before}{}version=\"2.0\"{rest}{after}", &tag[..at]))
}

fn escaped(text: &str) -> Cow<'_, str> {
    let (mut made, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(next) = text[at..].find(['&', '<']) {
        at += next;
        let rest = &text[at..];
        let verbatim = [("<![CDATA[", "]]>"), ("<!--", "-->")].into_iter().find(|(start, _)| rest.starts_with(start));
        if let Some((_, end)) = verbatim {
            let Some(length) = rest.find(end) else { break };
            at += length + end.len();
            continue;
        }
        at += 1;
        if rest.starts_with('&') && !is_reference(&rest[1..]) {
            made.push_str(&text[copied..at]);
            made.push_str("amp;");
            copied = at;
        }
    }
    if copied == 0 {
        return text.into();
    }
    made.push_str(&text[copied..]);
    made.into()
}

/// Whether a text begins with the rest of a reference.
fn is_reference(text: &str) -> bool {
    let Some(length) = text.bytes().take(MAX_REFERENCE).position(|byte| byte == b';') else { return false };
    let name = text[..length].strip_prefix('#').unwrap_or(&text[..length]);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Why a text has no feed: the line of its fault, or what it is instead.
pub(super) fn reason(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut root = None;
    loop {
        match reader.read_event() {
            Err(error) => {
                let position = usize::try_from(reader.error_position()).unwrap_or(usize::MAX).min(text.len());
                let line = text.as_bytes()[..position].iter().filter(|byte| **byte == b'\n').count() + 1;
                return Some(format!("line {line}: {error}"));
            }
            Ok(Event::Start(element) | Event::Empty(element)) if root.is_none() => {
                let name = String::from_utf8_lossy(element.local_name().as_ref()).chars().take(40).collect::<String>();
                root = Some(name);
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
        }
    }
    let root = root?;
    (!matches!(root.as_str(), "rss" | "feed" | "RDF"))
        .then(|| format!("its root element is {root:?}, not rss, feed or RDF"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rss_of_no_known_version_is_2_0() {
        for (tag, read) in [
            ("<rss>", "<rss version=\"2.0\">"),
            ("<rss version=\"3.7\">", "<rss version=\"2.0\">"),
            ("<rss a='b' version = '' c='d'>", "<rss a='b' version=\"2.0\" c='d'>"),
            ("<rss xmlns:version='x'>", "<rss version=\"2.0\" xmlns:version='x'>"),
            ("<rss version='0.91'>", "<rss version='0.91'>"),
            ("<rss version=\"2.0\">", "<rss version=\"2.0\">"),
            ("<rssx>", "<rssx>"),
            ("<rss version=2>", "<rss version=2>"),
            ("<rss", "<rss"),
        ] {
            assert_eq!(repaired(tag), read);
        }
    }

    #[test]
    fn an_ampersand_that_begins_no_reference_is_text() {
        let long = |length: usize| format!("&{};", "a".repeat(length - 1));
        for (text, read) in [
            ("AT&T & Co &", "AT&amp;T &amp; Co &amp;"),
            ("&amp;&#38;&#x26;&nbsp;", "&amp;&#38;&#x26;&nbsp;"),
            ("&;&#;&a b;", "&amp;;&amp;#;&amp;a b;"),
            ("<![CDATA[a&b]]>&<!--&-->é&é", "<![CDATA[a&b]]>&amp;<!--&-->é&amp;é"),
            ("<![CDATA[a&b", "<![CDATA[a&b"),
            (&long(MAX_REFERENCE), &long(MAX_REFERENCE)),
            (&long(MAX_REFERENCE + 1), &long(MAX_REFERENCE + 1).replace('&', "&amp;")),
        ] {
            assert_eq!(repaired(text), read);
        }
    }

    #[test]
    fn what_is_no_feed_says_its_root_or_the_line_of_its_fault() {
        assert_eq!(reason("<html/>").as_deref(), Some("its root element is \"html\", not rss, feed or RDF"));
        let broken = reason("<rss>\n<channel>\n</item></rss>").expect("a reason");
        assert!(broken.starts_with("line 3: "), "{broken}");
        assert_eq!(reason("<rss version='2.0'></rss>"), None);
        assert_eq!(reason(""), None);
    }
}
