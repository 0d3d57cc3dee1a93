//! Rights that are given, withdrawn and given again while a table is served.

use super::common::{cached, is_cached, patient, server, until};
use super::{scratch, value};
use switchboard_rows::{Error, Options, RowCache, TableSpec, triggers};

/// Of another owner, with the triggers and what `app` needs to read it.
const GRANTED: &str = "ALTER SCHEMA s OWNER TO switchboard; ALTER TABLE s.t OWNER TO switchboard;
    GRANT USAGE ON SCHEMA s TO app; GRANT SELECT (id, v) ON s.t TO app";

fn spec() -> TableSpec {
    TableSpec { hidden: vec!["secret".to_owned()], ..TableSpec::from("s.t") }
}

async fn table() -> super::common::Scratch {
    let scratch = scratch(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v int, secret int); INSERT INTO s.t VALUES (1, 1, 1)",
    )
    .await;
    triggers::install(scratch.database(), &spec()).await.expect("installed");
    server().run_sql(scratch.scratch.name(), GRANTED);
    scratch
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Rejected(reply) if reply.code == "42501")
}

async fn is_served(cache: &RowCache) {
    is_cached(cache).await;
    assert_eq!(value(cache.get_strong("t", 1).await.expect("read"))["v"], 1);
    assert_eq!(value(cache.get("t", 1).await.expect("read"))["v"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_not_served_on_once_the_right_to_read_them_is_withdrawn() {
    let scratch = table().await;
    let cache = cached(scratch.database(), [spec()], Options { samples: 0, ..patient() }).await;
    for (withdraw, give, words) in [
        ("REVOKE SELECT (v) ON s.t FROM app", "GRANT SELECT (v) ON s.t TO app", "may not read its column v"),
        ("REVOKE SELECT (id, v) ON s.t FROM app", "GRANT SELECT ON s.t TO app", "may not read its column id"),
        ("REVOKE USAGE ON SCHEMA s FROM app", "GRANT USAGE ON SCHEMA s TO app", "may not use the schema s"),
    ] {
        is_served(&cache).await;
        server().run_sql(scratch.scratch.name(), withdraw);
        let refused = cache.get_strong("t", 1).await.expect_err("it may not be read");
        assert!(is_refusal(&refused), "{withdraw}: {refused}");
        assert!(cache.get("t", 1).await.is_err_and(|error| is_refusal(&error)), "{withdraw}");
        until(words, async || {
            let problem = cache.status().tables[0].problem.as_ref()?.to_string();
            problem.contains(words).then_some(())
        })
        .await;
        server().run_sql(scratch.scratch.name(), give);
    }
    is_served(&cache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_comparison_the_database_refuses_is_not_served_on() {
    let scratch = table().await;
    // The fingerprint would notice it before the sampler does.
    let mut options = Options { samples: 100, ..patient() };
    options.disabled.fingerprint = true;
    let cache = cached(scratch.database(), [spec()], options).await;
    is_served(&cache).await;
    assert_eq!(cache.metrics().samples_failed, 0);
    server().run_sql(scratch.scratch.name(), "REVOKE SELECT (id, v) ON s.t FROM app");
    let refused = until("it is refused", async || cache.get("t", 1).await.err()).await;
    assert!(is_refusal(&refused), "{refused}");
    assert!(cache.metrics().samples_failed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_inconsistency_lasts_from_the_last_look_that_found_the_row_right() {
    let scratch = scratch("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)").await;
    let mut options = Options { samples: 1, ..patient() };
    options.disabled.fingerprint = true;
    let cache = cached(scratch.database(), ["t"], options).await;
    cache.get_strong("t", 1).await.expect("read");
    // The next comparison comes a second later.
    until("it is compared", async || (cache.metrics().rows_sampled > 0).then_some(())).await;
    scratch.run("ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET v = 2").await;
    let written = std::time::Instant::now();
    let stale = std::cell::Cell::new(std::time::Duration::ZERO);
    let found = until("it is found", || {
        let now = written.elapsed();
        let metrics = cache.metrics();
        if metrics.rows_inconsistent == 0 {
            stale.set(now);
        }
        std::future::ready((metrics.longest_inconsistent > std::time::Duration::ZERO).then_some(metrics))
    })
    .await;
    let stale = stale.get();
    assert!(found.longest_inconsistent >= stale, "{found:?}: it was stale for {stale:?} at least");
}
