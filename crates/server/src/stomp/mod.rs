//! STOMP: frames to commands ([`Session`]), and events to frames ([`Outbox`]). No input and output is done here.

mod destination;
mod error;
mod framing;
mod header_lines;
mod heartbeat;
mod ledger;
mod outbox;
mod session;

pub use destination::is_stomp_queue;
pub(crate) use error::StompError;
pub(crate) use framing::{Framing, GOING_AWAY, NORMAL, Signal};
pub(crate) use header_lines::SharedLines;
pub(crate) use heartbeat::{Beat, Heartbeat};
pub(crate) use ledger::Ledger;
pub(crate) use outbox::{AllAhead, Entry, Outbox};
pub(crate) use session::{AllTransactions, Session};
