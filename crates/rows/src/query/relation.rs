use super::QueryError;
use crate::quote::identifier;

/// A column's number in its [`Relation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub(crate) usize);

/// A table as the catalogue describes it, without the columns that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// Names of the key's columns, in the key's order; each is one of `columns`.
    pub key: Vec<String>,
}

/// A column as the catalogue describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type as SQL, without a length: what a value is cast to.
    pub cast: String,
    /// The type as people read it.
    pub shown: String,
    /// It may not be null.
    pub required: bool,
    /// The database has a value for it where none is given.
    pub has_default: bool,
    /// The expression of that value, as SQL, unless it is null or computed.
    pub default: Option<String>,
    /// The database alone computes it.
    pub computed: bool,
}

impl Relation {
    /// Finds a column by its exact name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<ColumnId> {
        self.columns.iter().position(|column| column.name == name).map(ColumnId)
    }

    /// The key's columns.
    #[must_use]
    pub fn key_columns(&self) -> Vec<ColumnId> {
        self.key.iter().filter_map(|name| self.column(name)).collect()
    }

    pub(super) fn find(&self, name: &str) -> Result<ColumnId, QueryError> {
        self.column(name).ok_or_else(|| QueryError::no_column(&self.name, name))
    }

    pub(crate) fn get(&self, id: ColumnId) -> &Column {
        &self.columns[id.0]
    }

    /// Schema and name, quoted.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// The column of the row `t`, quoted.
    pub(super) fn of_row(&self, id: ColumnId) -> String {
        format!("t.{}", identifier(&self.get(id).name))
    }
}

impl Column {
    /// Returns true for the type of an array; false for a domain over one.
    pub(super) fn is_array(&self) -> bool {
        self.shown.ends_with("[]")
    }
}
