//! Log lines that are noted under the lock, and logged behind it.

use super::slow::SlowLine;
use crate::log::{LogQuota, allows};
use bytes::Bytes;
use switchboard_broker::{ConnectionId, PauseReason, Refusal};
use switchboard_driver::quantity::plural;

/// A log line about the flow of messages.
pub(super) enum Line {
    Paused(ConnectionId, PauseReason),
    Resumed(ConnectionId),
    Slow(SlowLine),
    Rejected(ConnectionId, usize, Bytes, Refusal),
}

/// Lines that one turn under the lock may leave: the quota allows fewer a second.
pub(super) const LINES: usize = 64;

impl Line {
    pub(super) fn log(self, quota: &LogQuota) {
        match self {
            Line::Paused(id, reason) if allows!(quota, Flow, info) => {
                tracing::info!(connection = id.0, "paused: {reason}");
            }
            Line::Resumed(id) if allows!(quota, Coming, debug) => tracing::debug!(connection = id.0, "resumed"),
            Line::Slow(line) if allows!(quota, Slow, warn) => line.log(),
            Line::Rejected(id, messages, channel, refusal) if allows!(quota, Limit, warn) => {
                let messages = plural(messages, "message");
                tracing::warn!(connection = id.0, "rejected {messages} to {}: {refusal}", channel.escape_ascii());
            }
            Line::Paused(..) | Line::Resumed(_) | Line::Slow(_) | Line::Rejected(..) => {}
        }
    }
}
