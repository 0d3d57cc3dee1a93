//! Requests of a service to a cache: conditions, statements of its own, events to go on from, its state.
#![cfg(not(loom))]

mod common;

use common::patron::{PATRON, patrons, value};
use common::{cached, is_cached, patient, server, until};
use serde_json::{Value, json};
use std::time::Duration;
use switchboard_rows::{Changes, Conditional, Consistency, Error, Key, Options, RowCache, RowChange, Source, row_tag};

async fn tag(cache: &RowCache, key: i32) -> String {
    row_tag(&cache.get_strong("patron", key).await.expect("read").expect("a row"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_written_under_its_tag_alone() {
    let (_scratch, cache) = patrons().await;
    let key = cache.insert("patron", &json!({ "name": "Zoë \"x\\y\"" })).await.expect("inserted").key;
    assert_eq!(key, Key::from(1));
    let first = tag(&cache, 1).await;
    let name = |name: &str| json!({ "name": name });
    let written = cache.update_if("patron", 1, &name("b"), &["0".repeat(32), first.clone()]).await.expect("asked");
    assert!(matches!(written, Conditional::Written(_)), "{written:?}");
    let second = tag(&cache, 1).await;
    assert_ne!(first, second);
    for tags in [&[first.clone()][..], &[]] {
        assert_eq!(cache.update_if("patron", 1, &name("c"), tags).await.expect("asked"), Conditional::Changed);
        assert_eq!(cache.delete_if("patron", 1, tags).await.expect("asked"), Conditional::Changed);
    }
    assert_eq!(cache.update_if("patron", 2, &name("c"), &[first]).await.expect("asked"), Conditional::Absent);
    assert!(matches!(cache.delete_if("patron", 1, &[second]).await.expect("asked"), Conditional::Written(_)));
    assert_eq!(cache.get("patron", 1).await.expect("read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_with_one_tag_one_succeeds() {
    let (_scratch, cache) = patrons().await;
    cache.insert("patron", &json!({ "name": "0" })).await.expect("inserted");
    for round in 0..20 {
        let tag = tag(&cache, 1).await;
        let write = |writer: i32| {
            let (cache, tag) = (cache.clone(), tag.clone());
            tokio::spawn(async move {
                let name = json!({ "name": format!("{round} {writer}") });
                matches!(cache.update_if("patron", 1, &name, &[tag]).await.expect("asked"), Conditional::Written(_))
            })
        };
        let writers: Vec<_> = (0..6).map(write).collect();
        let mut written = 0;
        for writer in writers {
            written += i32::from(writer.await.expect("no panic"));
        }
        assert_eq!(written, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_written_by_a_statement_are_read_as_they_are() {
    let (scratch, cache) = patrons().await;
    scratch.run("INSERT INTO patron (name) SELECT 'old' FROM generate_series(1, 2000)").await;
    let read = async |key: i32| value(cache.get("patron", key).await.expect("read"))["name"].clone();
    for key in [1, 2, 3, 1500] {
        cache.get_strong("patron", key).await.expect("read");
    }
    let returning = "RETURNING ARRAY[id::text], row_to_json(t)::text";
    let one = format!("UPDATE patron t SET name = $1 WHERE id < $2::int {returning}");
    let written = cache.write_rows("patron", &one, vec![Some("new".into()), Some("3".into())], false).await;
    let written = written.expect("written");
    assert_eq!(written.rows.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [Key::from(1), Key::from(2)]);
    assert_eq!([read(1).await, read(2).await, read(3).await], ["new", "new", "old"]);
    let token = Consistency::After(written.token.expect("a token"));
    assert_eq!(value(cache.read_with("patron", 2, token).await.expect("read").row)["name"], "new");
    let moved = format!("UPDATE patron t SET id = id + 1000000 WHERE id = 3 {returning}");
    assert_eq!(cache.write_rows("patron", &moved, vec![], true).await.expect("written").rows.len(), 1);
    assert_eq!(read(3).await, Value::Null);
    let all = format!("UPDATE patron t SET name = $1 {returning}");
    assert_eq!(cache.write_rows("patron", &all, vec![None], false).await.expect("written").rows.len(), 2000);
    assert_eq!([read(1).await, read(1500).await], [Value::Null, Value::Null]);
    cache.get_strong("patron", 2).await.expect("read");
    let some = String::from(
        "WITH t AS (UPDATE patron t SET name = 'some' RETURNING t.*) SELECT ARRAY[id::text], NULL::text, \
        (SELECT count(*) FROM t)::text FROM t ORDER BY id LIMIT 1",
    );
    let written = cache.write_rows("patron", &some, vec![], false).await.expect("written");
    assert_eq!((written.rows.len(), written.total), (1, 2000));
    assert_eq!([read(1).await, read(2).await], ["some", "some"]);
    let refused = cache.write_rows("patron", "UPDATE patron SET id = NULL RETURNING 1", vec![], false).await;
    assert!(matches!(refused, Err(Error::Rejected(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_gives_texts_and_nulls() {
    let (_scratch, cache) = patrons().await;
    let rows = cache.query("SELECT $1 || 'x', $2, 'a''b'", vec![Some("'; --".to_owned()), None]).await;
    assert_eq!(rows.expect("asked"), [[Some("'; --x".to_owned()), None, Some("a'b".to_owned())]]);
    assert!(matches!(cache.query("SELECT nothing", vec![]).await, Err(Error::Rejected(_))));
    assert_eq!(cache.query("SELECT '1' WHERE false", vec![]).await.expect("asked").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_as_new_as_it_asks() {
    let (_scratch, cache) = patrons().await;
    let written = cache.insert("patron", &json!({ "name": "Ann" })).await.expect("inserted");
    let token = written.token.expect("a token");
    for text in ["cached".to_owned(), "strong".to_owned(), format!("after={token}")] {
        let consistency: Consistency = text.parse().expect("a consistency");
        let read = cache.read_with("patron", 1, consistency).await.expect("read");
        assert_eq!(value(read.row)["name"], "Ann", "{text}");
        assert!(read.max_age < patient().limits.max_age, "{text}: {:?}", read.max_age);
    }
}

async fn event(changes: &mut Changes) -> RowChange {
    let change = tokio::time::timeout(common::PATIENCE, changes.next()).await.expect("in time");
    change.expect("the cache lives")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_goes_on_after_the_last_event_that_it_saw() {
    let (scratch, cache) = patrons().await;
    let mut changes = cache.subscribe();
    scratch.run("INSERT INTO patron (name) VALUES ('Ann'), ('Bob')").await;
    let first = event(&mut changes).await;
    let RowChange::Event { table, event: text, .. } = &first else { panic!("{first:?}") };
    assert_eq!(&**table, "patron");
    let data = json!({ "id": 1, "name": "Ann", "fav_dish": null });
    let whole = json!({ "table": "patron", "id": 1, "type": "INSERT", "seq": 1, "data": data });
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), whole);
    let second = event(&mut changes).await;
    // By its text, as a page has it.
    let seen = first.id().to_string().parse().expect("an id");
    assert_eq!(event(&mut cache.subscribe_after(seen)).await, second);
    let (_other, other) = patrons().await;
    assert!(matches!(event(&mut other.subscribe_after(seen)).await, RowChange::Gap { missed: 0, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_is_told_of_a_lost_feed_and_of_events_that_are_not_kept() {
    let scratch = server().scratch().await;
    scratch.run(PATRON).await;
    let options = Options { changes: 3, ..patient() };
    let cache = cached(scratch.database(), ["patron"], options).await;
    let (mut changes, mut slow) = (cache.subscribe(), cache.subscribe());
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'switchboard rows feed'";
    scratch.run(end).await;
    assert!(matches!(event(&mut changes).await, RowChange::Gap { missed: 0, .. }));
    is_cached(&cache).await;
    scratch.run("INSERT INTO patron (name) SELECT n::text FROM generate_series(1, 9) n").await;
    until("the events have come", async || (cache.metrics().events == 9).then_some(())).await;
    // The gap of the feed and six events are not kept.
    assert!(matches!(event(&mut slow).await, RowChange::Gap { missed: 7, .. }));
    for key in 7..10 {
        let RowChange::Event { event, .. } = event(&mut slow).await else { panic!("an event is kept") };
        assert_eq!(serde_json::from_str::<Value>(&event).expect("JSON")["id"], key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstrations_table_is_created_where_it_is_missing() {
    let scratch = server().scratch().await;
    // Both may want the same lock at once.
    let open = async || {
        let options = Options { create_demo_table: true, ..patient() };
        cached(scratch.database(), ["patron"], options).await
    };
    let both = tokio::join!(open(), open());
    let written = both.0.insert("patron", &json!({ "name": "Ann" })).await.expect("inserted");
    assert!(both.1.get_strong("patron", &written.key).await.expect("read").is_some());
    let again = open().await;
    let table = again.describe("patron").expect("a table");
    assert_eq!((table.schema.as_str(), table.key.as_slice()), ("public", &["id".to_owned()][..]));
    let columns = table.columns.iter().map(|column| {
        (column.name.as_str(), column.type_name.as_str(), column.not_null, column.has_default, column.computed)
    });
    let id = ("id", "integer", true, true, false);
    let text = |name| (name, "text", false, false, false);
    assert_eq!(columns.collect::<Vec<_>>(), [id, text("name"), text("fav_dish")]);
    let missing = RowCache::connect(scratch.database(), ["other"]).await;
    assert!(matches!(missing, Err(Error::Table { .. })), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_without_a_database_says_so_and_when_it_tries_again() {
    let database = "host=127.0.0.1 port=1 user=app dbname=x".parse().expect("an address");
    let cache = RowCache::open(&database, ["patron"], Options::default()).expect("it opens");
    let status = until("it waits for its next try", async || {
        let status = cache.status();
        (status.next_try > Duration::ZERO).then_some(status)
    })
    .await;
    assert!(status.problem.as_ref().is_some_and(Error::is_unavailable), "{status:?}");
    assert!(status.age.is_none() && status.identity.is_none());
    let error = cache.read("patron", 1).await.expect_err("nobody answers");
    assert!(error.is_unavailable(), "{error}");
    assert!(!cache.read("other", 1).await.expect_err("no such table").is_unavailable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_cache_says_since_when() {
    let (scratch, cache) = patrons().await;
    let status = cache.status();
    assert!(status.problem.is_none() && status.next_try.is_zero() && status.age.is_some(), "{status:?}");
    scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
    cache.get_strong("patron", 1).await.expect("read");
    assert_eq!(cache.read("patron", 1).await.expect("read").source, Source::Hit);
    let later = cache.status();
    assert!(later.since >= status.since && later.usage.rows > 0, "{later:?}");
}
