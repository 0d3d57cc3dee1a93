//! No name of a user collides with one that our SQL makes.

use super::common::service::Service;
use super::common::{cached, patient, server};
use super::{scratch, value};
use serde_json::{Map, Value, json};
use switchboard_rows::{RowChange, TableSpec};

/// Aliases and variables of our SQL, functions that it calls, words of SQL, and characters that have to be quoted.
const NAMES: [&str; 50] = [
    "r",
    "t",
    "w",
    "q",
    "j",
    "s",
    "k",
    "n",
    "k0",
    "k1",
    "excluded",
    "new",
    "old",
    "event",
    "flush",
    "id_",
    "old_id",
    "count",
    "old_row",
    "new_row",
    "data",
    "whole",
    "key",
    "value",
    "tg_op",
    "tg_relid",
    "tg_table_name",
    "ordinality",
    "row_to_json",
    "json_populate_record",
    "json_populate_recordset",
    "unnest",
    "sum",
    "octet_length",
    "text",
    "json",
    "int4",
    "seq",
    "table",
    "type",
    "select",
    "from",
    "user",
    "null",
    "default",
    "switchboard_rows",
    "a\"b",
    "a.b",
    "*",
    "Ü $1 'x'",
];
const TABLES: [&str; 9] =
    ["r", "t", "w", "excluded", "text", "row_to_json", "json_populate_recordset", "pg_class", "select"];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_columns_may_have_every_name_that_our_sql_has() {
    let columns: Vec<String> = NAMES.iter().map(|name| format!("{} text", quoted(name))).collect();
    let mut sql = String::new();
    for table in TABLES {
        sql += &format!("CREATE TABLE public.{} (id int PRIMARY KEY, {});", quoted(table), columns.join(", "));
    }
    let scratch = scratch(&sql).await;
    let address = server().address("app", scratch.scratch.name());
    let service = Service::start(&address, |settings| {
        settings.tables = TABLES.iter().map(|name| TableSpec::from(&format!("public.{name}"))).collect();
    });
    let service = service.await.live().await;
    let row = |id: u32, suffix: &str| {
        let values = NAMES.iter().map(|name| ((*name).to_owned(), json!(format!("{name}{suffix}"))));
        Value::from([("id".to_owned(), json!(id))].into_iter().chain(values).collect::<Map<String, Value>>())
    };
    for table in TABLES {
        let mut events = service.events(&format!("/events?table={table}"), None).await;
        let path = format!("/{table}");
        let json = ("Content-Type", "application/json");
        let (first, second) = (row(1, ""), row(2, ""));
        assert_eq!(service.post(&path, &first.to_string()).await.status, 201, "{table}");
        let many = service.post(&path, &json!([second]).to_string()).await;
        assert_eq!(many.status, 201, "{table}: {}", many.body);
        for row in [&first, &second] {
            assert_eq!(events.next().await.2["data"], *row, "{table}");
        }
        let strong = service.ask("GET", &format!("{path}/1"), &[("Consistency", "strong")], "").await;
        assert_eq!(strong.json(), first, "{table}");
        assert_eq!(service.get(&format!("{path}/1")).await.json(), first, "{table}");
        assert_eq!(service.get(&path).await.json(), json!([first, second]), "{table}");
        let some = service.get(&format!("{path}?select=r,text,row_to_json::text&r=eq.r&t=in.(t)&order=w,k.desc")).await;
        let short = json!({ "r": "r", "text": "text", "row_to_json": "row_to_json" });
        assert_eq!(some.json(), json!([short, short]), "{table}");
        let changed = row(2, "2");
        let prefer = ("Prefer", "resolution=merge-duplicates,return=representation");
        let merged = service.ask("POST", &path, &[json, prefer], &json!([changed]).to_string()).await;
        assert_eq!(merged.json(), json!([changed]), "{table}");
        let prefer = ("Prefer", "return=representation");
        let patched = service.ask("PATCH", &format!("{path}?r=eq.r2"), &[json, prefer], r#"{"r":"r"}"#).await;
        assert_eq!(patched.json()[0]["r"], "r", "{table}");
        let tag = service.get(&format!("{path}/1")).await.header("etag").expect("a tag").to_owned();
        let put = service.ask("PUT", &format!("{path}/1"), &[json, ("If-Match", &tag)], r#"{"t":"new"}"#).await;
        assert_eq!(put.status, 200, "{table}: {}", put.body);
        let gone = service.ask("DELETE", &format!("{path}?t=eq.new&or=(r.eq.r,w.eq.no)"), &[prefer], "").await;
        assert_eq!(gone.json()[0]["t"], "new", "{table}");
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_have_every_name_that_our_sql_has() {
    let scratch = scratch("CREATE TYPE pair AS (r int, t text)").await;
    let rest: Vec<&str> = NAMES.iter().copied().filter(|name| *name != "r").collect();
    let mut specs = Vec::new();
    for (at, names) in rest.chunks(2).enumerate() {
        let keys: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let columns: Vec<String> = keys.iter().map(|key| format!("{key} int8")).collect();
        let (columns, keys, ones) = (columns.join(", "), keys.join(", "), vec!["7"; keys.len()].join(", "));
        // A composite column with the name of our alias would be the whole row's JSON.
        scratch.run(&format!("CREATE TABLE t{at} ({columns}, r pair, PRIMARY KEY ({keys}))")).await;
        scratch.run(&format!("INSERT INTO t{at} VALUES ({ones}, '(1,x)')")).await;
        specs.push(TableSpec::from(format!("t{at}").as_str()));
    }
    let cache = cached(scratch.database(), specs, patient()).await;
    for (at, names) in rest.chunks(2).enumerate() {
        let (table, key) = (format!("t{at}"), vec!["7".to_owned(); names.len()]);
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let row = value(cache.get_strong(&table, &key[..]).await.expect("read"));
        assert_eq!((&row["r"], &row[names[0]]), (&json!({ "r": 1, "t": "x" }), &json!(7)), "{names:?}");
        let mut changes = cache.subscribe();
        scratch.run(&format!("UPDATE {table} SET r = '(2,y)'")).await;
        let Some(RowChange::Event { event, .. }) = changes.next().await else { panic!("an event") };
        let event: Value = event.parse().expect("JSON");
        assert_eq!(event["data"]["diff"], json!({ "r": { "r": 2, "t": "y" } }), "{names:?}");
        let row = value(cache.get_strong(&table, &key[..]).await.expect("read"));
        assert_eq!(row["r"], json!({ "r": 2, "t": "y" }), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_and_functions_of_others_do_not_take_the_place_of_postgresqls_own() {
    // Of the same name, in a schema that the search path has first.
    let scratch = scratch(
        "CREATE TABLE t (id pg_catalog.text PRIMARY KEY, v pg_catalog.int8);
         CREATE TYPE public.text AS ENUM ('no'); CREATE TYPE public.json AS ENUM ('no'); CREATE TYPE public.int8 AS ENUM ('no');
         CREATE FUNCTION public.unnest(pg_catalog.text[]) RETURNS SETOF pg_catalog.text LANGUAGE sql AS $$SELECT 'no'$$;
         CREATE FUNCTION public.row_to_json(record) RETURNS pg_catalog.json LANGUAGE plpgsql AS $$BEGIN RETURN '1'; END$$;
         CREATE TABLE public.pg_class (id pg_catalog.int4 PRIMARY KEY);
         DO $$ BEGIN EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path = public, pg_catalog', pg_catalog.current_database()); END $$",
    )
    .await;
    let cache = cached(scratch.database(), ["t"], patient()).await;
    let written = cache.insert("t", &json!({ "id": "a", "v": 9 })).await.expect("written");
    assert_eq!(value(written.row), json!({ "id": "a", "v": 9 }));
    cache.get_strong("t", "a").await.expect("read");
    let mut changes = cache.subscribe();
    scratch.run("SET search_path = ''; UPDATE public.t SET v = 10").await;
    changes.next().await.expect("an event");
    assert_eq!(value(cache.get_strong("t", "a").await.expect("read"))["v"], 10);
    let address = server().address("app", scratch.scratch.name());
    let service = Service::start(&address, |settings| settings.tables = vec!["t".into()]).await.live().await;
    assert_eq!(service.get("/t?v=in.(9,10)&id=eq.a&limit=1").await.json(), json!([{ "id": "a", "v": 10 }]));
    service.end().await;
}
