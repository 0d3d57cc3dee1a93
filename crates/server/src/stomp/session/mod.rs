//! One connection's frames become commands.

mod acks;
mod connect;
mod durable;
mod frames;
mod input;
mod refused;
mod send;
mod subscribe;
#[cfg(test)]
mod tests;
mod times;
mod transactions;

use super::{Heartbeat, Ledger, StompError};
use crate::sync::Mutex;
use bytes::Bytes;
use input::{IN_SMALL, Tail};
use send::Run;
use std::collections::HashMap;
use std::sync::Arc;
use subscribe::Subscription;
use switchboard_broker::{Command, ConnectionId, Limits, Time};
use switchboard_wire::stomp::{self, Decoder, Version};
use times::Epoch;
pub(crate) use transactions::AllTransactions;
use transactions::Transactions;

/// The error of a SEND, or of a COMMIT with one, while the broker drains.
const DRAINING: &str = "the broker is shutting down: neither this frame nor what stands behind it is carried out, and unacked messages go back";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// CONNECT is due.
    Connecting,
    Open,
    Ended,
}

/// One connection's bytes become commands.
///
/// For each read, a driver
/// 1. may put bytes straight into [`Session::spare`] and report them with [`Session::filled`],
/// 2. passes all others to [`Session::received_up_to`], which must be called in either case, and
/// 3. calls [`Session::resume`] while [`Session::has_backlog`], and reads nothing more until then.
///
/// It carries out the commands after each call, writes [`Session::take_reply`], and stops while the broker has paused the
/// connection. After an error it writes that as the last frame.
#[derive(Debug)]
pub(crate) struct Session {
    connection: ConnectionId,
    state: State,
    /// The newest version that may be agreed on.
    newest: Version,
    version: Version,
    decoder: Decoder,
    /// The longest destination, in bytes.
    channel_name: usize,
    tail: Tail,
    /// Received bytes not looked at yet, behind `backlog_at`.
    backlog: Vec<u8>,
    backlog_at: usize,
    /// The size of the last [`Command::Reserve`].
    reserved: usize,
    epoch: Epoch,
    ledger: Arc<Mutex<Ledger>>,
    subscriptions: HashMap<Box<[u8]>, Subscription>,
    next_subscription: u32,
    /// The `client-id` of CONNECT, in whose name durable subscriptions are.
    client: Option<Box<[u8]>>,
    /// Bytes of the names of the subscriptions and of the client.
    subscription_bytes: usize,
    /// Takes from a queue without acks.
    is_consumer: bool,
    /// SEND frames that become one command. In a box, for most connections are idle.
    run: Option<Box<Run>>,
    /// Bytes of the input from the frame at hand on.
    ahead: usize,
    transactions: Transactions,
    reply: Option<(Version, Vec<u8>)>,
    heartbeat: Option<Heartbeat>,
    /// Persistent messages so far.
    persistent: u64,
    /// CONNECT has named a login or a passcode.
    names_login: bool,
    /// The broker drains: a SEND ends the session.
    takes_no_sends: bool,
}

impl Session {
    /// A session whose peer has sent nothing yet, at the broker's present time.
    pub(crate) fn new(
        connection: ConnectionId,
        now: Time,
        limits: &Limits,
        ledger: Arc<Mutex<Ledger>>,
        all: Arc<AllTransactions>,
    ) -> Session {
        let frames = stomp::Limits { body: limits.message, ..stomp::Limits::default() };
        Session {
            connection,
            state: State::Connecting,
            newest: Version::V1_2,
            version: Version::V1_0,
            decoder: Decoder::new(frames),
            channel_name: limits.channel_name,
            tail: Tail::default(),
            backlog: Vec::new(),
            backlog_at: 0,
            reserved: 0,
            epoch: Epoch::new(now),
            ledger,
            subscriptions: HashMap::new(),
            next_subscription: 0,
            client: None,
            subscription_bytes: 0,
            is_consumer: false,
            run: None,
            ahead: 0,
            transactions: Transactions::new(limits.memory, all),
            reply: None,
            heartbeat: None,
            persistent: 0,
            names_login: false,
            takes_no_sends: false,
        }
    }

    /// The same, which agrees on no newer version than this.
    pub(crate) fn up_to(self, newest: Version) -> Session {
        Session { newest, ..self }
    }

    /// Whether bytes of a client begin a STOMP session: neither a native client nor one of another protocol that is recognized
    /// begins so.
    pub(crate) fn begins_with(first: &[u8]) -> bool {
        let begins = |command: &[u8]| first.iter().zip(command).all(|(one, other)| one == other);
        match first {
            [_, ..] if IN_SMALL.iter().any(|command| begins(command)) => true,
            [b'C' | b'\n' | b'\r', ..] | [b'S' | b'A' | b'N' | b'B' | b'U' | b'D'] => true,
            // STOMP, and the commands that may only follow it: the client is told.
            [one, two, ..] => {
                [*b"ST", *b"SE", *b"SU", *b"AC", *b"AB", *b"NA", *b"BE", *b"UN", *b"DI"].contains(&[*one, *two])
            }
            _ => false,
        }
    }

    /// The broker drains: the next SEND is refused, and with it all that stands behind it. Acks before it count.
    pub(crate) fn refuse_sends(&mut self) {
        self.takes_no_sends = true;
    }

    /// Fails if the broker drains. An ack behind a message that is not taken must not count: its job would be lost with
    /// its result.
    fn check_drain(&self) -> Result<(), StompError> {
        if self.takes_no_sends { Err(StompError::new(DRAINING)) } else { Ok(()) }
    }

    /// Whether the peer has sent its CONNECT.
    pub(crate) fn is_begun(&self) -> bool {
        self.state != State::Connecting
    }

    /// Whether the peer has ended the session. Nothing that follows means anything.
    pub(crate) fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether the peer takes from a queue and acks nothing.
    pub(crate) fn is_consumer(&self) -> bool {
        self.is_consumer
    }

    /// The answer to CONNECT, once, and the version of all frames from now on.
    pub(crate) fn take_reply(&mut self) -> Option<(Version, Vec<u8>)> {
        self.reply.take()
    }

    /// The agreed heart-beats, if any.
    pub(crate) fn heartbeat(&mut self) -> Option<&mut Heartbeat> {
        self.heartbeat.as_mut()
    }

    /// Persistent messages that the peer has sent so far: they are kept in memory like all others.
    pub(crate) fn persistent(&self) -> u64 {
        self.persistent
    }

    /// Whether the peer has named a login or a passcode, which are not checked.
    pub(crate) fn names_login(&self) -> bool {
        self.names_login
    }

    /// The peer has shut its side down, as if with DISCONNECT: what it sent is carried out, and receipts reach it.
    pub(crate) fn shut_down(&mut self, commands: &mut Vec<Command>) {
        if self.state == State::Open && self.missing() == 0 {
            self.end(commands);
            commands.push(Command::Finish);
        }
    }

    /// Requeues unacked messages before the connection ends, and drops transactions.
    fn end(&mut self, commands: &mut Vec<Command>) {
        self.state = State::Ended;
        self.ledger.lock().finish();
        self.transactions.clear();
        self.subscription_bytes = 0;
        let mut ended: Vec<_> = self.subscriptions.drain().map(|(_, subscription)| subscription.id).collect();
        ended.sort_unstable();
        commands.extend(ended.into_iter().map(|subscription| Command::Unsubscribe { subscription }));
    }

    /// A name of the broker that is no longer than such a name may be.
    fn limited(&self, what: &str, name: Bytes) -> Result<Bytes, StompError> {
        let (length, limit) = (name.len(), self.channel_name);
        if length > limit {
            return Err(StompError::new(format!(
                "a {what} of {length} bytes is over the limit of {limit} (limit: channel-name)"
            )));
        }
        Ok(name)
    }

    fn require(&self, version: Version, command: &str) -> Result<(), StompError> {
        if self.version < version {
            return Err(StompError::new(format!(
                "{command} is of version {version}; this session is of {}",
                self.version
            )));
        }
        Ok(())
    }
}
