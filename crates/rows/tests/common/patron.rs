//! The table of most tests, and a cache of it.

use super::{Scratch, cached, patient, server};
use serde_json::Value;
use switchboard_rows::RowCache;

pub(crate) const PATRON: &str = "CREATE TABLE patron (id serial PRIMARY KEY, name text, fav_dish text)";

pub(crate) async fn patrons() -> (Scratch, RowCache) {
    let scratch = scratch(PATRON).await;
    let cache = cached(scratch.database(), ["patron"], patient()).await;
    (scratch, cache)
}

/// A database that these statements have filled.
pub(crate) async fn scratch(sql: &str) -> Scratch {
    let scratch = server().scratch().await;
    scratch.run(sql).await;
    scratch
}

pub(crate) fn value(row: Option<impl AsRef<[u8]>>) -> Value {
    row.map_or(Value::Null, |row| serde_json::from_slice(row.as_ref()).expect("JSON"))
}
