//! Events of one transaction that would be equal.

use super::common::{cached, patient};
use super::scratch;
use serde_json::{Value, json};
use switchboard_rows::{Events, RowChange, TableSpec};

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_because_it_equals_an_earlier_one_of_its_transaction() {
    let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')").await;
    let cache = cached(scratch.database(), ["t"], patient()).await;
    for (sql, expected) in [
        (
            "UPDATE t SET v = 'b'; UPDATE t SET v = 'a'; UPDATE t SET v = 'b'",
            vec![json!(["UPDATE", 1, "b"]), json!(["UPDATE", 2, "a"]), json!(["UPDATE", 3, "b"])],
        ),
        (
            "INSERT INTO t VALUES (2, 'x'); DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 'x')",
            vec![json!(["INSERT", 1, null]), json!(["DELETE", 2, null]), json!(["INSERT", 3, null])],
        ),
        (
            "TRUNCATE t; TRUNCATE t; INSERT INTO t VALUES (1, 'a'); TRUNCATE t; INSERT INTO t VALUES (1, 'a')",
            vec![
                json!(["FLUSH", 0, null]),
                json!(["INSERT", 1, null]),
                json!(["FLUSH", 1, null]),
                json!(["INSERT", 2, null]),
            ],
        ),
        // An undone change is not sent, and counts again.
        (
            "SAVEPOINT s; UPDATE t SET v = 'b'; ROLLBACK TO s; UPDATE t SET v = 'b'; UPDATE t SET v = 'a'",
            vec![json!(["UPDATE", 1, "b"]), json!(["UPDATE", 2, "a"])],
        ),
    ] {
        let mut changes = cache.subscribe();
        scratch.run(&format!("BEGIN; {sql}; COMMIT")).await;
        // The last one ends the list.
        scratch.run("INSERT INTO t VALUES (99, 'end')").await;
        let mut got = Vec::new();
        loop {
            let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("an event") };
            let event: Value = event.parse().expect("JSON");
            if event["id"] == 99 {
                break;
            }
            got.push(json!([event["type"], event["seq"], event["data"]["new"]["v"]]));
        }
        assert_eq!(got, expected, "{sql}");
        let mut changes = cache.subscribe();
        scratch.run("DELETE FROM t WHERE id = 99").await;
        changes.next().await.expect("an event");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_of_keys_is_lost_because_it_equals_an_earlier_one_of_its_transaction() {
    let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let spec = TableSpec { events: Events::Keys, ..TableSpec::from("t") };
    let cache = cached(scratch.database(), [spec], patient()).await;
    let mut changes = cache.subscribe();
    let insert = "INSERT INTO t VALUES (1, 'x')";
    scratch.run(&format!("BEGIN; {insert}; DELETE FROM t; {insert}; TRUNCATE t; {insert}; TRUNCATE t; COMMIT")).await;
    for (kind, seq) in [("INSERT", 1), ("DELETE", 2), ("INSERT", 3), ("FLUSH", 3), ("INSERT", 4), ("FLUSH", 4)] {
        let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("an event") };
        let event: Value = event.parse().expect("JSON");
        assert_eq!((&event["type"], &event["seq"]), (&json!(kind), &json!(seq)), "{event}");
    }
}
