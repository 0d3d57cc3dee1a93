//! Events of keys alone: one trigger a statement, and rows that are read again by their keys.
#![cfg(not(loom))]

mod common;

use common::patron::value;
use common::{Scratch, cached, patient, server};
use serde_json::Value;
use switchboard_rows::{Error, Events, Key, RowCache, RowChange, Source, TableSpec, triggers};

fn spec(name: &str) -> TableSpec {
    TableSpec { events: Events::Keys, ..TableSpec::from(name) }
}

async fn table(sql: &str) -> (Scratch, RowCache) {
    let scratch = server().scratch().await;
    scratch.run(sql).await;
    let cache = cached(scratch.database(), [spec("t")], patient()).await;
    (scratch, cache)
}

async fn read(cache: &RowCache, key: impl Into<Key>) -> Value {
    let key = key.into();
    let row = value(cache.get_strong("t", key.clone()).await.expect("read"));
    // From the cache, or the triggers would not matter.
    let read = cache.read("t", key.clone()).await.expect("read");
    assert_eq!((read.source, value(read.row)), (Source::Hit, row.clone()), "{key:?}");
    row["v"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_statement_is_followed() {
    let (scratch, cache) = table(
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
         CREATE TABLE t (id int PRIMARY KEY, v int, p int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
         INSERT INTO t VALUES (1, 0, 1), (2, 0, 2), (3, 0, NULL)",
    )
    .await;
    for (sql, expected) in [
        ("UPDATE t SET v = 1", [Some(1), Some(1), Some(1), None]),
        ("UPDATE t SET v = 2 WHERE id = 2", [Some(1), Some(2), Some(1), None]),
        ("UPDATE t SET v = 9 WHERE id = 77", [Some(1), Some(2), Some(1), None]),
        ("INSERT INTO t VALUES (4, 3)", [Some(1), Some(2), Some(1), Some(3)]),
        ("INSERT INTO t VALUES (4, 0) ON CONFLICT (id) DO UPDATE SET v = 4", [Some(1), Some(2), Some(1), Some(4)]),
        (
            "MERGE INTO t USING (VALUES (1), (4)) s(id) ON t.id = s.id WHEN MATCHED AND t.id = 1 THEN DELETE \
          WHEN MATCHED THEN UPDATE SET v = 5",
            [None, Some(2), Some(1), Some(5)],
        ),
        ("UPDATE t SET id = id - 3 WHERE id = 4", [Some(5), Some(2), Some(1), None]),
        (
            "WITH moved AS (DELETE FROM t WHERE id = 3 RETURNING v) INSERT INTO t SELECT 4, v FROM moved",
            [Some(5), Some(2), None, Some(1)],
        ),
        ("BEGIN; UPDATE t SET v = 6; ROLLBACK", [Some(5), Some(2), None, Some(1)]),
        (
            "BEGIN; UPDATE t SET v = 7; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; COMMIT",
            [Some(7), Some(7), None, Some(7)],
        ),
        (
            "SET session_replication_role = replica; UPDATE t SET v = 8; RESET session_replication_role",
            [Some(8), Some(8), None, Some(8)],
        ),
        ("DELETE FROM parent WHERE id = 2", [Some(8), None, None, Some(8)]),
        ("TRUNCATE t", [None; 4]),
    ] {
        if sql.contains("session_replication_role") {
            server().run_sql(scratch.scratch.name(), sql);
        } else {
            scratch.run(sql).await;
        }
        for (key, expected) in (1..).zip(expected) {
            assert_eq!(read(&cache, key).await, expected.map_or(Value::Null, Value::from), "{sql}: {key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_names_the_keys_of_a_statement_and_no_more() {
    let (scratch, cache) =
        table("CREATE TABLE t (a int, b text, v text, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 'x', 'secret')")
            .await;
    let mut changes = cache.subscribe();
    scratch.run("INSERT INTO t VALUES (2, 'y', 'secret'), (3, 'z\"', 'secret')").await;
    scratch.run("UPDATE t SET b = 'w', v = 'secret' WHERE a = 1").await;
    for expected in [
        serde_json::json!({ "table": "t", "type": "INSERT", "seq": 2, "ids": [[2, "y"], [3, "z\""]] }),
        serde_json::json!({ "table": "t", "type": "UPDATE", "seq": 1, "ids": [[1, "w"], [1, "x"]] }),
    ] {
        let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("no event") };
        let mut event: Value = serde_json::from_str(&event).expect("JSON");
        event["ids"].as_array_mut().expect("keys").sort_by_key(ToString::to_string);
        assert_eq!(event, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_more_than_an_event_are_told_in_parts_and_those_of_more_than_1000_rows_by_a_flush() {
    let (scratch, cache) = table("CREATE TABLE t (id text PRIMARY KEY, v int)").await;
    for (rows, is_flushed) in [(1, false), (999, false), (1000, false), (1001, true), (100_000, true)] {
        scratch.run("TRUNCATE t").await;
        cache.get_strong("t", "none").await.expect("read");
        let (flushes, mut changes) = (cache.metrics().flushes, cache.subscribe());
        scratch.run(&format!("INSERT INTO t SELECT n || repeat('ü', 20), 1 FROM generate_series(1, {rows}) n")).await;
        assert_eq!(read(&cache, format!("{rows}{}", "ü".repeat(20))).await, 1);
        assert_eq!(cache.metrics().flushes - flushes, u64::from(is_flushed), "{rows} rows");
        let mut told = 0;
        while let Some(RowChange::Event { event, .. }) = changes.try_next() {
            assert!(event.len() <= 7500, "{} bytes", event.len());
            told += serde_json::from_str::<Value>(&event).expect("JSON")["ids"].as_array().map_or(0, Vec::len);
        }
        assert_eq!(told, if is_flushed { 0 } else { rows }, "{rows} rows");
    }
    // Several statements of one transaction count together.
    let flushes = cache.metrics().flushes;
    scratch.run("BEGIN; UPDATE t SET v = 2 WHERE id IN (SELECT id FROM t LIMIT 600); UPDATE t SET v = 3 WHERE id IN (SELECT id FROM t LIMIT 600); COMMIT").await;
    cache.get_strong("t", "none").await.expect("read");
    assert_eq!(cache.metrics().flushes - flushes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_fails_because_of_an_event_of_keys() {
    let (scratch, cache) = table("CREATE TABLE t (id text PRIMARY KEY, v text)").await;
    for bytes in [1, 2600, 7400, 7499, 7500, 7600] {
        // A key that PostgreSQL's index takes: it compresses.
        let key = "x".repeat(bytes);
        assert_eq!(cache.get_strong("t", key.as_str()).await.expect("read"), None, "{bytes}");
        scratch.run(&format!("INSERT INTO t VALUES ('{key}', 'a'), ('{key}y', 'a')")).await;
        assert_eq!(read(&cache, key.as_str()).await, "a", "{bytes}");
        scratch.run("UPDATE t SET v = 'b'").await;
        assert_eq!(read(&cache, key.as_str()).await, "b", "{bytes}");
        scratch.run("DELETE FROM t").await;
        assert_eq!(cache.get_strong("t", key.as_str()).await.expect("read"), None, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_writes_no_statement_shows_is_refused_and_so_it_is_once_it_becomes_one() {
    let scratch = server().scratch().await;
    scratch
        .run(
            "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE base (id int); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (base);
             CREATE TABLE t (id int PRIMARY KEY, v int)",
        )
        .await;
    for name in ["parted", "child"] {
        let error = RowCache::connect_with(scratch.database(), [spec(name)], patient()).await.expect_err("refused");
        assert!(matches!(&error, Error::Table { .. }) && error.to_string().contains("events of rows"), "{error}");
    }
    let cache = cached(scratch.database(), [spec("t")], patient()).await;
    assert_eq!(cache.get_strong("t", 1).await.expect("read"), None);
    scratch.run("CREATE TABLE above (id int, v int); ALTER TABLE t INHERIT above; UPDATE above SET v = 1").await;
    let error = cache.get_strong("t", 1).await.expect_err("it is refused now");
    assert!(error.to_string().contains("events of rows"), "{error}");
    assert!(cache.status().tables[0].problem.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kind_of_events_replaces_the_other_and_both_are_removed_without_a_trace() {
    let scratch = server().scratch().await;
    scratch.run("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)").await;
    let installed = async || {
        let names = "SELECT coalesce(string_agg(tgname, ' ' ORDER BY tgname), '') FROM pg_trigger WHERE tgrelid = 't'::regclass";
        scratch.sql.query_one(names, &[]).await.expect("it answers").get::<_, String>(0)
    };
    const OF_KEYS: &str =
        "switchboard_rows_delete switchboard_rows_insert switchboard_rows_truncate switchboard_rows_update";
    const OF_ROWS: &str = "switchboard_rows switchboard_rows_truncate";
    for (spec, expected) in
        [(spec("t"), OF_KEYS), (TableSpec::from("t"), OF_ROWS), (spec("t"), OF_KEYS), (spec("t"), OF_KEYS)]
    {
        let cache = cached(scratch.database(), [spec.clone()], patient()).await;
        assert_eq!(installed().await, expected);
        scratch.run("UPDATE t SET v = v + 1").await;
        let row = read(&cache, 1).await;
        scratch.run("UPDATE t SET v = v + 1").await;
        assert_ne!(read(&cache, 1).await, row);
        drop(cache);
        let printed = triggers::print(scratch.database(), &spec).await.expect("printed");
        scratch.run(&printed).await;
        assert_eq!(installed().await, expected, "as printed");
    }
    triggers::remove(scratch.database(), &spec("t")).await.expect("removed");
    assert_eq!(installed().await, "");
    let functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(scratch.sql.query_one(functions, &[]).await.expect("it answers").get::<_, i64>(0), 0);
}
