//! Requests that ask for exactly one row as an object.

use super::common::service::Service;
use super::{address, patrons};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ONE: (&str, &str) = ("Accept", "application/vnd.pgrst.object+json");
const PREFERENCES: [&str; 5] =
    ["count=exact", "return=minimal", "return=headers-only", "return=representation", "handling=strict"];

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_asks_for_one_row_and_is_of_another_number_is_undone() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron SELECT n, 'old' FROM generate_series(101, 104) n").await;
    let before = service.get("/patron").await.body;
    let merge = "resolution=merge-duplicates";
    for (method, path, resolution, body, count) in [
        ("DELETE", "/patron?id=in.(101,102)", "", "", "more than one row"),
        ("DELETE", "/patron?id=gt.0", "", "", "more than one row"),
        ("DELETE", "/patron?id=eq.999", "", "", "0 rows"),
        ("PATCH", "/patron?id=in.(101,102)", "", r#"{"name":"new"}"#, "more than one row"),
        ("PATCH", "/patron?id=eq.999", "", r#"{"name":"new"}"#, "0 rows"),
        ("PATCH", "/patron?or=(id.eq.101,id.eq.102)&select=name", "", r#"[{"name":"new"}]"#, "more than one row"),
        ("POST", "/patron", "", r#"[{"id":7},{"id":8}]"#, "more than one row"),
        ("POST", "/patron", "", "[{},{}]", "more than one row"),
        ("POST", "/patron", "", "[]", "0 rows"),
        ("POST", "/patron?columns=id", "", r#"[{"id":7},{"id":8}]"#, "more than one row"),
        ("POST", "/patron", merge, r#"[{"id":101,"name":"new"},{"id":8,"name":"new"}]"#, "more than one row"),
        ("POST", "/patron?on_conflict=id", "resolution=ignore-duplicates", r#"{"id":101}"#, "0 rows"),
    ] {
        for preference in PREFERENCES {
            let prefer = format!("{preference},{resolution}");
            let reply = service.ask(method, path, &[JSON, ONE, ("Prefer", &prefer)], body).await;
            assert_eq!((reply.status, reply.code().as_str()), (406, "PGRST116"), "{method} {path} {body} {prefer}");
            assert_eq!(reply.json()["details"], format!("The result contains {count}"), "{method} {path} {body}");
        }
        let reply = service.ask(method, path, &[JSON, ONE, ("X-None", "x")], body).await;
        assert!(!resolution.is_empty() || reply.status == 406, "{method} {path}: {}", reply.body);
        assert_eq!(service.get("/patron").await.body, before, "{method} {path} {body}");
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_asks_for_one_row_and_is_of_one_is_done() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron SELECT n, 'old' FROM generate_series(1, 9) n").await;
    for (at, preference) in ["", "return=minimal", "return=headers-only", "return=representation"].iter().enumerate() {
        let ask = async |method: &str, path: &str, resolution: &str, body: &str| {
            let prefer = format!("{preference},{resolution}");
            service.ask(method, path, &[JSON, ONE, ("Prefer", &prefer)], body).await
        };
        let (old, new) = (at + 1, at + 100);
        let whole = *preference == "return=representation";
        let changed = ask("PATCH", &format!("/patron?id=eq.{old}"), "", r#"{"name":"new"}"#).await;
        assert_eq!((changed.status, changed.body.is_empty()), (if whole { 200 } else { 204 }, !whole), "{preference}");
        assert_eq!(service.get(&format!("/patron/{old}")).await.json()["name"], "new");
        let body = format!(r#"[{{"id":{new},"name":"new"}}]"#);
        let made = ask("POST", "/patron", "", &body).await;
        assert_eq!((made.status, made.body.is_empty()), (201, !whole), "{preference}: {}", made.body);
        assert_eq!(made.header("location"), Some(format!("/patron/{new}").as_str()));
        let merged = ask("POST", "/patron", "resolution=merge-duplicates", &body.replace("new", "newer")).await;
        assert_eq!(merged.status, 201, "{}", merged.body);
        assert_eq!(service.get(&format!("/patron/{new}")).await.json()["name"], "newer");
        let gone = ask("DELETE", &format!("/patron?id=eq.{new}"), "", "").await;
        assert_eq!((gone.status, gone.body.is_empty()), (if whole { 200 } else { 204 }, !whole), "{preference}");
        assert_eq!(service.get(&format!("/patron/{new}")).await.status, 404);
    }
    let plain = service.ask("POST", "/patron", &[JSON, ONE], r#"{"id":50}"#).await;
    assert_eq!((plain.status, plain.body.as_str()), (201, r#"{"msg":"ok","id":50}"#));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_no_row_undoes_what_a_trigger_did_beside_it() {
    let (scratch, service) = patrons().await;
    scratch
        .run(
            "INSERT INTO patron VALUES (1, 'old'); CREATE TABLE attempt (id int); \
             CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
             $$BEGIN INSERT INTO attempt VALUES (1); RETURN NULL; END$$; \
             CREATE TRIGGER skip BEFORE INSERT OR UPDATE OR DELETE ON patron FOR EACH ROW EXECUTE FUNCTION skip()",
        )
        .await;
    let attempts =
        async || -> i64 { scratch.sql.query_one("SELECT count(*) FROM attempt", &[]).await.expect("a number").get(0) };
    for (method, path, body) in [
        ("POST", "/patron", r#"{"id":2}"#),
        ("PATCH", "/patron?id=eq.1", r#"{"name":"new"}"#),
        ("DELETE", "/patron?id=eq.1", ""),
    ] {
        for one in [&[JSON, ONE][..], &[JSON, ONE, ("Prefer", "return=representation")]] {
            let reply = service.ask(method, path, one, body).await;
            assert_eq!((reply.status, reply.code().as_str()), (406, "PGRST116"), "{method}: {}", reply.body);
        }
    }
    assert_eq!(attempts().await, 0, "the trigger's rows are gone");
    service.ask("DELETE", "/patron?id=eq.1", &[], "").await;
    assert_eq!(attempts().await, 1, "the trigger ran");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_is_not_the_first_of_several_large_ones() {
    let (scratch, service) = patrons().await;
    service.end().await;
    scratch.run("INSERT INTO patron SELECT n, repeat('x', 3000) FROM generate_series(1, 3) n").await;
    let service = Service::start(&address(&scratch), |settings| settings.list_bytes = 1024).await.live().await;
    for (query, headers, status) in [
        ("", &[ONE][..], 406),
        ("id=lte.2", &[ONE], 406),
        ("id=lte.2&limit=2&select=name", &[ONE], 406),
        ("offset=1", &[ONE], 406),
        ("", &[ONE, ("Range", "0-1")], 406),
        ("id=eq.2", &[ONE], 200),
        ("limit=1", &[ONE], 200),
        ("offset=2", &[ONE], 200),
        ("_after=2", &[ONE], 200),
        ("", &[ONE, ("Range", "1-1")], 200),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = service.ask(method, &format!("/patron?{query}"), headers, "").await;
            assert_eq!(reply.status, status, "{method} {query} {headers:?}");
        }
    }
    service.end().await;
}
