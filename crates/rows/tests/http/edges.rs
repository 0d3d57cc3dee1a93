//! Databases that are away, other sites, limits, and what the service says of itself.

use super::common::proxy::Proxy;
use super::common::service::Service;
use super::common::{server, until};
use super::{address, patrons};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_gets_503_with_a_time_to_ask_again() {
    let service = Service::start("postgres://nobody@127.0.0.1:1/none", |_| ()).await;
    for (method, path, body) in [
        ("GET", "/patron/1", ""),
        ("GET", "/patron", ""),
        ("POST", "/patron", "{}"),
        ("DELETE", "/patron/1", ""),
        ("GET", "/readyz", ""),
    ] {
        let reply = service.ask(method, path, &[JSON], body).await;
        assert_eq!(reply.status, 503, "{method} {path}: {}", reply.body);
        assert!(path == "/readyz" || reply.header("retry-after").is_some(), "{method} {path}");
    }
    assert_eq!(service.get("/healthz").await.status, 200);
    assert_eq!(service.get("/none/1").await.status, 404);
    assert!(service.get("/metrics").await.body.contains("rows_up 0\n"));
    assert_eq!(service.get("/status").await.json()["state"], "down");
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_missing_is_served_once_it_is_there() {
    let scratch = server().scratch().await;
    let service = Service::start(&address(&scratch), |settings| settings.tables = vec!["late".into()]).await;
    until("the table is missed", async || {
        let reply = service.get("/late/1").await;
        assert!(reply.status == 503 && reply.header("retry-after").is_some(), "{}", reply.body);
        reply.body.contains("there is none of this name").then_some(())
    })
    .await;
    scratch.run("CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late VALUES (1, 'a')").await;
    until("the table is served", async || (service.get("/late/1").await.status == 200).then_some(())).await;
    scratch.run("ALTER TABLE late RENAME v TO w").await;
    until("the change is served", async || {
        let reply = service.get("/late/1").await;
        (reply.status == 200 && reply.body == r#"{"id":1,"w":"a"}"#).then_some(())
    })
    .await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_is_served_again() {
    let scratch = server().scratch().await;
    let proxy = Proxy::start(server().socket_directory()).await;
    let service = Service::start(&proxy.address("app", scratch.scratch.name()), |_| ()).await.live().await;
    assert_eq!(service.post("/patron", r#"{"name":"Ann"}"#).await.status, 201);
    proxy.cut();
    scratch.run("UPDATE patron SET name = 'Bob'").await;
    until("the row is served as it is now", async || {
        let reply = service.ask("GET", "/patron/1", &[("Consistency", "strong")], "").await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.status);
        (reply.status == 200 && reply.json()["name"] == "Bob").then_some(())
    })
    .await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_are_allowed_by_a_setting_alone() {
    let (scratch, service) = patrons().await;
    let origin = ("Origin", "https://app.example");
    let foreign = service.ask("POST", "/patron", &[JSON, origin], "{}").await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, None));
    assert_eq!(service.ask("GET", "/patron", &[origin], "").await.header("access-control-allow-origin"), None);
    assert_eq!(service.ask("GET", "/patron", &[("Host", "evil.example")], "").await.status, 421);
    service.end().await;
    let service =
        Service::start(&address(&scratch), |settings| settings.origins = vec!["https://app.example".to_owned()])
            .await
            .live()
            .await;
    let preflight = [
        origin,
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "prefer, content-type"),
    ];
    let asked = service.ask("OPTIONS", "/patron", &preflight, "").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some("https://app.example")));
    assert_eq!(asked.header("access-control-allow-headers"), Some("prefer, content-type"));
    assert!(asked.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PATCH")));
    let made = service.ask("POST", "/patron", &[JSON, origin, ("Sec-Fetch-Site", "cross-site")], "{}").await;
    assert_eq!((made.status, made.header("access-control-allow-origin")), (201, Some("https://app.example")));
    assert!(made.header("access-control-expose-headers").is_some_and(|headers| headers.contains("Row-Token")));
    let other = ("Origin", "https://other.example");
    assert_eq!(service.ask("POST", "/patron", &[JSON, other], "{}").await.status, 403);
    assert_eq!(service.ask("GET", "/patron", &[other], "").await.header("access-control-allow-origin"), None);
    assert_eq!(service.get("/patron").await.header("vary"), Some("Origin"));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_service_changes_nothing() {
    let (scratch, service) = patrons().await;
    service.post("/patron", r#"{"name":"Ann"}"#).await;
    service.end().await;
    let service = Service::start(&address(&scratch), |settings| settings.read_only = true).await.live().await;
    for (method, path, body) in [
        ("POST", "/patron", "{}"),
        ("PATCH", "/patron?id=eq.1", "{\"name\":\"x\"}"),
        ("DELETE", "/patron?id=eq.1", ""),
        ("PUT", "/patron/1", "{\"name\":\"x\"}"),
        ("PATCH", "/patron/1", "{\"name\":\"x\"}"),
        ("DELETE", "/patron/1", ""),
    ] {
        let reply = service.ask(method, path, &[JSON], body).await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "25006"), "{method} {path}");
    }
    assert_eq!(service.get("/patron/1").await.json()["name"], "Ann");
    assert!(service.get("/openapi.json").await.json()["paths"]["/patron"]["post"].is_null());
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_taken_up_to_its_limit() {
    let (scratch, service) = patrons().await;
    service.end().await;
    let service = Service::start(&address(&scratch), |settings| settings.body = 64).await.live().await;
    for (length, status) in [(63, 201), (64, 201), (65, 413)] {
        let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(length - 11));
        assert_eq!((body.len(), service.post("/patron", &body).await.status), (length, status));
    }
    let long = format!("/patron?name=eq.{}", "x".repeat(20_000));
    assert_eq!(service.get(&long).await.status, 414);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_describes_itself() {
    let (_scratch, service) = patrons().await;
    service.post("/patron", r#"{"name":"Ann"}"#).await;
    service.get("/patron/1").await;
    let page = service.get("/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(page.status == 200 && policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(page.body.find("/theme.css").zip(page.body.find("/rows.css")).is_some_and(|(theme, own)| theme < own));
    for path in ["/rows.js", "/rows.css", "/services.js", "/live.js", "/theme.css", "/icon.svg"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
    let document = service.get("/openapi.json").await.json();
    assert_eq!(document["paths"].as_object().map(serde_json::Map::len), Some(2));
    let metrics = service.get("/metrics").await.body;
    for part in [
        "rows_up 1\n",
        "rows_inconsistent_total 0\n",
        "rows_request_seconds_count{operation=\"write\"} 1\n",
        "rows_table_cached{table=\"patron\"} 1\n",
    ] {
        assert!(metrics.contains(part), "{part}{metrics}");
    }
    let status = service.get("/status").await.json();
    assert_eq!((&status["state"], &status["tables"][0]["key"][0]), (&"live".into(), &"id".into()));
    let options = service.ask("OPTIONS", "/patron/1", &[], "").await;
    assert!(options.status == 204 && options.header("allow").is_some_and(|allow| allow.contains("PATCH")));
    for (method, path, status, code) in [
        ("GET", "/patron/", 404, "PGRST125"),
        ("GET", "/patron/1/2", 404, "PGRST125"),
        ("GET", "//", 404, "PGRST125"),
        ("GET", "/none", 404, "PGRST205"),
        ("GET", "/patron/%FF", 400, "PGRST100"),
        ("PUT", "/patron", 405, "PGRST117"),
        ("POST", "/patron/1", 405, "PGRST117"),
        ("POST", "/status", 405, "PGRST117"),
    ] {
        let reply = service.ask(method, path, &[JSON], "{}").await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{method} {path}: {}", reply.body);
    }
    let wrong = service.ask("PUT", "/patron", &[JSON], "{}").await;
    assert!(wrong.status == 405 && wrong.header("allow").is_some_and(|allow| allow.contains("POST")));
    service.end().await;
}
