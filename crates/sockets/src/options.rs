use crate::Error;
use std::time::Duration;
use switchboard_wire::zmtp::{Limits, Security};

/// The settings of a socket. They are given when it is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The send high-water mark: how many messages may wait for one peer. Default 1,000; 0 is no limit. What is being written
    /// is not counted. Beyond it a PUB drops for this peer, and a PUSH waits.
    pub send_hwm: usize,
    /// Maximum number of bytes that wait for one peer. Default 32 MiB; 0 is no limit. One message of any legal size may exceed it.
    pub send_bytes: usize,
    /// The receive high-water mark: how many messages of one peer may wait to be received. Default 1,000; 0 is no limit. Beyond it
    /// the peer is not read until half of them are taken. One read may exceed it.
    pub recv_hwm: usize,
    /// Maximum number of one peer's bytes that wait to be received. Default 32 MiB; 0 is no limit. One read may exceed it.
    pub recv_bytes: usize,
    /// Time for which a closed or dropped socket still tries to send accepted messages. Default 30 s.
    pub linger: Duration,
    /// The pause before a connection is tried again. Default 100 ms. A random part of up to one half is left out, so
    /// that many sockets do not come back in step.
    pub reconnect: Duration,
    /// The pause doubles with each failure, up to this maximum. Default: it stays the same.
    pub reconnect_max: Option<Duration>,
    /// Time limit for the lookup of a name, and for connecting to each of its addresses. Default 5 s.
    pub connect_timeout: Duration,
    /// Time limit for the handshake. Default 30 s.
    pub handshake_timeout: Duration,
    /// Probes peers that are silent. Default: none are probed. Peers of ZMTP 3.0 are never probed, because some of them do not know
    /// PING. A peer's own PINGs are always answered.
    pub heartbeat: Option<Heartbeat>,
    /// Keeps only the newest message of each peer, for messages of one part. Default `false`.
    pub conflate: bool,
    /// XPUB: reports every subscription, not only the first one to a prefix. Default `false`.
    pub verbose: bool,
    /// The mechanism by which the socket and its peers authenticate. Default NULL: they do not.
    pub security: Security,
    /// The identity that peers are told, at most 255 bytes. Default: empty. Peers of these types do not use it.
    pub identity: Vec<u8>,
    /// The longest message in bytes, to send and to receive. Default 64 MiB. A peer that sends a longer one is disconnected.
    pub max_message: usize,
    /// The most parts of a message. Default 1,024.
    pub max_parts: usize,
    /// Maximum number of bytes of one peer's subscriptions, each counted as its prefix and 256 bytes. Default 16 MiB. A peer with
    /// more is disconnected.
    pub max_subscriptions: usize,
    /// Maximum number of peers that are connected to the socket's bound endpoints. Default 10,000. Others are refused.
    pub max_connections: usize,
    /// The runtime of the I/O. Default [`Runtime::Current`].
    pub runtime: Runtime,
}

/// When to probe a peer, and when to give it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Between two PINGs.
    pub interval: Duration,
    /// Time limit for an answer, or any other data. It starts when the last byte of the PING is written. Choose it longer
    /// than what the kernels' buffers, some MB, take on the link.
    pub timeout: Duration,
    /// Asks the peer to give us up after so long a silence; in steps of 100 ms, at most 6,553 s.
    pub ttl: Option<Duration>,
}

impl Heartbeat {
    /// Probes every `interval`, and waits as long for an answer.
    #[must_use]
    pub fn every(interval: Duration) -> Heartbeat {
        Heartbeat { interval, timeout: interval, ttl: None }
    }
}

/// The runtime of a socket's I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// On the tokio runtime that the socket is made in, if there is one; else as `Shared`.
    #[default]
    Current,
    /// On one thread that all such sockets of the process share.
    Shared,
}

const MIB: usize = 1 << 20;

impl Default for Options {
    fn default() -> Options {
        let limits = Limits::default();
        Options {
            send_hwm: 1000,
            send_bytes: 32 * MIB,
            recv_hwm: 1000,
            recv_bytes: 32 * MIB,
            linger: Duration::from_secs(30),
            reconnect: Duration::from_millis(100),
            reconnect_max: None,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(30),
            heartbeat: None,
            conflate: false,
            verbose: false,
            security: Security::Null,
            identity: Vec::new(),
            max_message: limits.message,
            max_parts: limits.parts,
            max_subscriptions: 16 * MIB,
            max_connections: 10_000,
            runtime: Runtime::Current,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let at_most_255 = |option, bytes: &[u8]| {
            let problem = "at most 255 bytes are allowed";
            let error = || Error::Option { option, value: format!("{} bytes long", bytes.len()), problem };
            if bytes.len() > 255 { Err(error()) } else { Ok(()) }
        };
        at_most_255("identity", &self.identity)?;
        if let Security::PlainClient { username, password } = &self.security {
            at_most_255("security: username", username)?;
            at_most_255("security: password", password)?;
        }
        let not_zero = |option, time: Duration| {
            let problem = "it must be longer than 0";
            let error = || Error::Option { option, value: "0".into(), problem };
            if time.is_zero() { Err(error()) } else { Ok(()) }
        };
        not_zero("reconnect", self.reconnect)?;
        self.heartbeat.map_or(Ok(()), |heartbeat| not_zero("heartbeat: interval", heartbeat.interval))
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { message: self.max_message, parts: self.max_parts, ..Limits::default() }
    }
}

/// A limit on what waits, in messages and in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HighWaterMark {
    messages: usize,
    bytes: usize,
}

impl HighWaterMark {
    /// 0 is no limit.
    pub(crate) fn new(messages: usize, bytes: usize) -> HighWaterMark {
        let limit = |value| if value == 0 { usize::MAX } else { value };
        HighWaterMark { messages: limit(messages), bytes: limit(bytes) }
    }

    /// Returns true if one more may be added to so much.
    #[inline]
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        messages < self.messages && bytes < self.bytes
    }

    /// Returns true if those who wait for room should be woken: at half of it, because every message would be too often.
    #[inline]
    pub(crate) fn is_low(&self, messages: usize, bytes: usize) -> bool {
        messages <= self.messages / 2 && bytes <= self.bytes / 2
    }

    /// Returns true if nothing is limited.
    pub(crate) fn is_none(&self) -> bool {
        (self.messages, self.bytes) == (usize::MAX, usize::MAX)
    }

    /// After how many messages a receiver reports that they were taken.
    pub(crate) fn step(&self) -> usize {
        (self.messages / 4).clamp(1, 256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_water_mark_has_room_below_it_and_is_low_at_half_of_it() {
        let mark = HighWaterMark::new(10, 100);
        assert!(mark.has_room(9, 99) && !mark.has_room(10, 0) && !mark.has_room(0, 100));
        assert!(mark.is_low(5, 50) && !mark.is_low(6, 0) && !mark.is_low(0, 51));
        assert!(HighWaterMark::new(0, 0).has_room(usize::MAX - 1, usize::MAX - 1));
        assert!(HighWaterMark::new(0, 0).is_none());
        assert!(!HighWaterMark::new(1, 0).is_none() && !HighWaterMark::new(0, 1).is_none());
        let one = HighWaterMark::new(1, 1);
        assert!(one.has_room(0, 0) && !one.has_room(1, 0) && one.is_low(0, 0));
        assert_eq!(
            [1, 7, 8, 1000, 2000, 0].map(|messages| HighWaterMark::new(messages, 0).step()),
            [1, 1, 2, 250, 256, 256]
        );
    }

    #[test]
    fn options_that_cannot_be_are_named() {
        let named = |length| Options { identity: vec![b'x'; length], ..Options::default() };
        assert!(named(255).check().is_ok());
        let error = named(256).check().unwrap_err().to_string();
        assert_eq!(error, "the option identity cannot be 256 bytes long: at most 255 bytes are allowed");
        let plain = |length| Options { security: Security::plain("me", vec![0; length]), ..Options::default() };
        assert!(plain(255).check().is_ok() && plain(256).check().is_err());
        let heartbeat = |time| Options { heartbeat: Some(Heartbeat::every(time)), ..Options::default() };
        assert!(heartbeat(Duration::from_nanos(1)).check().is_ok() && heartbeat(Duration::ZERO).check().is_err());
    }
}
