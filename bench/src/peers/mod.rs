//! The brokers that are compared. Each runs as it comes, on its own defaults, and is spoken to in its
//! own protocol.

mod text;

mod mqtt;
mod nats;
mod redis;
mod relay;

mod start;
mod stomp;

pub(crate) use relay::serve as serve_relay;
pub(crate) use start::{Running, start, start_with};
pub(crate) use stomp::{StompBroker, StompPeer, start_stomp};

use clap::ValueEnum;
use std::path::PathBuf;

/// A broker, or what stands in for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Peer {
    /// This project's.
    Switchboard,
    /// nats-server, over its text protocol.
    Nats,
    /// redis-server, PUB/SUB.
    Redis,
    /// mosquitto, MQTT 3.1.1, QoS 0.
    Mosquitto,
    /// A broker in Python, on asyncio's own loop.
    Python,
    /// The same on uvloop.
    Uvloop,
    /// Copies bytes without a look at them: what this machine and this tool can do.
    Relay,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Switchboard => "switchboard",
            Peer::Nats => "nats",
            Peer::Redis => "redis",
            Peer::Mosquitto => "mosquitto",
            Peer::Python => "python",
            Peer::Uvloop => "uvloop",
            Peer::Relay => "relay",
        }
    }

    /// Whether it can give each message to one worker.
    pub(crate) fn has_queues(self) -> bool {
        // MQTT 3.1.1 and PUB/SUB have none.
        !matches!(self, Peer::Redis | Peer::Mosquitto)
    }
}

/// Paths of programs and files.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The program `switchboard`.
    pub(crate) switchboard: PathBuf,
    /// The Python broker.
    pub(crate) python_broker: PathBuf,
    /// An interpreter that has uvloop.
    pub(crate) uvloop_python: PathBuf,
}
