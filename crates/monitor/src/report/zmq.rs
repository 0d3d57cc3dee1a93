//! Reports over ZeroMQ, from a publisher that connects.
//!
//! A publisher drops what nobody has subscribed to, and so would lose all before the collector comes. This one is
//! an XPUB, which hears of subscriptions, and sends only while the collector is there; until then reports wait.

use super::backlog::Backlog;
use super::{Error, Options};
use std::sync::Arc;
use std::time::Duration;
use switchboard_sockets::{Endpoint, Event, Heartbeat, Options as SocketOptions, Security, XPub};
use tokio::time::sleep;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// A collector that has gone without a word is found after so long, twice.
const ASK: Duration = Duration::from_secs(5);

/// Bytes of a password of PLAIN, at most.
const TOKEN: usize = 255;
/// The collector looks at the password only.
const USER: &[u8] = b"agent";
const WRONG_TOKEN: &str = " (the token of SWITCHBOARD_TOKEN is not the collector's)";
const NO_TOKEN: &str = " (a collector that other machines can reach asks for its token: SWITCHBOARD_TOKEN)";

#[derive(Debug)]
pub(crate) struct Sink {
    endpoint: String,
    options: SocketOptions,
    /// As the password of PLAIN, if there is one.
    token: Option<Security>,
}

/// Why a socket is done.
enum Done {
    /// The backlog has ended.
    Delivered,
    /// The collector did not take part in the handshake: it may ask for the other mechanism.
    Refused,
}

impl Sink {
    pub(crate) fn new(options: &Options) -> Result<Sink, Error> {
        if options.collector.parse::<Endpoint>().is_err() {
            return Err(Error::Address { address: options.collector.clone() });
        }
        if let Some(length) = options.token.as_ref().map(String::len).filter(|length| *length > TOKEN) {
            return Err(Error::Token { length, limit: TOKEN });
        }
        let endpoint = options.collector.clone();
        let token = options.token.as_ref().map(|token| Security::plain(USER, token.as_bytes()));
        let options = SocketOptions {
            // Reports that are handed over just before a connection is seen to break.
            send_hwm: options.backlog,
            linger: options.linger,
            reconnect: SHORTEST,
            reconnect_max: Some(LONGEST),
            heartbeat: Some(Heartbeat::every(ASK)),
            ..SocketOptions::default()
        };
        Ok(Sink { endpoint, options, token })
    }

    /// Delivers until the backlog ends.
    pub(crate) async fn run(self, backlog: Arc<Backlog>) {
        if let Err(error) = self.deliver(&backlog).await {
            backlog.problem(error.to_string());
        }
    }

    /// A collector on loopback asks for no token, one beyond asks for it. Who has a token cannot know which it is, and
    /// tries the other mechanism when one is refused. Reports are no secret: nothing is lost by sending them without.
    async fn deliver(self, backlog: &Backlog) -> Result<(), switchboard_sockets::Error> {
        let (mut with_token, mut pause) = (self.token.is_some(), SHORTEST);
        loop {
            let security = self.token.clone().filter(|_| with_token).unwrap_or_default();
            let socket = XPub::with(SocketOptions { security, ..self.options.clone() })?;
            // With the wrong token the other mechanism is refused as well, and that says nothing.
            let says_why = with_token || self.token.is_none();
            match self.deliver_over(socket, backlog, says_why, &mut pause).await? {
                Done::Delivered => return Ok(()),
                Done::Refused => with_token = !with_token,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn deliver_over(
        &self,
        mut socket: XPub,
        backlog: &Backlog,
        says_why: bool,
        pause: &mut Duration,
    ) -> Result<Done, switchboard_sockets::Error> {
        let mut events = socket.events();
        socket.connect(&self.endpoint)?;
        let (mut connected, mut subscribed) = (false, false);
        let done = loop {
            tokio::select! {
                // An end of the connection first: what is kept here is the latest, what is handed over the oldest.
                biased;
                event = events.next() => match event {
                    Some(Event::HandshakeSucceeded { .. }) => (connected, *pause) = (true, SHORTEST),
                    Some(Event::Disconnected { reason, .. }) => {
                        connected = false;
                        backlog.problem(reason);
                    }
                    Some(Event::HandshakeFailed { reason, .. }) => {
                        if says_why {
                            backlog.problem(format!("{reason}{}", hint(&reason, self.token.is_some())));
                        }
                        if self.token.is_some() {
                            break Done::Refused;
                        }
                    }
                    Some(Event::ConnectFailed { reason, .. }) => backlog.problem(reason),
                    Some(_) => {}
                    None => return Ok(Done::Delivered),
                },
                message = socket.recv() => subscribed = message?.data().first() == Some(&1),
                report = backlog.next(1), if connected && subscribed => match report {
                    Some((line, count)) => {
                        socket.send(line.trim_end()).await?;
                        backlog.done(count, None);
                    }
                    None => break Done::Delivered,
                },
            }
        };
        match socket.close().await {
            Err(switchboard_sockets::Error::Unsent { messages }) => {
                backlog.unsent(messages as u64);
                match done {
                    Done::Delivered => Err(switchboard_sockets::Error::Unsent { messages }),
                    Done::Refused => Ok(done),
                }
            }
            closed => closed.map(|()| done),
        }
    }
}

/// The advice about the token, where a failed handshake may be its fault: a collector greets before it refuses one.
fn hint(reason: &str, has_token: bool) -> &'static str {
    if has_token && reason.contains("password") {
        WRONG_TOKEN
    } else if !has_token && (reason.contains("PLAIN") || reason.starts_with("the peer refuses")) {
        NO_TOKEN
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_fails_names_the_token_only_if_it_may_be_its_fault() {
        let plain = "the peer demands the mechanism PLAIN, this side NULL; use the same on both";
        let refuses = "the peer refuses: the password of agent is not right";
        for (reason, has_token, expected) in [
            (plain, false, NO_TOKEN),
            (refuses, false, NO_TOKEN),
            (refuses, true, WRONG_TOKEN),
            (plain, true, ""),
            ("Connection reset by peer (os error 104)", false, ""),
            ("the peer closed the connection; it may not like our type or mechanism", false, ""),
            ("the peer does not speak ZMTP: its first bytes are HTTP/1.1", false, ""),
        ] {
            assert_eq!(hint(reason, has_token), expected, "{reason}");
        }
    }
}
