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
    let settings = RendererSettings { program: "no-such-chromium".into(), ..RendererSettings::new("x".into()) };
    let renderer = Backend::Local(Renderer::new(settings).expect("a renderer"));
    let (without, with) = (scraper(&[], None), scraper(&[], Some(renderer)));
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

#[tokio::test]
async fn a_version_of_one_way_is_no_version_of_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let pair = listener.local_addr().expect("an address").to_string();
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let log = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.expect("a head") > 0, "it ended early");
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let (status, body) = if head.starts_with("get / ") { (200, "<a href=/1>One</a>") } else { (404, "") };
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            log.lock().push(head);
            stream.write_all(text.as_bytes()).await.expect("written");
        }
    });
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
