//! A database that takes text of any bytes.

use super::common::{cached, connect, patient, server};
use super::value;
use serde_json::{Value, json};
use switchboard_rows::{Events, RowChange, TableSpec};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_utf_8_leaves_the_feed_of_other_tables_as_it_is() {
    tokio::task::block_in_place(|| {
        let make =
            "CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' OWNER app";
        server().run_sql("postgres", make);
    });
    let address = server().address("app", "bytes");
    let sql = connect(&address).await;
    let run = async |text: &str| sql.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    run("CREATE TABLE bad (id int PRIMARY KEY, v text); CREATE TABLE key (id text PRIMARY KEY); \
         CREATE TABLE keys (id text PRIMARY KEY); CREATE TABLE good (id int PRIMARY KEY, v text)")
    .await;
    let keys = TableSpec { events: Events::Keys, ..TableSpec::from("keys") };
    let specs = [TableSpec::from("bad"), TableSpec::from("key"), keys, TableSpec::from("good")];
    let cache = cached(&address.parse().expect("an address"), specs, patient()).await;
    let mut changes = cache.subscribe();
    let mut next = async || match changes.next().await {
        Some(RowChange::Event { event, .. }) => event.parse::<Value>().expect("JSON"),
        other => panic!("the feed has a gap: {other:?}"),
    };
    run("INSERT INTO good VALUES (1, 'ü')").await;
    assert_eq!(next().await["data"]["v"], "ü");
    // The key stands, and its rows are told one by one.
    run(
        "BEGIN; INSERT INTO bad VALUES (1, E'\\xff'); UPDATE bad SET v = E'\\xfe'; UPDATE bad SET v = E'\\xfd'; COMMIT",
    )
    .await;
    for (kind, seq) in [("INSERT", 1), ("UPDATE", 2), ("UPDATE", 3)] {
        assert_eq!(next().await, json!({ "table": "bad", "id": 1, "type": kind, "seq": seq }));
    }
    for table in ["key", "keys"] {
        run(&format!("INSERT INTO {table} VALUES (E'a\\xff')")).await;
        assert_eq!(next().await, json!({ "table": table, "type": "FLUSH" }));
    }
    cache.get_strong("bad", 1).await.expect_err("it is no JSON");
    run("UPDATE good SET v = 'b'; UPDATE bad SET v = 'c'").await;
    assert_eq!(next().await["data"]["new"]["v"], "b");
    assert_eq!(value(cache.get_strong("good", 1).await.expect("read"))["v"], "b");
    assert_eq!(value(cache.get_strong("bad", 1).await.expect("read"))["v"], "c");
}
