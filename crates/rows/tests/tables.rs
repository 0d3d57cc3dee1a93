//! Triggers, and tables of every kind whose changes they tell.
#![cfg(not(loom))]

mod common;

use common::patron::{scratch, value};
use common::{Scratch, Server, cached, connect, patient, server, until};
use serde_json::{Value, json};
use switchboard_rows::{Error, Options, RowCache, RowChange, Source, TableSpec, triggers};

async fn read(cache: &RowCache, table: &str, key: i32) -> Value {
    let row = value(cache.get_strong(table, key).await.expect("read"));
    // From the cache, or the triggers would not matter.
    let read = cache.read(table, key).await.expect("read");
    assert_eq!((read.source, value(read.row)), (Source::Hit, row.clone()), "{table} {key}");
    row["v"].clone()
}

/// Everything in the catalogue that a trigger or a function could be.
async fn catalogue(scratch: &Scratch) -> Vec<String> {
    let all = "SELECT 'function ' || oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
        UNION ALL SELECT 'trigger ' || tgname || ' ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal \
        UNION ALL SELECT 'relation ' || oid::regclass FROM pg_class WHERE relnamespace = 'public'::regnamespace \
        UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1";
    scratch.sql.query(all, &[]).await.expect("it answers").iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_installed_and_removed_again_and_again_and_leave_nothing() {
    let scratch = scratch(
        "CREATE TABLE plain (id int PRIMARY KEY, v int);
         CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
         CREATE TABLE part_a PARTITION OF parted FOR VALUES FROM (0) TO (10);
         CREATE TABLE part_b PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
         CREATE TABLE part_c PARTITION OF part_b DEFAULT",
    )
    .await;
    for name in ["plain", "parted"] {
        let (database, spec) = (scratch.database(), TableSpec::from(name));
        let before = catalogue(&scratch).await;
        triggers::remove(database, &spec).await.expect("there is nothing to remove");
        assert_eq!(catalogue(&scratch).await, before, "{name}");
        triggers::install(database, &spec).await.expect("installed");
        let installed = catalogue(&scratch).await;
        assert!(installed.len() > before.len(), "{name}");
        triggers::install(database, &spec).await.expect("installed again");
        assert_eq!(catalogue(&scratch).await, installed, "{name}");
        // The printed SQL installs the same, by psql too.
        triggers::remove(database, &spec).await.expect("removed");
        let printed = triggers::print(database, &spec).await.expect("printed");
        for _ in 0..2 {
            scratch.run(&printed).await;
            assert_eq!(catalogue(&scratch).await, installed, "{name}");
        }
        let options = Options { install_triggers: false, ..patient() };
        let cache = cached(database, [name], options).await;
        drop(cache);
        triggers::remove(database, &spec).await.expect("removed");
        triggers::remove(database, &spec).await.expect("removed again");
        assert_eq!(catalogue(&scratch).await, before, "{name}");
        scratch.run(&format!("INSERT INTO {name} VALUES (1, 1); TRUNCATE {name}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_triggers_are_noticed_and_the_table_is_read_past_the_cache() {
    let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)").await;
    let options = Options { install_triggers: false, ..patient() };
    let cache = RowCache::open(scratch.database(), ["t"], options).expect("it opens");
    let problem = || cache.status().tables[0].problem.as_ref().map(ToString::to_string);
    let is_missing = |problem: String| problem.contains("its triggers are not installed; see `triggers print`");
    until("the triggers are missed", async || problem().filter(|text| is_missing(text.clone()))).await;
    triggers::install(scratch.database(), &"t".into()).await.expect("installed");
    until("the table is cached", async || problem().is_none().then_some(())).await;
    assert_eq!(read(&cache, "t", 1).await, 1);
    triggers::remove(scratch.database(), &"t".into()).await.expect("removed");
    scratch.run("UPDATE t SET v = 2").await;
    let read = cache.read_strong("t", 1).await.expect("read");
    assert_eq!((read.source, &value(read.row)["v"]), (Source::Bypass, &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_is_followed_through_every_door() {
    let scratch = scratch(
        "CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
         CREATE TABLE a PARTITION OF t FOR VALUES FROM (0) TO (10);
         CREATE TABLE b PARTITION OF t FOR VALUES FROM (10) TO (20);
         CREATE TABLE later (id int PRIMARY KEY, v int);
         INSERT INTO t VALUES (1, 1), (11, 1); INSERT INTO later VALUES (21, 7)",
    )
    .await;
    let cache = cached(scratch.database(), ["t"], patient()).await;
    let fine = async || until("cached", async || cache.status().tables[0].problem.is_none().then_some(())).await;
    let steps: [(&str, [Value; 3]); 10] = [
        ("", [json!(1), json!(1), Value::Null]),
        ("UPDATE t SET v = 2", [json!(2), json!(2), Value::Null]),
        ("UPDATE a SET v = 3", [json!(3), json!(2), Value::Null]),
        ("DELETE FROM b", [json!(3), Value::Null, Value::Null]),
        ("INSERT INTO b VALUES (11, 4)", [json!(3), json!(4), Value::Null]),
        // Moves the row to the other partition and back.
        ("UPDATE t SET id = 12 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 12", [json!(3), json!(4), Value::Null]),
        ("TRUNCATE a", [Value::Null, json!(4), Value::Null]),
        ("ALTER TABLE t ATTACH PARTITION later FOR VALUES FROM (20) TO (30)", [Value::Null, json!(4), json!(7)]),
        ("UPDATE later SET v = 8", [Value::Null, json!(4), json!(8)]),
        ("ALTER TABLE t DETACH PARTITION later", [Value::Null, json!(4), Value::Null]),
    ];
    for (sql, expected) in steps {
        scratch.run(sql).await;
        // At once, whether from the cache or past it.
        for (key, expected) in [1, 11, 21].into_iter().zip(&expected) {
            let row = value(cache.get_strong("t", key).await.expect("read"));
            assert_eq!(row["v"], *expected, "{sql}: {key}");
        }
        // A new partition has no TRUNCATE trigger; until it is installed the table is read past the cache.
        fine().await;
        for (key, expected) in [1, 11, 21].into_iter().zip(&expected) {
            until("a row is cached", async || {
                cache.get_strong("t", key).await.expect("read");
                (cache.read("t", key).await.expect("read").source == Source::Hit).then_some(())
            })
            .await;
            assert_eq!(read(&cache, "t", key).await, *expected, "{sql}: {key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cascades_rules_and_replication_are_followed() {
    let scratch = scratch(
        "CREATE TABLE parent (id int PRIMARY KEY);
         CREATE TABLE t (id int PRIMARY KEY, v int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
         INSERT INTO parent SELECT generate_series(1, 9); INSERT INTO t SELECT n, n FROM generate_series(1, 9) n",
    )
    .await;
    let cache = cached(scratch.database(), ["t"], patient()).await;
    for key in 1..=4 {
        assert_eq!(read(&cache, "t", key).await, key);
    }
    scratch.run("DELETE FROM parent WHERE id = 1; UPDATE parent SET id = 20 WHERE id = 2").await;
    assert_eq!([read(&cache, "t", 1).await, read(&cache, "t", 2).await], [Value::Null, json!(20)]);
    scratch.run("WITH gone AS (DELETE FROM t WHERE id = 3 RETURNING *) INSERT INTO t SELECT 30, v FROM gone").await;
    assert_eq!([read(&cache, "t", 3).await, read(&cache, "t", 30).await], [Value::Null, json!(3)]);
    // As a subscription applies changes.
    let apply = "SET session_replication_role = replica; UPDATE t SET v = 5 WHERE id = 4; DELETE FROM t WHERE id = 5";
    read(&cache, "t", 5).await;
    server().run_sql(scratch.scratch.name(), apply);
    assert_eq!([read(&cache, "t", 4).await, read(&cache, "t", 5).await], [json!(5), Value::Null]);
    let merge = "MERGE INTO t USING (VALUES (4, 6), (40, 7)) s (id, v) ON t.id = s.id \
        WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)";
    scratch.run(merge).await;
    assert_eq!([read(&cache, "t", 4).await, read(&cache, "t", 40).await], [json!(6), json!(7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_columns_are_neither_read_nor_written_nor_sent() {
    let scratch =
        scratch("CREATE TABLE t (id int PRIMARY KEY, v int, \"se'cret\\\" text); INSERT INTO t VALUES (1, 1, 'x')")
            .await;
    let spec = TableSpec { hidden: vec!["se'cret\\".to_owned()], ..TableSpec::from("t") };
    let cache = cached(scratch.database(), [spec], patient()).await;
    let mut changes = cache.subscribe();
    assert_eq!(value(cache.get("t", 1).await.expect("read")), json!({ "id": 1, "v": 1 }));
    assert!(cache.update("t", 1, &json!({ "se'cret\\": "y" })).await.is_err());
    let written = cache.update("t", 1, &json!({ "v": 2 })).await.expect("updated").expect("a row");
    assert_eq!(value(written.row), json!({ "id": 1, "v": 2 }));
    scratch.run("UPDATE t SET \"se'cret\\\" = 'other'; DELETE FROM t").await;
    for _ in 0..3 {
        let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("an event") };
        assert!(!event.contains("cret") && event.contains("data"), "{event}");
    }
    assert_eq!(cache.describe("t").expect("a table").columns.len(), 2);
    // PostgreSQL's own words about a row that it refuses have all of its columns.
    scratch.run("INSERT INTO t VALUES (2, 2, 'hidden value'); ALTER TABLE t ADD CHECK (v < 9)").await;
    let refused = until("the constraint is met", async || match cache.update("t", 2, &json!({ "v": 10 })).await {
        Err(Error::Rejected(reply)) => Some(reply),
        _ => None,
    });
    let refused = refused.await;
    assert!(refused.code == "23514" && refused.detail.is_none(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_of_a_partition_that_was_detached_are_removed_too() {
    let scratch = scratch(
        "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE a PARTITION OF t FOR VALUES FROM (0) TO (10)",
    )
    .await;
    let before = catalogue(&scratch).await;
    triggers::install(scratch.database(), &"t".into()).await.expect("installed");
    scratch.run("ALTER TABLE t DETACH PARTITION a").await;
    triggers::remove(scratch.database(), &"t".into()).await.expect("removed");
    assert_eq!(catalogue(&scratch).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_removed_whatever_was_done_to_their_table() {
    let parent = "CREATE TABLE parent (id int, v int, secret int) PARTITION BY RANGE (id)";
    let spec = |name: &str| TableSpec { hidden: vec!["secret".to_owned()], ..TableSpec::from(name) };
    for (change, name) in [
        ("ALTER TABLE t RENAME TO u", "u"),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", "t"),
        ("ALTER TABLE t DROP COLUMN secret", "t"),
        ("ALTER TABLE parent ATTACH PARTITION t FOR VALUES FROM (0) TO (9)", "t"),
    ] {
        let scratch = scratch(&format!("CREATE TABLE t (id int PRIMARY KEY, v int, secret int); {parent}")).await;
        triggers::install(scratch.database(), &spec("t")).await.expect("installed");
        let count = async || catalogue(&scratch).await.iter().filter(|line| line.contains("switchboard")).count();
        assert_eq!(count().await, 3, "{change}");
        scratch.run(change).await;
        triggers::remove(scratch.database(), &spec(name)).await.expect("removed");
        assert_eq!(count().await, 0, "{change}");
    }
    // Another table with the name of before keeps its own.
    let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v int)").await;
    triggers::install(scratch.database(), &"t".into()).await.expect("installed");
    scratch.run("ALTER TABLE t RENAME TO u; CREATE TABLE t (id int PRIMARY KEY, v int)").await;
    let before = catalogue(&scratch).await;
    triggers::install(scratch.database(), &"t".into()).await.expect("installed");
    triggers::remove(scratch.database(), &"u".into()).await.expect("removed");
    let left = catalogue(&scratch).await;
    let triggers =
        |lines: &[String], table: &str| lines.iter().filter(|line| line.ends_with(&format!(" {table}"))).count();
    assert_eq!((triggers(&before, "u"), triggers(&left, "u"), triggers(&left, "t")), (4, 2, 4), "{left:?}");
    let missing = triggers::remove(scratch.database(), &"none".into()).await.expect_err("no table");
    assert!(missing.to_string().contains("there is none of this name"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_column_is_not_sent_under_another_name_either() {
    let scratch =
        scratch("CREATE TABLE t (id int PRIMARY KEY, v int, password text); INSERT INTO t VALUES (1, 1, 'x')").await;
    let spec = TableSpec { hidden: vec!["password".to_owned()], ..TableSpec::from("t") };
    let cache = cached(scratch.database(), [spec], patient()).await;
    let mut changes = cache.subscribe();
    // In one transaction, so that nobody has seen the new name when its event comes.
    scratch.run("BEGIN; ALTER TABLE t RENAME password TO pw; UPDATE t SET pw = 'hunter2'; COMMIT").await;
    scratch.run("INSERT INTO t VALUES (2, 2, 'hunter3'); DELETE FROM t").await;
    for _ in 0..4 {
        let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("an event") };
        assert_eq!(event.parse::<Value>().expect("JSON"), json!({ "table": "t", "type": "FLUSH" }));
    }
    scratch.run("ALTER TABLE t RENAME pw TO password").await;
    until("it is cached again", async || cache.status().tables[0].problem.is_none().then_some(())).await;
    scratch.run("INSERT INTO t VALUES (3, 3, 'hunter4')").await;
    let event = loop {
        match changes.next().await.expect("a change") {
            RowChange::Event { event, .. } if event.contains("INSERT") => break event,
            _ => {}
        }
    };
    assert!(event.contains("data") && !event.contains("hunter"), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_whose_outcome_is_unknown_leaves_no_absence_in_the_cache() {
    let scratch = scratch(
        "CREATE TABLE t (id int PRIMARY KEY, v int);
         CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END';
         CREATE TRIGGER lose BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION lose()",
    )
    .await;
    let cache = cached(scratch.database(), ["t"], patient()).await;
    until("its absence is cached", async || {
        (cache.read("t", 7).await.expect("read").source == Source::Hit).then_some(())
    })
    .await;
    let lost = cache.insert("t", &json!({ "id": 7, "v": 1 })).await.expect_err("its connection is lost");
    assert!(matches!(lost, Error::Unknown { .. }), "{lost:?}");
    // The pool may still have the lost connection.
    let read = until("it is read", async || match cache.read("t", 7).await {
        Err(error) if error.is_unavailable() => None,
        read => Some(read.expect("read")),
    });
    assert_ne!(read.await.source, Source::Hit);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_fails_because_of_its_event() {
    let scratch = scratch("CREATE TABLE t (id text PRIMARY KEY, v text, j json)").await;
    // Types without equality: a server may be built without libxml.
    let has_xml = scratch.sql.query_one("SELECT '<a/>'::xml::text", &[]).await.is_ok();
    let (kind, without_equality) = if has_xml { ("xml", "<a/>") } else { ("point", "(1,2)") };
    scratch.run(&format!("ALTER TABLE t ADD COLUMN x {kind}")).await;
    let cache = cached(scratch.database(), ["t"], patient()).await;
    let keys: Vec<String> = [1, 2000, 2600].map(|length| "ü".repeat(length)).into();
    for key in &keys {
        cache.get_strong("t", key).await.expect("read");
    }
    for (at, key) in keys.iter().enumerate() {
        for sql in [
            format!("INSERT INTO t VALUES ('{key}', repeat(md5('{at}'), 400), '{{\"a\" : 1}}', '{without_equality}')"),
            format!("UPDATE t SET v = repeat('\"', 7000) WHERE id = '{key}'"),
            format!("UPDATE t SET v = 'last' WHERE id = '{key}'"),
        ] {
            scratch.run(&sql).await;
        }
        let row = value(cache.get_strong("t", key).await.expect("read"));
        assert_eq!(row["v"], "last", "a key of {} bytes", key.len());
    }
    scratch.run("INSERT INTO t SELECT n::text, repeat(md5(n::text), 300) FROM generate_series(1, 100000) n").await;
    assert!(cache.get_strong("t", "99999").await.expect("read").is_some());
    scratch.run("UPDATE t SET v = 'all'; ANALYZE t").await;
    assert_eq!(value(cache.get_strong("t", "99999").await.expect("read"))["v"], "all");
    scratch.run("TRUNCATE t").await;
    assert_eq!(cache.get_strong("t", "99999").await.expect("read"), None);
    assert!(cache.metrics().flushes < 100, "many rows are one flush, not one each: {:?}", cache.metrics());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_fails_as_the_documentation_says() {
    let own = tokio::task::block_in_place(|| Server::start(&["max_prepared_transactions=2"]));
    own.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app");
    let sql = connect(&own.address("app", "postgres")).await;
    sql.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.expect("created");
    triggers::install(&own.database(), &"t".into()).await.expect("installed");
    let error = sql.batch_execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'x'").await;
    let error = error.expect_err("PostgreSQL refuses it");
    assert!(error.as_db_error().is_some_and(|reply| reply.message().contains("NOTIFY")), "{error:?}");
    tokio::task::block_in_place(|| own.end());
}
