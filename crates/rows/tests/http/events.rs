//! `/events`.

use super::common::service::Service;
use super::{address, patrons};
use serde_json::json;

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_streamed_whole_and_from_where_a_client_stopped() {
    let (scratch, service) = patrons().await;
    let mut events = service.events("/events", None).await;
    service.post("/patron", r#"{"name": "Ann"}"#).await;
    let (kind, first, inserted) = events.next().await;
    assert_eq!(kind, "message");
    assert_eq!(
        inserted,
        json!({ "table": "patron", "id": 1, "type": "INSERT", "seq": 1, "data": { "id": 1, "name": "Ann", "fav_dish": null } })
    );
    scratch.run("UPDATE patron SET name = E'two\\nlines'").await;
    let (_, second, updated) = events.next().await;
    assert_eq!(updated["data"]["diff"], json!({ "name": "two\nlines" }));
    service.ask("DELETE", "/patron/1", &[], "").await;
    let (_, third, deleted) = events.next().await;
    assert_eq!((&deleted["type"], &deleted["id"]), (&json!("DELETE"), &json!(1)));
    // As a browser does that connects again, and as a program may.
    let mut again = service.events("/events", Some(&first)).await;
    let resumed = [again.next().await.1, again.next().await.1];
    assert_eq!(resumed, [second.clone(), third.clone()]);
    let mut by_address = service.events(&format!("/events?after={second}"), None).await;
    assert_eq!(by_address.next().await.1, third);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_and_a_table_can_be_chosen() {
    let (scratch, service) = patrons().await;
    service.end().await;
    scratch.run("CREATE TABLE other (id int PRIMARY KEY)").await;
    let service = Service::start(&address(&scratch), |settings| {
        settings.tables = vec!["patron".into(), "other".into()];
        settings.options.changes = 2;
    })
    .await
    .live()
    .await;
    let mut all = service.events("/events", None).await;
    let mut others = service.events("/events?table=other", None).await;
    scratch.run("INSERT INTO patron (name) VALUES ('a')").await;
    scratch.run("INSERT INTO other VALUES (1)").await;
    let (_, first, _) = all.next().await;
    all.next().await;
    assert_eq!(others.next().await.2["table"], "other");
    // More than are kept.
    for id in 2..6 {
        scratch.run(&format!("INSERT INTO other VALUES ({id})")).await;
        all.next().await;
    }
    let mut late = service.events("/events", Some(&first)).await;
    let (kind, _, gap) = late.next().await;
    assert_eq!((kind.as_str(), gap["missed"].as_u64() > Some(0)), ("gap", true));
    assert_eq!(late.next().await.0, "message");
    // Of another instance.
    let mut foreign = service.events("/events", Some("1-1")).await;
    assert_eq!(foreign.next().await.0, "gap");
    for path in ["/events?table=none", "/events?x=1", "/events?after=x", "/events?table=patron&table=other"] {
        let reply = service.get(path).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_listen_have_a_limit_and_do_not_keep_the_service_from_ending() {
    let (scratch, service) = patrons().await;
    service.end().await;
    let service = Service::start(&address(&scratch), |settings| settings.event_clients = 2).await.live().await;
    let one = service.events("/events", None).await;
    let _two = service.events("/events", None).await;
    let third = service.get("/events").await;
    assert_eq!((third.status, third.header("retry-after").is_some()), (503, true));
    drop(one);
    super::common::until("the place is free again", async || {
        let status = service.get("/status").await.json();
        (status["listeners"] == 1).then_some(())
    })
    .await;
    let _again = service.events("/events", None).await;
    assert_eq!(service.ask("POST", "/patron", &[JSON], "{}").await.status, 201);
    service.end().await;
}
