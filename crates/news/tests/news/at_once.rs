//! The page as it is answered without a look at its sites.

use crate::common::Site;
use crate::harness::eventually;
use crate::service::Served;
use crate::{file, links, site};
use switchboard_http_client::Method;
use tempfile::TempDir;

/// Everything that an answer says, but when.
async fn said(service: &Served, path: &str) -> (u16, Vec<(String, String)>, String) {
    let answer = service.ask(Method::GET, path, &[], "").await;
    let header = |(name, value): (&_, &_)| (format!("{name}"), format!("{value:?}"));
    let mut headers: Vec<_> = answer.headers.iter().map(header).filter(|(name, _)| name != "date").collect();
    headers.sort();
    (answer.status.as_u16(), headers, String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_the_same_whether_it_is_answered_at_once_or_by_the_router() {
    let one = Site::start(|_| links(&["zebra", "Apple"]));
    let base = TempDir::new().expect("a directory");
    let list = file(&base, &site("One", one.url("/").as_str(), ""));
    let service = Served::news(base.path(), &list, &[&one], |_| {}).await;
    eventually("the site was asked", 2, async || service.titles("/news.json").await.len()).await;
    // The router makes the text, and one of a query of unknown keys is the same.
    eventually("all three are the same", true, async || {
        let made = said(&service, "/news").await;
        let (root, known, routed) =
            (said(&service, "/").await, said(&service, "/news").await, said(&service, "/news?x=1").await);
        made.2.contains("zebra") && [&root, &known, &routed].iter().all(|answer| **answer == made)
    })
    .await;
    service.stop().await;
}
