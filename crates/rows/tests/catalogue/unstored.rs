//! Generated columns that are not stored, which PostgreSQL has from version 18 on.

use super::common::{PATIENCE, Server, cached, patient};
use super::value;
use serde_json::{Value, json};
use switchboard_rows::{RowChange, TableSpec};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_the_values_of_columns_that_are_not_stored() {
    let server = tokio::task::block_in_place(|| Server::start_newest(&[]));
    let scratch = server.scratch().await;
    // Columns with the names of the trigger's variables, one that is hidden, and more than a call takes arguments.
    let many: Vec<String> = (0..120).map(|at| format!("v{at} int GENERATED ALWAYS AS (a + {at}) VIRTUAL")).collect();
    scratch
        .run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, a int, count int, data text, \"new\" date, \
             b int GENERATED ALWAYS AS (a * 2) VIRTUAL, event text GENERATED ALWAYS AS (lower(data) || count) VIRTUAL, \
             secret int GENERATED ALWAYS AS (a) VIRTUAL, \"it's\" bool GENERATED ALWAYS AS (\"new\" IS NULL) VIRTUAL); \
             CREATE TABLE many (id int PRIMARY KEY, a int, {})",
            many.join(", ")
        ))
        .await;
    let spec = TableSpec { hidden: vec!["secret".to_owned()], ..TableSpec::from("t") };
    let cache = cached(scratch.database(), [spec, TableSpec::from("many")], patient()).await;
    let mut changes = cache.subscribe();
    let mut next = async || {
        let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("an event") };
        event.parse::<Value>().expect("JSON")
    };
    scratch.run("INSERT INTO t (id, a, count, data) VALUES (1, 6, 3, 'X')").await;
    let row = json!({ "id": 1, "a": 6, "count": 3, "data": "X", "new": null, "b": 12, "event": "x3", "it's": true });
    assert_eq!(next().await["data"], row);
    assert_eq!(value(cache.get_strong("t", 1).await.expect("read")), row);
    scratch.run("UPDATE t SET a = 7").await;
    let event = next().await;
    assert_eq!(event["data"]["diff"], json!({ "a": 7, "b": 14 }));
    assert_eq!((&event["data"]["old"], &event["data"]["new"]["event"]), (&row, &json!("x3")));
    scratch.run("ALTER TABLE t ALTER b SET EXPRESSION AS (a * 3)").await;
    let follow = async {
        while next().await["data"]["new"]["b"] != 21 {
            scratch.run("UPDATE t SET count = count + 1").await;
        }
    };
    scratch.run("UPDATE t SET count = count + 1").await;
    timeout(PATIENCE, follow).await.expect("the new expression is told in time");
    scratch.run("DELETE FROM t").await;
    let event = next().await;
    assert_eq!((&event["type"], &event["data"]["b"]), (&json!("DELETE"), &json!(21)));
    scratch.run("INSERT INTO many VALUES (1, 1000)").await;
    let event = next().await;
    assert_eq!(event["data"], value(cache.get_strong("many", 1).await.expect("read")));
    assert_eq!(event["data"]["v119"], 1119);
    drop(scratch);
    tokio::task::block_in_place(|| server.end());
}
