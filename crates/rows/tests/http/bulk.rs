//! Writes of many rows, in PostgREST's form.

use super::common::service::Service;
use super::common::until;
use super::{address, patrons};
use serde_json::json;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const WHOLE: (&str, &str) = ("Prefer", "return=representation");

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_inserted_merged_and_left_out() {
    let (_scratch, service) = patrons().await;
    let many = r#"[{"name":"Ann"},{"name":"Bob"}]"#;
    let made = service.ask("POST", "/patron?select=id,name", &[JSON, WHOLE], many).await;
    assert_eq!((made.status, made.json()), (201, json!([{ "id": 1, "name": "Ann" }, { "id": 2, "name": "Bob" }])));
    let none = service.ask("POST", "/patron", &[JSON], r#"[{"name":"Cy"}]"#).await;
    assert_eq!((none.status, none.body.as_str(), none.header("location")), (201, "", Some("/patron/3")));
    let prefer = ("Prefer", "resolution=merge-duplicates,return=representation");
    let merged =
        service.ask("POST", "/patron", &[JSON, prefer], r#"[{"id":2,"name":"Bo"},{"id":9,"name":"Di"}]"#).await;
    assert_eq!(merged.status, 201, "{}", merged.body);
    assert_eq!((&merged.json()[0]["name"], &merged.json()[1]["id"]), (&json!("Bo"), &json!(9)));
    assert_eq!(merged.header("preference-applied"), Some("resolution=merge-duplicates, return=representation"));
    let prefer = ("Prefer", "resolution=ignore-duplicates,return=representation,count=exact");
    let ignored = service.ask("POST", "/patron?on_conflict=id", &[JSON, prefer], r#"[{"id":2,"name":"no"}]"#).await;
    assert_eq!((ignored.status, ignored.json(), ignored.header("content-range")), (201, json!([]), Some("*/0")));
    let twice = service.post("/patron", r#"{"id":2}"#).await;
    assert_eq!((twice.status, twice.code().as_str()), (409, "23505"));
    let one = ("Accept", "application/vnd.pgrst.object+json");
    let single = service.ask("POST", "/patron", &[JSON, WHOLE, one], r#"{"name":"Ed"}"#).await;
    assert_eq!(single.json()["name"], "Ed");
    assert_eq!(service.ask("POST", "/patron", &[JSON, WHOLE], "[]").await.json(), json!([]));
    assert_eq!(service.post("/patron", "{}").await.status, 201);
    assert_eq!(
        service.ask("POST", "/patron", &[JSON, WHOLE], "[{},{}]").await.json().as_array().map(Vec::len),
        Some(2)
    );
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_changed_by_a_filter_and_not_without_one() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) SELECT 'a' || n FROM generate_series(1, 5) n").await;
    for (method, body) in [("PATCH", r#"{"name":"x"}"#), ("DELETE", "")] {
        let all = service.ask(method, "/patron", &[JSON], body).await;
        assert_eq!((all.status, all.code().as_str()), (400, "21000"), "{method}");
    }
    let some = service.ask("PATCH", "/patron?id=gt.3", &[JSON, WHOLE], r#"{"fav_dish":"Rice"}"#).await;
    assert_eq!((some.status, some.json().as_array().map(Vec::len)), (200, Some(2)));
    let count = ("Prefer", "return=minimal,count=exact");
    let none = service.ask("PATCH", "/patron?id=lte.3", &[JSON, count], r#"{"fav_dish":"Chili"}"#).await;
    assert_eq!((none.status, none.body.as_str(), none.header("content-range")), (204, "", Some("*/3")));
    let gone = service.ask("DELETE", "/patron?id=in.(1,2)&select=name", &[WHOLE], "").await;
    assert_eq!(gone.json(), json!([{ "name": "a1" }, { "name": "a2" }]));
    assert_eq!(service.ask("DELETE", "/patron?id=eq.1", &[], "").await.status, 204);
    let left = service.ask("DELETE", "/patron?id=not.is.null", &[count], "").await;
    assert_eq!(left.header("content-range"), Some("*/3"));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_own_writes_however_many_rows_they_had() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) SELECT 'old' FROM generate_series(1, 3000)").await;
    let read = async |id: u32, name: &str| {
        let reply = service.get(&format!("/patron/{id}")).await;
        assert_eq!(reply.json()["name"], name, "{id}");
    };
    for (filter, name) in [("id=eq.5", "one"), ("id=lte.900", "some"), ("id=gt.0", "all")] {
        // In the cache, whatever was before.
        for id in [5, 900] {
            service.ask("GET", &format!("/patron/{id}"), &[("Consistency", "strong")], "").await;
        }
        let body = format!(r#"{{"name":"{name}"}}"#);
        assert_eq!(service.ask("PATCH", &format!("/patron?{filter}"), &[JSON], &body).await.status, 204);
        read(5, name).await;
    }
    read(2999, "all").await;
    // A key that moves leaves no row behind.
    let moved = service.ask("PATCH", "/patron?id=eq.5", &[JSON], r#"{"id":90000}"#).await;
    assert_eq!(moved.status, 204);
    assert_eq!(service.get("/patron/5").await.status, 404);
    read(90000, "all").await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_would_return_too_much_is_undone() {
    let (scratch, service) = patrons().await;
    service.end().await;
    let service = Service::start(&address(&scratch), |settings| settings.list_rows = 3).await.live().await;
    scratch.run("INSERT INTO patron (name) SELECT 'old' FROM generate_series(1, 4)").await;
    let many = service.ask("PATCH", "/patron?id=gt.0", &[JSON, WHOLE], r#"{"name":"new"}"#).await;
    assert_eq!((many.status, many.code().as_str()), (400, "PGRST124"));
    let one = ("Accept", "application/vnd.pgrst.object+json");
    let not_one = service.ask("PATCH", "/patron?id=lte.2", &[JSON, WHOLE, one], r#"{"name":"new"}"#).await;
    assert_eq!((not_one.status, not_one.code().as_str()), (406, "PGRST116"));
    assert_eq!(service.get("/patron?name=eq.new").await.json(), json!([]));
    let within = service.ask("PATCH", "/patron?id=lte.3", &[JSON, WHOLE], r#"{"name":"new"}"#).await;
    assert_eq!((within.status, within.json().as_array().map(Vec::len)), (200, Some(3)));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_none_are_refused_with_a_reason() {
    let (_scratch, service) = patrons().await;
    for (body, code) in [
        ("", "PGRST102"),
        ("x", "PGRST102"),
        ("[1]", "PGRST102"),
        (r#"{"none":1}"#, "PGRST204"),
        (r#"{"id":"x"}"#, "22P02"),
        (r#"{"name":"\u0000"}"#, "22P05"),
        (r#"[{"id":1},{"name":"a"}]"#, "PGRST102"),
    ] {
        let reply = service.post("/patron", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{body}: {}", reply.body);
    }
    for kind in ["application/x-www-form-urlencoded", "text/plain"] {
        let reply = service.ask("POST", "/patron", &[("Content-Type", kind)], r#"{"name":"a"}"#).await;
        assert_eq!(reply.status, 415, "{kind}");
    }
    let strict = service.ask("POST", "/patron", &[JSON, ("Prefer", "handling=strict, tx=rollback")], "{}").await;
    assert_eq!((strict.status, strict.code().as_str()), (400, "PGRST122"));
    let columns = service.ask("POST", "/patron?columns=name", &[JSON, WHOLE], r#"[{"name":"a","x":1},{}]"#).await;
    assert_eq!(columns.json()[1]["name"], json!(null), "{}", columns.body);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_write_through_one_instance_is_in_the_cache_of_the_other() {
    let (scratch, one) = patrons().await;
    let two = Service::start(&address(&scratch), |_| ()).await.live().await;
    one.ask("POST", "/patron", &[JSON], r#"[{"name":"a"},{"name":"a"}]"#).await;
    for id in [1, 2] {
        two.get(&format!("/patron/{id}")).await;
    }
    one.ask("PATCH", "/patron?id=gt.0", &[JSON], r#"{"name":"b"}"#).await;
    for id in [1, 2] {
        until("the other instance holds the row", async || {
            let read = two.get(&format!("/patron/{id}")).await;
            (read.header("x-cache") == Some("hit") && read.json()["name"] == "b").then_some(())
        })
        .await;
    }
    one.end().await;
    two.end().await;
}
