//! Entries: all that an outbox is given to write.

use crate::stomp::StompError;
use crate::stomp::framing::Signal;
use crate::stomp::header_lines::HeaderLines;
use bytes::Bytes;
use std::sync::Arc;
use switchboard_broker::{Batch, SubscriptionId};
use switchboard_wire::stomp::Version;

/// Something to write.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A MESSAGE frame for each message.
    Messages {
        /// Which subscription, and its header line.
        subscription: (SubscriptionId, Arc<[u8]>),
        /// The channel that they come from.
        channel: Bytes,
        batch: Batch,
        /// The lines of its headers, if they are large.
        headers: Option<Arc<HeaderLines>>,
        /// The first message's; the others' follow it by one.
        tag: Option<u64>,
        redelivered: bool,
    },
    /// A RECEIPT frame for each of the bodies, before what was not begun; or an [error](StompError::of_receipt) in their place.
    Receipts(Batch),
    /// An ERROR for each of the bodies, which name receipts, why, and the bytes to report. The session goes on.
    Rejected(Batch, String, usize),
    /// The subscription has ended: its topics' messages that were not begun are not written.
    Ended(SubscriptionId),
    /// Packed bytes that are not written, and count as if they were.
    Skipped(usize),
    /// A frame that goes before everything else. The version is that of all frames from now on.
    Connected(Version, Vec<u8>),
    /// A line end, before everything else.
    Beat,
    /// An ERROR, in place of all messages. Nothing comes behind it.
    Error(StompError),
    /// A signal of WebSocket alone.
    WebSocket(Signal),
}

impl Entry {
    /// Packed bytes that it stands for.
    pub(super) fn packed(&self) -> usize {
        match self {
            Entry::Messages { batch, .. } => batch.bytes(),
            &Entry::Skipped(packed) => packed,
            _ => 0,
        }
    }
}
