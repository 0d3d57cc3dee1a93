//! PostgREST's dialect of filters, orders and pages, as a pure parser to SQL.
//!
//! | step | from | to |
//! |---|---|---|
//! | [`Query::parse`] | a query string | columns, filters, order and page of one [`Relation`] |
//! | [`Preferences::parse`] | a `Prefer` header | what the reply holds, and what a conflict does |
//! | [`Statement`] | both | SQL and its parameters |
//!
//! # Invariants
//!
//! - An identifier in SQL is one of the [`Relation`], which the catalogue describes. A client's text only selects it.
//! - A client's value is a parameter, never a part of the SQL.

mod body;
mod error;
mod filter;
mod hstore;
mod insert;
mod logic;
mod pairs;
mod parse;
mod prefer;
mod relation;
mod statement;
mod values;

pub use body::Payload;
pub use error::QueryError;
pub use filter::{Filter, Operator, Truth};
pub use logic::{Condition, Group, Join, MAX_CONDITIONS, MAX_DEPTH};
#[cfg(feature = "service")]
pub(crate) use pairs::{check_repeated, pairs};
pub use parse::{Order, Query, Selected};
pub use prefer::{Missing, Preferences, Resolution, Return};
pub use relation::{Column, ColumnId, Relation};
#[cfg(feature = "service")]
pub(crate) use statement::{COMPUTED, NONE, TOO_MANY};
pub use statement::{Page, Returned, Statement, Target};
pub use values::{list_of, quoted};
