//! The plan of the marker's statement, as the session that sends it has it.
#![cfg(not(loom))]

mod common;

use common::{Server, cached, connect, directory, patient, until};
use serde_json::Value;

/// Every plan goes to the log, and machine code would be made for each, if the session let it.
const SETTINGS: [&str; 8] = [
    "session_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_analyze=on",
    "auto_explain.log_format=json",
    "log_line_prefix=@",
    "jit_above_cost=0",
    "jit_optimize_above_cost=0",
    "autovacuum=off",
];
/// Tables of the database, each with its entries in the catalogue.
const TABLES: usize = 500;
/// Entries that a marker may read for one table.
const READ: f64 = 300.0;

/// All plans of statements with these words, from the server's log.
fn plans(log: &str, words: &str) -> Vec<Value> {
    let texts = log.split("plan:\n").skip(1).map(|text| text.split("\n@").next().unwrap_or_default());
    let plans = texts.filter_map(|text| text.parse::<Value>().ok());
    plans.filter(|plan| plan["Query Text"].as_str().is_some_and(|text| text.contains(words))).collect()
}

/// Calls `see` for each node of a plan.
fn walk(node: &Value, see: &mut impl FnMut(&Value)) {
    see(node);
    node["Plans"].as_array().into_iter().flatten().for_each(|inner| walk(inner, see));
}

/// Catalogue entries that a scan has read.
fn entries_read(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
    if node["Relation Name"].is_null() {
        return 0.0;
    }
    (number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck"))
        * number("Actual Loops")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_marker_reads_more_of_a_large_catalogue_than_its_tables_entries_nor_compiles_its_plan() {
    let place = directory();
    let server = tokio::task::block_in_place(|| Server::start_in(&place, &SETTINGS));
    let address = server.address("switchboard", "postgres");
    let sql = connect(&address).await;
    let tables: Vec<String> =
        (0..TABLES).map(|n| format!("CREATE TABLE t{n} (id int PRIMARY KEY, a text, b text)")).collect();
    sql.batch_execute(&tables.join("; ")).await.expect("created");
    sql.batch_execute("VACUUM ANALYZE").await.expect("done");
    let cache = cached(&address.parse().expect("an address"), ["t7"], patient()).await;
    let found = until("markers of both kinds are logged", async || {
        cache.get_strong("t7", 1).await.expect("read");
        let log = std::fs::read(place.join("data/postgres.log")).expect("a log");
        let plans = plans(&String::from_utf8_lossy(&log), "pg_notify(");
        let looks = |plan: &Value| plan["Query Text"].as_str().is_some_and(|text| text.contains("pg_trigger"));
        let (looking, light): (Vec<Value>, Vec<Value>) = plans.into_iter().partition(looks);
        (!looking.is_empty() && !light.is_empty()).then_some([looking, light])
    })
    .await;
    for plan in found.iter().flatten() {
        assert!(plan["JIT"].is_null(), "the marker's statement was compiled: {plan:#}");
        let (mut read, mut worst) = (0.0, (0.0, Value::Null));
        walk(&plan["Plan"], &mut |node| {
            let entries = entries_read(node);
            read += entries;
            if entries > worst.0 {
                worst = (entries, node.clone());
            }
        });
        assert!(read <= READ, "a marker reads {read} entries of the catalogue, the most in {:#}", worst.1);
    }
    // The plan of a looking marker does have scans, and each of them is counted.
    let mut scans = 0;
    walk(&found[0][0]["Plan"], &mut |node| scans += usize::from(!node["Relation Name"].is_null()));
    assert!(scans > 10, "{scans} scans");
    // The server would compile it: it compiles another session's plan.
    sql.batch_execute("SELECT count(*) AS compiled FROM pg_class").await.expect("counted");
    let is_compiled = until("another statement is logged", async || {
        let log = std::fs::read(place.join("data/postgres.log")).expect("a log");
        plans(&String::from_utf8_lossy(&log), "AS compiled").first().map(|plan| !plan["JIT"].is_null())
    });
    assert!(is_compiled.await, "this server has no JIT, so the test says nothing of it");
    drop((cache, sql));
    tokio::task::block_in_place(|| server.end());
}
