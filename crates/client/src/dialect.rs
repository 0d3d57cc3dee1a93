//! The protocol that a client speaks, as far as its messages on their way out are concerned.

use crate::protocol::{self, Token};
use crate::stomp;
use switchboard_wire::stomp::Version;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Native,
    Stomp(Version),
}

impl Dialect {
    /// Appends a message. `lines` are header lines, which STOMP alone has.
    #[inline]
    pub(crate) fn message(self, channel: &[u8], lines: &[u8], data: &[u8], out: &mut Vec<u8>) {
        match self {
            Dialect::Native => protocol::message(channel, data, out),
            Dialect::Stomp(version) => stomp::send(version, channel, lines, data, out),
        }
    }

    /// Asks for an answer behind everything that was sent before.
    pub(crate) fn barrier(self, token: Token, number: u64, out: &mut Vec<u8>) {
        match self {
            Dialect::Native => protocol::barrier(token, number, out),
            Dialect::Stomp(version) => stomp::barrier(token, number, version, out),
        }
    }

    /// Counts the whole messages in the first `written` bytes of `messages`, and returns where they end.
    pub(crate) fn whole(self, messages: &[u8], written: usize) -> (u64, usize) {
        match self {
            Dialect::Native => protocol::whole(messages, written),
            Dialect::Stomp(version) => stomp::whole(version, messages, written),
        }
    }

    /// The lengths of the first message's name and data.
    pub(crate) fn first_lengths(self, messages: &[u8]) -> (usize, usize) {
        match self {
            Dialect::Native => protocol::first_lengths(messages),
            Dialect::Stomp(version) => {
                let (name, data, _) = stomp::first_lengths(version, messages);
                (name, data)
            }
        }
    }

    /// The size of the first of `messages`.
    pub(crate) fn first(self, messages: &[u8]) -> usize {
        match self {
            Dialect::Native => protocol::first(messages),
            Dialect::Stomp(version) => stomp::first_lengths(version, messages).2,
        }
    }
}
