//! Cost of an idle connection.

use super::{judge, mebi, settled, tell};
use crate::peers::{Peer, Places, Running, start_with};
use anyhow::{Context, Result};
use std::io;
use std::net::TcpStream;
use switchboard_load::Native;

/// Resident bytes of the broker for an idle connection. The kernel's own are not in it.
const BOUND: f64 = 4096.0;
/// These come first: what the first connections cost is not what one more costs.
const FIRST: usize = 100;

pub(crate) fn idle(places: &Places, count: usize) -> Result<bool> {
    let broker = start_for(places, count)?;
    let native = Native(broker.address);
    let idle = Idle::open(&broker, count, |i| native.open(format!("/idle/{i}").as_bytes()))?;
    tell("idle connections", count as f64, "");
    tell("resident before", mebi(idle.before), "MiB");
    tell("resident with them", mebi(idle.after), "MiB");
    let kept = judge("resident for an idle connection", idle.each(), "B", "4096 B", idle.each() <= BOUND);
    drop(idle);
    tell("resident when they have gone", mebi(settled(&broker.process)?), "MiB");
    Ok(kept)
}

/// Starts a broker that takes so many connections beside a few others.
pub(super) fn start_for(places: &Places, count: usize) -> Result<Running> {
    let limit = format!("connections={}", count + FIRST + 100);
    start_with(Peer::Switchboard, places, &["--set", "connection-rate=1000000", "--set", &limit])
}

/// Connections that do nothing, and the broker's resident bytes before and after they came.
pub(super) struct Idle {
    before: u64,
    after: u64,
    connections: Vec<TcpStream>,
}

impl Idle {
    pub(super) fn open(broker: &Running, count: usize, one: impl Fn(usize) -> io::Result<TcpStream>) -> Result<Idle> {
        let open = |count: usize| -> Result<Vec<TcpStream>> {
            (0..count).map(|i| one(i).with_context(|| format!("connection {i}"))).collect()
        };
        let _first = open(FIRST)?;
        let before = settled(&broker.process)?;
        let connections = open(count)?;
        let after = settled(&broker.process)?;
        Ok(Idle { before, after, connections })
    }

    /// Bytes of one.
    pub(super) fn each(&self) -> f64 {
        self.after.saturating_sub(self.before) as f64 / self.connections.len() as f64
    }
}
