//! Rendering in a real Chromium, in its sandbox. A program of its own, since the guardian is this program once more.

mod common;

use common::{Reply, Site};
use std::process::ExitCode;
use std::time::Duration;
use switchboard_news::guard::{Allow, Guard, Proxy, ProxyLimits};
use switchboard_news::render::{Browser, BrowserOptions, RenderError, Request};

/// Generous; only what must come to its end waits so long.
const LIMIT: Duration = Duration::from_secs(60);

fn answer(path: &str) -> Reply {
    if let Some(port) = path.strip_prefix("/to/") {
        return Reply::redirect(&format!("http://127.0.0.1:{port}/"));
    }
    if let Some(port) = path.strip_prefix("/sub/") {
        let secret = format!("http://127.0.0.1:{port}/");
        return Reply::html(&format!(
            "<iframe src={secret}></iframe><img src={secret}><script>fetch('{secret}', {{mode: 'no-cors'}})\
             .then(r => r.text(), () => 0).then(() => document.body.append(document.createElement('tried')))</script>"
        ));
    }
    match path {
        "/fetched" => Reply::html(
            "<ul id=l></ul><script>onload = () => fetch('/data').then(r => r.text()).then(t => { l.innerHTML = t; })</script>",
        ),
        "/data" => Reply::text("<li>Fetched headline</li>"),
        "/late" => {
            Reply::html("<p id=p></p><script>setTimeout(() => p.innerHTML = '<b>Late headline</b>', 2000)</script>")
        }
        "/shadow" => Reply::html(
            "<div id=h><i>Slotted headline</i></div><script>h.attachShadow({mode: 'open'}).innerHTML = '<h2>Shadow headline</h2><slot></slot>'</script>",
        ),
        "/dialog" => Reply::html("<script>alert(1); confirm(2); document.write('<p>After the dialogs</p>')</script>"),
        "/busy" => Reply::html("<script>for (;;);</script>"),
        "/hang" => Reply::hang(),
        "/download" => Reply::text("x").header("Content-Disposition", "attachment; filename=x"),
        "/picture" => Reply::html("<img src=/pixel.png><p>Picture page</p>"),
        "/tamper" => Reply::html(
            "<p>Honest</p><script>Document.prototype.createHTMLDocument = Promise = () => 0; setTimeout = 0</script>",
        ),
        "/plain" => Reply::html("<p>Plain headline</p>"),
        _ => Reply::status(404),
    }
}

async fn html(browser: &Browser, request: Request) -> String {
    let request = Request { timeout: LIMIT, ..request };
    browser.render(&request).await.unwrap_or_else(|error| panic!("{error}")).html
}

async fn contents(browser: &Browser, url: url::Url, wait_for: &str) -> String {
    html(browser, Request { wait_for: Some(wait_for.to_owned()), ..Request::new(url) }).await
}

async fn error(browser: &Browser, request: Request) -> RenderError {
    let error = browser.render(&request).await.expect_err(request.url.as_str());
    assert!(error.to_string().contains(request.url.as_str()), "{error} does not name {}", request.url);
    error
}

async fn headlines_that_only_scripts_show_are_rendered(browser: &Browser, site: &Site) {
    for (path, selector, headline) in [
        ("/fetched", "li", "<li>Fetched headline</li>"),
        ("/late", "b", "<b>Late headline</b>"),
        ("/shadow", "h2", "<h2>Shadow headline</h2>"),
        ("/shadow", "h2", "<i>Slotted headline</i>"),
        ("/dialog", "p", "After the dialogs"),
        ("/tamper", "p", "Honest"),
    ] {
        let html = contents(browser, site.url(path), selector).await;
        assert!(html.contains(headline), "{path}: {html}");
    }
}

async fn pictures_are_loaded_only_when_asked_for(browser: &Browser, site: &Site) {
    for images in [false, true] {
        html(browser, Request { images, ..Request::new(site.url("/picture")) }).await;
        assert_eq!(site.paths().iter().any(|path| path == "/pixel.png"), images);
    }
}

async fn a_hostile_page_ends_with_an_error_that_names_it(browser: &Browser, site: &Site) {
    let brief = Duration::from_secs(3);
    for path in ["/busy", "/hang"] {
        let error = error(browser, Request { timeout: brief, ..Request::new(site.url(path)) }).await;
        assert!(matches!(error, RenderError::Timeout { .. }), "{path}: {error}");
    }
    let never = Request { wait_for: Some("none".into()), timeout: brief, ..Request::new(site.url("/plain")) };
    assert!(matches!(error(browser, never).await, RenderError::Timeout { .. }));
    let wrong = Request { wait_for: Some("a[".into()), timeout: LIMIT, ..Request::new(site.url("/plain")) };
    assert!(matches!(error(browser, wrong).await, RenderError::Failed { .. }));
    error(browser, Request { timeout: LIMIT, ..Request::new(site.url("/download")) }).await;
    assert!(contents(browser, site.url("/plain"), "p").await.contains("Plain headline"), "the browser lives on");
}

async fn nothing_private_is_reached(browser: &Browser, site: &Site) {
    let secret = Site::start(|_| Reply::html("secret"));
    let port = secret.port();
    for host in ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/").parse().expect("a URL");
        let error = error(browser, Request { timeout: LIMIT, ..Request::new(url) }).await;
        assert!(error.to_string().contains("refused"), "{host}: {error}");
    }
    let url = site.url(&format!("/to/{port}"));
    assert!(error(browser, Request { timeout: LIMIT, ..Request::new(url) }).await.to_string().contains("refused"));
    html(
        browser,
        Request { images: true, wait_for: Some("tried".into()), ..Request::new(site.url(&format!("/sub/{port}"))) },
    )
    .await;
    for url in ["file:///etc/passwd", "data:text/html,x", "chrome://version/", "about:blank", "javascript:1"] {
        let url: url::Url = url.parse().expect("a URL");
        assert_eq!(error(browser, Request::new(url.clone())).await, RenderError::Scheme(url));
    }
    assert!(secret.paths().is_empty(), "{:?}", secret.paths());
    assert!(!site.paths().is_empty());
}

async fn every_context_is_disposed_of(browser: &Browser, site: &Site) {
    html(browser, Request::new(site.url("/plain"))).await;
    // Given up halfway.
    drop(tokio::time::timeout(Duration::from_millis(300), browser.render(&Request::new(site.url("/hang")))).await);
    let end = std::time::Instant::now() + LIMIT;
    while browser.contexts().await != Some(0) {
        assert!(std::time::Instant::now() < end, "{:?} contexts are left", browser.contexts().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn the_death_of_the_browser_is_an_error_at_once(browser: &Browser, site: &Site) {
    let request = Request { timeout: Duration::from_secs(600), ..Request::new(site.url("/hang")) };
    let before = site.paths().len();
    let kill = async {
        while site.paths().len() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let kill = std::process::Command::new("kill").args(["-9", &browser.id().to_string()]).status();
        assert!(kill.expect("kill").success());
    };
    let ((), error) =
        tokio::time::timeout(LIMIT, async { tokio::join!(kill, error(browser, request)) }).await.expect("an end");
    assert!(matches!(error, RenderError::Failed { .. }) && browser.is_gone(), "{error}");
}

async fn all() {
    let site = Site::start(answer);
    let guard = Guard::new(Allow::parse([site.pair()]).expect("pairs"), LIMIT);
    let proxy = Proxy::start(guard, ProxyLimits::default()).await.expect("a proxy");
    let base = tempfile::tempdir().expect("a directory");
    // Another user has to pass through.
    std::fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("a mode");
    let options = BrowserOptions { start_timeout: LIMIT, ..BrowserOptions::new(proxy.address(), base.path().into()) };
    let browser = Browser::launch(&options).await.unwrap_or_else(|error| panic!("{error}"));
    println!("{}", browser.version());
    assert!(
        !std::fs::read(format!("/proc/{}/cmdline", browser.id()))
            .expect("a process")
            .windows(10)
            .any(|part| part == b"no-sandbox")
    );
    headlines_that_only_scripts_show_are_rendered(&browser, &site).await;
    println!("ok: headlines_that_only_scripts_show_are_rendered");
    pictures_are_loaded_only_when_asked_for(&browser, &site).await;
    println!("ok: pictures_are_loaded_only_when_asked_for");
    a_hostile_page_ends_with_an_error_that_names_it(&browser, &site).await;
    println!("ok: a_hostile_page_ends_with_an_error_that_names_it");
    nothing_private_is_reached(&browser, &site).await;
    println!("ok: nothing_private_is_reached");
    every_context_is_disposed_of(&browser, &site).await;
    println!("ok: every_context_is_disposed_of");
    let directory = browser.directory().to_owned();
    assert!(directory.exists());
    the_death_of_the_browser_is_an_error_at_once(&browser, &site).await;
    println!("ok: the_death_of_the_browser_is_an_error_at_once");
    drop(browser);
    let end = std::time::Instant::now() + LIMIT;
    while directory.exists() {
        assert!(std::time::Instant::now() < end, "{} is left", directory.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("ok: nothing_is_left_after_the_end");
    let missing = BrowserOptions { program: "/nonexistent/chromium".into(), ..options };
    let error = Browser::launch(&missing).await.err().expect("no such program");
    assert!(matches!(&error, RenderError::Start(_)) && error.to_string().contains("apt-get install"), "{error}");
    println!("ok: a_missing_chromium_is_named_with_its_remedy");
}

fn main() -> ExitCode {
    switchboard_child::init();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(all());
    ExitCode::SUCCESS
}
