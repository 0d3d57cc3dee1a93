//! Fetching from real servers on loopback, kind and hostile ones.

mod common;
#[path = "fetch/polite.rs"]
mod polite;

use common::{Reply, Site};
use std::time::Duration;
use switchboard_http_client::{Step, Trust};
use switchboard_news::fetch::{FetchReason, Fetched, Fetcher, Options, Page, Validators};
use switchboard_news::guard::{Allow, Guard};
use switchboard_news::progress::Progress;
use url::Url;

/// Generous; only what must come to its end waits so long.
const LIMIT: Duration = Duration::from_secs(30);

fn fetcher(sites: &[&Site], change: impl FnOnce(&mut Options)) -> Fetcher {
    let allow = Allow::parse(sites.iter().map(|site| site.pair())).expect("pairs");
    let mut options = Options { timeout: LIMIT, delay: Duration::ZERO, trust: Trust::Nobody, ..Options::default() };
    change(&mut options);
    Fetcher::new(Guard::new(allow, LIMIT), options).expect("a fetcher")
}

async fn page(fetcher: &Fetcher, url: &Url) -> Page {
    match fetcher.fetch(url, &Validators::default()).await {
        Ok(Fetched::Page(page)) => *page,
        other => panic!("{url}: {other:?}"),
    }
}

async fn reason(fetcher: &Fetcher, url: &Url) -> FetchReason {
    let error = fetcher.fetch(url, &Validators::default()).await.expect_err("an error");
    assert!(error.to_string().ends_with(&format!(" ({})", error.url)), "{error}");
    error.reason
}

#[tokio::test]
async fn a_page_is_fetched_after_robots_txt_under_an_honest_name() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        "/a" => Reply::html("<meta charset=windows-1251>\u{1}"),
        _ => Reply::status(500),
    });
    let fetcher = fetcher(&[&site], |options| options.contact = Some("https://example.org/bot".into()));
    page(&fetcher, &site.url("/a#fragment")).await;
    page(&fetcher, &site.url("/a")).await;
    assert_eq!(site.paths(), ["/robots.txt", "/a", "/a"]);
    let agent = format!("user-agent: switchboard-news/{} (+https://example.org/bot)", env!("CARGO_PKG_VERSION"));
    assert!(site.heads().iter().all(|head| head.to_lowercase().contains(&agent)), "{:?}", site.heads());
}

#[tokio::test]
async fn robots_txt_is_kept_to_at_every_hop() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::text("User-agent: *\nDisallow: /private"),
        "/open" => Reply::redirect("/private/x"),
        _ => Reply::html("page"),
    });
    let fetcher = fetcher(&[&site], |_| {});
    assert_eq!(reason(&fetcher, &site.url("/private/x")).await, FetchReason::Robots);
    assert_eq!(reason(&fetcher, &site.url("/open")).await, FetchReason::Robots);
    assert_eq!(site.paths(), ["/robots.txt", "/open"]);
}

#[tokio::test]
async fn an_unreadable_robots_txt_forbids_everything() {
    let site = Site::start(|path| if path == "/robots.txt" { Reply::status(500) } else { Reply::html("page") });
    let fetcher = fetcher(&[&site], |_| {});
    assert!(matches!(reason(&fetcher, &site.url("/")).await, FetchReason::RobotsUnreadable(_)));
    assert_eq!(site.paths(), ["/robots.txt"]);
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        _ => Reply::html("page").header("ETag", "\"1\"").header("Last-Modified", "Fri, 27 Nov 2026 01:00:00 GMT"),
    });
    let fetcher = fetcher(&[&site], |_| {});
    let known = page(&fetcher, &site.url("/")).await.validators;
    assert_eq!(known.etag.as_deref(), Some("\"1\""));
    // The server of the tests answers 304 to its own ETag.
    let again = fetcher.fetch(&site.url("/"), &known).await.expect("an answer");
    assert!(matches!(again, Fetched::NotModified), "{again:?}");
    let head = site.heads().pop().expect("a request").to_lowercase();
    assert!(head.contains("if-none-match: \"1\"") && head.contains("if-modified-since: fri, 27 nov"), "{head}");
}

#[tokio::test]
async fn redirects_are_followed_up_to_the_limit() {
    let site = Site::start(|path| match path.strip_prefix("/hop/").and_then(|hop| hop.parse::<u32>().ok()) {
        Some(0) => Reply::html("end").header("ETag", "\"x\""),
        Some(hop) => Reply::redirect(&format!("{}", hop - 1)),
        None if path == "/loop" => Reply::redirect("/loop"),
        None if path == "/nowhere" => Reply::status(302),
        None => Reply::status(404),
    });
    let fetcher = fetcher(&[&site], |options| options.redirects = 3);
    for hops in [0, 2, 3] {
        let page = page(&fetcher, &site.url(&format!("/hop/{hops}"))).await;
        assert_eq!((page.url.path(), page.text().as_str()), ("/hop/0", "end"));
        assert_eq!(page.validators == Validators::default(), hops > 0, "validators belong to an address");
    }
    assert_eq!(reason(&fetcher, &site.url("/hop/4")).await, FetchReason::Redirects(3));
    assert_eq!(reason(&fetcher, &site.url("/loop")).await, FetchReason::Redirects(3));
    assert_eq!(reason(&fetcher, &site.url("/nowhere")).await, FetchReason::Location(302));
    assert_eq!(reason(&fetcher, &site.url("/none")).await, FetchReason::Status(404));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_or_another_scheme_is_refused() {
    let secret = Site::start(|_| Reply::html("secret"));
    let site = Site::start(move |path| match path {
        "/robots.txt" => Reply::status(404),
        _ => Reply::redirect(&path[1..]),
    });
    let fetcher = fetcher(&[&site], |_| {});
    let port = secret.port();
    for host in ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]", "2130706433", "127.0.0.1."] {
        let error = fetcher.fetch(&site.url(&format!("/http://{host}:{port}/")), &Validators::default()).await;
        let error = error.expect_err("refused").to_string();
        // The guard says so, and not robots.txt.
        assert!(error.contains("refused") && !error.contains("robots.txt"), "{host}: {error}");
    }
    for address in ["file:///etc/passwd", "data:text/html,x", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "javascript:1"]
    {
        let error = fetcher.fetch(&site.url(&format!("/{address}")), &Validators::default()).await;
        assert_eq!(error.expect_err("refused").reason, FetchReason::Scheme, "{address}");
    }
    assert!(secret.paths().is_empty(), "{:?}", secret.paths());
}

#[tokio::test]
async fn addresses_that_are_not_of_the_web_are_refused() {
    let fetcher = fetcher(&[], |_| {});
    for url in ["file:///etc/passwd", "data:,x", "chrome://version", "http://user:pass@127.0.0.1/", "about:blank"] {
        let error = fetcher.fetch(&url.parse().expect("a URL"), &Validators::default()).await.expect_err("refused");
        assert_eq!(error.reason, FetchReason::Scheme, "{url}");
        assert!(error.to_string().contains(url), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_asks_to_be_left_alone_is_asked_once() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        _ => Reply::status(429).header("Retry-After", "120"),
    });
    let fetcher = fetcher(&[&site], |_| {});
    for path in ["/a", "/a", "/b"] {
        let FetchReason::Busy { status: 429, wait } = reason(&fetcher, &site.url(path)).await else {
            panic!("not busy");
        };
        assert!(wait <= Duration::from_secs(120) && wait > Duration::from_secs(60), "{wait:?}");
    }
    assert_eq!(site.paths(), ["/robots.txt", "/a"]);
}

#[tokio::test]
async fn one_origin_gets_one_request_at_a_time() {
    let site = Site::start(|path| if path == "/robots.txt" { Reply::status(404) } else { Reply::html("page") });
    let fetcher = fetcher(&[&site], |_| {});
    let (a, b, c) = (site.url("/a"), site.url("/b"), site.url("/c"));
    tokio::join!(page(&fetcher, &a), page(&fetcher, &b), page(&fetcher, &c));
    assert_eq!(site.most_at_once(), 1);
    assert_eq!(site.paths().len(), 4);
}

#[tokio::test]
async fn the_ports_of_one_host_share_its_turn_and_its_pause() {
    let start = || {
        Site::start(|path| match path {
            "/robots.txt" => Reply::status(404),
            "/busy" => Reply::status(503).header("Retry-After", "3600"),
            _ => Reply::html("page"),
        })
    };
    let (one, other) = (start(), start());
    let url =
        |site: &Site, path: &str| format!("http://localhost:{}{path}", site.port()).parse::<Url>().expect("a URL");
    let pairs = [&one, &other].map(|site| format!("localhost:{}", site.port()));
    let guard = Guard::new(Allow::parse(pairs).expect("pairs"), Duration::from_secs(5));
    let fetcher = Fetcher::new(guard, Options { delay: Duration::ZERO, ..Options::default() }).expect("a fetcher");
    let turn = fetcher.turn(&url(&one, "/"), &Progress::default()).await.unwrap_or_else(|error| panic!("{error}"));
    let second = url(&other, "/");
    assert!(tokio::time::timeout(Duration::from_millis(200), page(&fetcher, &second)).await.is_err());
    assert!(other.paths().is_empty());
    drop(turn);
    page(&fetcher, &second).await;
    for (site, path) in [(&one, "/busy"), (&other, "/a")] {
        let reason = reason(&fetcher, &url(site, path)).await;
        assert!(matches!(reason, FetchReason::Busy { status: 503, .. }), "{reason:?}");
    }
    assert_eq!(other.paths(), ["/robots.txt", "/"]);
}

#[tokio::test]
async fn the_limits_of_a_body_are_exact() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        "/chunked" => Reply::html(&"x".repeat(1001)).chunked(),
        path => Reply::html(&"x".repeat(path[1..].parse().expect("a length"))),
    });
    let fetcher = fetcher(&[&site], |options| options.body_limit = 1000);
    for length in [0, 999, 1000] {
        assert_eq!(page(&fetcher, &site.url(&format!("/{length}"))).await.body.len(), length);
    }
    assert_eq!(reason(&fetcher, &site.url("/1001")).await, FetchReason::TooLong(1000));
    assert_eq!(reason(&fetcher, &site.url("/chunked")).await, FetchReason::TooLong(1000));
}

#[tokio::test]
async fn a_hostile_server_ends_with_an_error_that_names_the_address() {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        "/endless" => Reply::endless(),
        "/gigabyte" => Reply::claims(1 << 30),
        "/short" => Reply::claims(100),
        "/bomb" => Reply::bomb(64 << 20),
        "/brotli" => Reply::html("x").header("Content-Encoding", "br"),
        "/rubbish" => Reply::raw("\0\0\0\0\r\n\r\n"),
        "/head" => Reply::raw(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))),
        "/nothing" => Reply::raw(""),
        _ => Reply::status(404),
    });
    let fetcher = fetcher(&[&site], |options| options.decoded_limit = 1 << 20);
    assert_eq!(reason(&fetcher, &site.url("/endless")).await, FetchReason::TooLong(4 << 20));
    assert!(matches!(reason(&fetcher, &site.url("/gigabyte")).await, FetchReason::Cut(_)));
    assert!(matches!(reason(&fetcher, &site.url("/short")).await, FetchReason::Cut(_)));
    assert!(matches!(reason(&fetcher, &site.url("/bomb")).await, FetchReason::Encoding(_)));
    assert!(matches!(reason(&fetcher, &site.url("/brotli")).await, FetchReason::Encoding(_)));
    for path in ["/rubbish", "/head", "/nothing"] {
        assert!(matches!(reason(&fetcher, &site.url(path)).await, FetchReason::Failed(_)), "{path}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_drips_ends_at_the_time_out_and_others_are_not_delayed() {
    let slow = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        "/drip" => Reply::drip(),
        _ => Reply::hang(),
    });
    let quick = Site::start(|path| if path == "/robots.txt" { Reply::status(404) } else { Reply::html("quick") });
    let fetcher = fetcher(&[&slow, &quick], |options| options.timeout = Duration::from_secs(3));
    let hang = slow.url("/hang");
    let hanging = reason(&fetcher, &hang);
    tokio::pin!(hanging);
    let url = quick.url("/");
    tokio::select! {
        biased;
        reason = &mut hanging => panic!("the quick site waited: {reason}"),
        page = page(&fetcher, &url) => assert_eq!(page.text(), "quick"),
    }
    let late = |step| FetchReason::Timeout { step, limit: Duration::from_secs(3) };
    assert_eq!(hanging.await, late(Step::Headers));
    assert_eq!(reason(&fetcher, &slow.url("/drip")).await, late(Step::Body));
}

#[tokio::test]
async fn the_advice_of_a_refusal_is_what_the_guard_takes() {
    let to = |location: &'static str| {
        Site::start(move |path| if path == "/" { Reply::redirect(location) } else { Reply::status(404) })
    };
    for (location, advice) in [
        ("http://[::ffff:127.0.0.1]:28101/", "[::ffff:7f00:1]:28101"),
        ("http://[::1]:28101/", "[::1]:28101"),
        ("http://[fd00::1]/", "[fd00::1]:80"),
        ("http://127.0.0.1:28101/", "127.0.0.1:28101"),
        ("http://localhost:28101/", "localhost:28101"),
    ] {
        let site = to(location);
        let reason = reason(&fetcher(&[&site], |_| {}), &site.url("/")).await.to_string();
        let named = reason.split_once("--allow ").unwrap_or_else(|| panic!("{reason}")).1;
        let named = named.split([' ', ',']).next().expect("a word");
        assert_eq!(named, advice, "{reason}");
        Allow::parse([named]).unwrap_or_else(|error| panic!("{reason}: {error}"));
    }
}
