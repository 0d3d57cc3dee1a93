use std::error::Error as _;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// A request that was not carried out. `Unavailable` passes by itself; the others need somebody to act.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database's address cannot be read.
    #[error("the database's address: {reason}")]
    Address {
        /// Why not.
        reason: String,
    },
    /// The database does not answer, or cannot take the request now. A write did not happen.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// Why not.
        reason: String,
        /// The database itself said so, and undid the statement.
        undone: bool,
    },
    /// The database answers, and must not be used: a standby, a pooler, another database than before.
    #[error("{reason}")]
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The connection was lost during a write: it may have happened, or may still happen.
    #[error("it is not known whether the write happened: {reason}")]
    Unknown {
        /// The cause of the loss.
        reason: String,
    },
    /// The cache does not have this table.
    #[error("table {table} is not among the tables that are served")]
    NotServed {
        /// The name that was given.
        table: String,
    },
    /// A table cannot be served now: it is missing, or not as it has to be. A change of the table mends it.
    #[error("table {table}: {reason}")]
    Table {
        /// Its name.
        table: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// No row can have this key.
    #[error("the key of table {table}: {reason}")]
    Key {
        /// The table's name.
        table: String,
        /// The fault, in words.
        reason: String,
    },
    /// A row's values cannot be written.
    #[error("the values for table {table}: {reason}")]
    Values {
        /// The table's name.
        table: String,
        /// The fault, in words.
        reason: String,
    },
    /// A token of another database, of another timeline, or of no write.
    #[error("the token {reason}")]
    Token {
        /// The fault, in words.
        reason: String,
    },
    /// A consistency is none of `cached`, `strong` and `after=TOKEN`.
    #[error("the consistency {given:?} is none of cached, strong and after=TOKEN")]
    Consistency {
        /// The given text.
        given: String,
    },
    /// An event's number cannot be read.
    #[error("{id:?} is no number of an event")]
    Event {
        /// The given text.
        id: String,
    },
    /// A row of a database without an encoding (`SQL_ASCII`) is no JSON. A write did not happen.
    #[error(
        "a row has bytes that are not UTF-8, so it cannot be JSON, and nothing was written; correct it, or leave its column \
         out of the table"
    )]
    Encoding,
    /// The database refused the statement.
    #[error("{0}")]
    Rejected(Box<Rejection>),
}

/// The database's answer to a statement that it refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
pub struct Rejection {
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// The remedy.
    pub hint: Option<String>,
    /// The constraint that it is about.
    pub constraint: Option<String>,
}

impl Error {
    /// Returns true if the same request succeeds once database and table are as they should be.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. } | Error::Refused { .. } | Error::Table { .. })
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Error {
        Error::Unavailable { reason: reason.into(), undone: false }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Error {
        Error::Refused { reason: reason.into() }
    }

    pub(crate) fn table(table: &str, reason: impl Into<String>) -> Error {
        Error::Table { table: table.to_owned(), reason: reason.into() }
    }

    pub(crate) fn key(table: &str, reason: impl Into<String>) -> Error {
        Error::Key { table: table.to_owned(), reason: reason.into() }
    }

    pub(crate) fn values(table: &str, reason: impl Into<String>) -> Error {
        Error::Values { table: table.to_owned(), reason: reason.into() }
    }

    /// The same after a write was sent: what ended the connection says nothing about the write.
    pub(crate) fn after_write(self) -> Error {
        match self {
            Error::Unavailable { reason, undone: false } => Error::Unknown { reason },
            other => other,
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Error {
        let Some(reply) = error.as_db_error() else {
            let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
            return Error::unavailable(format!("{error}{source}"));
        };
        if passes(reply) {
            // The end of the session may have come after the commit.
            return Error::Unavailable { reason: reply.message().to_owned(), undone: !is_fatal(reply) };
        }
        // A parameter is UTF-8, and may have a zero, which no row has.
        if *reply.code() == SqlState::CHARACTER_NOT_IN_REPERTOIRE && !reply.message().ends_with("0x00") {
            return Error::Encoding;
        }
        Error::Rejected(Box::new(Rejection {
            code: reply.code().code().to_owned(),
            message: reply.message().to_owned(),
            detail: reply.detail().map(str::to_owned),
            hint: reply.hint().map(str::to_owned),
            constraint: reply.constraint().map(str::to_owned),
        }))
    }
}

/// Returns true if the same statement may succeed later, without a change of its own.
fn passes(reply: &DbError) -> bool {
    let ended = is_fatal(reply);
    let wrong_login = reply.code().code().starts_with("28") || *reply.code() == SqlState::INVALID_CATALOG_NAME;
    // Classes: lack of resources, intervention of an operator, an error of the system; a time-out is in the second.
    let class = ["53", "57", "58", "08"].iter().any(|class| reply.code().code().starts_with(class));
    (ended && !wrong_login) || class || *reply.code() == SqlState::LOCK_NOT_AVAILABLE
}

fn is_fatal(reply: &DbError) -> bool {
    matches!(reply.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}
