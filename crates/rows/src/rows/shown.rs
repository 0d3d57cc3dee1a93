//! The text of an event for subscribers and the log.

use crate::table::Table;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

type Columns<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<Columns<'a>>,
}

/// Returns true if an event has no column beside those of the table's description.
///
/// The trigger leaves hidden columns out by their names of its installation. After `RENAME COLUMN` it does not know them.
pub(super) fn has_known_columns(table: &Table, payload: &str) -> bool {
    let is_known = |data: &Columns<'_>| data.keys().all(|name| table.columns.iter().any(|column| column.name == *name));
    let Ok(Shape { kind, data }) = serde_json::from_str::<Shape<'_>>(payload) else { return false };
    match data {
        None => true,
        Some(versions) if kind == "UPDATE" => versions.iter().all(|(name, row)| {
            let row = serde_json::from_str::<Columns<'_>>(row.get());
            matches!(&**name, "old" | "new" | "diff") && row.is_ok_and(|row| is_known(&row))
        }),
        Some(row) => is_known(&row),
    }
}
