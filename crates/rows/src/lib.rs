//! A coherent cache of PostgreSQL rows. The README says what works, and what is missing.

pub mod cache;

#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod database;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod feed;
#[cfg(not(loom))]
pub mod http;
#[cfg(not(loom))]
mod postgres;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod query;
#[cfg(not(loom))]
mod rows;
#[cfg(not(loom))]
mod scratch;
#[cfg(not(loom))]
mod table;

#[cfg(not(loom))]
pub use database::{Database, Identity, Token};
#[cfg(not(loom))]
pub use error::{Error, Rejection};
#[cfg(not(loom))]
pub use feed::{Change, ChangeListener, Subscription};
#[cfg(not(loom))]
pub use postgres::{PostgresOptions, PrivatePostgres};
#[cfg(not(loom))]
pub use rows::{
    Changes, ColumnInfo, Conditional, Consistency, DisabledParts, EventId, Metrics, Options, Read, Refresh, RowCache,
    RowChange, Source, Status, TableInfo, TableStatus, Written, WrittenRows,
};
#[cfg(not(loom))]
pub use scratch::ScratchDatabase;
#[cfg(not(loom))]
pub use table::{Key, TableSpec, row_tag, triggers};
