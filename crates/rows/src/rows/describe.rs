use super::state::Inner;
use crate::Error;

/// A table, as the catalogue had it last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The key's columns, in their order.
    pub key: Vec<String>,
    /// The columns that are not hidden, in the table's order.
    pub columns: Vec<ColumnInfo>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnInfo {
    /// The name.
    pub name: String,
    /// The type as PostgreSQL prints it, quoted for SQL where that is needed: `timestamp with time zone`.
    pub type_name: String,
    /// It is never null.
    pub not_null: bool,
    /// It has a default or an identity, so that an insert may leave it out.
    pub has_default: bool,
    /// The database alone computes it.
    pub computed: bool,
}

impl Inner {
    pub(super) fn describe(&self, table: &str) -> Result<TableInfo, Error> {
        let table = self.slot(self.id(table)?).table()?;
        let columns = table.columns.iter().map(|column| ColumnInfo {
            name: column.name.clone(),
            type_name: column.shown_type.clone(),
            not_null: column.not_null,
            has_default: column.has_default,
            computed: column.computed,
        });
        Ok(TableInfo {
            schema: table.schema.clone(),
            name: table.name.clone(),
            key: table.key.clone(),
            columns: columns.collect(),
        })
    }
}
