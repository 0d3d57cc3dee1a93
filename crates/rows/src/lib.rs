//! A coherent cache of PostgreSQL rows. The README says what works, and what is missing.

pub mod cache;

#[cfg(all(feature = "service", not(loom)))]
mod clock;
#[cfg(all(feature = "service", not(loom)))]
mod database;
#[cfg(all(feature = "service", not(loom)))]
mod error;
#[cfg(all(feature = "service", not(loom)))]
mod feed;
#[cfg(all(feature = "service", not(loom)))]
pub mod http;
#[cfg(all(feature = "service", not(loom)))]
mod postgres;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod query;
#[cfg(not(loom))]
mod quote;
#[cfg(all(feature = "service", not(loom)))]
mod rows;
#[cfg(all(feature = "service", not(loom)))]
mod scratch;
#[cfg(all(feature = "service", not(loom)))]
mod table;

#[cfg(all(feature = "service", not(loom)))]
pub use database::{Database, Identity, Token};
#[cfg(all(feature = "service", not(loom)))]
pub use error::{Error, Rejection};
#[cfg(all(feature = "service", not(loom)))]
pub use feed::{Change, ChangeListener, Subscription};
#[cfg(all(feature = "service", not(loom)))]
pub use postgres::{PostgresOptions, PrivatePostgres};
#[cfg(all(feature = "service", not(loom)))]
pub use rows::{
    Changes, ColumnInfo, Conditional, Consistency, DisabledParts, EventId, Metrics, Options, Read, Refresh, RowCache,
    RowChange, Source, Status, TableInfo, TableStatus, Written, WrittenRows,
};
#[cfg(all(feature = "service", not(loom)))]
pub use scratch::ScratchDatabase;
#[cfg(all(feature = "service", not(loom)))]
pub use table::{Events, Key, TableSpec, row_tag, triggers};
