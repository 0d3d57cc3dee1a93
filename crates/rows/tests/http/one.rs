//! One row, by its key.

use super::common::service::{Reply, Service};
use super::common::{server, until};
use super::{address, patrons};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The reply with the cached row. The event of its insertion may take the lease of the first read away.
async fn cached(service: &Service) -> Reply {
    until("the row is cached", async || {
        let read = service.get("/patron/1").await;
        (read.header("x-cache") == Some("hit")).then_some(read)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_made_read_changed_and_deleted_with_the_original_bodies() {
    let (_scratch, service) = patrons().await;
    let made = service.post("/patron", r#"{"name": "Ann", "fav_dish": "Chili"}"#).await;
    assert_eq!((made.status, made.body.as_str()), (201, r#"{"msg":"ok","id":1}"#));
    assert_eq!(made.header("location"), Some("/patron/1"));
    let read = service.get("/patron/1").await;
    assert_eq!((read.status, read.body.as_str()), (200, r#"{"id":1,"name":"Ann","fav_dish":"Chili"}"#));
    assert_eq!(read.header("content-type"), Some("application/json; charset=utf-8"));
    let put = service.ask("PUT", "/patron/1", &[JSON], r#"{"name": "Bob", "fav_dish": null}"#).await;
    assert_eq!((put.status, put.body.as_str()), (200, r#"{"msg":"ok"}"#));
    assert_eq!(service.get("/patron/1").await.json(), json!({ "id": 1, "name": "Bob", "fav_dish": null }));
    let patch = service.ask("PATCH", "/patron/1", &[JSON], r#"{"fav_dish": "Rice"}"#).await;
    assert_eq!((patch.status, patch.body.as_str()), (200, r#"{"msg":"ok"}"#));
    assert_eq!(service.get("/patron/1").await.json(), json!({ "id": 1, "name": "Bob", "fav_dish": "Rice" }));
    let gone = service.ask("DELETE", "/patron/1", &[], "").await;
    assert_eq!((gone.status, gone.body.as_str()), (200, r#"{"msg":"ok"}"#));
    let absent = service.get("/patron/1").await;
    assert_eq!((absent.status, absent.body.as_str()), (404, "null"));
    for (method, body) in [("PUT", r#"{"name":"x"}"#), ("PATCH", r#"{"name":"x"}"#), ("DELETE", "")] {
        let reply = service.ask(method, "/patron/1", &[JSON], body).await;
        assert_eq!((reply.status, reply.body.as_str()), (404, r#"{"msg":"bad"}"#), "{method}");
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_says_where_the_row_came_from_and_how_old_it_is_at_most() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    let strong = service.ask("GET", "/patron/1", &[("Consistency", "strong")], "").await;
    assert_eq!(strong.status, 200);
    let hit = cached(&service).await;
    let age: u64 = hit.header("x-cache-max-age-ms").expect("an age").parse().expect("a number");
    assert!(age <= 1000, "{age}");
    assert_eq!(hit.header("cache-control"), Some("no-cache"));
    let head = service.ask("HEAD", "/patron/1", &[], "").await;
    assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", hit.header("etag")));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strong_read_answers_as_a_cached_one_does_and_has_every_write_before_it() {
    let (scratch, service) = patrons().await;
    let strong = ("Consistency", "strong");
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    for number in 0..50 {
        scratch.run(&format!("UPDATE patron SET name = '{number}'")).await;
        let read = service.ask("GET", "/patron/1", &[strong], "").await;
        assert_eq!((read.status, &read.json()["name"]), (200, &json!(number.to_string())));
    }
    let hit = cached(&service).await;
    let read = service.ask("GET", "/patron/1", &[strong], "").await;
    for name in ["content-type", "content-length", "etag", "cache-control", "x-cache"] {
        assert_eq!(read.header(name), hit.header(name), "{name}");
    }
    assert_eq!(read.body, hit.body);
    let tag = hit.header("etag").expect("a tag");
    let known = service.ask("GET", "/patron/1", &[strong, ("If-None-Match", tag)], "").await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    let absent = service.ask("GET", "/patron/2", &[strong], "").await;
    assert_eq!((absent.status, absent.body.as_str()), (404, "null"));
    for (path, status) in [("/patron/x", 400), ("/nothing/1", 404), ("/patron/%31", 200), ("/patron/1?x=1", 400)] {
        assert_eq!(service.ask("GET", path, &[strong], "").await.status, status, "{path}");
    }
    scratch.run("DELETE FROM patron").await;
    assert_eq!(service.ask("GET", "/patron/1", &[strong], "").await.status, 404);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strong_read_whose_marker_does_not_come_back_is_answered_by_the_database() {
    let scratch = server().scratch().await;
    scratch.run("CREATE TABLE patron (id serial PRIMARY KEY, name text, fav_dish text); INSERT INTO patron (name) VALUES ('Ann')").await;
    let address = server().address("app", scratch.scratch.name());
    let service = Service::start(&address, |settings| {
        settings.options.samples = 0;
        settings.options.limits.max_age = std::time::Duration::from_millis(300);
    });
    let service = service.await.live().await;
    cached(&service).await;
    // The marker's session stops: the feed goes on and brings none.
    let find = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'switchboard rows marker'";
    let process = Pid::from_raw(scratch.sql.query_one(find, &[]).await.expect("it answers").get(0));
    kill(process, Signal::SIGSTOP).expect("stopped");
    scratch.run("UPDATE patron SET name = 'Bob'").await;
    let read = service.ask("GET", "/patron/1", &[("Consistency", "strong")], "").await;
    kill(process, Signal::SIGCONT).expect("it goes on");
    assert_eq!((read.status, read.header("x-cache"), &read.json()["name"]), (200, Some("bypass"), &json!("Bob")));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_row_is_the_same_whether_it_is_answered_at_once_or_by_the_router() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    let now = cached(&service).await;
    // An empty query is not answered at once.
    let routed = service.get("/patron/1?").await;
    assert_eq!((now.status, &now.body), (routed.status, &routed.body));
    for name in ["content-type", "content-length", "etag", "cache-control", "x-cache"] {
        assert_eq!(now.header(name), routed.header(name), "{name}");
        assert!(now.header(name).is_some(), "{name}");
    }
    let tag = now.header("etag").expect("a tag");
    for path in ["/patron/1", "/patron/1?"] {
        let known = service.ask("GET", path, &[("If-None-Match", tag)], "").await;
        assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", Some(tag)), "{path}");
    }
    // The same key in other words, and what is no key at all.
    assert_eq!(service.get("/patron/%31").await.body, now.body);
    assert_eq!(service.get("/patron/+1").await.body, service.get("/patron/+1?").await.body);
    for path in ["/patron/x", "/patron/", "/patron/1/", "/nothing/1", "//1"] {
        let (now, routed) = (service.get(path).await, service.get(&format!("{path}?")).await);
        assert_eq!((now.status, now.body), (routed.status, routed.body), "{path}");
        assert_ne!(now.status, 200, "{path}");
    }
    let metrics = service.get("/metrics").await.body;
    let hits = metrics.lines().find(|line| line.starts_with("rows_hits_total")).expect("hits").to_owned();
    service.get("/patron/1").await;
    let metrics = service.get("/metrics").await.body;
    assert!(!metrics.contains(&hits), "it is counted: {hits}");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_through_one_instance_is_in_the_cache_of_the_other() {
    let (scratch, one) = patrons().await;
    let two = Service::start(&address(&scratch), |_| ()).await.live().await;
    one.post("/patron", r#"{"name": "Ann"}"#).await;
    for name in ["Bob", "Cy", "Di"] {
        let body = format!(r#"{{"name":"{name}"}}"#);
        assert_eq!(one.ask("PUT", "/patron/1", &[JSON], &body).await.status, 200);
        until("the other instance holds the row", async || {
            let read = two.get("/patron/1").await;
            (read.header("x-cache") == Some("hit") && read.json()["name"] == name).then_some(())
        })
        .await;
    }
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_a_read_as_new_as_its_write_at_every_instance() {
    let (scratch, one) = patrons().await;
    let two = Service::start(&address(&scratch), |_| ()).await.live().await;
    one.post("/patron", r#"{"name": "Ann"}"#).await;
    for name in ["Bob", "Cy", "Di"] {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let put = one.ask("PUT", "/patron/1", &[JSON], &body).await;
        let token = put.header("row-token").expect("a token");
        let read = two.ask("GET", "/patron/1", &[("Consistency", &format!("after={token}"))], "").await;
        assert_eq!(read.json()["name"], name);
        let read = two.get(&format!("/patron/1?_consistency=after%3D{token}")).await;
        assert_eq!(read.json()["name"], name);
    }
    for (given, code) in
        [("after=1-1-1-1", 400), ("after=x", 400), ("sometimes", 400), ("strong", 200), ("cached", 200)]
    {
        let read = two.ask("GET", "/patron/1", &[("Consistency", given)], "").await;
        assert_eq!(read.status, code, "{given}: {}", read.body);
    }
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_save_bodies_and_keep_two_writers_from_overwriting_each_other() {
    let (_scratch, service) = patrons().await;
    service.post("/patron", r#"{"name": "Ann"}"#).await;
    let read = service.get("/patron/1").await;
    let old = read.header("etag").expect("a tag").to_owned();
    let again = service.ask("GET", "/patron/1", &[("If-None-Match", &old)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let put = service.ask("PUT", "/patron/1", &[JSON, ("If-Match", &old)], r#"{"name":"Bob"}"#).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let new = put.header("etag").expect("a tag").to_owned();
    assert_eq!(service.get("/patron/1").await.header("etag"), Some(new.as_str()));
    for (method, body) in [("PUT", r#"{"name":"Cy"}"#), ("PATCH", r#"{"name":"Cy"}"#), ("DELETE", "")] {
        let stale = service.ask(method, "/patron/1", &[JSON, ("If-Match", &old)], body).await;
        assert_eq!((stale.status, stale.code().as_str()), (412, "PGRST129"), "{method}");
        let absent = service.ask(method, "/patron/9", &[JSON, ("If-Match", "*")], body).await;
        assert_eq!(absent.status, 412, "{method}");
    }
    assert_eq!(service.get("/patron/1").await.json()["name"], "Bob");
    let either = format!("\"x\", {new}");
    assert_eq!(service.ask("DELETE", "/patron/1", &[("If-Match", &either)], "").await.status, 200);
    assert_eq!(service.ask("PUT", "/patron/1", &[JSON, ("If-None-Match", "*")], r#"{"name":"x"}"#).await.status, 400);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_body_is_that_of_the_path_unless_patch_changes_it() {
    let (_scratch, service) = patrons().await;
    service.post("/patron", r#"{"name": "Ann"}"#).await;
    let same = service.ask("PUT", "/patron/1", &[JSON], r#"{"id":1,"name":"Bob"}"#).await;
    assert_eq!(same.status, 200, "{}", same.body);
    let other = service.ask("PUT", "/patron/1", &[JSON], r#"{"id":2,"name":"Cy"}"#).await;
    assert_eq!((other.status, other.code().as_str()), (400, "PGRST115"));
    let moved = service.ask("PATCH", "/patron/1", &[JSON], r#"{"id":2}"#).await;
    assert_eq!((moved.status, moved.header("content-location")), (200, Some("/patron/2")));
    assert_eq!(service.get("/patron/1").await.status, 404);
    assert_eq!(service.get("/patron/2").await.json()["name"], "Bob");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_several_columns_and_with_any_character_have_paths() {
    let (scratch, _service) = patrons().await;
    scratch
        .run("CREATE TABLE pair (a text, b int, v int, PRIMARY KEY (b, a)); CREATE TABLE word (w text PRIMARY KEY)")
        .await;
    let service = Service::start(&address(&scratch), |settings| {
        settings.tables = vec!["pair".into(), "word".into()];
    })
    .await
    .live()
    .await;
    let made = service.post("/pair", r#"{"a":"x,y/z","b":1,"v":2}"#).await;
    assert_eq!((made.status, made.body.as_str()), (201, r#"{"msg":"ok","id":[1,"x,y/z"]}"#));
    let path = made.header("location").expect("a path").to_owned();
    assert_eq!(service.get(&path).await.json(), json!({ "a": "x,y/z", "b": 1, "v": 2 }));
    assert_eq!(service.get("/pair/1").await.status, 400);
    for word in ["a,b", "a/b", "ü ?#&%", "\"", "."] {
        let made = service.post("/word", &json!({ "w": word }).to_string()).await;
        let path = made.header("location").expect("a path").to_owned();
        assert_eq!(service.get(&path).await.json(), json!({ "w": word }), "{path}");
        assert_eq!(service.ask("DELETE", &path, &[], "").await.status, 200, "{path}");
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_one_row_returns_what_is_preferred() {
    let (_scratch, service) = patrons().await;
    service.post("/patron", r#"{"name": "Ann"}"#).await;
    let whole =
        service.ask("PATCH", "/patron/1", &[JSON, ("Prefer", "return=representation")], r#"{"name":"Bob"}"#).await;
    assert_eq!((whole.status, whole.json()), (200, json!({ "id": 1, "name": "Bob", "fav_dish": null })));
    assert_eq!(whole.header("preference-applied"), Some("return=representation"));
    let none = service.ask("PUT", "/patron/1", &[JSON, ("Prefer", "return=minimal")], r#"{"name":"Cy"}"#).await;
    assert_eq!((none.status, none.body.as_str()), (204, ""));
    let gone = service.ask("DELETE", "/patron/1", &[("Prefer", "return=representation")], "").await;
    assert_eq!(gone.json()["name"], "Cy");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_asks_for_two_consistencies_is_refused() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    let (cached, strong) = (("Consistency", "cached"), ("Consistency", "strong"));
    for (path, headers, status) in [
        ("/patron/1", &[cached, strong][..], 400),
        ("/patron/1", &[strong, cached], 400),
        ("/patron/1?_consistency=cached", &[strong], 400),
        ("/patron/1?_consistency=strong", &[cached], 400),
        ("/patron/1?_consistency=strong&_consistency=cached", &[], 400),
        ("/patron?_consistency=cached", &[strong], 400),
        ("/patron/1", &[strong, strong], 200),
        ("/patron/1?_consistency=strong", &[strong], 200),
    ] {
        let reply = service.ask("GET", path, headers, "").await;
        assert_eq!(reply.status, status, "{path} {headers:?}: {}", reply.body);
    }
    service.end().await;
}
