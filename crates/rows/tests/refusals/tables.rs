//! Tables that cannot be served as they are.

use super::common::patron::PATRON;
use super::common::{Scratch, server, until};
use super::{open, serves};
use serde_json::{Value, json};
use switchboard_rows::{Database, Error, Options, RowCache, TableSpec};

async fn table_problem(cache: &RowCache, words: &str) {
    until(words, async || {
        let problem = cache.status().tables[0].problem.as_ref()?.to_string();
        problem.contains(words).then_some(())
    })
    .await;
}

async fn table_is_fine(cache: &RowCache) {
    until("the table is cached", async || cache.status().tables[0].problem.is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_served_once_it_is_created() {
    let scratch = server().scratch().await;
    let cache = open(scratch.database(), &["patron"]);
    table_problem(&cache, "there is none of this name").await;
    assert!(matches!(cache.get("patron", 1).await, Err(Error::Table { .. })));
    scratch.run(PATRON).await;
    table_is_fine(&cache).await;
    serves(&cache, "in").await;
    scratch.run("DROP TABLE patron").await;
    table_problem(&cache, "there is none of this name").await;
    assert!(cache.get_strong("patron", 1).await.is_err_and(|error| error.is_unavailable()));
    scratch.run("CREATE TABLE patron (id bigserial PRIMARY KEY, name text, born date)").await;
    table_is_fine(&cache).await;
    serves(&cache, "anew").await;
    let row = cache.get_strong("patron", 1).await.expect("read").expect("a row");
    assert_eq!(serde_json::from_slice::<Value>(&row).expect("JSON"), json!({ "id": 1, "name": "anew", "born": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_is_refused_until_it_has_one() {
    let scratch = server().scratch().await;
    scratch.run("CREATE TABLE patron (id serial, name text)").await;
    let cache = open(scratch.database(), &["patron"]);
    table_problem(&cache, "it has no primary key; name the columns of a unique index").await;
    scratch.run("ALTER TABLE patron ADD PRIMARY KEY (id)").await;
    table_is_fine(&cache).await;
    serves(&cache, "in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_columns_are_seen_at_once() {
    let scratch = server().scratch().await;
    scratch.run(PATRON).await;
    let cache = open(scratch.database(), &["patron"]);
    serves(&cache, "in").await;
    let names = async |cache: &RowCache| {
        let row = cache.get_strong("patron", 1).await.expect("read").expect("a row");
        let row: serde_json::Map<String, Value> = serde_json::from_slice(&row).expect("JSON");
        row.keys().cloned().collect::<Vec<String>>()
    };
    for (change, columns) in [
        ("ALTER TABLE patron ADD COLUMN born date DEFAULT '2000-01-01'", vec!["born", "fav_dish", "id", "name"]),
        ("ALTER TABLE patron DROP COLUMN fav_dish", vec!["born", "id", "name"]),
        ("ALTER TABLE patron RENAME COLUMN born TO birthday", vec!["birthday", "id", "name"]),
        ("ALTER TABLE patron ALTER COLUMN birthday TYPE text", vec!["birthday", "id", "name"]),
        ("ALTER TABLE patron RENAME COLUMN id TO number", vec!["birthday", "name", "number"]),
    ] {
        scratch.run(change).await;
        // A statement of before fails at most until the next marker.
        let seen = until("the columns are seen", async || {
            let seen = match cache.get_strong("patron", 1).await {
                Ok(_) => names(&cache).await,
                Err(error) if error.is_unavailable() => return None,
                Err(error) => panic!("{change}: {error}"),
            };
            (seen == columns).then_some(seen)
        })
        .await;
        assert_eq!(seen, columns, "{change}");
    }
    table_is_fine(&cache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_whose_changes_cannot_be_seen_are_refused() {
    let scratch = server().scratch().await;
    scratch
        .run(
            "CREATE TABLE base (id int PRIMARY KEY, n numeric UNIQUE NOT NULL, maybe int UNIQUE, c char(3) UNIQUE NOT NULL);
             CREATE VIEW view AS SELECT * FROM base;
             CREATE TABLE child () INHERITS (base);
             CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9);
             CREATE TABLE lone (id int PRIMARY KEY, n numeric UNIQUE NOT NULL, maybe int UNIQUE);
             CREATE TABLE guarded (id int PRIMARY KEY);
             ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded FORCE ROW LEVEL SECURITY",
        )
        .await;
    let spec = |name: &str, key: Option<&str>, hidden: &[&str]| TableSpec {
        key: key.map(|key| vec![key.to_owned()]),
        hidden: hidden.iter().map(|&name| name.to_owned()).collect(),
        ..TableSpec::from(name)
    };
    for (spec, words) in [
        (spec("nothing", None, &[]), "there is none of this name"),
        (spec("view", None, &[]), "it is a view"),
        (spec("base", None, &[]), "other tables inherit from it"),
        (spec("part", None, &[]), "it is a partition; give its parent instead"),
        (spec("guarded", None, &[]), "row security applies to our role"),
        (spec("lone", Some("n"), &[]), "equal values of its key's column n (numeric) can be written in several ways"),
        (spec("lone", Some("maybe"), &[]), "its key's column maybe may be null"),
        (spec("lone", Some("none"), &[]), "it has no column none"),
        (spec("lone", None, &["id"]), "its key's column id cannot be hidden"),
        (spec("lone", None, &["none"]), "it has no column none to hide"),
    ] {
        let error = RowCache::connect(scratch.database(), [spec]).await.expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }
    for tables in [vec![], vec!["lone", "lone"]] {
        assert!(RowCache::open(scratch.database(), tables, Options::default()).is_err());
    }
}

/// A role that owns nothing.
async fn stranger(scratch: &Scratch) -> Database {
    let name = format!("stranger_{:x}", fastrand::u32(..));
    server().run_sql("postgres", &format!("CREATE ROLE {name} LOGIN"));
    scratch
        .run(&format!("GRANT SELECT, INSERT ON patron TO {name}; GRANT USAGE ON SEQUENCE patron_id_seq TO {name}"))
        .await;
    server().address(&name, scratch.scratch.name()).parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_install_triggers_is_told_and_reads_past_the_cache() {
    let scratch = server().scratch().await;
    scratch.run(&format!("{PATRON}; INSERT INTO patron (name) VALUES ('Ann')")).await;
    let database = stranger(&scratch).await;
    let cache = open(&database, &["patron"]);
    table_problem(&cache, "let its owner run `triggers print`").await;
    let read = cache.read("patron", 1).await.expect("read");
    assert_eq!(read.source, switchboard_rows::Source::Bypass);
    switchboard_rows::triggers::install(scratch.database(), &"patron".into()).await.expect("installed");
    table_is_fine(&cache).await;
    serves(&cache, "in").await;
}
