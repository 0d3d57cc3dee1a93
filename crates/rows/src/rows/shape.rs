//! Facts of a table for requests, cheap to read.

use super::RowCache;
use crate::query::{Column, Relation};
use crate::{Error, Key};

impl RowCache {
    /// Columns of the table's key.
    pub(crate) fn key_columns(&self, table: &str) -> Result<usize, Error> {
        Ok(self.inner.slot(self.inner.id(table)?).table()?.key_columns())
    }

    /// The key in the one text that equal keys have.
    pub(crate) fn canonical(&self, table: &str, key: &Key) -> Result<Key, Error> {
        self.inner.slot(self.inner.id(table)?).table()?.canonical(key)
    }

    /// The table, as statements of many rows need it.
    pub(crate) fn relation(&self, table: &str) -> Result<Relation, Error> {
        let table = self.inner.slot(self.inner.id(table)?).table()?;
        let columns = table.columns.iter().map(|column| Column {
            name: column.name.clone(),
            cast: column.cast.clone(),
            shown: column.shown_type.clone(),
            required: column.not_null,
            has_default: column.has_default,
            default: column.default.clone(),
            computed: column.computed,
        });
        Ok(Relation {
            schema: table.schema.clone(),
            name: table.name.clone(),
            columns: columns.collect(),
            key: table.key.clone(),
        })
    }
}
