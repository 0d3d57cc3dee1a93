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
