//! The bodies of writes.

use super::{ColumnId, Query, QueryError, Relation, hstore};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Rows to write, as the client sent them.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The JSON array of objects.
    pub json: String,
    /// Columns that the rows set.
    pub columns: Vec<ColumnId>,
    /// Columns of the body that the database computes. The row keeps its values, which the body must have.
    pub computed: Vec<ColumnId>,
    /// Rows.
    pub rows: usize,
    /// The client sent one object, not an array.
    pub is_single: bool,
    /// The fields of the only object, as JSON.
    fields: BTreeMap<String, String>,
    /// Columns that are set and not in every object.
    missing: Vec<ColumnId>,
    /// A field that is missing is its column's default, not null.
    has_defaults: bool,
}

/// The fields of an object. Their values stay text: no number is rounded.
pub(super) type Fields<'a> = BTreeMap<String, &'a RawValue>;

impl Payload {
    /// Reads an object, or an array of objects that set the same columns.
    ///
    /// # Errors
    /// If the body is something else, or names a column that is not there or that the database computes.
    pub fn parse(relation: &Relation, query: &Query, body: &[u8]) -> Result<Payload, QueryError> {
        let payload = Payload::parse_row(relation, query, body)?;
        match payload.computed.first() {
            None => Ok(payload),
            Some(column) => {
                Err(QueryError::body(format!("the database computes column {}", relation.get(*column).name)))
            }
        }
    }

    /// As [`Payload::parse`], of a row that may be there already: `computed` has the columns that the database computes.
    ///
    /// # Errors
    /// If the body is something else, or names a column that is not there.
    pub fn parse_row(relation: &Relation, query: &Query, body: &[u8]) -> Result<Payload, QueryError> {
        let text = std::str::from_utf8(body).map_err(|_| QueryError::body("the body is not UTF-8"))?;
        let is_single = !text.trim_start().starts_with('[');
        let wrong = |error: serde_json::Error| {
            QueryError::body(format!("the body is neither an object nor an array of objects: {error}"))
        };
        let rows: Vec<Fields> = if is_single {
            vec![serde_json::from_str(text).map_err(wrong)?]
        } else {
            serde_json::from_str(text).map_err(wrong)?
        };
        let columns = match &query.columns {
            Some(columns) => columns.clone(),
            None => columns_of(relation, &rows)?,
        };
        let json = match hstore::as_text(relation, &columns, &rows)? {
            Some(json) => json,
            None if is_single => format!("[{}]", text.trim()),
            None => text.trim().to_owned(),
        };
        let single = rows.first().filter(|_| rows.len() == 1).into_iter().flatten();
        let fields = single.map(|(name, value)| (name.clone(), value.get().to_owned())).collect();
        let is_missing = |column: &&ColumnId| rows.iter().any(|row| !row.contains_key(&relation.get(**column).name));
        let missing = columns.iter().filter(is_missing).copied().collect();
        let (computed, columns) = columns.into_iter().partition(|column| relation.get(*column).computed);
        Ok(Payload { json, columns, computed, rows: rows.len(), is_single, fields, missing, has_defaults: false })
    }

    /// The same rows, whose missing fields are the defaults of their columns (`missing=default`).
    #[must_use]
    pub fn with_defaults(self) -> Payload {
        Payload { has_defaults: true, ..self }
    }

    /// Returns true if an object lacks the column, which has its default there.
    pub(super) fn takes_default(&self, column: ColumnId) -> bool {
        self.has_defaults && self.missing.contains(&column)
    }

    /// The only object's field as the text that PostgreSQL reads; `None` for null, arrays and objects.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        match serde_json::from_str(self.fields.get(name)?) {
            Ok(serde_json::Value::String(text)) => Some(text),
            // The digits as they were sent.
            Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => self.fields.get(name).cloned(),
            _ => None,
        }
    }

    /// This body, if it is one object that names a column.
    ///
    /// # Errors
    /// If there are several objects or no column is named.
    pub fn of_one(self) -> Result<Payload, QueryError> {
        if self.rows != 1 {
            return Err(QueryError::body("one object of the columns to set is needed"));
        }
        if self.columns.is_empty() && self.computed.is_empty() {
            return Err(QueryError::body("no column is set"));
        }
        Ok(self)
    }
}

fn columns_of(relation: &Relation, rows: &[Fields]) -> Result<Vec<ColumnId>, QueryError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    if rows.iter().any(|row| !row.keys().eq(first.keys())) {
        let hint = "name the columns by ?columns=a,b: a field that is missing is null then";
        return Err(QueryError::body("every object must set the same columns").with_hint(hint));
    }
    let columns =
        first.keys().map(|name| relation.column(name).ok_or_else(|| QueryError::no_field(&relation.name, name)));
    columns.collect()
}
