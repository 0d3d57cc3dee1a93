//! Requests as clients make them: schemas, encodings, preferences and rows that are written back.

use super::common::service::Service;
use super::{address, patrons};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_than_the_tables_is_refused() {
    let (scratch, service) = patrons().await;
    service.end().await;
    scratch.run("CREATE SCHEMA sales; CREATE TABLE sales.item (id int PRIMARY KEY, name text)").await;
    scratch.run("INSERT INTO sales.item VALUES (1, 'Ann'); INSERT INTO patron (name) VALUES ('Ann')").await;
    let tables = ["patron", "sales.item"].map(Into::into).to_vec();
    let service = Service::start(&address(&scratch), |settings| settings.tables = tables).await.live().await;
    let requests = [
        ("GET", "", ""),
        ("HEAD", "?id=eq.1", ""),
        ("GET", "/1", ""),
        ("HEAD", "/1", ""),
        ("POST", "", r#"{"id":2,"name":"x"}"#),
        ("PATCH", "?id=eq.1", r#"{"name":"Bob"}"#),
        ("PATCH", "/1", r#"{"name":"Cy"}"#),
        ("PUT", "/1", r#"{"name":"Di"}"#),
        ("DELETE", "?id=eq.2", ""),
        ("DELETE", "/1", ""),
    ];
    for (table, own, other) in [("/patron", "public", "sales"), ("/item", "sales", "public")] {
        // It is in the cache, which does not answer by itself then.
        service.get(&format!("{table}/1")).await;
        for name in ["Accept-Profile", "Content-Profile"] {
            for consistency in [("X-None", "x"), ("Consistency", "strong")] {
                for (method, rest, body) in requests {
                    let path = format!("{table}{rest}");
                    let reply = service.ask(method, &path, &[JSON, (name, other), consistency], body).await;
                    assert_eq!(reply.status, 406, "{method} {path} {name}: {other}");
                    assert!(method == "HEAD" || reply.code() == "PGRST106", "{method} {path}");
                }
            }
        }
        let row = service.get(&format!("{table}?select=id,name")).await;
        assert_eq!(row.body, r#"[{"id":1,"name":"Ann"}]"#, "nothing was written");
        for (method, rest, body) in requests {
            let name = if matches!(method, "GET" | "HEAD") { "Accept-Profile" } else { "Content-Profile" };
            let reply = service.ask(method, &format!("{table}{rest}"), &[JSON, (name, own)], body).await;
            assert!((200..300).contains(&reply.status), "{method} {table}{rest}: {} {}", reply.status, reply.body);
        }
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_no_utf_8_is_refused_as_a_path_is() {
    let (scratch, service) = patrons().await;
    // The text that a lossy reader makes of the bytes.
    scratch.run("INSERT INTO patron (name) VALUES (U&'\\FFFD')").await;
    for (method, path, body) in [
        ("GET", "/patron/%ff", ""),
        ("GET", "/patron?name=eq.%ff", ""),
        ("GET", "/patron?%ff=eq.1", ""),
        ("GET", "/patron?or=(name.eq.%ff)", ""),
        ("GET", "/patron?_after=%ff", ""),
        ("GET", "/patron/1?_consistency=%ff", ""),
        ("GET", "/events?table=%ff", ""),
        ("PATCH", "/patron?name=eq.%ff", r#"{"name":"x"}"#),
        ("DELETE", "/patron?name=eq.%ff", ""),
        ("DELETE", "/patron?name=in.(%ff)", ""),
    ] {
        let reply = service.ask(method, path, &[JSON], body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "PGRST100"), "{method} {path}: {}", reply.body);
        assert!(reply.body.contains("UTF-8"), "{method} {path}: {}", reply.body);
    }
    assert_eq!(service.get("/patron?name=eq.%EF%BF%BD").await.json()[0]["id"], 1, "it is still there");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_written_back_as_it_was_read() {
    let (scratch, service) = patrons().await;
    service.end().await;
    scratch
        .run(
            "CREATE EXTENSION hstore; CREATE TABLE wide (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, \
             b int GENERATED ALWAYS AS (a * 2) STORED, j json GENERATED ALWAYS AS ('{\"k\":1}'::json) STORED, \
             n int GENERATED ALWAYS AS (1) STORED, h hstore); \
             INSERT INTO wide (a, h) VALUES (1, 'a=>1, \"b\\\"\"=>NULL, \"\\\\\"=>\"=> ,\"'), (NULL, NULL)",
        )
        .await;
    let service =
        Service::start(&address(&scratch), |settings| settings.tables = vec!["wide".into()]).await.live().await;
    for id in [1, 2] {
        let path = format!("/wide/{id}");
        let read = service.get(&path).await;
        for method in ["PUT", "PATCH"] {
            let put = service.ask(method, &path, &[JSON], &read.body).await;
            assert_eq!((put.status, put.body.as_str()), (200, r#"{"msg":"ok"}"#), "{method} {}", read.body);
            assert_eq!(service.get(&path).await.body, read.body);
        }
    }
    // Computed anew after the write, from what the row has now.
    let tag = service.get("/wide/1").await.header("etag").expect("a tag").to_owned();
    let body = r#"{"id":1,"a":5,"b":2,"j":{"k": 1},"n":1,"h":{"x":"y"}}"#;
    let put = service.ask("PUT", "/wide/1", &[JSON, ("If-Match", &tag)], body).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let row = r#"{"id":1,"a":5,"b":10,"j":{"k":1},"n":1,"h":{"x": "y"}}"#;
    assert_eq!(service.get("/wide/1").await.body, row);
    // An old version of the row is an old version, whatever its computed columns say.
    let old = service.ask("PUT", "/wide/1", &[JSON, ("If-Match", &tag)], body).await;
    assert_eq!(old.status, 412, "{}", old.body);
    for (body, name) in [
        (r#"{"a":6,"b":2}"#, "b"),
        (r#"{"a":6,"b":null}"#, "b"),
        (r#"{"a":6,"n":2}"#, "n"),
        (r#"{"a":6,"j":{"k":2}}"#, "j"),
        (r#"{"a":6,"b":10,"n":1,"j":4}"#, "j"),
    ] {
        for method in ["PUT", "PATCH"] {
            let put = service.ask(method, "/wide/1", &[JSON], body).await;
            assert_eq!((put.status, put.code().as_str()), (400, "PGRST102"), "{body}: {}", put.body);
            assert!(put.body.contains("computes") && put.body.contains(name), "{body}: {}", put.body);
        }
    }
    assert_eq!(service.ask("PATCH", "/wide/1", &[JSON], r#"{"a":6,"id":2}"#).await.status, 400, "the key is computed");
    assert_eq!(service.ask("PUT", "/wide/3", &[JSON], r#"{"a":6,"b":1}"#).await.status, 404, "there is no such row");
    assert_eq!(service.get("/wide/1").await.body, row);
    // A new row has no values yet, and a filter means many rows.
    for (method, path) in [("POST", "/wide"), ("PATCH", "/wide?id=eq.1")] {
        let reply = service.ask(method, path, &[JSON], r#"{"a":5,"b":10}"#).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "PGRST102"), "{method}");
    }
    let rows = r#"[{"a":8,"h":{"k":"v"}},{"a":9,"h":"k=>w"}]"#;
    assert_eq!(service.post("/wide", rows).await.status, 201);
    let found = service.get("/wide?a=gt.7&select=h").await;
    assert_eq!(found.json(), serde_json::json!([{ "h": { "k": "v" } }, { "h": { "k": "w" } }]));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_column_to_set_is_written_back_as_it_is() {
    let (scratch, service) = patrons().await;
    service.end().await;
    scratch
        .run(
            "CREATE TABLE tag (id int PRIMARY KEY); CREATE TABLE pair (a text, b int, PRIMARY KEY (a, b)); \
             CREATE TABLE sum (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n text GENERATED ALWAYS AS ('x') STORED); \
             INSERT INTO tag VALUES (1); INSERT INTO pair VALUES ('a,b', 1); INSERT INTO sum DEFAULT VALUES; \
             INSERT INTO patron (name) VALUES ('Ann')",
        )
        .await;
    let tables = ["tag", "pair", "sum", "patron"].map(Into::into).to_vec();
    let service = Service::start(&address(&scratch), |settings| settings.tables = tables).await.live().await;
    for (path, body) in [
        ("/tag/1", None),
        ("/pair/%22a%2Cb%22,1", None),
        ("/sum/1", None),
        ("/tag/1", Some(r#"[{"id":1}]"#)),
        ("/pair/%22a%2Cb%22,1", Some(r#"{"b":1}"#)),
        ("/sum/1", Some(r#"{"n":"x"}"#)),
        ("/patron/1", Some(r#"{"id":1}"#)),
    ] {
        let read = service.get(path).await;
        let body = body.unwrap_or(&read.body);
        let tag = read.header("etag").expect("a tag");
        for method in ["PUT", "PATCH"] {
            let put = service.ask(method, path, &[JSON], body).await;
            assert_eq!(
                (put.status, put.body.as_str()),
                (200, r#"{"msg":"ok"}"#),
                "{method} {path} {body}: {}",
                put.body
            );
            assert_eq!(
                (put.header("etag"), put.header("content-location")),
                (Some(tag), Some(path.replace(",1", "%2C1").as_str()))
            );
            let put =
                service.ask(method, path, &[JSON, ("If-Match", tag), ("Prefer", "return=representation")], body).await;
            assert_eq!((put.status, &put.body), (200, &read.body), "{method} {path} {body}");
            let old = service.ask(method, path, &[JSON, ("If-Match", "\"x\"")], body).await;
            assert_eq!(old.status, 412, "{method} {path} {body}: {}", old.body);
        }
        assert_eq!(service.get(path).await.body, read.body);
    }
    for (path, body, status) in [
        ("/tag/9", r#"{"id":9}"#, 404),
        ("/sum/9", r#"{"id":9,"n":"y"}"#, 404),
        ("/sum/1", r#"{"id":1,"n":"y"}"#, 400),
        ("/sum/1", r#"{"id":2}"#, 400),
        ("/tag/1", "{}", 400),
        ("/tag/1", r#"[{"id":1},{"id":1}]"#, 400),
    ] {
        for method in ["PUT", "PATCH"] {
            let put = service.ask(method, path, &[JSON], body).await;
            assert_eq!(put.status, status, "{method} {path} {body}: {}", put.body);
        }
    }
    // A key alone still moves, and nobody writes without the right to.
    assert_eq!(service.ask("PATCH", "/tag/1", &[JSON], r#"{"id":2}"#).await.header("content-location"), Some("/tag/2"));
    scratch.run("REVOKE UPDATE ON tag FROM CURRENT_USER").await;
    let put = service.ask("PUT", "/tag/2", &[JSON], r#"{"id":2}"#).await;
    assert_eq!((put.status, put.code().as_str()), (403, "42501"), "{}", put.body);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_handling_refuses_an_unknown_preference_of_a_read_too() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    for path in ["/patron/1", "/patron/1?_consistency=strong", "/patron"] {
        // The second time it is in the cache.
        for _ in 0..2 {
            for (prefer, status) in
                [("handling=strict, foo=1", 400), ("handling=lenient, foo=1", 200), ("handling=strict", 200)]
            {
                for consistency in [("X-None", "x"), ("Consistency", "strong")] {
                    let reply = service.ask("GET", path, &[("Prefer", prefer), consistency], "").await;
                    assert_eq!(reply.status, status, "{path} {prefer}: {}", reply.body);
                    assert!(status == 200 || reply.code() == "PGRST122", "{path} {prefer}: {}", reply.body);
                }
            }
        }
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preference_that_changes_what_is_written_is_carried_out_or_refused() {
    let (_scratch, service) = patrons().await;
    let ask = async |method: &str, path: &str, name: &str, value: &str, body: &str| {
        service.ask(method, path, &[JSON, (name, value)], body).await
    };
    let made = ask("POST", "/patron", "Prefer", "missing=default", r#"[{"name":"Ann"},{"name":"Bob"}]"#).await;
    assert_eq!((made.status, made.header("preference-applied")), (201, Some("missing=default")), "{}", made.body);
    for (method, path, prefer, body) in [
        ("POST", "/patron", "tx=rollback", r#"{"name":"b"}"#),
        ("PATCH", "/patron?id=eq.1", "tx=rollback", r#"{"name":"b"}"#),
        ("DELETE", "/patron?id=eq.1", "return=representation, tx=rollback", ""),
        ("PUT", "/patron/1", "tx=rollback", r#"{"name":"b"}"#),
        ("PATCH", "/patron/1", "TX=rollback", r#"{"name":"b"}"#),
        ("DELETE", "/patron/1", "tx=rollback", ""),
    ] {
        let reply = ask(method, path, "Prefer", prefer, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "PGRST122"), "{method} {path}: {}", reply.body);
        assert_eq!(reply.header("preference-applied"), None);
    }
    let rows = service.get("/patron?select=id,name").await;
    assert_eq!(rows.body, r#"[{"id":1,"name":"Ann"},{"id":2,"name":"Bob"}]"#, "nothing was written");
    for accept in
        ["application/vnd.pgrst.array+json;nulls=stripped", "application/vnd.pgrst.object+json;nulls=stripped"]
    {
        let reply = ask("GET", "/patron?id=eq.1", "Accept", accept, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (406, "PGRST107"), "{accept}");
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_too_long_is_known_not_to_have_happened() {
    let (scratch, service) = patrons().await;
    scratch
        .run(
            "INSERT INTO patron (name) VALUES ('Ann'), ('Bob'); \
             CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(600); RETURN NEW; END$$; \
             CREATE TRIGGER slow BEFORE UPDATE ON patron FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION slow()",
        )
        .await;
    scratch.run("BEGIN; SELECT FROM patron WHERE id = 1 FOR UPDATE").await;
    let put = async |path: &str| service.ask("PUT", path, &[JSON], r#"{"name":"x"}"#).await;
    let (locked, slow) = tokio::join!(put("/patron/1"), put("/patron/2"));
    for (reply, reason) in [(locked, "lock timeout"), (slow, "statement timeout")] {
        assert_eq!(reply.status, 503, "{reason}: {}", reply.body);
        assert!(reply.body.contains(reason) && !reply.body.contains("not known"), "{}", reply.body);
        assert!(reply.header("retry-after").is_some(), "{reason}");
    }
    scratch.run("COMMIT").await;
    assert_eq!(service.get("/patron?select=name&name=neq.x").await.body, r#"[{"name":"Ann"},{"name":"Bob"}]"#);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_date_that_is_a_key_has_a_path_and_is_cached() {
    let (scratch, service) = patrons().await;
    service.end().await;
    let dates =
        ["infinity", "-infinity", "4714-11-24 BC", "0044-03-15 BC", "0001-02-29 BC", "12024-01-01", "5874897-12-31"];
    scratch.run("CREATE TABLE day (id date PRIMARY KEY, v int)").await;
    let service =
        Service::start(&address(&scratch), |settings| settings.tables = vec!["day".into()]).await.live().await;
    for date in dates {
        let made = service.post("/day", &format!(r#"{{"id":"{date}","v":1}}"#)).await;
        let path = made.header("location").expect("a path").to_owned();
        let row = format!(r#"{{"id":"{date}","v":1}}"#);
        service.get(&path).await;
        let read = service.get(&path).await;
        assert_eq!((read.status, read.body.as_str(), read.header("x-cache")), (200, row.as_str(), Some("hit")));
        // The event's key is the same text, or the cache would keep the old row.
        scratch.run(&format!("UPDATE day SET v = 2 WHERE id = '{date}'")).await;
        let read = service.ask("GET", &path, &[("Consistency", "strong")], "").await;
        assert_eq!(read.json()["v"], 2, "{date}");
        assert_eq!(service.ask("DELETE", &path, &[], "").await.status, 200, "{date}");
    }
    let wrong = service.get("/day/2024-02-30").await;
    assert!(wrong.status == 400 && wrong.body.contains("the key of table day: it is no date"), "{}", wrong.body);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_headers_of_get() {
    let (scratch, service) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    service.get("/patron/1").await;
    for path in
        ["/patron/1", "/patron/2", "/patron", "/patron?id=eq.9", "/patron/x", "/none", "/none/1", "/patron?none=eq.1"]
    {
        for headers in [&[][..], &[("Consistency", "strong")], &[("Accept", "text/csv")]] {
            let get = service.ask("GET", path, headers, "").await;
            let head = service.ask("HEAD", path, headers, "").await;
            assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
            for name in ["content-type", "content-length", "cache-control", "etag", "content-range"] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
        }
    }
    service.end().await;
}
