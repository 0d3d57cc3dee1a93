//! Pages that a browser shows and that text, or a script that runs within them, cannot hold.

use crate::common::{Reply, Site};
use crate::harness::LIMIT;
use crate::{error, html};
use switchboard_news::render::{Browser, RenderError, Request, Screenshot};

pub(crate) fn answer(path: &str) -> Option<Reply> {
    let page = match path {
        "/surrogate/text" => "<p>x</p><script>document.body.append('\\u{1F600}'.slice(0, 1) + '|')</script>",
        "/surrogate/attribute" => "<p>x</p><script>document.body.setAttribute('x', '\\udfff|')</script>",
        "/surrogate/title" => "<p>x</p><script>document.title = '\\ud83d|'</script>",
        "/surrogate/told" => "<p>&#xfffd;|</p><script>console.log('\\ud83d'); alert('\\ud83d')</script>",
        "/surrogate/pair" => "<p>&#xfffd;|</p><script>document.body.append('\\u{1F600}')</script>",
        "/rootless" => "<script>document.documentElement.remove()</script>",
        "/unrooted" => "<script>onload = () => document.documentElement.remove()</script>",
        "/with-frame" => "<iframe src=/framed></iframe>",
        "/framed" => "<p>Framed</p>",
        "/moved" => return Some(Reply::redirect("/framed")),
        "/cut/length" => return Some(Reply::claims(1000).header("Content-Type", "text/html")),
        "/cut/chunk" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
            return Some(Reply::raw(&format!("{head}9\r\n<p>Begins\r\n")));
        }
        "/asks" => {
            let asking = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
            return Some(asking);
        }
        path if path.starts_with("/again/script") => {
            "<script>location.href = '/again/script?' + Math.random()</script><p>Again</p>"
        }
        path if path.starts_with("/again/refresh") => "<meta http-equiv=refresh content=0><p>Again</p>",
        _ => return None,
    };
    Some(Reply::html(page))
}

pub(crate) async fn a_lone_surrogate_of_a_page_is_the_replacement_character(browser: &Browser, site: &Site) {
    for place in ["text", "attribute", "title", "told", "pair"] {
        let screenshot = Some(Screenshot::default());
        let request = Request { timeout: LIMIT, screenshot, ..Request::new(site.url(&format!("/surrogate/{place}"))) };
        let page = browser.render(&request).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(page.html.contains("\u{FFFD}|") && page.png.is_some(), "{place}: {}", page.html);
        assert_eq!(page.title == "\u{FFFD}|", place == "title", "{}", page.title);
        assert_eq!(page.html.contains('\u{1F600}'), place == "pair", "{}", page.html);
    }
}

pub(crate) async fn a_page_without_its_element_is_empty(browser: &Browser, site: &Site) {
    for path in ["/rootless", "/unrooted"] {
        assert_eq!(html(browser, Request::new(site.url(path))).await, "<!DOCTYPE html>", "{path}");
    }
}

pub(crate) async fn a_page_that_navigates_again_and_again_is_rendered_or_late(browser: &Browser, site: &Site) {
    for path in ["/again/script", "/again/refresh", "/again/script", "/again/refresh"] {
        let request = Request { timeout: std::time::Duration::from_secs(8), ..Request::new(site.url(path)) };
        match browser.render(&request).await {
            Ok(page) => assert!(page.url.path().starts_with("/again/"), "{}", page.url),
            Err(RenderError::Timeout { .. }) => {}
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

pub(crate) async fn a_wrong_selector_is_named_before_the_page_is_asked_for(browser: &Browser, site: &Site) {
    let asked = || site.paths().iter().filter(|path| *path == "/plain").count();
    let before = asked();
    for selector in ["[", "a[", "", "p:nth-child(", "::", "a\"'\\"] {
        let request = Request { wait_for: Some(selector.into()), timeout: LIMIT, ..Request::new(site.url("/plain")) };
        let error = error(browser, request).await;
        let named = format!("{selector:?} is not a valid CSS selector (");
        assert!(matches!(error, RenderError::Selector { .. }) && error.to_string().starts_with(&named), "{error}");
    }
    assert_eq!(asked(), before);
    html(browser, Request { wait_for: Some("p".into()), ..Request::new(site.url("/plain")) }).await;
}

pub(crate) async fn a_page_that_asks_for_a_password_says_so(browser: &Browser, site: &Site) {
    let error = error(browser, Request { timeout: LIMIT, ..Request::new(site.url("/asks")) }).await;
    assert!(error.to_string().starts_with("the server asks for a name and a password"), "{error}");
}

pub(crate) async fn a_document_that_is_cut_off_says_so_at_once(browser: &Browser, site: &Site) {
    for path in ["/cut/length", "/cut/chunk"] {
        let request = Request { timeout: LIMIT, ..Request::new(site.url(path)) };
        let error = browser.render(&request).await.expect_err("cut off").to_string();
        assert!(error.starts_with("the answer is not whole: ") && error.contains(path), "{error}");
    }
}
