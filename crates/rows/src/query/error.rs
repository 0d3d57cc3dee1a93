/// A request that says something else than the dialect has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// A code of PostgREST, or an SQLSTATE where PostgreSQL would say the same.
    pub code: &'static str,
    /// The fault, as a sentence without its end.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
}

impl QueryError {
    /// The text of the query cannot be read.
    pub(crate) fn syntax(message: impl Into<String>) -> QueryError {
        QueryError { code: "PGRST100", message: message.into(), hint: None }
    }

    /// The body cannot be read.
    pub(crate) fn body(message: impl Into<String>) -> QueryError {
        QueryError { code: "PGRST102", message: message.into(), hint: None }
    }

    /// A filter or an order names a column that is not there.
    pub(crate) fn no_column(table: &str, column: &str) -> QueryError {
        QueryError { code: "42703", message: format!("column {table}.{column} does not exist"), hint: None }
    }

    /// Another table's rows are asked for, or an aggregate.
    pub(crate) fn no_embedding(other: &str) -> QueryError {
        let other = other.rsplit([':', '.']).next().unwrap_or(other);
        let message = format!("{other}: other tables' rows cannot be embedded, and there are no aggregates");
        let hint = "read the other table by its own path, such as /OTHER?KEY=in.(1,2,3), or serve a table that has the columns \
                    of both; Prefer: count=exact counts";
        QueryError { code: "PGRST200", message, hint: Some(hint.to_owned()) }
    }

    /// A body names a column that is not there.
    pub(crate) fn no_field(table: &str, column: &str) -> QueryError {
        let message = format!("could not find the column {column} of {table}");
        QueryError { code: "PGRST204", message, hint: None }
    }

    /// A write of many rows that names none of them.
    pub(crate) fn no_filter(verb: &str) -> QueryError {
        QueryError {
            code: "21000",
            message: format!("{verb} without a filter is refused: it would change every row"),
            hint: Some("give a filter, such as ?id=eq.1; ?KEY=not.is.null is every row".to_owned()),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> QueryError {
        self.hint = Some(hint.into());
        self
    }
}
