//! Connections to the database, and which database it is.

mod address;
mod identity;
mod pool;
mod session;
mod tls;

pub use address::Database;
pub use identity::{Identity, Token};
pub(crate) use pool::Pool;
pub(crate) use session::{Link, Parameter, Session, checked, identify, pooled, settings};
