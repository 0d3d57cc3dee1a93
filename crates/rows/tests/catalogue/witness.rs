//! Markers that do not look at the catalogue, because nobody else's transaction has ended.
//!
//! Its server is its own: each test in a server that all share would end transactions beside it.

use super::common::{Server, cached, connect, is_cached, patient, until};
use super::value;
use switchboard_rows::{Error, Options, RowCache, TableSpec, triggers};

const ROLES: &str = "CREATE ROLE reader; CREATE ROLE app LOGIN IN ROLE reader";
/// Of another owner, and read by `app` through another role.
const TABLE: &str = "CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('calm', 'mad');
    CREATE TABLE s.t (id int PRIMARY KEY, v s.mood); INSERT INTO s.t VALUES (1, 'calm')";
const GRANTED: &str = "GRANT USAGE ON SCHEMA s TO app; GRANT SELECT ON s.t TO reader; CREATE TABLE s.other (n int)";

fn spec() -> TableSpec {
    TableSpec::from("s.t")
}

/// Waits until a marker has not looked, and strong reads do not make one look.
async fn is_left_alone(cache: &RowCache) {
    until("markers leave the catalogue alone", async || {
        let before = cache.metrics();
        cache.get_strong("t", 1).await.ok()?;
        let now = cache.metrics();
        (now.looks == before.looks && now.markers > before.markers).then_some(())
    })
    .await;
}

async fn is_shown(cache: &RowCache, mood: &str) {
    assert_eq!(value(cache.get_strong("t", 1).await.expect("read"))["v"], mood);
    assert_eq!(value(cache.get("t", 1).await.expect("read"))["v"], mood);
}

#[tokio::test(flavor = "multi_thread")]
async fn markers_leave_the_catalogue_alone_until_a_transaction_of_somebody_else_has_ended() {
    let settings = ["autovacuum=off", "max_prepared_transactions=5"];
    let server = tokio::task::block_in_place(|| {
        let server = Server::start_in(&super::common::directory(), &settings);
        server.run_sql("postgres", ROLES);
        server.run_sql("postgres", "CREATE DATABASE other");
        server
    });
    let address = |name: &str| server.address("switchboard", name);
    let owner = connect(&address("postgres")).await;
    let elsewhere = connect(&address("other")).await;
    let run = async |text: &str| owner.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    run(TABLE).await;
    triggers::install(&address("postgres").parse().expect("an address"), &spec()).await.expect("installed");
    run(GRANTED).await;
    let database = server.address("app", "postgres").parse().expect("an address");
    let cache = cached(&database, [spec()], Options { samples: 0, ..patient() }).await;
    is_left_alone(&cache).await;
    is_shown(&cache, "calm").await;

    // A transaction that runs has changed nothing yet, whether its changes are in a savepoint or not.
    run("BEGIN; INSERT INTO s.other VALUES (1); SAVEPOINT a; ALTER TYPE s.mood RENAME VALUE 'calm' TO 'quiet'").await;
    is_left_alone(&cache).await;
    is_shown(&cache, "calm").await;
    run("COMMIT").await;
    is_shown(&cache, "quiet").await;
    is_cached(&cache).await;

    is_left_alone(&cache).await;
    run("BEGIN; ALTER TYPE s.mood RENAME VALUE 'quiet' TO 'loud'").await;
    is_left_alone(&cache).await;
    run("ROLLBACK").await;
    is_shown(&cache, "quiet").await;

    is_left_alone(&cache).await;
    run("BEGIN; ALTER TYPE s.mood RENAME VALUE 'quiet' TO 'still'; PREPARE TRANSACTION 'p'").await;
    is_left_alone(&cache).await;
    is_shown(&cache, "quiet").await;
    run("COMMIT PREPARED 'p'").await;
    is_shown(&cache, "still").await;
    is_cached(&cache).await;

    // Roles belong to all databases.
    for (withdraw, give) in
        [("REVOKE reader FROM app", "GRANT reader TO app"), ("ALTER ROLE app NOINHERIT", "ALTER ROLE app INHERIT")]
    {
        if withdraw.contains("NOINHERIT") && server_version(&owner).await >= 160_000 {
            // There the membership has the option.
            continue;
        }
        is_left_alone(&cache).await;
        elsewhere.batch_execute(withdraw).await.expect("withdrawn");
        let refused = cache.get_strong("t", 1).await.expect_err("it may not be read");
        assert!(matches!(&refused, Error::Rejected(reply) if reply.code == "42501"), "{withdraw}: {refused}");
        elsewhere.batch_execute(give).await.expect("given");
        is_cached(&cache).await;
        is_shown(&cache, "still").await;
    }

    // A row's change is told by its event, whether a marker looks or not.
    is_left_alone(&cache).await;
    run("UPDATE s.t SET v = 'mad'").await;
    is_shown(&cache, "mad").await;
    drop(cache);
    drop((owner, elsewhere));
    tokio::task::block_in_place(|| server.end());
}

async fn server_version(sql: &tokio_postgres::Client) -> u32 {
    let row = sql.query_one("SELECT current_setting('server_version_num')::int", &[]).await.expect("a row");
    u32::try_from(row.get::<_, i32>(0)).expect("a number")
}
