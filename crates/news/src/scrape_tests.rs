use super::*;
use crate::fetch::Options;
use crate::guard::{Allow, Guard};
use crate::render::{Renderer, RendererSettings};
use parking_lot::Mutex;
use std::sync::mpsc;
use switchboard_http_client::Trust;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const HOUR: Duration = Duration::from_secs(3600);

fn site(text: &str) -> Arc<Site> {
    Arc::new(crate::site::parse(&format!("[[site]]\nname = \"a\"\n{text}\n")).expect("a site").remove(0))
}

fn scraper(pairs: &[String], renderer: Option<Backend>) -> Scraper {
    let guard = Guard::new(Allow::parse(pairs).expect("pairs"), HOUR);
    let options = Options { delay: Duration::ZERO, timeout: HOUR, trust: Trust::Nobody, ..Options::default() };
    Scraper::new(Fetcher::new(guard, options).expect("a fetcher"), renderer, HOUR)
}

fn without_chromium() -> Backend {
    let settings = RendererSettings { program: "no-such-chromium".into(), ..RendererSettings::new("x".into()) };
    Backend::Local(Renderer::new(settings).expect("a renderer"))
}

#[test]
fn a_cause_that_several_addresses_have_is_said_once() {
    let reasons = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (list, expected) in [
        (&["away (http://a/f)", "away (http://a/)"][..], "away (http://a/f, http://a/)"),
        (&["away (http://a/)", "away (http://a/)"], "away (http://a/)"),
        (&["away (http://a/)", "late (http://a/)"], "away (http://a/); late (http://a/)"),
        (&["refused: x (of y) is not global (http://a/)"], "refused: x (of y) is not global (http://a/)"),
        (&["no Chromium"], "no Chromium"),
    ] {
        assert_eq!(sentence(&reasons(list)), expected);
    }
}

#[tokio::test]
async fn the_ways_are_those_of_the_mode_and_the_one_that_worked_last_is_first() {
    use Source::{Feed, Fetch, Render};
    let (without, with) = (scraper(&[], None), scraper(&[], Some(without_chromium())));
    let url = "url = \"http://a.example/\"";
    let feed = format!("{url}\nfeed = \"http://a.example/f\"");
    for (text, last, ways) in [
        (url, None, &[Fetch, Render][..]),
        (url, Some(Render), &[Render, Fetch]),
        (&feed, None, &[Feed, Fetch, Render]),
        (&feed, Some(Fetch), &[Fetch, Feed, Render]),
        (&feed, Some(Render), &[Render, Feed, Fetch]),
        (&format!("{feed}\nmode = \"feed\""), Some(Fetch), &[Feed]),
        (&format!("{feed}\nmode = \"fetch\""), Some(Feed), &[Fetch]),
        (&format!("{feed}\nmode = \"render\""), Some(Feed), &[Render]),
    ] {
        assert_eq!(with.ways(&site(text), last), ways, "{text} {last:?}");
    }
    assert_eq!(without.ways(&site(&feed), None), [Feed, Fetch]);
}

type Heads = Arc<Mutex<Vec<String>>>;

/// A site whose answer to a path has this status, header and body. Returns its pair, and the heads of its requests.
async fn serve(answer: fn(&str) -> (u16, &'static str, &'static str)) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let pair = listener.local_addr().expect("an address").to_string();
    let heads = Heads::default();
    let log = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.expect("a head") > 0, "it ended early");
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let (status, header, body) = answer(head.split(' ').nth(1).expect("a path"));
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status} X\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            log.lock().push(head);
            stream.write_all(text.as_bytes()).await.expect("written");
        }
    });
    (pair, heads)
}

#[tokio::test]
async fn a_version_of_one_way_is_no_version_of_another() {
    let (pair, heads) = serve(|path| if path == "/" { (200, "", "<a href=/1>One</a>") } else { (404, "", "") }).await;
    let site = site(&format!("url = \"http://{pair}/\"\nfeed = \"http://{pair}/feed\""));
    let validators = Validators { etag: Some("\"v1\"".into()), last_modified: None };
    let known = Known { source: Some(Source::Feed), validators };
    let outcome = scraper(&[pair], None).scrape(&site, &known).await;
    assert!(matches!(outcome, Outcome::Found { source: Source::Fetch, .. }), "{outcome:?}");
    let has_tag = |path: &str| {
        let heads = heads.lock();
        let head = heads.iter().find(|head| head.starts_with(&format!("get {path} "))).expect("a request");
        head.contains("if-none-match")
    };
    assert_eq!((has_tag("/feed"), has_tag("/")), (true, false));
}

#[tokio::test]
async fn a_page_that_the_guard_or_its_host_refuses_is_not_rendered_either() {
    for (answer, ways) in [
        (
            (|path| if path == "/" { (302, "Location: http://10.0.0.1/\r\n", "") } else { (404, "", "") })
                as fn(&str) -> _,
            1,
        ),
        (|path| if path == "/" { (429, "", "") } else { (404, "", "") }, 1),
        (|path| if path == "/" { (404, "", "") } else { (200, "", "User-agent: *\nDisallow: /\n") }, 1),
        (|_| (404, "", ""), 2),
        (|path| if path == "/" { (200, "", "<p>nothing") } else { (404, "", "") }, 2),
    ] {
        let (pair, _) = serve(answer).await;
        let site = site(&format!("url = \"http://{pair}/\""));
        let (outcome, tries) = scraper(&[pair], Some(without_chromium())).tries(&site, &Known::default()).await;
        let sources: Vec<_> = tries.iter().map(|tried| tried.source).collect();
        assert_eq!(sources, [Source::Fetch, Source::Render][..ways], "{outcome:?}");
    }
}

#[tokio::test]
async fn an_extraction_that_is_given_up_keeps_its_room_until_it_ends() {
    let scraper = scraper(&[], None);
    let (begun, begins) = mpsc::channel();
    let mut ends = Vec::new();
    for _ in 0..EXTRACTIONS {
        let (begun, (end, ended)) = (begun.clone(), mpsc::channel::<()>());
        ends.push(end);
        let (own, work) = (scraper.clone(), move || {
            begun.send(()).expect("somebody waits");
            let _ = ended.recv();
            Err("nothing".to_owned())
        });
        let task = tokio::spawn(async move { own.extract(work).await });
        while begins.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        task.abort();
        let _ = task.await;
    }
    assert_eq!(scraper.room.available_permits(), 0);
    drop(ends);
    let all = scraper.room.acquire_many(u32::try_from(EXTRACTIONS).expect("few"));
    timeout(HOUR, all).await.expect("all end").expect("room").forget();
}
