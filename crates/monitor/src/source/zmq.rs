//! Samples over ZeroMQ: senders connect and publish, the collector subscribes.
//!
//! The port is bounded in what a message may be, in what waits of a peer, in peers, and by the rules in series;
//! a peer that is faster than the rate is not read meanwhile.

use crate::collector::Source;
use crate::hub::Hub;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use switchboard_sockets::{Endpoint, Error, Heartbeat, Message, Options, Security, Sub};
use switchboard_web::Token;

/// Messages that are taken together, at most.
const TOGETHER: usize = 4096;
/// Maximum size of one peer's waiting messages, in bytes; then its socket is not read.
const WAITING: usize = 1 << 20;
/// A longer message is not only refused: its sender is disconnected, for it could go on without an end.
const LONGEST: usize = 64 << 10;
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
    let mut messages: Vec<Message> = Vec::new();
    while let Ok(message) = socket.recv().await {
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

#[cfg(test)]
mod tests {
    use super::*;

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
