//! Databases and tables that must not be used: each is refused with a line, and used as soon as it is right.
#![cfg(not(loom))]

mod common;

use common::proxy::Proxy;
use common::{Scratch, Server, connect, directory, is_cached, server, until};
use serde_json::{Value, json};
use std::process::Command;
use switchboard_rows::{Database, Error, Options, RowCache, TableSpec};

const PATRON: &str = "CREATE TABLE patron (id serial PRIMARY KEY, name text, fav_dish text)";

fn open(database: &Database, tables: &[&str]) -> RowCache {
    RowCache::open(database, tables.iter().copied(), Options::default()).expect("it opens")
}

/// Waits until the cache is refused by a line with these words, and that a read says the same.
async fn refusal(cache: &RowCache, words: &str) {
    let problem = until(words, async || {
        let problem = cache.status().problem?;
        problem.to_string().contains(words).then_some(problem)
    })
    .await;
    assert!(problem.is_unavailable(), "{problem:?}");
}

/// Waits until rows are cached and follow writes.
async fn serves(cache: &RowCache, name: &str) {
    is_cached(cache).await;
    let key = cache.insert("patron", &json!({ "name": name })).await.expect("inserted").key;
    let row = cache.get_strong("patron", &key).await.expect("read").expect("a row");
    assert_eq!(serde_json::from_slice::<Value>(&row).expect("JSON")["name"], name);
}

async fn count(client: &tokio_postgres::Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("it answers").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_behind_the_same_address_is_refused_and_left_alone() {
    let scratch = server().scratch().await;
    scratch.run(PATRON).await;
    let other = Server::start(&[]);
    other.run_sql("postgres", &format!("CREATE DATABASE {} OWNER app", scratch.scratch.name()));
    other.run_sql(scratch.scratch.name(), &format!("{PATRON}; ALTER TABLE patron OWNER TO app"));
    let proxy = Proxy::start(server().socket_directory()).await;
    let address = proxy.address("app", scratch.scratch.name()).parse().expect("an address");
    let cache = open(&address, &["patron"]);
    serves(&cache, "here").await;
    let token = cache.insert("patron", &json!({})).await.expect("inserted").token.expect("a token");
    proxy.target(other.socket_directory());
    proxy.cut();
    refusal(&cache, "another database cluster answers at this address").await;
    assert!(cache.get("patron", 1).await.is_err_and(|error| error.is_unavailable()));
    let sql = connect(&other.address("app", scratch.scratch.name())).await;
    let triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(count(&sql, triggers).await, 0, "nothing is installed in it");
    proxy.target(server().socket_directory());
    proxy.cut();
    serves(&cache, "again").await;
    assert!(cache.get_after("patron", 1, token).await.expect("read").is_some());
    tokio::task::block_in_place(|| other.end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_dropped_and_created_anew_is_refused() {
    let maker = server().database();
    let name = format!("anew_{:x}", fastrand::u64(..));
    let sql = connect(&server().address("app", "postgres")).await;
    sql.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
    let database = maker.with_name(&name);
    connect(&server().address("app", &name)).await.batch_execute(PATRON).await.expect("created");
    let cache = open(&database, &["patron"]);
    serves(&cache, "first").await;
    sql.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
    refusal(&cache, "does not exist").await;
    sql.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
    refusal(&cache, "dropped and created anew").await;
    assert!(cache.get("patron", 1).await.is_err());
    let new = RowCache::connect(&database, ["patron"]).await;
    assert!(matches!(&new, Err(Error::Table { .. })), "{new:?}");
    drop(cache);
    sql.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

fn copy_of(primary: &Server) -> std::path::PathBuf {
    let base = directory();
    let data = base.join("data");
    let user = if switchboard_child::User::is_root() { "postgres".to_owned() } else { whoami() };
    std::fs::create_dir(&data).expect("created");
    let owned = Command::new("chown").arg(&user).arg(&data).status().expect("coreutils");
    assert!(owned.success());
    let copy = format!(
        "cd / && $(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)/pg_basebackup -h {} -U switchboard -D {} -R -c fast",
        primary.socket_directory().display(),
        data.join("postgres").display()
    );
    let mut command = Command::new("runuser");
    command.args(["-u", &user, "--", "sh", "-c", &copy]);
    if !switchboard_child::User::is_root() {
        command = Command::new("sh");
        command.args(["-c", &copy]);
    }
    assert!(command.status().expect("util-linux").success(), "a copy of the primary");
    base
}

fn whoami() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().expect("coreutils").stdout)
        .expect("a name")
        .trim()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_until_it_is_promoted_and_then_nothing_of_before_counts() {
    let primary = tokio::task::block_in_place(|| Server::start(&[]));
    let sql = connect(&primary.address("app", "postgres")).await;
    primary.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app");
    sql.batch_execute(PATRON).await.expect("created");
    let standby = tokio::task::block_in_place(|| Server::start_in(&copy_of(&primary), &[]));
    let refused = open(&standby.database(), &["patron"]);
    refusal(&refused, "this is a standby; give the address of the primary").await;
    let proxy = Proxy::start(primary.socket_directory()).await;
    let cache = open(&proxy.address("app", "postgres").parse().expect("an address"), &["patron"]);
    serves(&cache, "before").await;
    let token = cache.insert("patron", &json!({ "name": "before" })).await.expect("inserted").token.expect("a token");
    // What the standby does not have is lost with the primary.
    let position: String =
        sql.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await.expect("it answers").get(0);
    let far = connect(&standby.address("app", "postgres")).await;
    until("the standby has it", async || {
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn");
        far.query_one(&replayed, &[]).await.expect("it answers").get::<_, bool>(0).then_some(())
    })
    .await;
    tokio::task::block_in_place(|| primary.end());
    standby.run_sql("postgres", "SELECT pg_promote()");
    proxy.target(standby.socket_directory());
    proxy.cut();
    serves(&cache, "after").await;
    serves(&refused, "after").await;
    let old = cache.get_after("patron", 1, token).await;
    assert!(matches!(&old, Err(Error::Token { reason }) if reason.contains("promotion")), "{old:?}");
    tokio::task::block_in_place(|| standby.end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_a_right_one_is_noticed() {
    let base = directory();
    let rules = base.join("hba.conf");
    let text = "local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(&rules, text).expect("written");
    let address = format!("127.{}.{}.{}", fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255));
    let settings = [format!("hba_file={}", rules.display()), format!("listen_addresses={address}")];
    let own = tokio::task::block_in_place(|| Server::start(&[&settings[0], &settings[1]]));
    own.run_sql("postgres", "CREATE ROLE locked LOGIN PASSWORD 'right'; GRANT CREATE ON SCHEMA public TO locked");
    let database = |password: &str| {
        let url = format!("postgres://locked:{password}@{address}:5432/postgres?sslmode=disable");
        url.parse::<Database>().expect("an address")
    };
    let error = RowCache::connect(&database("wrong"), ["patron"]).await.expect_err("refused");
    assert!(matches!(&error, Error::Refused { reason } if reason.contains("28P01")), "{error:?}");
    let options = Options { create_demo_table: true, ..Options::default() };
    let cache = RowCache::open(&database("wrong"), ["patron"], options).expect("it opens");
    refusal(&cache, "password authentication failed for user \"locked\"").await;
    assert!(cache.get("patron", 1).await.is_err());
    own.run_sql("postgres", "ALTER ROLE locked PASSWORD 'wrong'");
    serves(&cache, "in").await;
    let nobody = RowCache::connect(&database("x").with_name("nowhere"), ["patron"]).await.expect_err("refused");
    assert!(!nobody.to_string().contains('x'), "a password is not shown: {nobody}");
    tokio::task::block_in_place(|| own.end());
    let _ = std::fs::remove_dir_all(base);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_pass() {
    let scratch = server().scratch().await;
    scratch.run(PATRON).await;
    let limit = async |limit: i32| {
        let maker = connect(&server().address("app", "postgres")).await;
        let sql = format!("ALTER DATABASE {} CONNECTION LIMIT {limit}", scratch.scratch.name());
        maker.batch_execute(&sql).await.expect("altered");
    };
    // Our own session is one; the second is the marker's.
    limit(2).await;
    let cache = open(scratch.database(), &["patron"]);
    refusal(&cache, "too many connections").await;
    assert!(cache.get("patron", 1).await.is_err_and(|error| error.is_unavailable()));
    limit(-1).await;
    serves(&cache, "in").await;
    // With all taken but those that listen, reads say so.
    limit(0).await;
    let connections = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'switchboard rows'";
    scratch.run(connections).await;
    until("a miss finds no connection", async || {
        let error = cache.read("patron", fastrand::i32(100..)).await.err()?;
        assert!(error.is_unavailable(), "{error:?}");
        Some(())
    })
    .await;
    limit(-1).await;
    serves(&cache, "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_waited_for_at_the_start_and_later() {
    let own = tokio::task::block_in_place(|| Server::start(&[]));
    own.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app");
    let proxy = Proxy::start("/nowhere".into()).await;
    let options = Options { create_demo_table: true, ..Options::default() };
    let address = proxy.address("app", "postgres").parse().expect("an address");
    let cache = RowCache::open(&address, ["patron"], options).expect("it opens");
    refusal(&cache, "not available").await;
    proxy.target(own.socket_directory());
    serves(&cache, "first").await;
    for how in ["restart", "crash"] {
        let mut changes = cache.subscribe();
        tokio::task::block_in_place(|| own.again(how));
        refusal(&cache, "not available").await;
        assert!(cache.read("patron", 1).await.is_err_and(|error| error.is_unavailable()));
        proxy.target(own.socket_directory());
        serves(&cache, how).await;
        let gap = changes.next().await;
        assert!(matches!(gap, Some(switchboard_rows::RowChange::Gap { .. })), "{gap:?}");
    }
    tokio::task::block_in_place(|| own.end());
}

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
