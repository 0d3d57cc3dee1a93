//! The change feed: notifications in the order in which the database sent them.

mod connection;
mod event;
mod listener;

pub(crate) use connection::Feed;
pub(crate) use event::Event;
pub use listener::{Change, ChangeListener, Subscription};
