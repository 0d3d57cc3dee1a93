//! Samples over ZeroMQ: senders connect and publish, the collector subscribes.
//!
//! The port is bounded in what a message may be, in what waits of a peer, in peers, and by the rules in series;
//! a peer that is faster than the rate is not read meanwhile.

use crate::collector::Source;
use crate::hub::Hub;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use switchboard_sockets::{Endpoint, Error, Event, Heartbeat, Message, Options, Security, Sub};
use switchboard_web::Token;

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

/// Listens. Beyond loopback a peer must say the token as its password, by PLAIN.
pub(crate) fn bind(endpoint: &str, token: Option<Token>) -> Result<Sub, Error> {
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
    socket.bind(endpoint)?;
    Ok(socket)
}

/// Whether other machines may reach it.
pub(crate) fn is_open(endpoint: &str) -> bool {
    match endpoint.parse() {
        Ok(Endpoint::Tcp { host, .. }) => {
            host != "localhost" && !host.parse().is_ok_and(|host: IpAddr| host.to_canonical().is_loopback())
        }
        _ => false,
    }
}

/// Takes samples for ever.
pub(crate) async fn run(hub: Arc<Hub>, mut socket: Sub) {
    let (mut events, mut faults) = (socket.events(), Faults::default());
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            Some(event) = events.next() => {
                faults.take(&event, Instant::now(), &hub.faulty_peers);
                continue;
            }
        };
        let Ok(message) = message else { return };
        messages.push(message);
        while let Some(message) = (messages.len() < TOGETHER).then(|| socket.try_recv()).flatten() {
            messages.push(message);
        }
        // The last part: who publishes under a topic sends that first.
        let bodies: Vec<&[u8]> =
            messages.iter().map(|message| message.iter().next_back().unwrap_or_default()).collect();
        hub.ingest(&bodies, Source::Zmq, u64::MAX).await;
        messages.clear();
    }
}

/// Peers that were disconnected by a fault of theirs: each is counted, and the log has the newest once in an interval.
#[derive(Debug, Default)]
struct Faults {
    logged: Option<Instant>,
    unlogged: u64,
}

impl Faults {
    /// Returns true if it is logged.
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
        let others = if others > 0 { format!("; others since the last such line: {others}") } else { String::new() };
        self.logged = Some(now);
        tracing::warn!("the collector has disconnected a peer: {event}{others}");
        true
    }
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
