//! The page of headlines over real HTTP, of sites that the tests serve.

#[path = "news/at_once.rs"]
mod at_once;
mod common;
mod harness;
#[path = "news/late.rs"]
mod late;
#[path = "news/lists.rs"]
mod lists;
#[path = "news/refresh.rs"]
mod refresh;
mod service;
#[path = "news/single.rs"]
mod single;

use common::{Reply, Site};
use harness::{LIMIT, eventually};
use serde_json::{Value, json};
use service::Served;
use std::path::PathBuf;
use std::time::Duration;
use switchboard_http_client::Method;
use switchboard_news::board::Topic;
use switchboard_news::render::RendererSettings;
use switchboard_news::service::Rendering;
use tempfile::TempDir;

fn site(name: &str, url: &str, more: &str) -> String {
    format!("[[site]]\nname = {name:?}\nurl = {url:?}\nmode = \"fetch\"\n{more}\n")
}

fn file(base: &TempDir, text: &str) -> PathBuf {
    let path = base.path().join("sites.toml");
    std::fs::write(&path, text).expect("written");
    path
}

fn links(titles: &[&str]) -> Reply {
    let link = |(number, title): (usize, &&str)| format!("<li><a href=/{number}/{title}>{title}</a></li>");
    Reply::html(&titles.iter().enumerate().map(link).collect::<String>())
}

fn feed(titles: &[&str]) -> String {
    let item = |title: &&str| {
        let (link, hour) = (format!("http://x.example/{title}"), title.len() % 10);
        let date = format!("Fri, 27 Nov 2026 0{hour}:00:00 GMT");
        format!("<item><title>{title}</title><link>{link}</link><pubDate>{date}</pubDate></item>")
    };
    let items: String = titles.iter().map(item).collect();
    format!("<rss version='2.0'><channel><title>f</title>{items}</channel></rss>")
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_stand_on_one_page_sorted_without_repetitions_and_filtered() {
    let one = Site::start(|_| links(&["zebra", "Apple", "same words"]));
    let two =
        Site::start(
            |path| if path == "/f" { Reply::text(&feed(&["Berry", "Same words!"])) } else { Reply::status(404) },
        );
    let base = TempDir::new().expect("a directory");
    let text = site("One", one.url("/").as_str(), "color = \"#123456\"")
        + &site("T & <w>", two.url("/").as_str(), &format!("feed = \"{}\"", two.url("/f"))).replace("fetch", "feed");
    let news = Served::news(base.path(), &file(&base, &text), &[&one, &two], |_| {}).await;
    eventually("headlines", 4, async || news.titles("/news.json").await.len()).await;
    assert_eq!(news.titles("/news.json?refresh=1").await, ["Apple", "Berry", "same words", "zebra"]);
    assert_eq!(news.titles("/news.json?q=APP").await, ["Apple"]);
    assert_eq!(news.titles("/news.json?site=T+%26+%3Cw%3E").await, ["Berry"]);
    assert_eq!(news.titles("/news.json?order=site").await, ["Apple", "same words", "zebra", "Berry"]);
    // Its date is before or after now, by the clock of this machine; those without one were seen at one time.
    let newest = news.titles("/news.json?order=newest").await;
    assert!(newest[0] == "Berry" || newest[3] == "Berry", "{newest:?}");
    assert_eq!(news.get("/news?order=best").await.0, 400);
    for path in ["/", "/news"] {
        let (status, page) = news.get(path).await;
        assert_eq!(status, 200);
        assert!(page.contains("class=\"headline s0\"") && page.contains("T &#38; &#60;w&#62;"), "{page}");
        assert!(page.contains("rel=\"noopener noreferrer\"") && !page.contains("style=") && !page.contains("onclick"));
    }
    let sheets = |page: &str| page.find("/theme.css").zip(page.find("/style.css"));
    assert!(sheets(&news.get("/").await.1).is_some_and(|(theme, own)| theme < own));
    let theme = news.ask(Method::GET, "/theme.css", &[], "").await;
    assert!(theme.status == 200 && theme.headers["content-type"] == "text/css; charset=utf-8");
    assert!(news.get("/colors.css").await.1.contains(".s0 { --site: #123456; }"));
    let answer = news.ask(Method::GET, "/news", &[], "").await;
    let policy = answer.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(news.state("One").await, ("fresh".into(), String::new()));
    assert_eq!(news.get("/healthz").await, (200, "ok\n".into()));
    assert_eq!(news.get("/nothing").await.0, 404);
    let rss = news.get("/news.rss").await.1;
    let read = switchboard_news::extract::feed(&rss, &one.url("/"), &rule()).expect("a feed");
    assert_eq!(read.headlines.len(), 4);
    news.stop().await;
}

fn rule() -> switchboard_news::site::Rule {
    switchboard_news::site::parse(&site("x", "http://x.example/", "")).expect("a site").remove(0).rule
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_headlines_are_escaped_everywhere() {
    let hostile = "<script>alert(1)</script>\" onmouseover=\"x ]]> & 'q'";
    let escaped = hostile.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!("<a href='/1?\"><b>'>{escaped}</a><a href='javascript:alert(1)'>Bad link</a>");
    let one = Site::start(move |_| Reply::html(&page));
    let base = TempDir::new().expect("a directory");
    let news = Served::news(base.path(), &file(&base, &site("One", one.url("/").as_str(), "")), &[&one], |_| {}).await;
    eventually("a headline", vec![hostile.to_owned()], async || news.titles("/news.json").await).await;
    for path in ["/news", "/news/list", "/news.rss", "/news?q=%3Cscript%3E%22"] {
        let (status, text) = news.get(path).await;
        assert_eq!(status, 200);
        assert!(
            !text.contains("<script>alert") && !text.contains("onmouseover=\"x") && !text.contains("javascript:"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_site_says_why_and_delays_no_other() {
    let good = Site::start(|_| links(&["Good"]));
    let base = TempDir::new().expect("a directory");
    // Of one host, they wait for each other; so each has a site of its own.
    let names = ["hang", "endless", "drip", "bomb", "empty", "loop", "broken"];
    let others: Vec<Site> = names
        .iter()
        .map(|_| {
            Site::start(|path| match path {
                "/hang" => Reply::hang(),
                "/endless" => Reply::endless(),
                "/drip" => Reply::drip(),
                "/bomb" => Reply::bomb(1 << 30),
                "/empty" => Reply::html("<p>nothing"),
                "/loop" => Reply::redirect("/loop"),
                "/robots.txt" => Reply::status(404),
                _ => Reply::status(500),
            })
        })
        .collect();
    let mut text = site("good", good.url("/").as_str(), "");
    for (name, other) in names.iter().zip(&others) {
        text += &site(name, other.url(&format!("/{name}")).as_str(), "");
    }
    let mut all: Vec<&Site> = others.iter().collect();
    all.push(&good);
    let news = Served::news(base.path(), &file(&base, &text), &all, |settings| {
        (settings.timeout, settings.deadline) = (Duration::from_secs(30), Duration::from_secs(3));
    })
    .await;
    eventually("the good one", vec!["Good".to_owned()], async || news.titles("/news.json").await).await;
    assert!(matches!(news.state("hang").await.0.as_str(), "waiting" | "failed"));
    for (name, other) in names.iter().zip(&others) {
        let state = if *name == "empty" { "broken" } else { "failed" };
        eventually(name, state.to_owned(), async || news.state(name).await.0).await;
        let reason = news.state(name).await.1;
        assert!(reason.contains(other.url(&format!("/{name}")).as_str()), "{reason}");
    }
    let page = news.get("/news").await.1;
    assert!(
        page.contains("rule broken") && page.contains("fewer than min_items = 1") && page.contains("Good"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_chromium_breaks_no_rule_and_a_reason_stands_once() {
    let (empty, busy) = (Site::start(|_| Reply::html("<p>nothing")), Site::start(|_| Reply::status(429)));
    let base = TempDir::new().expect("a directory");
    let text = site("Empty", empty.url("/").as_str(), "")
        + &site("Busy", busy.url("/").as_str(), "")
        + &site("Refused", "http://127.0.0.1:1/", "");
    let text = text.replace("mode = \"fetch\"", "mode = \"auto\"");
    let news = Served::news(base.path(), &file(&base, &text), &[&empty, &busy], |settings| {
        let mut renderer = RendererSettings::new(base.path().into());
        renderer.program = "no-such-chromium".into();
        settings.rendering = Rendering::Own(renderer);
    })
    .await;
    for name in ["Empty", "Busy", "Refused"] {
        eventually(name, "failed".to_owned(), async || news.state(name).await.0).await;
    }
    let reason = news.state("Empty").await.1;
    assert!(reason.contains("min_items") && reason.contains("apt-get install chromium"), "{reason}");
    for (name, part) in [("Busy", "status 429 for robots.txt"), ("Refused", "--allow 127.0.0.1:1")] {
        let reason = news.state(name).await.1;
        assert_eq!(reason.matches(part).count(), 1, "{reason}");
    }
    assert!(news.told.lock().expect("no panic").iter().all(|message| message.topic != Topic::Alerts));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_published_once_and_a_broken_rule_too_over_a_restart() {
    let served = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = served.clone();
    let one = Site::start(move |path| {
        if path == "/robots.txt" {
            return Reply::status(404);
        }
        match count.load(std::sync::atomic::Ordering::SeqCst) {
            0 => links(&["First"]).header("ETag", "\"v1\""),
            1 => Reply::html("<p>nothing"),
            _ => links(&["First", "Second"]),
        }
    });
    let set = |step| served.store(step, std::sync::atomic::Ordering::SeqCst);
    let base = TempDir::new().expect("a directory");
    let path = file(&base, &site("One", one.url("/").as_str(), "ttl = \"10s\""));
    let start = async || Served::news(base.path(), &path, &[&one], |_| {}).await;
    let told = |news: &Served, topic| {
        let told = news.told.lock().expect("no panic");
        let bodies = told.iter().filter(|message| message.topic == topic).map(|message| message.body.clone());
        bodies.map(|body| serde_json::from_str::<Value>(&body).expect("JSON")).collect::<Vec<_>>()
    };
    let news = start().await;
    eventually("the first", 1, async || told(&news, Topic::News).len()).await;
    let first = told(&news, Topic::News).remove(0);
    assert_eq!((&first["site"], &first["title"]), (&json!("One"), &json!("First")));
    assert!(first["url"].as_str().is_some_and(|url| url.contains("/0/First")) && first["seen"].is_string());
    news.stop().await;
    set(1);
    let news = start().await;
    // From the file, before anything is fetched; and it is not asked before its time.
    assert_eq!(news.titles("/news.json").await, ["First"]);
    eventually("broken", "broken".to_owned(), async || news.state("One").await.0).await;
    eventually("told", 1, async || told(&news, Topic::Alerts).len()).await;
    assert_eq!(told(&news, Topic::Alerts)[0]["kind"], "rule_broken");
    assert_eq!(news.titles("/news.json").await, ["First"], "the last good ones stay");
    let asked = one.paths().iter().filter(|path| *path == "/").count();
    eventually("asked again", true, async || one.paths().iter().filter(|path| *path == "/").count() > asked).await;
    assert_eq!((told(&news, Topic::Alerts).len(), told(&news, Topic::News).len()), (1, 0));
    set(2);
    eventually("it works again", 2, async || told(&news, Topic::Alerts).len()).await;
    assert_eq!(told(&news, Topic::Alerts)[1]["kind"], "rule_works");
    assert_eq!(
        told(&news, Topic::News).iter().map(|told| told["title"].clone()).collect::<Vec<_>>(),
        [json!("Second")]
    );
    news.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_page_is_asked_for_by_its_tag_also_after_a_restart() {
    let one = Site::start(|path| {
        if path == "/robots.txt" { Reply::status(404) } else { links(&["First"]).header("ETag", "\"v1\"") }
    });
    let base = TempDir::new().expect("a directory");
    let path = file(&base, &site("One", one.url("/").as_str(), "ttl = \"10s\""));
    let news = Served::news(base.path(), &path, &[&one], |_| {}).await;
    eventually("headlines", 1, async || news.titles("/news.json").await.len()).await;
    news.stop().await;
    let news = Served::news(base.path(), &path, &[&one], |_| {}).await;
    let is_asked = async || one.heads().iter().any(|head| head.to_lowercase().contains("if-none-match: \"v1\""));
    eventually("the tag", true, is_asked).await;
    eventually("fresh", ("fresh".to_owned(), String::new()), async || news.state("One").await).await;
    assert_eq!(news.titles("/news.json").await, ["First"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_file_is_in_force_and_a_problem_changes_nothing_but_is_shown() {
    let one = Site::start(|path| if path == "/b" { links(&["Other"]) } else { links(&["First"]) });
    let base = TempDir::new().expect("a directory");
    let path = file(&base, &site("One", one.url("/").as_str(), ""));
    let news = Served::news(base.path(), &path, &[&one], |_| {}).await;
    eventually("headlines", 1, async || news.titles("/news.json").await.len()).await;
    file(&base, &(site("One", one.url("/").as_str(), "") + &site("Two", one.url("/b").as_str(), "")));
    eventually("two", 2, async || news.titles("/news.json").await.len()).await;
    file(&base, "[[site]]\nname = \"x\"\nurl = \n");
    let problem = async || news.json("/news.json").await["problem"].as_str().unwrap_or_default().to_owned();
    eventually("a problem", true, async || problem().await.contains("line 3")).await;
    assert_eq!(news.titles("/news.json").await.len(), 2);
    assert!(news.get("/news").await.1.contains("line 3"));
    std::fs::remove_file(&path).expect("removed");
    eventually("a problem", true, async || problem().await.contains("cannot read")).await;
    file(&base, &site("Two", one.url("/b").as_str(), ""));
    eventually("one", vec!["Other".to_owned()], async || news.titles("/news.json").await).await;
    eventually("no problem", String::new(), problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_table_stops_that_site_alone_and_keeps_its_headlines() {
    let one = Site::start(|path| if path == "/b" { links(&["Other"]) } else { links(&["First"]) });
    let base = TempDir::new().expect("a directory");
    let (first, second) = (site("One", one.url("/").as_str(), ""), site("Two", one.url("/b").as_str(), ""));
    // From the beginning: a color that is none, and a site without an address.
    let path = file(&base, &format!("{first}color = \"nocolor\"\n[[site]]\nname = \"Bad\"\nttl = 5\n{second}"));
    let news = Served::news(base.path(), &path, &[&one], |_| {}).await;
    eventually("both", 2, async || news.titles("/news.json").await.len()).await;
    let page = news.json("/news.json").await;
    let warning = page["sites"][0]["warnings"][0].as_str().expect("a warning").to_owned();
    assert!(warning.starts_with("line 6: site \"One\": \"nocolor\" is not a color"), "{warning}");
    assert_eq!((&page["sites"][0]["state"], &page["problem"]), (&json!("fresh"), &Value::Null));
    let (state, reason) = news.state("Bad").await;
    assert!(state == "broken" && reason.contains("line 9: ") && reason.contains("ttl"), "{state}: {reason}");
    assert!(reason.contains("url is missing"), "{reason}");
    let html = news.get("/news").await.1;
    assert!(html.contains("nocolor") && html.contains("<span class=\"name\">Bad</span>"), "{html}");
    // Later: its headlines stay, and it goes on where the fault is mended.
    file(&base, &format!("{first}{second}ttl = \"soon\"\n"));
    eventually("a fault", "broken".to_owned(), async || news.state("Two").await.0).await;
    assert!(news.state("Two").await.1.contains("soon"));
    file(&base, &format!("{first}{second}limit = 0\n"));
    eventually("another fault", true, async || news.state("Two").await.1.contains("limit is 0")).await;
    assert_eq!(news.titles("/news.json").await, ["First", "Other"]);
    file(&base, &format!("{first}{second}"));
    eventually("mended", "fresh".to_owned(), async || news.state("Two").await.0).await;
    assert_eq!(news.titles("/news.json").await, ["First", "Other"]);
    news.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_its_limit_cuts_says_how_many_headlines_it_has() {
    let one = Site::start(|path| match path {
        "/f" => Reply::text(&feed(&["Cherry", "Date", "Elder"])),
        _ => links(&["First", "Second"]),
    });
    let base = TempDir::new().expect("a directory");
    let text = site("Page", one.url("/").as_str(), "limit = 1")
        + &site("All", one.url("/").as_str(), "limit = 2")
        + &site("Feed", one.url("/f").as_str(), &format!("feed = \"{}\"\nlimit = 2", one.url("/f")))
            .replace("fetch", "feed");
    let news = Served::news(base.path(), &file(&base, &text), &[&one], |_| {}).await;
    let counts = async || {
        let page: Value = serde_json::from_str(&news.get("/news.json").await.1).expect("JSON");
        let sites = page["sites"].as_array().expect("a list").clone();
        sites.iter().map(|site| (site["headlines"].as_u64(), site["total"].as_u64())).collect::<Vec<_>>()
    };
    let expected = vec![(Some(1), Some(2)), (Some(2), Some(2)), (Some(2), Some(3))];
    eventually("all sites were asked", expected, counts).await;
    let page = news.get("/news").await.1;
    let shown: Vec<&str> = page
        .split("class=\"count\">")
        .skip(1)
        .filter_map(|rest| rest.split_once("</span>").map(|(text, _)| text))
        .collect();
    assert_eq!(shown, ["1 of 2", "2", "2 of 3"]);
    news.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hear_of_changes_up_to_their_limit() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let one = Site::start(|_| links(&["First"]));
    let base = TempDir::new().expect("a directory");
    let path = file(&base, &site("One", one.url("/").as_str(), ""));
    let news = Served::news(base.path(), &path, &[&one], |settings| settings.clients = 1).await;
    let open = async || {
        let mut stream = tokio::net::TcpStream::connect(news.address).await.expect("connected");
        stream.write_all(b"GET /news/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("written");
        BufReader::new(stream).lines()
    };
    let mut page = open().await;
    let mut until = async |wanted: &str| {
        let waiting = async {
            while let Some(line) = page.next_line().await.expect("a line") {
                if line.contains(wanted) {
                    return;
                }
            }
            panic!("no {wanted}");
        };
        tokio::time::timeout(LIMIT, waiting).await.expect("in time");
    };
    until("text/event-stream").await;
    until("event: changed").await;
    assert_eq!(open().await.next_line().await.expect("a line").as_deref(), Some("HTTP/1.1 503 Service Unavailable"));
    file(&base, &(site("One", one.url("/").as_str(), "") + &site("Two", one.url("/b").as_str(), "")));
    until("event: changed").await;
    drop(page);
    let is_free = async || open().await.next_line().await.expect("a line").is_some_and(|line| line.contains("200"));
    eventually("its place is free", true, is_free).await;
    // One that listens does not delay the end.
    let _page = open().await;
    tokio::time::timeout(LIMIT, news.stop()).await.expect("an end");
}
