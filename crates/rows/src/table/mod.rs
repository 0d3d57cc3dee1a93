//! Tables as the catalogue describes them. Every identifier in a statement comes from here; every value is bound.

mod catalogue;
mod fingerprint;
mod key;
mod keys;
mod parts;
mod sql;
pub mod triggers;

pub(crate) use crate::quote::{assignment, identifier, literal};
pub(crate) use catalogue::{Table, load};
pub(crate) use fingerprint::FINGERPRINTS;
pub use key::Key;
pub(crate) use sql::quoted_tag;
pub use sql::row_tag;

/// Content of a table's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Events {
    /// One event a row, with its content.
    #[default]
    Rows,
    /// Keys alone, of all rows of a statement together: for tables with heavy writes. Their rows are read again by key.
    /// Partitioned tables and those that a subscription fills cannot have them.
    Keys,
}

/// A table that is asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// The schema; the first of the search path that has the table unless given.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// The key's columns, which must have a unique index; the primary key's unless given.
    pub key: Option<Vec<String>>,
    /// Columns that are never read, written or sent.
    pub hidden: Vec<String>,
    /// Content of its events.
    pub events: Events,
}

impl From<&str> for TableSpec {
    /// Reads `table` or `schema.table`.
    fn from(name: &str) -> TableSpec {
        let (schema, name) = match name.split_once('.') {
            Some((schema, name)) => (Some(schema.to_owned()), name),
            None => (None, name),
        };
        TableSpec { schema, name: name.to_owned(), key: None, hidden: Vec::new(), events: Events::default() }
    }
}

impl From<&String> for TableSpec {
    fn from(name: &String) -> TableSpec {
        TableSpec::from(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_schema() {
        assert_eq!(TableSpec::from("a.b").schema.as_deref(), Some("a"));
        assert_eq!(TableSpec::from("b").schema, None);
    }
}
