//! Changes of the catalogue after which a row's JSON is another, without an event.

use super::common::{cached, is_cached, patient, until};
use super::{scratch, value};
use serde_json::Value;
use switchboard_rows::{Events, Options, RowChange, Source, TableSpec};

/// No sampler, which would find them by chance.
fn options() -> Options {
    Options { samples: 0, ..patient() }
}

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('calm', 'mad');
    CREATE TYPE pair AS (x int, m mood);
    CREATE TYPE nested AS (p pair, n int);
    CREATE DOMAIN pairs AS pair[];
    CREATE TYPE moods AS RANGE (subtype = mood, multirange_type_name = many_moods);
    CREATE TABLE other (a int, b text);
    CREATE TYPE shade AS ENUM ('dark');
    CREATE FUNCTION shown(shade) RETURNS json LANGUAGE sql AS $$SELECT '\"one\"'::json$$;
    CREATE CAST (shade AS json) WITH FUNCTION shown(shade);
    CREATE SCHEMA aside";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_rows_json_depends_on_flushes_its_table_when_it_changes() {
    for (kind, row, change) in [
        ("pair", "(1,calm)", "ALTER TYPE pair RENAME ATTRIBUTE x TO y"),
        ("pair", "(1,calm)", "ALTER TYPE pair ADD ATTRIBUTE z int"),
        ("pair", "(1,calm)", "ALTER TYPE mood RENAME VALUE 'calm' TO 'still'"),
        ("pair[]", "{\"(1,calm)\"}", "ALTER TYPE pair RENAME ATTRIBUTE x TO y"),
        ("nested", "(\"(1,calm)\",2)", "ALTER TYPE pair RENAME ATTRIBUTE x TO y"),
        ("nested", "(\"(1,calm)\",2)", "ALTER TYPE mood RENAME VALUE 'calm' TO 'still'"),
        ("pairs", "{\"(1,calm)\"}", "ALTER TYPE pair DROP ATTRIBUTE x"),
        ("moods", "[calm,mad]", "ALTER TYPE mood RENAME VALUE 'mad' TO 'angry'"),
        ("many_moods", "{[calm,mad]}", "ALTER TYPE mood RENAME VALUE 'mad' TO 'angry'"),
        ("other", "(1,x)", "ALTER TABLE other RENAME COLUMN a TO c"),
        (
            "shade",
            "dark",
            "CREATE OR REPLACE FUNCTION shown(shade) RETURNS json LANGUAGE sql AS $$SELECT '\"two\"'::json$$",
        ),
        ("shade", "dark", "DROP CAST (shade AS json)"),
        // Its triggers say nothing under another name.
        ("int", "1", "BEGIN; ALTER TABLE t RENAME TO u; UPDATE u SET v = 2; ALTER TABLE u RENAME TO t; COMMIT"),
        (
            "int",
            "1",
            "BEGIN; ALTER TABLE t SET SCHEMA aside; UPDATE aside.t SET v = 2; ALTER TABLE aside.t SET SCHEMA public; COMMIT",
        ),
        (
            "int",
            "1",
            "BEGIN; ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET v = 2; ALTER TABLE t ENABLE ALWAYS TRIGGER switchboard_rows; ALTER TABLE t ENABLE ALWAYS TRIGGER switchboard_rows_truncate; COMMIT",
        ),
    ] {
        let table =
            format!("{TYPES}; CREATE TABLE t (id int PRIMARY KEY, v {kind}); INSERT INTO t VALUES (1, '{row}')");
        let scratch = scratch(&table).await;
        let cache = cached(scratch.database(), ["t"], options()).await;
        let before = value(cache.get_strong("t", 1).await.expect("read"));
        assert_eq!(cache.read("t", 1).await.expect("read").source, Source::Hit, "{kind}");
        scratch.run(change).await;
        let now: String = scratch.sql.query_one("SELECT row_to_json(t)::text FROM t", &[]).await.expect("a row").get(0);
        let now: Value = now.parse().expect("JSON");
        assert_ne!(now, before, "{change}");
        assert_eq!(value(cache.get_strong("t", 1).await.expect("read")), now, "{kind}: {change}");
        is_cached(&cache).await;
        assert_eq!(value(cache.get("t", 1).await.expect("read")), now, "{kind}: {change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_dropped_while_its_table_is_served_is_a_problem_at_once() {
    let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)").await;
    let cache = cached(scratch.database(), ["t"], options()).await;
    cache.get_strong("t", 1).await.expect("read");
    scratch.run("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (1, 2)").await;
    let refused = cache.get_strong("t", 1).await.expect_err("two rows have this key");
    assert!(refused.to_string().contains("it has no primary key"), "{refused}");
    assert!(cache.get("t", 1).await.is_err());
    scratch.run("DELETE FROM t WHERE v = 2; ALTER TABLE t ADD PRIMARY KEY (id)").await;
    is_cached(&cache).await;
    assert_eq!(value(cache.get_strong("t", 1).await.expect("read"))["v"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_renamed_and_replaced_reports_nothing_as_the_new_one() {
    for events in [Events::Rows, Events::Keys] {
        let spec = TableSpec { events, ..TableSpec::from("t") };
        let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)").await;
        let cache = cached(scratch.database(), [spec], options()).await;
        cache.get_strong("t", 1).await.expect("read");
        let flushes = cache.metrics().flushes;
        scratch
            .run("BEGIN; ALTER TABLE t RENAME TO archive; CREATE TABLE t (LIKE archive INCLUDING ALL); COMMIT")
            .await;
        assert_eq!(cache.get_strong("t", 1).await.expect("read"), None);
        until("the new table is noticed", async || (cache.metrics().flushes > flushes).then_some(())).await;
        is_cached(&cache).await;
        let mut changes = cache.subscribe();
        scratch
            .run("INSERT INTO archive VALUES (2, 2); UPDATE archive SET v = 3; DELETE FROM archive; TRUNCATE archive")
            .await;
        scratch.run("INSERT INTO t VALUES (7, 7)").await;
        let first = changes.next().await.expect("a change");
        let RowChange::Event { event, .. } = first else { panic!("{first:?}") };
        let event: Value = event.parse().expect("JSON");
        let id = event.get("id").unwrap_or(&event["ids"][0]);
        assert_eq!((&event["type"], id), (&"INSERT".into(), &7.into()), "{event}");
        assert_eq!(value(cache.get_strong("t", 7).await.expect("read"))["v"], 7);
    }
}
