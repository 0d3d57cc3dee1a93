//! Pages about which the browser has more to tell than fits into one message.

use crate::common::{Reply, Site};
use crate::harness::{LIMIT, eventually};
use crate::{error, html};
use switchboard_news::render::{Browser, Request};

/// Characters of a page.
const MOST: usize = 16 << 20;
/// The page around them.
const FRAME: &str = "<!DOCTYPE html><html><head></head><body></body></html>";

pub(crate) fn answer(path: &str) -> Option<Reply> {
    let page = match path.strip_prefix("/giant/")?.split_once('/')? {
        // Each is six bytes of a message.
        ("wide", count) => {
            format!("<body><script>onload = () => {{ document.body.innerHTML = '\\u8a9e'.repeat({count}) }}</script>")
        }
        // Chromium tells the address of each thing that a page loads.
        ("picture", count) => format!(
            "<body><script>const i = new Image(); i.onload = i.onerror = () => document.body.innerHTML = '<p>Looked'; \
             i.src = 'data:image/png;base64,' + 'A'.repeat({count})</script>"
        ),
        // With `headers` each document that is asked for waits for an answer.
        ("form", count) => format!(
            "<iframe name=f></iframe><form method=post target=f action=/plain enctype=text/plain><input type=hidden name=a></form>\
             <script>document.forms[0].a.value = 'x'.repeat({count}); document.forms[0].submit()</script>"
        ),
        // Serialized, the text of one attribute is longer than a string may be.
        ("quotes", count) => {
            format!("<body><script>onload = () => document.body.setAttribute('a', '\"'.repeat({count}))</script>")
        }
        _ => return None,
    };
    Some(Reply::html(&page))
}

fn giant(site: &Site, kind: &str, count: usize) -> Request {
    Request { timeout: LIMIT * 3, ..Request::new(site.url(&format!("/giant/{kind}/{count}"))) }
}

pub(crate) async fn a_page_of_wide_characters_is_whole_at_the_limit(browser: &Browser, site: &Site) {
    let fits = MOST - FRAME.len();
    for (count, is_whole) in [(fits - 1, true), (fits, true), (fits + 1, false)] {
        let request = giant(site, "wide", count);
        if is_whole {
            let page = browser.render(&request).await.unwrap_or_else(|error| panic!("{count}: {error}")).html;
            assert_eq!((page.chars().count(), page.matches('語').count()), (FRAME.len() + count, count));
        } else {
            let error = error(browser, request).await.to_string();
            assert!(error.starts_with(&format!("it has more than {MOST} characters (")), "{error}");
        }
    }
}

/// Chromium's messages about these pages have more than 100 MiB.
pub(crate) async fn a_giant_page_suffers_alone_and_its_error_names_it_and_the_limit(browser: &Browser, site: &Site) {
    const COUNT: usize = 101 << 20;
    let before = site.paths().len();
    let open = Request { timeout: LIMIT * 20, wait: LIMIT * 20, ..Request::new(site.url("/plain")) };
    let giants = async {
        eventually("another page is open", true, async || site.paths().len() > before).await;
        let looked = Request { wait_for: Some("p".into()), images: true, ..giant(site, "picture", COUNT) };
        assert!(html(browser, looked).await.contains("Looked"));
        let longest = error(browser, giant(site, "quotes", COUNT)).await.to_string();
        assert!(longest.starts_with(&format!("it has more than {MOST} characters (")), "{longest}");
        let form = giant(site, "form", COUNT);
        let form = Request { headers: vec![("X-Own".into(), "yes".into())], wait_for: Some("never".into()), ..form };
        let error = error(browser, form).await.to_string();
        assert!(error.contains("Fetch.requestPaused is over the limit of 104857600 bytes"), "{error}");
    };
    tokio::select! {
        page = browser.render(&open) => panic!("{page:?}"),
        () = giants => {}
    }
}
