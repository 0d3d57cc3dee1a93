//! The rules of a host in robots.txt, and its headers.

use super::{fetcher, page, reason};
use crate::common::{Reply, Site};
use std::io::Read;
use std::time::Duration;
use switchboard_news::fetch::{FetchReason, Validators};
use switchboard_news::progress::Progress;

const RULES: &str = "User-agent: *\nDisallow: /private\n";

#[tokio::test]
async fn robots_txt_counts_where_its_redirects_lead_and_counts_for_nothing_if_they_lead_nowhere() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::redirect("/one"),
        "/one" => Reply::redirect("/two"),
        "/two" => Reply::text(RULES),
        _ => Reply::html("page"),
    });
    let fetcher_of = |site: &Site, redirects| fetcher(&[site], |options| options.redirects = redirects);
    assert_eq!(reason(&fetcher_of(&site, 2), &site.url("/private/x")).await, FetchReason::Robots);
    assert_eq!(site.paths(), ["/robots.txt", "/one", "/two"]);
    // RFC 9309 lets a robot take a file that it does not find within its redirects for none.
    page(&fetcher_of(&site, 1), &site.url("/private/x")).await;
    for location in ["/robots.txt", "file:///etc/passwd", "javascript:1"] {
        let site = Site::start(
            move |path| if path == "/robots.txt" { Reply::redirect(location) } else { Reply::html("page") },
        );
        page(&fetcher_of(&site, 5), &site.url("/private/x")).await;
    }
}

#[tokio::test]
async fn a_compressed_robots_txt_is_read() {
    let site = Site::start(|path| match path {
        "/robots.txt" => {
            // Enough text that none of it stands in the compressed file as it is.
            let (rules, mut bytes) = (RULES.repeat(100), Vec::new());
            let mut encoder = flate2::read::GzEncoder::new(rules.as_bytes(), flate2::Compression::best());
            encoder.read_to_end(&mut bytes).expect("compressed");
            Reply::bytes(bytes).header("Content-Encoding", "gzip")
        }
        _ => Reply::html("page"),
    });
    let fetcher = fetcher(&[&site], |_| {});
    assert_eq!(reason(&fetcher, &site.url("/private/x")).await, FetchReason::Robots);
    page(&fetcher, &site.url("/x")).await;
}

#[tokio::test]
async fn the_delay_that_robots_txt_asks_for_counts_if_it_is_longer() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::text("User-agent: *\nCrawl-delay: 10\n"),
        _ => Reply::html("page"),
    });
    let fetcher = fetcher(&[&site], |_| {});
    page(&fetcher, &site.url("/a")).await;
    let (next, progress) = (site.url("/b"), Progress::default());
    let waiting = tokio::time::timeout(Duration::from_millis(500), fetcher.turn(&next, &progress)).await;
    assert!(waiting.is_err(), "the next page may be asked for at once");
}

#[tokio::test]
async fn an_answer_that_nothing_has_changed_counts_only_for_whoever_asked_so() {
    let site = Site::start(|path| if path == "/robots.txt" { Reply::status(404) } else { Reply::status(304) });
    let fetcher = fetcher(&[&site], |_| {});
    assert_eq!(reason(&fetcher, &site.url("/")).await, FetchReason::Status(304));
}

#[tokio::test]
async fn a_redirect_to_an_address_with_letters_beyond_ascii_is_followed() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::redirect("/r\u{fc}"),
        "/r%C3%BC" => Reply::text(RULES),
        "/a" => Reply::redirect("/caf\u{e9}"),
        "/caf%C3%A9" => Reply::html("page"),
        _ => Reply::status(404),
    });
    let fetcher = fetcher(&[&site], |_| {});
    assert_eq!(page(&fetcher, &site.url("/a")).await.url, site.url("/caf\u{e9}"));
    assert_eq!(reason(&fetcher, &site.url("/private/x")).await, FetchReason::Robots);
}

#[tokio::test]
async fn a_version_is_kept_up_to_its_limit() {
    let site = Site::start(|path| match path.strip_prefix("/tag/").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => Reply::html("page").header("ETag", &format!("\"{}\"", "x".repeat(length - 2))),
        None => Reply::status(404),
    });
    let fetcher = fetcher(&[&site], |_| {});
    for (length, is_kept) in [(1023, true), (1024, true), (1025, false)] {
        let validators = page(&fetcher, &site.url(&format!("/tag/{length}"))).await.validators;
        assert_eq!(validators.etag.map(|tag| tag.len()), is_kept.then_some(length));
    }
    assert_eq!(page(&fetcher, &site.url("/tag/1025")).await.validators, Validators::default());
}
