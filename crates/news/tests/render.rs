//! Rendering in a real Chromium, in its sandbox. A program of its own, since the guardian is this program once more.

mod common;

#[path = "render/giant.rs"]
mod giant;
mod harness;
#[path = "render/hostile.rs"]
mod hostile;
#[path = "render/isolation.rs"]
mod isolation;
#[path = "render/outside.rs"]
mod outside;

use common::{Reply, Site};
use giant::{
    a_giant_page_suffers_alone_and_its_error_names_it_and_the_limit, a_page_of_wide_characters_is_whole_at_the_limit,
};
use harness::{LIMIT, Run, eventually};
use hostile::{
    a_document_that_is_cut_off_says_so_at_once, a_lone_surrogate_of_a_page_is_the_replacement_character,
    a_page_that_asks_for_a_password_says_so, a_page_that_navigates_again_and_again_is_rendered_or_late,
    a_page_without_its_element_is_empty, a_wrong_selector_is_named_before_the_page_is_asked_for,
};
use isolation::{
    a_page_is_the_only_one_that_has_a_process, every_page_is_rendered_in_the_sandbox,
    headers_go_to_no_frame_and_to_no_redirect, no_local_page_is_reached_from_a_page, nothing_private_is_reached,
    only_allowed_domains_are_reached_by_frames_and_workers_too,
    the_crash_of_a_tab_is_an_error_at_once_and_others_go_on, web_rtc_and_quic_send_nothing_beside_the_proxy,
};
use outside::{
    a_chromium_of_others_is_used_and_its_pages_pass_the_guard, a_name_that_is_rebound_reaches_nothing_private,
    without_a_sandbox_it_refuses_unless_it_is_told,
};
use std::process::ExitCode;
use std::time::Duration;
use switchboard_news::guard::{Allow, Guard};
use switchboard_news::render::{Browser, BrowserOptions, RenderError, RenderStep, Request, Screenshot, Viewport};

pub(crate) fn answer(path: &str) -> Reply {
    if let Some(port) = path.strip_prefix("/to/") {
        return Reply::redirect(&format!("http://127.0.0.1:{port}/"));
    }
    if let Some(port) = path.strip_prefix("/tls/") {
        return Reply::redirect(&format!("https://127.0.0.1:{port}/"));
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
        "/frames-of-a-window" => Reply::html(
            "<p id=p></p><script>requestAnimationFrame(() => new IntersectionObserver((seen, all) => { \
             if (seen[0].isIntersecting && document.visibilityState === 'visible') { all.disconnect(); \
             p.innerHTML = '<b>Seen headline</b>'; } }).observe(p))</script>",
        ),
        "/picture" => Reply::html("<img src=/pixel.png><p>Picture page</p>"),
        "/tamper" => Reply::html(
            "<p>Honest</p><script>Document.prototype.createHTMLDocument = Promise = () => 0; setTimeout = 0</script>",
        ),
        "/plain" => Reply::html("<title>Plain title</title><p>Plain headline</p>"),
        "/never-idle" => Reply::html(
            "<p>Restless</p><script>const go = () => fetch('/data').finally(() => setTimeout(go)); go(); go()</script>",
        ),
        "/scroll" => Reply::html(
            "<style>p { height: 900px }</style><div id=l><p>First</div><script>let n = 1; const o = new IntersectionObserver(all => \
             { if (all[0].isIntersecting && n++ < 4) { l.innerHTML += '<p>More ' + n; o.unobserve(e); o.observe(e); } }); onload = () => o.observe(e)</script><i id=e></i>",
        ),
        "/elsewhere" => Reply::html("<script>location = '/plain'</script>"),
        "/refresh" => Reply::html("<meta http-equiv=refresh content='0;url=/plain'>"),
        "/missing" => Reply::status(404),
        "/size" => Reply::html("<script>document.write('<b>' + innerWidth + 'x' + innerHeight + '</b>')</script>"),
        "/tall" => Reply::html("<body style='margin:0;background:#0f0'><div style='height:3000px'></div>"),
        "/slow-picture" => Reply::html("<img src=/hang><p>Beside a slow picture</p>"),
        "/frames" => Reply::html(
            "<iframe srcdoc='<img src=/pixel.png>'></iframe><script>new Worker('/worker')</script><p>Framed</p>",
        ),
        "/worker" => Reply::new_script("fetch('/from-worker')"),
        "/cookie" => Reply::html(
            "<p id=p></p><script>p.textContent = 'was:' + document.cookie; document.cookie = 'a=b'</script>",
        ),
        "/local" => Reply::html(
            "<iframe src=file:///etc/passwd></iframe><iframe src=chrome://version></iframe><p>Local</p>\
             <script>open('file:///etc/passwd'); fetch('file:///etc/passwd').catch(() => 0)</script>",
        ),
        "/to-file" => Reply::redirect("file:///etc/passwd"),
        "/to-data" => Reply::redirect("data:text/html,secret"),
        _ => hostile::answer(path).or_else(|| giant::answer(path)).unwrap_or_else(|| Reply::status(404)),
    }
}

pub(crate) async fn html(browser: &Browser, request: Request) -> String {
    let request = Request { timeout: LIMIT, ..request };
    browser.render(&request).await.unwrap_or_else(|error| panic!("{error}")).html
}

pub(crate) async fn contents(browser: &Browser, url: url::Url, wait_for: &str) -> String {
    html(browser, Request { wait_for: Some(wait_for.to_owned()), ..Request::new(url) }).await
}

pub(crate) async fn error(browser: &Browser, request: Request) -> RenderError {
    let error = browser.render(&request).await.expect_err(request.url.as_str());
    assert!(error.to_string().contains(request.url.as_str()), "{error} does not name {}", request.url);
    error
}

async fn headlines_that_only_scripts_show_are_rendered(browser: &Browser, site: &Site) {
    for (path, selector, headline) in [
        ("/fetched", "li", "<li>Fetched headline</li>"),
        ("/late", "b", "<b>Late headline</b>"),
        ("/frames-of-a-window", "b", "<b>Seen headline</b>"),
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
    let plain = || Request::new(site.url("/plain"));
    for (request, expected) in [
        (Request::new(site.url("/busy")), RenderStep::Navigation),
        (Request::new(site.url("/hang")), RenderStep::Navigation),
        (Request { wait_for: Some("none".into()), ..plain() }, RenderStep::WaitForSelector),
        (Request { wait: LIMIT, ..plain() }, RenderStep::Wait),
    ] {
        // So much time that it gets to the step, also on a busy machine.
        for seconds in [3, 12, 40] {
            let request = Request { timeout: Duration::from_secs(seconds), ..request.clone() };
            let error = error(browser, request).await;
            let RenderError::Timeout { step, .. } = &error else { panic!("{error}") };
            let named = format!("{step}: timeout of {seconds}s exceeded (");
            assert!(error.to_string().starts_with(&named), "{error}");
            if *step == expected {
                break;
            }
            assert!(seconds < 40, "{error}, not {expected}");
        }
    }
    error(browser, Request { timeout: LIMIT, ..Request::new(site.url("/download")) }).await;
    assert!(contents(browser, site.url("/plain"), "p").await.contains("Plain headline"), "the browser lives on");
}

async fn every_context_is_disposed_of(browser: &Browser, site: &Site) {
    html(browser, Request::new(site.url("/plain"))).await;
    // Given up halfway.
    drop(tokio::time::timeout(Duration::from_millis(300), browser.render(&Request::new(site.url("/hang")))).await);
    eventually("no context", Some(0), async || browser.contexts().await).await;
}

async fn the_death_of_the_browser_is_an_error_at_once(browser: &Browser, site: &Site) {
    let request = Request { timeout: Duration::from_secs(600), ..Request::new(site.url("/hang")) };
    let before = site.paths().len();
    let kill = async {
        eventually("it is asked for", true, async || site.paths().len() > before).await;
        let kill = std::process::Command::new("kill")
            .args(["-9", &browser.id().expect("it was started").to_string()])
            .status();
        assert!(kill.expect("kill").success());
    };
    let ((), error) =
        tokio::time::timeout(LIMIT, async { tokio::join!(kill, error(browser, request)) }).await.expect("an end");
    assert!(matches!(error, RenderError::Gone { .. }) && browser.is_gone(), "{error}");
}

async fn a_page_that_is_never_idle_is_rendered(browser: &Browser, site: &Site) {
    assert!(html(browser, Request::new(site.url("/never-idle"))).await.contains("Restless"));
}

async fn a_page_that_grows_as_it_is_scrolled_shows_what_its_viewport_asks_for(browser: &Browser, site: &Site) {
    let viewport = Viewport::new(800, 4000).expect("a size");
    let request = Request { viewport, wait_for: Some("p:nth-child(4)".into()), ..Request::new(site.url("/scroll")) };
    assert!(html(browser, request).await.contains("More 4"));
}

async fn navigation_by_the_page_is_followed(browser: &Browser, site: &Site) {
    for path in ["/elsewhere", "/refresh"] {
        let request = Request { wait_for: Some("p".into()), timeout: LIMIT, ..Request::new(site.url(path)) };
        let page = browser.render(&request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(
            (page.url, page.title.as_str(), page.status),
            (site.url("/plain"), "Plain title", Some(200)),
            "{path}"
        );
    }
    let missing = browser.render(&Request { timeout: LIMIT, ..Request::new(site.url("/missing")) }).await;
    assert_eq!(missing.expect("a page").status, Some(404));
}

async fn no_cookie_outlives_its_page(browser: &Browser, site: &Site) {
    for _ in 0..2 {
        assert!(contents(browser, site.url("/cookie"), "p").await.contains("was:</p>"));
    }
}

async fn the_viewport_and_the_screenshot_have_the_size_that_was_asked_for(browser: &Browser, site: &Site) {
    let viewport = Viewport::new(300, 400).expect("a size");
    assert!(html(browser, Request { viewport, ..Request::new(site.url("/size")) }).await.contains("300x400"));
    let shot = |full, width, height| Some(Screenshot { full, width, height });
    for (screenshot, size) in [
        (shot(false, None, None), (300, 400)),
        (shot(true, None, None), (300, 3000)),
        (shot(false, Some(150), None), (150, 200)),
        (shot(false, Some(150), Some(100)), (150, 100)),
    ] {
        let request = Request { viewport, screenshot, timeout: LIMIT, ..Request::new(site.url("/tall")) };
        let png = browser.render(&request).await.unwrap_or_else(|error| panic!("{error}")).png.expect("a picture");
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((&png[1..4], number(16), number(20)), (&b"PNG"[..], size.0, size.1), "{screenshot:?}");
    }
}

async fn headers_go_with_the_first_request_and_the_user_agent_with_all(browser: &Browser, site: &Site) {
    let headers = vec![("X-Own".to_owned(), "yes".to_owned()), ("User-Agent".to_owned(), "own/1".to_owned())];
    let before = site.heads().len();
    html(browser, Request { headers, images: true, ..Request::new(site.url("/picture")) }).await;
    let heads = site.heads().split_off(before);
    let of = |path: &str| heads.iter().find(|head| head.contains(path)).map(|head| head.to_lowercase());
    let (page, pixel) = (of("/picture").expect("a page"), of("/pixel.png").expect("a picture"));
    assert!(page.contains("x-own: yes") && page.contains("user-agent: own/1"), "{page}");
    assert!(!pixel.contains("x-own") && pixel.contains("user-agent: own/1"), "{pixel}");
    let before = site.heads().len();
    html(browser, Request { agent: Some("added/2 (+me)".into()), ..Request::new(site.url("/plain")) }).await;
    let head = site.heads().split_off(before).concat();
    assert!(head.contains("Chrome/") && head.contains("added/2 (+me)"), "{head}");
}

async fn pictures_of_frames_are_not_loaded_either(browser: &Browser, site: &Site) {
    let before = site.paths().len();
    html(browser, Request { wait: Duration::from_millis(300), ..Request::new(site.url("/frames")) }).await;
    assert!(!site.paths()[before..].iter().any(|path| path == "/pixel.png"));
}

async fn a_slow_resource_is_given_up_after_its_own_time(browser: &Browser, site: &Site) {
    let brief = Some(Duration::from_millis(500));
    let request = Request { images: true, resource_timeout: brief, ..Request::new(site.url("/slow-picture")) };
    assert!(html(browser, request).await.contains("Beside a slow picture"));
    let page = Request { resource_timeout: brief, timeout: LIMIT, ..Request::new(site.url("/hang")) };
    let late = error(browser, page).await;
    assert!(matches!(late, RenderError::Failed { .. }), "{late}");
}

async fn a_missing_chromium_is_named_with_its_remedy(base: &std::path::Path) {
    let guard = Guard::new(Allow::default(), LIMIT);
    for (program, is_missing) in [("/nonexistent/chromium", true), ("no-such-chromium", true), ("true", false)] {
        let options = BrowserOptions { program: program.into(), ..BrowserOptions::new(guard.clone(), base.into()) };
        let error = Browser::launch(&options).await.err().expect("no such program");
        assert_eq!(matches!(&error, RenderError::Missing(_)), is_missing, "{error}");
        assert_eq!(error.to_string().contains("apt-get install"), is_missing, "{error}");
        assert!(error.to_string().contains(program), "{error}");
    }
    assert_eq!(std::fs::read_dir(base).expect("a directory").count(), 0);
}

async fn all() -> ExitCode {
    let mut run = Run::from_arguments();
    let site = Site::start(answer);
    let guard = Guard::new(Allow::parse([site.pair()]).expect("pairs"), LIMIT);
    let base = harness::base();
    let options = BrowserOptions { start_timeout: LIMIT, ..BrowserOptions::new(guard, base.path().into()) };
    let browser = Browser::launch(&options).await.unwrap_or_else(|error| panic!("{error}"));
    println!("{}", browser.version());
    macro_rules! test {
        ($($name:ident)*) => { $(run.test(stringify!($name), $name(&browser, &site)).await;)* };
    }
    test!(
        headlines_that_only_scripts_show_are_rendered
        pictures_are_loaded_only_when_asked_for
        a_hostile_page_ends_with_an_error_that_names_it
        a_lone_surrogate_of_a_page_is_the_replacement_character
        a_page_without_its_element_is_empty
        a_page_that_navigates_again_and_again_is_rendered_or_late
        a_wrong_selector_is_named_before_the_page_is_asked_for
        a_document_that_is_cut_off_says_so_at_once
        a_page_that_asks_for_a_password_says_so
        a_page_of_wide_characters_is_whole_at_the_limit
        a_giant_page_suffers_alone_and_its_error_names_it_and_the_limit
        nothing_private_is_reached
        no_local_page_is_reached_from_a_page
        a_page_that_is_never_idle_is_rendered
        a_page_that_grows_as_it_is_scrolled_shows_what_its_viewport_asks_for
        navigation_by_the_page_is_followed
        no_cookie_outlives_its_page
        the_viewport_and_the_screenshot_have_the_size_that_was_asked_for
        headers_go_with_the_first_request_and_the_user_agent_with_all
        headers_go_to_no_frame_and_to_no_redirect
        only_allowed_domains_are_reached_by_frames_and_workers_too
        pictures_of_frames_are_not_loaded_either
        a_slow_resource_is_given_up_after_its_own_time
        the_crash_of_a_tab_is_an_error_at_once_and_others_go_on
        web_rtc_and_quic_send_nothing_beside_the_proxy
        every_page_is_rendered_in_the_sandbox
        a_page_is_the_only_one_that_has_a_process
        every_context_is_disposed_of
        a_name_that_is_rebound_reaches_nothing_private
        without_a_sandbox_it_refuses_unless_it_is_told
        a_chromium_of_others_is_used_and_its_pages_pass_the_guard
    );
    let directory = browser.directory().expect("it was started").to_owned();
    assert!(directory.exists());
    test!(the_death_of_the_browser_is_an_error_at_once);
    drop(browser);
    let name = "nothing_is_left_after_the_end";
    run.test(name, eventually(name, false, async || directory.exists())).await;
    let empty = harness::base();
    run.test("a_missing_chromium_is_named_with_its_remedy", a_missing_chromium_is_named_with_its_remedy(empty.path()))
        .await;
    run.end()
}

fn main() -> ExitCode {
    switchboard_child::init();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(all())
}
