//! Samples over ZeroMQ: senders connect and publish, the collector subscribes.
//!
//! The port is bounded in what a message may be, in what waits of a peer, in peers, and by the rules in series;
//! a peer that is faster than the rate is not read meanwhile.

use crate::collector::Source;
use crate::hub::Hub;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use switchboard_driver::Backoff;
use switchboard_sockets::{Endpoint, Error, Event, Heartbeat, Message, Options, Security, Sub};
use switchboard_web::{FIRST_RETRY, LAST_RETRY, MissingAddress, Purpose, Services, Token};
use tokio::time::sleep_until;

/// Messages that are taken together, at most.
const TOGETHER: usize = 4096;
/// Maximum size of one peer's waiting messages, in bytes; then its socket is not read.
const WAITING: usize = 1 << 20;
/// A longer message is not only refused: its sender is disconnected, for it could go on without an end.
const LONGEST: usize = 64 << 10;
/// Interval of the log's lines about peers that were disconnected.
const LOGGED: Duration = Duration::from_secs(60);
/// Peers at a time.
const PEERS: usize = 10_000;

/// The end of a message about an endpoint that cannot be listened on.
pub(crate) const REMEDY: &str =
    "choose another one with --set monitor.collect=tcp://HOST:PORT, or none with --set monitor.collect=";

const COLLECT: Purpose =
    Purpose { service: "monitor", protocol: "collect", option: "--set monitor.collect=", is_required: false };

/// The socket for senders, which listens as soon as its endpoint is free.
#[derive(Debug)]
pub(crate) struct Collecting {
    socket: Sub,
    services: Services,
    missing: Option<Missing>,
}

/// An endpoint that cannot be listened on now.
#[derive(Debug)]
struct Missing {
    endpoint: String,
    reason: String,
    pauses: Backoff,
}

impl Collecting {
    /// Listens. Beyond loopback a peer must say the token as its password, by PLAIN.
    ///
    /// # Errors
    /// It is no endpoint. One that another program has is tried again.
    pub(crate) fn bind(endpoint: &str, token: Option<Token>, services: Services) -> Result<Collecting, Error> {
        let security = match token.filter(|_| is_open(endpoint)) {
            Some(token) => Security::plain_server(move |_, password| token.is_same(password)),
            None => Security::Null,
        };
        let options = Options {
            recv_bytes: WAITING,
            max_message: LONGEST,
            max_connections: switchboard_web::max_connections(PEERS),
            // Finds peers whose machine is gone without a word.
            heartbeat: Some(Heartbeat::every(Duration::from_secs(30))),
            security,
            ..Options::default()
        };
        let socket = Sub::with(options)?;
        socket.subscribe("")?;
        let mut collecting = Collecting { socket, services, missing: None };
        match collecting.socket.bind(endpoint) {
            Ok(_) => {}
            Err(Error::Bind { source, .. }) => {
                let pauses = Backoff::new(FIRST_RETRY, LAST_RETRY);
                collecting.note_missing(Missing { endpoint: endpoint.to_owned(), reason: reason(&source), pauses });
            }
            Err(error) => return Err(error),
        }
        Ok(collecting)
    }

    /// Returns the endpoint, if it is listened on.
    pub(crate) fn endpoint(&self) -> Option<String> {
        self.socket.last_endpoint().map(|endpoint| endpoint.to_string())
    }

    /// Shows and logs that the endpoint cannot be listened on now.
    fn note_missing(&mut self, missing: Missing) {
        let Missing { endpoint, reason, .. } = &missing;
        tracing::error!("monitor does not collect at {endpoint}, and tries again: {reason}");
        let Purpose { service, protocol, .. } = COLLECT;
        let (address, reason) = (endpoint.clone(), reason.clone());
        self.services.set_missing(MissingAddress { service, protocol, address, reason });
        self.missing = Some(missing);
    }

    fn try_again(&mut self) {
        let Some(missing) = self.missing.take() else { return };
        match self.socket.bind(&*missing.endpoint) {
            Ok(bound) => {
                tracing::info!("monitor collects at {} now", missing.endpoint);
                self.services.set_listening(COLLECT, &missing.endpoint, [bound.to_string()]);
            }
            Err(error) => {
                let reason = match &error {
                    Error::Bind { source, .. } => reason(source),
                    other => other.to_string(),
                };
                // Once for each reason, however often it is tried.
                if reason == missing.reason {
                    self.missing = Some(missing);
                } else {
                    self.note_missing(Missing { reason, ..missing });
                }
            }
        }
    }

    /// Takes samples for ever.
    pub(crate) async fn run(mut self, hub: Arc<Hub>) {
        let (mut events, mut faults) = (self.socket.events(), Faults::default());
        let mut messages: Vec<Message> = Vec::new();
        let mut again = self.next_try();
        loop {
            let message = tokio::select! {
                message = self.socket.recv() => message,
                Some(event) = events.next() => {
                    faults.take(&event, Instant::now(), &hub.faulty_peers);
                    continue;
                }
                () = until(again) => {
                    self.try_again();
                    again = self.next_try();
                    continue;
                }
            };
            let Ok(message) = message else { return };
            messages.push(message);
            while let Some(message) = (messages.len() < TOGETHER).then(|| self.socket.try_recv()).flatten() {
                messages.push(message);
            }
            let bodies: Vec<&[u8]> = messages.iter().flat_map(|message| samples_of(message.iter())).collect();
            hub.ingest(&bodies, Source::Zmq, u64::MAX).await;
            messages.clear();
        }
    }

    fn next_try(&mut self) -> Option<Instant> {
        self.missing.as_mut().map(|missing| Instant::now() + missing.pauses.pause(0.0))
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.services.forget_addresses(COLLECT);
    }
}

/// Returns the parts of a message that are read as samples. A publisher with a topic sends the topic as the first part: it is left
/// out.
fn samples_of<'a>(parts: impl ExactSizeIterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let count = parts.len();
    let is_topic = move |at: usize, part: &[u8]| at == 0 && count > 1 && !part.trim_ascii_start().starts_with(b"{");
    parts.enumerate().filter(move |(at, part)| !is_topic(*at, part)).map(|(_, part)| part)
}

fn reason(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => format!("another program listens there: stop it, or {REMEDY}"),
        _ => format!("{source}; {REMEDY}"),
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// Returns true if other machines may reach the endpoint.
pub(crate) fn is_open(endpoint: &str) -> bool {
    match endpoint.parse() {
        Ok(Endpoint::Tcp { host, .. }) => {
            host != "localhost" && !host.parse().is_ok_and(|host: IpAddr| host.to_canonical().is_loopback())
        }
        _ => false,
    }
}

/// Peers that were disconnected by a fault of theirs: each is counted, and the log has the newest once in an interval.
#[derive(Debug, Default)]
struct Faults {
    logged: Option<Instant>,
    unlogged: u64,
}

impl Faults {
    /// Counts and logs an event that is a fault. Returns true if it was logged.
    fn take(&mut self, event: &Event, now: Instant, count: &AtomicU64) -> bool {
        let is_fault = match event {
            Event::HandshakeFailed { .. } => true,
            // Others have just ended.
            Event::Disconnected { reason, .. } => reason.contains("over the limit"),
            _ => false,
        };
        if !is_fault {
            return false;
        }
        count.fetch_add(1, Ordering::Relaxed);
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < LOGGED) {
            self.unlogged += 1;
            return false;
        }
        let others = std::mem::take(&mut self.unlogged);
        let hint = if is_wrong_token(event) { " (the password of PLAIN is the token)" } else { "" };
        let others = if others > 0 { format!("; others since the last such line: {others}") } else { String::new() };
        self.logged = Some(now);
        tracing::warn!("the collector has disconnected a peer: {event}{hint}{others}");
        true
    }
}

/// Returns true if a peer has said a password that is not the token.
fn is_wrong_token(event: &Event) -> bool {
    matches!(event, Event::HandshakeFailed { reason, .. } if reason.contains("password"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_sockets::PeerId;

    #[test]
    fn faults_are_counted_each_and_logged_once_in_an_interval() {
        let event = Event::Missed(1);
        let (mut faults, count, begin) = (Faults::default(), AtomicU64::new(0), Instant::now());
        assert!(!faults.take(&event, begin, &count));
        let endpoint: Endpoint = "tcp://127.0.0.1:5555".parse().expect("an endpoint");
        let fault = Event::HandshakeFailed {
            endpoint,
            peer: PeerId { number: 1, address: None },
            reason: "no greeting".to_owned(),
        };
        let just_before = LOGGED.checked_sub(Duration::from_millis(1)).expect("longer");
        for (after, is_logged) in [(Duration::ZERO, true), (just_before, false), (LOGGED, true)] {
            assert_eq!(faults.take(&fault, begin + after, &count), is_logged, "{after:?}");
        }
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn each_part_of_a_message_is_a_sample_but_a_topic_before_others() {
        let of = |parts: &[&'static [u8]]| samples_of(parts.iter().copied()).collect::<Vec<_>>();
        assert_eq!(of(&[b"{1}"]), [b"{1}"]);
        assert_eq!(of(&[b"no sample"]), [b"no sample"]);
        assert_eq!(of(&[b"topic", b"{1}"]), [b"{1}"]);
        assert_eq!(of(&[b"", b"{1}"]), [b"{1}"]);
        assert_eq!(of(&[b" {1}", b"{2}", b"x"]), [&b" {1}"[..], b"{2}", b"x"]);
        assert_eq!(of(&[b"topic", b"{1}", b"", b"{2}"]), [&b"{1}"[..], b"", b"{2}"]);
    }

    #[test]
    fn what_other_machines_may_reach_is_open() {
        for closed in ["tcp://127.0.0.1:5555", "tcp://[::1]:5555", "tcp://localhost:5555", "ipc:///tmp/x", "inproc://x"]
        {
            assert!(!is_open(closed), "{closed}");
        }
        for open in ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://192.0.2.1:5555", "tcp://collector.example:5555"] {
            assert!(is_open(open), "{open}");
        }
    }
}
