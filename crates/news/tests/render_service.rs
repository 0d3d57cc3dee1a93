//! Splash's contract over real HTTP, with the real Chromium; and the page of headlines with what only scripts show.

mod common;
mod harness;
mod service;

use common::{Reply, Site};
use harness::{LIMIT, Run, eventually};
use serde_json::{Value, json};
use service::Served;
use std::process::ExitCode;
use std::time::Duration;
use switchboard_http_client::header::CONTENT_TYPE;
use switchboard_http_client::{HeaderName, Method};
use switchboard_news::guard::Allow;
use switchboard_news::render::{
    Remote, RenderError, RenderStep, Renderer, RendererSettings, Request, Screenshot, Viewport,
};
use switchboard_news::service::{RenderService, RenderServiceSettings, Rendering};

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json; charset=utf-8")];

fn answer(path: &str) -> Reply {
    match path {
        "/late" => Reply::html(
            "<title>Late</title><p id=p>Before</p><script>setTimeout(() => p.innerHTML = '<a href=/1>Late headline</a>', 1000)</script>",
        ),
        "/hang" => Reply::hang(),
        _ => Reply::html("<title>Plain</title><p>Plain headline</p>"),
    }
}

async fn serve(renderer: Renderer) -> Served {
    let mut settings = RenderServiceSettings::new(renderer);
    settings.listen = vec!["127.0.0.1:0".into()];
    let service = RenderService::bind(settings).await.unwrap_or_else(|error| panic!("{error}"));
    let address = service.http_addresses()[0];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(service.run(async move { drop(stopped.await) }));
    Served::new(address, std::sync::Arc::default(), stop, running)
}

async fn pages_are_rendered_by_get_and_post(service: &Served, site: &Site) {
    let late = site.url("/late");
    let (status, html) = service.get(&format!("/render.html?url={late}&wait_for=a&timeout=60")).await;
    assert!(status == 200 && html.contains("Late headline"), "{status} {html}");
    let body = json!({ "url": late, "wait_for": "a", "html": 1, "png": 1, "viewport": "300x200", "timeout": 60 });
    let answer = service.ask(Method::POST, "/render.json", &JSON, &body.to_string()).await;
    let page: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((&page["title"], &page["url"], &page["status"]), (&json!("Late"), &json!(late), &json!(200)), "{page}");
    assert_eq!(page["geometry"], json!([0, 0, 300, 200]));
    assert!(page["html"].as_str().is_some_and(|html| html.contains("Late headline")) && page["png"].is_string());
    let few = service.json(&format!("/render.json?url={}", site.url("/"))).await;
    assert!(few["html"].is_null() && few["png"].is_null(), "{few}");
    let answer = service.ask(Method::GET, &format!("/render.png?url={}&width=100", site.url("/")), &[], "").await;
    assert_eq!((answer.headers["content-type"].as_bytes(), &answer.body[1..4]), (&b"image/png"[..], &b"PNG"[..]));
    let answer = service.ask(Method::GET, &format!("/render.html?url={}", site.url("/")), &[], "").await;
    assert!(answer.headers["content-security-policy"].to_str().expect("text").starts_with("sandbox"));
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
}

async fn errors_are_splashs(service: &Served, site: &Site) {
    let url = |path: &str| site.url(path);
    let refused = Site::start(|_| Reply::html("secret"));
    for (path, status, kind) in [
        ("/render.html".to_owned(), 400, "BadOption"),
        (format!("/render.html?url={}&timeout=91", url("/")), 400, "BadOption"),
        (format!("/render.html?url={}&wait_for=%5B", url("/")), 400, "BadOption"),
        ("/render.html?url=file:///etc/passwd".to_owned(), 400, "BadOption"),
        (format!("/render.html?url={}&timeout=0.5", url("/hang")), 504, "GlobalTimeoutError"),
        (format!("/render.html?url={}", refused.url("/")), 502, "RenderError"),
        ("/execute?lua_source=x".to_owned(), 400, "ScriptError"),
        (format!("/render.har?url={}", url("/")), 400, "BadOption"),
        (format!("/render.json?url={}&har=1", url("/")), 400, "BadOption"),
    ] {
        let (answered, text) = service.get(&path).await;
        let error: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        assert_eq!(
            (answered, &error["error"], &error["type"]),
            (status, &json!(status), &json!(kind)),
            "{path}: {text}"
        );
        assert!(error["description"].is_string() && error["info"].is_object(), "{text}");
    }
    assert!(refused.paths().is_empty());
    let form = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
    let answer = service.ask(Method::POST, "/render.html", &form, "url=x").await;
    assert_eq!(answer.status.as_u16(), 415);
    assert_eq!(service.ask(Method::POST, "/render.html", &JSON, "{").await.status.as_u16(), 400);
    let path = format!("/render.html?url={}", url("/"));
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "http://evil.example"), ("origin", "null")] {
        let foreign = [(HeaderName::from_static(name), value)];
        assert_eq!(service.ask(Method::GET, &path, &foreign, "").await.status.as_u16(), 403, "{name}: {value}");
    }
}

async fn ping_tells_and_gc_replaces_chromium(service: &Served, site: &Site) {
    let ping = service.json("/_ping").await;
    assert_eq!((&ping["status"], ping["renderer"]["starts"].as_u64()), (&json!("ok"), Some(1)), "{ping}");
    assert_eq!(service.get("/_gc").await.0, 405);
    let answer = service.ask(Method::POST, "/_gc", &[], "").await;
    assert!(String::from_utf8_lossy(&answer.body).contains("\"recycled\":true"));
    assert_eq!(service.get(&format!("/render.html?url={}&timeout=60", site.url("/"))).await.0, 200);
    assert_eq!(service.json("/_ping").await["renderer"]["starts"], 2);
}

async fn the_death_of_chromium_is_503_with_a_time_and_the_next_page_is_rendered(
    renderer: &Renderer,
    service: &Served,
    site: &Site,
) {
    let before = site.paths().len();
    let kill = async {
        eventually("it hangs", true, async || site.paths().len() > before).await;
        let (id, _) = renderer.browser().await.expect("it runs");
        let kill = std::process::Command::new("kill").args(["-9", &id.to_string()]).status();
        assert!(kill.expect("kill").success());
    };
    let path = format!("/render.html?url={}&timeout=60", site.url("/hang"));
    let ((), answer) = tokio::join!(kill, service.ask(Method::GET, &path, &[], ""));
    assert_eq!(answer.status.as_u16(), 503, "{}", String::from_utf8_lossy(&answer.body));
    assert!(answer.headers["retry-after"].to_str().expect("text").parse::<u64>().expect("seconds") > 0);
    let (status, text) = service.get(&format!("/render.html?url={}&timeout=60", site.url("/"))).await;
    assert_eq!(status, 200, "{text}");
}

async fn what_finds_no_room_gets_429_with_a_time(base: &std::path::Path) {
    let site = Site::start(answer);
    let mut settings = RendererSettings::new(base.into());
    (settings.pages, settings.queue, settings.allow) = (1, 0, Allow::parse([site.pair()]).expect("a pair"));
    let service = serve(Renderer::new(settings).expect("settings")).await;
    let path = format!("/render.html?url={}&timeout=30", site.url("/hang"));
    let refused = async {
        eventually("it hangs", true, async || !site.paths().is_empty()).await;
        service.ask(Method::GET, &format!("/render.html?url={}", site.url("/")), &[], "").await
    };
    let refused = tokio::select! {
        _ = service.get(&path) => panic!("it does not hang"),
        answer = refused => answer,
    };
    assert_eq!(refused.status.as_u16(), 429);
    assert!(refused.headers["retry-after"].to_str().expect("text").parse::<u64>().expect("seconds") > 0);
}

async fn headlines_that_only_scripts_show_stand_on_the_page(renderer: &Renderer, service: &Served, site: &Site) {
    let late = site.url("/late");
    for rendering in [Rendering::Shared(renderer.clone()), Rendering::Remote(format!("http://{}", service.address))] {
        let base = tempfile::tempdir().expect("a directory");
        let file = base.path().join("sites.toml");
        let text = format!("[[site]]\nname = \"Late\"\nurl = \"{late}\"\nwait_for = \"a\"\n");
        std::fs::write(&file, text).expect("written");
        let news = Served::news(base.path(), &file, &[site], |settings| settings.rendering = rendering.clone()).await;
        eventually("its headline", vec!["Late headline".to_owned()], async || news.titles("/news.json").await).await;
        assert_eq!(news.json("/news.json").await["sites"][0]["source"], "render", "{rendering:?}");
        assert!(site.heads().iter().any(|head| head.contains("switchboard-news/")));
    }
}

/// Seconds until a page is late: so many that it gets to the step that is looked for, also on a busy machine.
const LATER: [u64; 3] = [3, 12, 40];

/// A page of these sites, rendered by a Chromium of its own with one page at a time.
async fn one_page_at_a_time(base: &std::path::Path, urls: &[(&str, url::Url)], sites: &[&Site]) -> Served {
    let file = base.join("sites.toml");
    let site =
        |(name, url): &(&str, url::Url)| format!("[[site]]\nname = \"{name}\"\nurl = \"{url}\"\nmode = \"render\"\n");
    std::fs::write(&file, urls.iter().map(site).collect::<String>()).expect("written");
    let mut renderer = RendererSettings::new(base.into());
    renderer.pages = 1;
    renderer.allow = Allow::parse(sites.iter().map(|site| site.pair())).expect("pairs");
    let news = Served::news(base, &file, sites, |settings| {
        settings.deadline = Duration::from_secs(45);
        settings.rendering = Rendering::Own(renderer);
    });
    news.await
}

async fn a_rendered_page_that_never_loads_leaves_time_for_the_next_one(base: &std::path::Path) {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (sets, looks) = (asked.clone(), asked);
    let hangs = Site::start(move |path| {
        if path == "/robots.txt" {
            return Reply::status(404);
        }
        sets.store(true, std::sync::atomic::Ordering::SeqCst);
        Reply::hang()
    });
    let good = Site::start(move |path| {
        // It comes second, when the only page is taken.
        while path == "/robots.txt" && !looks.load(std::sync::atomic::Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if path == "/robots.txt" { Reply::status(404) } else { Reply::html("<a href=/1>Good headline</a>") }
    });
    let urls = [("Hangs", hangs.url("/")), ("Good", good.url("/"))];
    let news = one_page_at_a_time(base, &urls, &[&hangs, &good]).await;
    eventually("the good one", "fresh".to_owned(), async || {
        let (state, reason) = news.state("Good").await;
        assert_ne!(state, "failed", "{reason}");
        state
    })
    .await;
    news.stop().await;
}

async fn a_host_that_refuses_a_rendered_page_is_left_alone_for_its_retry_after(base: &std::path::Path) {
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        _ => Reply::status(429).header("Retry-After", "3600"),
    });
    let urls = [("First", site.url("/a")), ("Second", site.url("/b"))];
    let news = one_page_at_a_time(base, &urls, &[&site]).await;
    for name in ["First", "Second"] {
        eventually(name, "failed".to_owned(), async || news.state(name).await.0).await;
    }
    let pages = site.paths().iter().filter(|path| ["/a", "/b"].contains(&path.as_str())).count();
    let reasons = [news.state("First").await.1, news.state("Second").await.1];
    assert!(pages == 1 && reasons.iter().all(|reason| reason.contains("status 429")), "{pages} {reasons:?}");
    let wait = reasons.iter().find(|reason| reason.contains("the host is left alone for another 3"));
    assert!(wait.is_some(), "{reasons:?}");
    news.stop().await;
}

async fn a_late_page_names_its_step_through_the_service_and_on_the_page(
    renderer: &Renderer,
    service: &Served,
    site: &Site,
) {
    let remote = Remote::new(&format!("http://{}", service.address)).expect("an address");
    for (path, selector, expected) in
        [("/hang", "", RenderStep::Navigation), ("/", "none", RenderStep::WaitForSelector)]
    {
        let last = LATER.len() - 1;
        for (at, seconds) in LATER.into_iter().enumerate() {
            let request = Request {
                timeout: Duration::from_secs(seconds),
                wait_for: Some(selector.to_owned()).filter(|selector| !selector.is_empty()),
                ..Request::new(site.url(path))
            };
            let Err(RenderError::Timeout { step, .. }) = remote.render(&request).await else { panic!("not late") };
            let path = format!("/render.html?url={}&wait_for={selector}&timeout={seconds}", request.url);
            let (status, text) = service.get(&path).await;
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(status, 504, "{text}");
            let found = (step.name(), answer["info"]["step"].as_str().expect("a step"));
            if found == (expected.name(), expected.name()) {
                break;
            }
            assert!(at < last, "{found:?} after {seconds} s");
        }
    }
    for (path, more, step) in [("/hang", "", "navigation"), ("/", "wait_for = \"none\"", "wait for selector")] {
        let last = LATER.len() - 1;
        for (at, seconds) in LATER.into_iter().enumerate() {
            let base = tempfile::tempdir().expect("a directory");
            let (file, url) = (base.path().join("sites.toml"), site.url(path));
            let text = format!("[[site]]\nname = \"Late\"\nurl = \"{url}\"\nmode = \"render\"\n{more}\n");
            std::fs::write(&file, text).expect("written");
            let news = Served::news(base.path(), &file, &[site], |settings| {
                settings.rendering = Rendering::Shared(renderer.clone());
                settings.deadline = Duration::from_secs(seconds);
            })
            .await;
            eventually("it is late", "failed".to_owned(), async || news.state("Late").await.0).await;
            let (reason, page) = (news.state("Late").await.1, news.get("/news").await.1);
            // A page has a third of its site's deadline.
            let limit = Duration::from_millis(seconds * 1000 / 3);
            let expected = format!("render: {step}: timeout of {limit:?} exceeded ({url})");
            if reason == expected && page.contains(expected.as_str()) {
                break;
            }
            assert!(at < last, "{reason}");
        }
    }
}

async fn the_page_fills_in_live_under_its_policy_in_a_browser() {
    // Slower than the page, which is there before its headlines.
    let site = Site::start(|path| match path {
        "/robots.txt" => Reply::status(404),
        _ => Reply::late(Duration::from_secs(4), "<a href=/1>Late &lt;b&gt; headline</a><a href=/2>Another one</a>"),
    });
    let base = harness::base();
    let file = base.path().join("sites.toml");
    let more = "[[site]]\nname = \"Gone\"\nurl = \"http://127.0.0.1:1/\"\nmode = \"fetch\"\n";
    let text = format!(
        "[[site]]\nname = \"Late\"\nurl = \"{}\"\nmode = \"fetch\"\ncolor = \"#cc0000\"\n{more}",
        site.url("/")
    );
    std::fs::write(&file, text).expect("written");
    let news = Served::news(base.path(), &file, &[&site], |_| {}).await;
    let mut settings = RendererSettings::new(base.path().into());
    settings.allow = Allow::parse([news.address.to_string()]).expect("a pair");
    let renderer = Renderer::new(settings).expect("settings");
    for (name, width) in [("wide", 1200), ("narrow", 360)] {
        let request = Request {
            timeout: LIMIT,
            wait_for: Some(".headline.s0 a".into()),
            viewport: Viewport::new(width, 700).expect("a size"),
            screenshot: Some(Screenshot { full: true, width: None, height: None }),
            ..Request::new(format!("http://{}/news", news.address).parse().expect("a URL"))
        };
        let page = renderer.render(&request).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(
            page.html.contains("Late &lt;b&gt; headline") && page.html.contains("data-state=\"live\""),
            "{}",
            page.html
        );
        assert!(page.html.contains("data-state=\"failed\""), "{}", page.html);
        assert!(page.html.contains("it is permitted by --allow 127.0.0.1:1,"), "{}", page.html);
        if let Some(folder) = std::env::var_os("SWITCHBOARD_SCREENSHOTS") {
            let png = page.png.expect("a picture");
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), png).expect("written");
        }
    }
}

async fn all() -> ExitCode {
    let mut run = Run::from_arguments();
    let (site, base) = (Site::start(answer), harness::base());
    let mut settings = RendererSettings::new(base.path().into());
    settings.allow = Allow::parse([site.pair()]).expect("a pair");
    (settings.start_timeout, settings.idle) = (LIMIT, Duration::from_secs(600));
    let renderer = Renderer::new(settings).expect("settings");
    let service = serve(renderer.clone()).await;
    run.test("pages_are_rendered_by_get_and_post", pages_are_rendered_by_get_and_post(&service, &site)).await;
    run.test("errors_are_splashs", errors_are_splashs(&service, &site)).await;
    run.test("ping_tells_and_gc_replaces_chromium", ping_tells_and_gc_replaces_chromium(&service, &site)).await;
    let name = "the_death_of_chromium_is_503_with_a_time_and_the_next_page_is_rendered";
    run.test(name, the_death_of_chromium_is_503_with_a_time_and_the_next_page_is_rendered(&renderer, &service, &site))
        .await;
    let name = "headlines_that_only_scripts_show_stand_on_the_page";
    run.test(name, headlines_that_only_scripts_show_stand_on_the_page(&renderer, &service, &site)).await;
    let name = "a_late_page_names_its_step_through_the_service_and_on_the_page";
    run.test(name, a_late_page_names_its_step_through_the_service_and_on_the_page(&renderer, &service, &site)).await;
    let name = "the_page_fills_in_live_under_its_policy_in_a_browser";
    run.test(name, the_page_fills_in_live_under_its_policy_in_a_browser()).await;
    let name = "a_rendered_page_that_never_loads_leaves_time_for_the_next_one";
    let own = harness::base();
    run.test(name, a_rendered_page_that_never_loads_leaves_time_for_the_next_one(own.path())).await;
    let name = "a_host_that_refuses_a_rendered_page_is_left_alone_for_its_retry_after";
    let own = harness::base();
    run.test(name, a_host_that_refuses_a_rendered_page_is_left_alone_for_its_retry_after(own.path())).await;
    run.test("what_finds_no_room_gets_429_with_a_time", what_finds_no_room_gets_429_with_a_time(own.path())).await;
    run.end()
}

fn main() -> ExitCode {
    switchboard_child::init();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(all())
}
