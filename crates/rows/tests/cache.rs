//! A cache while nothing goes wrong.
#![cfg(not(loom))]

mod common;

use common::patron::{patrons, value};
use common::{cached, patient, server, until};
use serde_json::{Value, json};
use switchboard_rows::{Error, Events, Key, Source, TableSpec, Token};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_inserted_read_updated_and_deleted() {
    let (_scratch, cache) = patrons().await;
    let written = cache.insert("patron", &json!({ "name": "Ann", "fav_dish": "Chili" })).await.expect("inserted");
    assert_eq!(written.key, Key::from(1));
    assert_eq!(written.row.as_deref(), Some(&br#"{"id":1,"name":"Ann","fav_dish":"Chili"}"#[..]));
    assert_eq!(
        value(cache.get("patron", 1).await.expect("read")),
        json!({ "id": 1, "name": "Ann", "fav_dish": "Chili" })
    );
    let updated = cache.update("patron", 1, &json!({ "name": "Bob" })).await.expect("updated").expect("a row");
    let row = cache.get_after("patron", 1, updated.token.expect("a token")).await.expect("read");
    assert_eq!(value(row)["name"], "Bob");
    assert_eq!(value(cache.get_strong("patron", 1).await.expect("read"))["name"], "Bob");
    assert!(cache.delete("patron", 1).await.expect("deleted").is_some());
    assert_eq!(cache.get("patron", 1).await.expect("read"), None);
    assert!(cache.delete("patron", 1).await.expect("asked").is_none());
    assert!(cache.update("patron", 1, &json!({ "name": "x" })).await.expect("asked").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_anybody_is_in_every_cache_before_it_is_asked_for() {
    let (scratch, one) = patrons().await;
    let two = cached(scratch.database(), ["patron"], patient()).await;
    let written = one.insert("patron", &json!({ "name": "Ann" })).await.expect("inserted");
    let wait_for = async |name: &str| {
        for cache in [&one, &two] {
            until("the row is cached", async || {
                let rows = cache.snapshot();
                let row = rows.into_iter().find(|(_, key, _)| *key == written.key)?.2;
                (value(row)["name"] == name).then_some(())
            })
            .await;
            let read = cache.read("patron", &written.key).await.expect("read");
            assert_eq!((read.source, &value(read.row)["name"]), (Source::Hit, &json!(name)));
        }
    };
    wait_for("Ann").await;
    scratch.run("UPDATE patron SET name = 'Bob'").await;
    wait_for("Bob").await;
    scratch.run("DELETE FROM patron").await;
    for cache in [&one, &two] {
        until("the absence is cached", async || {
            cache.snapshot().into_iter().any(|(_, key, row)| key == written.key && row.is_none()).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_row_is_a_hit_the_second_time_and_so_is_an_absent_one() {
    let (scratch, cache) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    for key in [1, 99] {
        cache.read_strong("patron", key).await.expect("read");
        let again = cache.read("patron", key).await.expect("read");
        assert_eq!(again.source, Source::Hit, "{key}");
        assert_eq!(again.row.is_some(), key == 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_several_columns_and_other_types_are_found_and_followed() {
    let scratch = server().scratch().await;
    scratch
        .run(
            "CREATE TABLE pair (a text, b int8, day date, note text, PRIMARY KEY (b, a, day));
             CREATE SCHEMA \"Other\"; CREATE TABLE \"Other\".\"We\"\"ird\" (\"The Id\" uuid PRIMARY KEY, v int);
             CREATE TABLE flag (yes bool PRIMARY KEY, v int)",
        )
        .await;
    let names = ["pair", "Other.We\"ird", "flag"];
    let cache = cached(scratch.database(), names, patient()).await;
    let follow = async |table: &str, key: Key, insert: &str, update: &str| {
        assert_eq!(cache.get_strong(table, &key).await.expect("read"), None);
        scratch.run(insert).await;
        assert_eq!(value(cache.get_strong(table, &key).await.expect("read"))["v"], 1);
        scratch.run(update).await;
        assert_eq!(value(cache.get_strong(table, &key).await.expect("read"))["v"], 2);
    };
    scratch.run("ALTER TABLE pair RENAME note TO v; ALTER TABLE pair ALTER v TYPE int USING 1").await;
    let key = Key::from(&["9007199254740993", "a:1", "2024-02-29"][..]);
    follow("pair", key, "INSERT INTO pair VALUES ('a:1', 9007199254740993, '2024-02-29', 1)", "UPDATE pair SET v = 2")
        .await;
    let key = Key::from("A0EEBC999C0B4EF8BB6D6BB9BD380A11");
    let insert = "INSERT INTO \"Other\".\"We\"\"ird\" VALUES ('a0eebc999c0b4ef8bb6d6bb9bd380a11', 1)";
    follow("We\"ird", key, insert, "UPDATE \"Other\".\"We\"\"ird\" SET v = 2").await;
    follow("flag", Key::from("t"), "INSERT INTO flag VALUES (true, 1)", "UPDATE flag SET v = 2").await;
    assert!(cache.status().tables.iter().all(|table| table.problem.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_leaves_no_row_under_the_old_one() {
    let (scratch, cache) = patrons().await;
    cache.insert("patron", &json!({ "name": "Ann" })).await.expect("inserted");
    for key in [1, 2] {
        cache.get_strong("patron", key).await.expect("read");
    }
    let moved = cache.update("patron", 1, &json!({ "id": 2 })).await.expect("updated").expect("a row");
    assert_eq!(moved.key, Key::from(2));
    assert_eq!(cache.get("patron", 1).await.expect("read"), None);
    assert_eq!(value(cache.get("patron", 2).await.expect("read"))["name"], "Ann");
    scratch.run("UPDATE patron SET id = 3").await;
    assert_eq!(cache.get_strong("patron", 2).await.expect("read"), None);
    assert_eq!(value(cache.get_strong("patron", 3).await.expect("read"))["name"], "Ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_never_become_statements() {
    let (_scratch, cache) = patrons().await;
    let evil = "x'); DROP TABLE patron; --";
    let written = cache.insert("patron", &json!({ "name": evil })).await.expect("inserted");
    assert_eq!(value(cache.get("patron", &written.key).await.expect("read"))["name"], evil);
    let column = cache.insert("patron", &json!({ "name\") SELECT 1; --": 1 })).await;
    assert!(matches!(column, Err(Error::Values { .. })), "{column:?}");
    assert!(matches!(cache.get("patron", evil).await, Err(Error::Key { .. })));
    assert!(matches!(cache.get(evil, 1).await, Err(Error::NotServed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_says_why() {
    let (_scratch, cache) = patrons().await;
    cache.insert("patron", &json!({ "id": 7 })).await.expect("inserted");
    match cache.insert("patron", &json!({ "id": 7 })).await {
        Err(Error::Rejected(reply)) => {
            assert_eq!((reply.code.as_str(), reply.constraint.as_deref()), ("23505", Some("patron_pkey")));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(cache.insert("patron", &json!({ "id": "x" })).await, Err(Error::Rejected(_))));
    assert!(matches!(cache.insert("patron", &json!([1])).await, Err(Error::Values { .. })));
    assert!(matches!(cache.update("patron", 7, &json!({})).await, Err(Error::Values { .. })));
    // The connections are as good as before.
    assert!(cache.get("patron", 7).await.expect("read").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_database_or_of_no_write_is_refused() {
    let (_one, here) = patrons().await;
    let (_two, there) = patrons().await;
    let token = there.insert("patron", &json!({})).await.expect("inserted").token.expect("a token");
    assert!(matches!(here.get_after("patron", 1, token).await, Err(Error::Token { .. })));
    let mut own = here.insert("patron", &json!({})).await.expect("inserted").token.expect("a token");
    assert!(here.get_after("patron", 1, own).await.expect("read").is_some());
    own.lsn.0 += 1 << 40;
    assert!(matches!(here.get_after("patron", 1, own).await, Err(Error::Token { .. })));
    own.identity.timeline += 1;
    let text = own.to_string();
    assert!(matches!(
        here.get_after("patron", 1, text.parse::<Token>().expect("a token")).await,
        Err(Error::Token { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_strong_reads_share_markers() {
    let (scratch, cache) = patrons().await;
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    cache.get_strong("patron", 1).await.expect("read");
    let before = cache.metrics();
    let reads: Vec<_> = (0..512)
        .map(|_| {
            tokio::spawn({
                let cache = cache.clone();
                async move { cache.read_strong("patron", 1).await.expect("read").source }
            })
        })
        .collect();
    for read in reads {
        read.await.expect("no panic");
    }
    let after = cache.metrics();
    assert!(after.markers - before.markers < 256, "{} markers", after.markers - before.markers);
    assert_eq!(after.bypasses, before.bypasses);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_may_have_the_names_that_statements_use_themselves() {
    let names = ["r", "t", "w", "n", "k0", "s", "new", "old", "id", "ids", "part", "count", "event", "data", "whole"];
    for events in [Events::Rows, Events::Keys] {
        let columns: Vec<String> = names.iter().map(|name| format!("\"{name}\" int")).collect();
        let scratch = server().scratch().await;
        scratch.run(&format!("CREATE TABLE odd ({}, PRIMARY KEY (r, t))", columns.join(", "))).await;
        let spec = TableSpec { events, ..TableSpec::from("odd") };
        let cache = cached(scratch.database(), [spec], patient()).await;
        let flushes = cache.metrics().flushes;
        let row: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
        let written = cache.insert("odd", &row.clone().into()).await.expect("inserted");
        assert_eq!(value(written.row), Value::from(row.clone()));
        assert_eq!(value(cache.get_strong("odd", &["1", "1"][..]).await.expect("read")), Value::from(row));
        scratch.run("UPDATE odd SET w = 2, r = 5").await;
        assert_eq!(value(cache.get_strong("odd", &["5", "1"][..]).await.expect("read"))["w"], 2);
        assert_eq!(cache.get_strong("odd", &["1", "1"][..]).await.expect("read"), None);
        assert_eq!(cache.metrics().flushes, flushes, "no event had to be a flush: {events:?}");
    }
}
