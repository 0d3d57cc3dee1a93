//! The rest of the crate's knowledge of STOMP: frames of a client, what CONNECTED agrees on, and receipts.

mod acks;
mod connect;
mod frames;

pub(crate) use acks::{Acks, Settled};
pub(crate) use connect::{Agreed, Failure, Handshake, Refused, is_passing, shown};
pub(crate) use frames::{ReceiptId, Subscribing, unsubscribe};
pub(crate) use frames::{
    barrier, disconnect, first_lengths, first_receipt, is_expressible, mark, mark_each, receipt, send, subscribe,
    whole, without,
};

use switchboard_wire::stomp::Limits;

/// Bounds of what a server sends; `body` bytes of a message.
pub(crate) fn limits(body: usize) -> Limits {
    Limits { headers: 1024, line: 64 << 10, body }
}
