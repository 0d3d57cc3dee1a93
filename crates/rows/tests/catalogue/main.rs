//! Everything that the catalogue says about a table: names, types, keys and rights, and their changes.
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod changes;
mod names;
mod rights;
mod seq;
mod unstored;

use common::{Scratch, server};
use serde_json::Value;

fn value(row: Option<impl AsRef<[u8]>>) -> Value {
    row.map_or(Value::Null, |row| serde_json::from_slice(row.as_ref()).expect("JSON"))
}

async fn scratch(sql: &str) -> Scratch {
    let scratch = server().scratch().await;
    scratch.run(sql).await;
    scratch
}
