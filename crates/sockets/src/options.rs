use crate::Error;
use std::time::Duration;
use switchboard_wire::zmtp::{Limits, Security};

/// What can be chosen about a socket, before it is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many messages may wait for one peer; default 1,000, and 0 is no limit. What is being written at the
    /// moment is not counted. Beyond it a PUB drops for this peer, a PUSH waits.
    pub send_hwm: usize,
    /// How many bytes may wait for one peer; default 32 MiB, and 0 is no limit. One message of any legal size may go over it.
    pub send_bytes: usize,
    /// How many messages of one peer may wait to be received; default 1,000, and 0 is no limit. Then it is not read, until half of
    /// them are taken. What one read brings may go over it.
    pub recv_hwm: usize,
    /// How many bytes of one peer may wait to be received; default 32 MiB, and 0 is no limit. As above.
    pub recv_bytes: usize,
    /// How long a socket that was closed or dropped still tries to send what was accepted; default 30 s.
    pub linger: Duration,
    /// The pause before a connection is tried again; default 100 ms. Up to one half is left out at random, so
    /// that many sockets do not come back in step.
    pub reconnect: Duration,
    /// With it the pause doubles at each failure, up to this; default: always the same pause.
    pub reconnect_max: Option<Duration>,
    /// How long making a connection may take; default 5 s.
    pub connect_timeout: Duration,
    /// How long the handshake may take; default 30 s.
    pub handshake_timeout: Duration,
    /// Asks peers from time to time whether they are there; default: not at all. Peers of ZMTP 3.0 are not asked,
    /// for some know no such question. Questions are answered in any case.
    pub heartbeat: Option<Heartbeat>,
    /// Keeps only the newest message of each peer, for messages of one part; default `false`.
    pub conflate: bool,
    /// XPUB: tells of every subscription, not only of the first to a prefix; default `false`.
    pub verbose: bool,
    /// How it shows who it is; default NULL: not at all.
    pub security: Security,
    /// What it is called, at most 255 bytes; default nothing. Peers of these types do not use it.
    pub identity: Vec<u8>,
    /// The longest message, in bytes, to send and to receive; default 64 MiB. A peer that sends a longer one is disconnected.
    pub max_message: usize,
    /// The most parts of a message; default 1,024.
    pub max_parts: usize,
    /// How many bytes one peer's subscriptions may take, each counted as its prefix and 64 bytes; default 16 MiB. A peer with
    /// more is disconnected.
    pub max_subscriptions: usize,
    /// How many peers may be connected to the bound endpoints of the socket; default 10,000. Others are refused.
    pub max_connections: usize,
    /// Where I/O runs; default [`Place::Current`].
    pub driver: Place,
}

/// When to ask, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Between two questions.
    pub interval: Duration,
    /// How long an answer, or anything else, may take.
    pub timeout: Duration,
    /// Tells the peer to take us for dead after so long without a word; in steps of 100 ms, at most 6,553 s.
    pub ttl: Option<Duration>,
}

impl Heartbeat {
    /// Asks every `interval`, and waits as long for an answer.
    #[must_use]
    pub fn every(interval: Duration) -> Heartbeat {
        Heartbeat { interval, timeout: interval, ttl: None }
    }
}

/// Where a socket's I/O runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
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
            driver: Place::Current,
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
            let problem = "it would never rest";
            let error = || Error::Option { option, value: "0".into(), problem };
            if time.is_zero() { Err(error()) } else { Ok(()) }
        };
        not_zero("reconnect", self.reconnect)?;
        self.heartbeat.map_or(Ok(()), |beat| not_zero("heartbeat: interval", beat.interval))
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { message: self.max_message, parts: self.max_parts, ..Limits::default() }
    }
}

/// A bound on what waits, in messages and in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    messages: usize,
    bytes: usize,
}

impl Bound {
    /// 0 is no limit.
    pub(crate) fn new(messages: usize, bytes: usize) -> Bound {
        let limit = |value| if value == 0 { usize::MAX } else { value };
        Bound { messages: limit(messages), bytes: limit(bytes) }
    }

    /// Whether one more may be added to so much.
    #[inline]
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        messages < self.messages && bytes < self.bytes
    }

    /// Whether so little is left that who waits for room should be woken: at every message it would be too often.
    #[inline]
    pub(crate) fn is_low(&self, messages: usize, bytes: usize) -> bool {
        messages <= self.messages / 2 && bytes <= self.bytes / 2
    }

    /// After how many messages to tell that they were taken.
    pub(crate) fn step(&self) -> usize {
        (self.messages / 4).clamp(1, 256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_has_room_below_it_and_is_low_at_half_of_it() {
        let bound = Bound::new(10, 100);
        assert!(bound.has_room(9, 99) && !bound.has_room(10, 0) && !bound.has_room(0, 100));
        assert!(bound.is_low(5, 50) && !bound.is_low(6, 0) && !bound.is_low(0, 51));
        assert!(Bound::new(0, 0).has_room(usize::MAX - 1, usize::MAX - 1));
        let one = Bound::new(1, 1);
        assert!(one.has_room(0, 0) && !one.has_room(1, 0) && one.is_low(0, 0));
        assert_eq!([1, 7, 8, 1000, 2000, 0].map(|messages| Bound::new(messages, 0).step()), [1, 1, 2, 250, 256, 256]);
    }

    #[test]
    fn options_that_cannot_be_are_named() {
        let named = |length| Options { identity: vec![b'x'; length], ..Options::default() };
        assert!(named(255).check().is_ok());
        let error = named(256).check().unwrap_err().to_string();
        assert_eq!(error, "the option identity cannot be 256 bytes long: at most 255 bytes are allowed");
        let plain = |length| Options { security: Security::plain("me", vec![0; length]), ..Options::default() };
        assert!(plain(255).check().is_ok() && plain(256).check().is_err());
        let beat = |time| Options { heartbeat: Some(Heartbeat::every(time)), ..Options::default() };
        assert!(beat(Duration::from_nanos(1)).check().is_ok() && beat(Duration::ZERO).check().is_err());
    }
}
