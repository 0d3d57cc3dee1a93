//! Inserts of many rows.

use super::statement::names;
use super::{Payload, Query, Relation, Resolution, Returned, Statement};
use crate::quote::{assignment, identifier};
use std::fmt::Write;

impl Statement {
    /// Inserts rows, or merges them with those that are there.
    #[must_use]
    pub fn insert(
        relation: &Relation,
        query: &Query,
        payload: &Payload,
        resolution: Option<Resolution>,
        returned: Returned,
    ) -> Statement {
        let mut statement = Statement::default();
        let (table, columns) = (relation.quoted(), names(relation, &payload.columns));
        let mut sql = if payload.columns.is_empty() {
            // As many rows of defaults as there are objects.
            format!("INSERT INTO {table} AS t SELECT FROM pg_catalog.generate_series(1, {})", payload.rows)
        } else {
            format!("INSERT INTO {table} AS t ({columns}) {}", statement.records(relation, payload))
        };
        if let Some(resolution) = resolution {
            let target = if query.on_conflict.is_empty() { relation.key_columns() } else { query.on_conflict.clone() };
            let _ = write!(sql, " ON CONFLICT ({}) DO ", names(relation, &target));
            match resolution {
                Resolution::Merge if !payload.columns.is_empty() => {
                    let columns = payload.columns.iter();
                    let set = columns.map(|column| assignment(&relation.get(*column).name, "EXCLUDED"));
                    let _ = write!(sql, "UPDATE SET {}", set.collect::<Vec<_>>().join(", "));
                }
                _ => sql += "NOTHING",
            }
        }
        statement.returning(relation, &sql, &query.select, returned)
    }

    /// Reads the rows of a body, in their order. A field that is missing is null, or its column's default.
    fn records(&mut self, relation: &Relation, payload: &Payload) -> String {
        let (table, names) = (relation.quoted(), names(relation, &payload.columns));
        let body = self.text(payload.json.clone());
        if !payload.columns.iter().any(|column| payload.takes_default(*column)) {
            return format!(
                "SELECT {names} FROM pg_catalog.json_populate_recordset(NULL::{table}, {body}::text::json)"
            );
        }
        let values = payload.columns.iter().map(|id| {
            let column = relation.get(*id);
            let value = format!("p.{}", identifier(&column.name));
            match column.default.as_ref().filter(|_| payload.takes_default(*id)) {
                None => value,
                Some(default) => {
                    let (name, cast) = (self.text(column.name.as_str()), &column.cast);
                    format!("CASE WHEN e.value -> {name}::text IS NULL THEN ({default})::{cast} ELSE {value} END")
                }
            }
        });
        let values = values.collect::<Vec<_>>().join(", ");
        format!(
            "SELECT {values} FROM pg_catalog.json_array_elements({body}::text::json) WITH ORDINALITY e(value, n), \
             LATERAL pg_catalog.json_populate_record(NULL::{table}, e.value) p ORDER BY e.n"
        )
    }
}
