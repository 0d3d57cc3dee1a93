//! Databases and tables that must not be used: each is refused with a line, and used as soon as it is right.
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;
mod tables;

use common::patron::PATRON;
use common::proxy::Proxy;
use common::{Server, connect, directory, is_cached, server, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use switchboard_child::User;
use switchboard_rows::{Database, Error, Options, RowCache};

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

/// Waits until cached rows are too old to be served without the database.
async fn reads_fail(cache: &RowCache) {
    until("reads fail", async || {
        let error = cache.get("patron", 1).await.err()?;
        assert!(error.is_unavailable(), "{error:?}");
        Some(())
    })
    .await;
}

/// Waits until rows are cached and follow writes.
async fn serves(cache: &RowCache, name: &str) {
    is_cached(cache).await;
    // A session of before may turn out to be closed.
    let key =
        until("a row is inserted", async || Some(cache.insert("patron", &json!({ "name": name })).await.ok()?.key));
    let key = key.await;
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
    reads_fail(&cache).await;
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
    reads_fail(&cache).await;
    let new = RowCache::connect(&database, ["patron"]).await;
    assert!(matches!(&new, Err(Error::Table { .. })), "{new:?}");
    drop(cache);
    sql.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
}

/// A command as PostgreSQL's user, who must not be root.
fn as_postgres(program: &str) -> Command {
    if !User::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program]).current_dir("/");
    command
}

/// A directory that belongs to PostgreSQL's user.
fn owned_directory(path: &Path) {
    std::fs::create_dir(path).expect("created");
    let user = if User::is_root() { User::named("postgres").expect("a user") } else { User::current() };
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).expect("an owner");
}

/// A standby's data, in a directory to start it in.
fn copy_of(primary: &Server) -> PathBuf {
    let base = directory();
    let data = base.join("data");
    owned_directory(&data);
    let copy = format!(
        "$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)/pg_basebackup -h {} -U switchboard -D {} -R -c fast",
        primary.socket_directory().display(),
        data.join("postgres").display()
    );
    assert!(as_postgres("sh").args(["-c", &copy]).status().expect("it runs").success(), "a copy of the primary");
    base
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
    // Writes that the standby does not have are lost with the primary.
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
    let read = cache.get("patron", 1).await.expect_err("refused");
    assert!(read.is_unavailable() && read.to_string().contains("needs the right user and password"), "{read}");
    own.run_sql("postgres", "ALTER ROLE locked PASSWORD 'wrong'");
    serves(&cache, "in").await;
    let nobody = RowCache::connect(&database("x").with_name("nowhere"), ["patron"]).await.expect_err("refused");
    assert!(!nobody.to_string().contains('x'), "a password is not shown: {nobody}");
    let closed = format!("postgres://locked:secret@{address}:1/postgres").parse::<Database>().expect("an address");
    let closed = RowCache::connect(&closed, ["patron"]).await.expect_err("nobody listens").to_string();
    assert!(closed.contains(&format!("cannot connect to {address}:1: Connection refused")), "{closed}");
    assert!(closed.contains("PostgreSQL does not run there") && !closed.contains("secret"), "{closed}");
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
        reads_fail(&cache).await;
        proxy.target(own.socket_directory());
        serves(&cache, how).await;
        let gap = changes.next().await;
        assert!(matches!(gap, Some(switchboard_rows::RowChange::Gap { .. })), "{gap:?}");
    }
    tokio::task::block_in_place(|| own.end());
}

/// PgBouncer before the tests' server. Ended when dropped.
struct Bouncer {
    process: Child,
    base: PathBuf,
}

impl Bouncer {
    fn start(mode: &str, size: u32) -> Bouncer {
        let base = directory();
        owned_directory(&base.join("s"));
        let settings = base.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port=5432 user=app\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {}\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 100\n",
            server().socket_directory().display(),
            base.join("s").display()
        );
        std::fs::write(&settings, text).expect("written");
        let mut command = as_postgres("/usr/sbin/pgbouncer");
        let process = command.arg(&settings).stderr(Stdio::null()).spawn();
        Bouncer { process: process.expect("install it: apt-get install pgbouncer"), base }
    }

    fn database(&self, name: &str) -> Database {
        let text = format!("host={} port=6432 user=app dbname={name} sslmode=disable", self.base.join("s").display());
        text.parse().expect("an address")
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.base);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_sessions_is_refused_and_one_that_does_not_is_fine() {
    let scratch = server().scratch().await;
    scratch.run(PATRON).await;
    for (size, words) in
        [(20, "(transaction pooling), which loses notifications"), (1, "give the address of PostgreSQL")]
    {
        let bouncer = Bouncer::start("transaction", size);
        let cache = open(&bouncer.database(scratch.scratch.name()), &["patron"]);
        refusal(&cache, words).await;
        let triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal";
        assert_eq!(count(&scratch.sql, triggers).await, 0, "nothing is installed through it");
    }
    let bouncer = Bouncer::start("session", 20);
    let cache = open(&bouncer.database(scratch.scratch.name()), &["patron"]);
    serves(&cache, "in").await;
}
