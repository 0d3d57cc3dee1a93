//! Reports over ZeroMQ, from a publisher that connects.
//!
//! A publisher drops what nobody has subscribed to, and so would lose all before the collector comes. This one is
//! an XPUB, which hears of subscriptions, and sends only while the collector is there; until then reports wait.

use super::backlog::Backlog;
use super::{Error, Options};
use std::sync::Arc;
use std::time::Duration;
use switchboard_sockets::{Endpoint, Event, Heartbeat, Options as SocketOptions, Security, XPub};

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// A collector that has gone without a word is found after so long, twice.
const ASK: Duration = Duration::from_secs(5);

/// The collector looks at the password only.
const USER: &[u8] = b"agent";

#[derive(Debug)]
pub(crate) struct Sink {
    endpoint: String,
    options: SocketOptions,
}

impl Sink {
    pub(crate) fn new(options: &Options) -> Result<Sink, Error> {
        if options.collector.parse::<Endpoint>().is_err() {
            return Err(Error::Address { address: options.collector.clone() });
        }
        let endpoint = options.collector.clone();
        let security = options.token.as_ref().map_or(Security::Null, |token| Security::PlainClient {
            username: USER.into(),
            password: token.as_bytes().to_vec(),
        });
        let options = SocketOptions {
            // What is handed over just before a connection is seen to break.
            send_hwm: options.backlog,
            linger: options.linger,
            reconnect: SHORTEST,
            reconnect_max: Some(LONGEST),
            heartbeat: Some(Heartbeat::every(ASK)),
            security,
            ..SocketOptions::default()
        };
        Ok(Sink { endpoint, options })
    }

    /// Delivers until the backlog ends.
    pub(crate) async fn run(self, backlog: Arc<Backlog>) {
        if let Err(error) = self.deliver(&backlog).await {
            backlog.problem(error.to_string());
        }
    }

    async fn deliver(self, backlog: &Backlog) -> Result<(), switchboard_sockets::Error> {
        let mut socket = XPub::with(self.options)?;
        let mut events = socket.events();
        socket.connect(&self.endpoint)?;
        let (mut there, mut subscribed) = (false, false);
        loop {
            tokio::select! {
                // An end of the connection first: what is kept here is the latest, what is handed over the oldest.
                biased;
                event = events.next() => match event {
                    Some(Event::HandshakeSucceeded { .. }) => there = true,
                    Some(Event::Disconnected { reason, .. }) => {
                        there = false;
                        backlog.problem(reason);
                    }
                    Some(Event::ConnectFailed { reason, .. } | Event::HandshakeFailed { reason, .. }) => {
                        backlog.problem(reason);
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                message = socket.recv() => subscribed = message?.data().first() == Some(&1),
                report = backlog.next(1), if there && subscribed => match report {
                    Some((line, count)) => {
                        socket.send(line.trim_end()).await?;
                        backlog.done(count, None);
                    }
                    None => break,
                },
            }
        }
        let closed = socket.close().await;
        if let Err(switchboard_sockets::Error::Unsent { messages }) = &closed {
            backlog.unsent(*messages as u64);
        }
        closed
    }
}
