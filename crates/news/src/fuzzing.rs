//! For the fuzzer alone: what reads text and bytes of strangers. No part of the API.

use crate::devtools;
use crate::extract;
use crate::fetch::decode;
use crate::fetch::encoding::decompress;
use crate::fetch::robots::Robots;
use crate::site;
use crate::site::opml::import;
use url::Url;

fn base() -> Url {
    "https://news.example/front/".parse().expect("a URL")
}

/// A sites file: what is valid is so again, and what is not has lines that the file has.
///
/// # Panics
/// If it is not so.
pub fn rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match site::parse(&text) {
        Ok(sites) => {
            let mut names: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert!(names.len() == sites.len() && sites.iter().all(|site| site.min_items <= 1000));
            assert!(sites.iter().all(|site| matches!(site.url.scheme(), "http" | "https")));
        }
        Err(problems) => {
            let each = site::parse_each(&text).unwrap_or_default();
            assert!(each.iter().any(|site| !site.problems().is_empty()) || each.is_empty());
            let lines = text.lines().count().max(1);
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| (1..=lines + 1).contains(&problem.line)), "{problems:?}");
        }
    }
}

/// A page, after a first line with the `item` selector of a rule: headlines are of the web and in one line.
///
/// # Panics
/// If it is not so.
pub fn page(bytes: &[u8]) {
    let (first, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let item = toml::Value::from(String::from_utf8_lossy(first).into_owned()).to_string();
    let rule = format!("[[site]]\nname = \"a\"\nurl = \"https://news.example/\"\nitem = {item}\n");
    let plain = "[[site]]\nname = \"a\"\nurl = \"https://news.example/\"\n";
    let Ok(mut sites) = site::parse(&rule).or_else(|_| site::parse(plain)) else { return };
    let (text, rule) = (decode(rest, None), sites.remove(0).rule);
    if let Ok(found) = extract::page(&text, &base(), &rule) {
        check(&found.headlines);
    }
    if let Ok(found) = extract::suggest(&text, &base()) {
        assert!(found.links.iter().all(|link| link.count > 1));
    }
}

/// A feed.
///
/// # Panics
/// If a headline of it is none.
pub fn feed(bytes: &[u8]) {
    let plain = "[[site]]\nname = \"a\"\nurl = \"https://news.example/\"\n";
    let rule = site::parse(plain).expect("a site").remove(0).rule;
    if let Ok(found) = extract::feed(&decode(bytes, None), &base(), &rule) {
        check(&found.headlines);
    }
}

fn check(headlines: &[extract::Headline]) {
    for headline in headlines {
        assert!(!headline.title.is_empty() && !headline.title.chars().any(char::is_control), "{headline:?}");
        assert!(matches!(headline.url.scheme(), "http" | "https") && headline.url.has_host(), "{headline:?}");
        assert!(headline.url.username().is_empty() && headline.url.fragment().is_none(), "{headline:?}");
    }
}

/// Bytes with a first line that is their `Content-Type`: they become text whatever they are.
///
/// # Panics
/// If text in UTF-8, declared so, does not stay as it is.
pub fn charset(bytes: &[u8]) {
    let (first, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let kind = String::from_utf8_lossy(first);
    let _ = (decode(rest, Some(&kind)), decode(rest, None));
    let has_mark = [&b"\xef\xbb\xbf"[..], b"\xfe\xff", b"\xff\xfe"].iter().any(|mark| rest.starts_with(mark));
    if let (Ok(text), false) = (std::str::from_utf8(rest), has_mark) {
        assert_eq!(decode(rest, Some("text/html; charset=utf-8")), text);
    }
    for limit in [0, 100, 1 << 20] {
        assert!(decompress(rest.to_vec(), &kind, limit).map_or(true, |body| body.len() <= limit.max(rest.len())));
    }
}

/// robots.txt.
pub fn robots(bytes: &[u8]) {
    let robots = Robots::new(crate::fetch::AGENT, 200, bytes);
    let _ = robots.allows("https://news.example/a?b=c");
    assert!(robots.delay().as_secs() <= 10);
}

/// Decodes messages of a browser, each ended by a zero byte.
pub fn browser(bytes: &[u8]) {
    for message in bytes.split(|byte| *byte == 0) {
        let _ = devtools::decode(message);
    }
}

/// A list of feeds.
///
/// # Panics
/// If what is added to the sites file is not valid there.
pub fn opml(bytes: &[u8]) {
    if let Ok(made) = import(&String::from_utf8_lossy(bytes), &[]) {
        let sites = site::parse(&made.tables).unwrap_or_else(|problems| panic!("{problems:?}\n{}", made.tables));
        assert_eq!(sites.len(), made.added);
    }
}
