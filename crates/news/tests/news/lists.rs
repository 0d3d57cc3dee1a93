//! Lists of feeds, in and out.

use crate::common::{Reply, Site};
use crate::harness::eventually;
use crate::service::Served;
use crate::{feed, file};
use serde_json::{Value, json};
use switchboard_http_client::Method;
use switchboard_http_client::header::{CONTENT_TYPE, ORIGIN};
use switchboard_news::commands;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_feeds_is_added_to_the_file_and_given_out() {
    let one = Site::start(|path| if path == "/f" { Reply::text(&feed(&["Berry"])) } else { Reply::status(404) });
    let base = TempDir::new().expect("a directory");
    let path = file(&base, "# my sites\n");
    let news = Served::news(base.path(), &path, &[&one], |_| {}).await;
    let list = format!(
        "<opml version='2.0'><body><outline text='A &lt;b&gt;' xmlUrl='{}'/><outline text='B' xmlUrl='javascript:1'/>\
         <outline text='again' xmlUrl='{0}'/></body></opml>",
        one.url("/f")
    );
    let kind = [(CONTENT_TYPE, "text/x-opml")];
    let answer = news.ask(Method::POST, "/news.opml", &kind, &list).await;
    let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let dropped = json!([
        { "name": "B", "feed": "javascript:1", "reason": "it is not an http:// or https:// address" }
    ]);
    let expected = json!({ "added": 1, "present": 1, "dropped": 1, "dropped_feeds": dropped });
    assert_eq!((answer.status.as_u16(), told), (200, expected));
    eventually("its headline", vec!["Berry".to_owned()], async || news.titles("/news.json").await).await;
    assert!(std::fs::read_to_string(&path).expect("a file").starts_with("# my sites\n"));
    assert_eq!(commands::check(&path), Ok(1));
    assert_eq!(news.ask(Method::POST, "/news.opml", &kind, &list).await.status.as_u16(), 422);
    assert_eq!(news.ask(Method::POST, "/news.opml", &kind, "nonsense").await.status.as_u16(), 422);
    let foreign = [(ORIGIN, "http://evil.example")];
    assert_eq!(news.ask(Method::POST, "/news.opml", &foreign, &list).await.status.as_u16(), 403);
    let out = news.get("/news.opml").await.1;
    assert!(out.contains("text=\"A &#60;b&#62;\"") && out.contains(one.url("/f").as_str()), "{out}");
    let leftovers = std::fs::read_dir(base.path()).expect("files").flatten();
    assert_eq!(leftovers.filter(|entry| entry.file_name().to_string_lossy().starts_with(".sites")).count(), 0);
}
