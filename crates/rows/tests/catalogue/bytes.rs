//! A database that takes text of any bytes.

use super::common::{cached, connect, patient, server, until};
use super::value;
use serde_json::{Value, json};
use switchboard_rows::{Error, Events, RowChange, TableSpec};
use tokio_postgres::Client;

/// A new database without an encoding: its address, and a session.
async fn database(name: &str) -> (String, Client) {
    tokio::task::block_in_place(|| {
        let kind = "ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' OWNER app";
        server().run_sql("postgres", &format!("CREATE DATABASE {name} {kind}"));
    });
    let address = server().address("app", name);
    let sql = connect(&address).await;
    (address, sql)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_utf_8_leaves_the_feed_of_other_tables_as_it_is() {
    let (address, sql) = database("bytes").await;
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
    let refused = cache.get_strong("bad", 1).await.expect_err("it is no JSON");
    assert!(matches!(refused, Error::Encoding), "{refused:?}");
    assert!(refused.to_string().starts_with("a row has bytes that are not UTF-8"), "{refused}");
    run("UPDATE good SET v = 'b'; UPDATE bad SET v = 'c'").await;
    assert_eq!(next().await["data"]["new"]["v"], "b");
    assert_eq!(value(cache.get_strong("good", 1).await.expect("read"))["v"], "b");
    assert_eq!(value(cache.get_strong("bad", 1).await.expect("read"))["v"], "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_no_utf_8_is_refused_by_itself_and_so_is_a_write_that_would_return_it() {
    let (address, sql) = database("alone").await;
    sql.batch_execute("CREATE TABLE t (id int PRIMARY KEY, n int, v text)").await.expect("created");
    let cache = cached(&address.parse().expect("an address"), ["t"], patient()).await;
    // One query reads all of them again.
    let rows = "INSERT INTO t SELECT n, n, CASE n WHEN 2 THEN E'\\xff' ELSE 'ok' END FROM generate_series(1, 3) n";
    sql.batch_execute(rows).await.expect("inserted");
    until("the others are cached before anybody asks", async || {
        let mut keys: Vec<String> = cache.snapshot().into_iter().map(|(_, key, _)| key.parts().concat()).collect();
        keys.sort_unstable();
        (keys == ["1", "3"]).then_some(())
    })
    .await;
    for (id, is_readable) in [(1, true), (2, false), (3, true)] {
        let read = cache.get("t", id).await;
        assert_eq!(read.is_ok(), is_readable, "{id}: {read:?}");
    }
    let refused = cache.update("t", 2, &json!({ "n": 7 })).await.expect_err("it cannot be shown");
    assert!(matches!(refused, Error::Encoding), "{refused:?}");
    let found: i32 = sql.query_one("SELECT n FROM t WHERE id = 2", &[]).await.expect("a row").get(0);
    assert_eq!(found, 2, "nothing was written");
    // A zero is the request's fault.
    let zero = cache.update("t", 1, &json!({ "v": "\0" })).await.expect_err("no text has it");
    assert!(matches!(zero, Error::Rejected(_)), "{zero:?}");
    cache.update("t", 2, &json!({ "v": "ok" })).await.expect("it is UTF-8 now");
    assert_eq!(value(cache.get("t", 2).await.expect("read"))["n"], 2);
}
