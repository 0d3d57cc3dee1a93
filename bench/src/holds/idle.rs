//! Cost of an idle connection.

use super::{judge, mebi, settled, tell};
use crate::peers::{Peer, Places, start_with};
use anyhow::{Context, Result};
use std::net::TcpStream;
use switchboard_load::Native;

/// Resident bytes of the broker for an idle connection. The kernel's own are not in it.
const BOUND: f64 = 4096.0;
/// These come first: what the first connections cost is not what one more costs.
const FIRST: usize = 100;

pub(crate) fn idle(places: &Places, count: usize) -> Result<bool> {
    let limit = (count + FIRST + 100).to_string();
    let rate = ["--set", "connection-rate=1000000", "--set", &format!("connections={limit}")];
    let broker = start_with(Peer::Switchboard, places, &rate)?;
    let native = Native(broker.address);
    let open = |count: usize| -> Result<Vec<TcpStream>> {
        let one = |i| native.open(format!("/idle/{i}").as_bytes()).with_context(|| format!("connection {i}"));
        (0..count).map(one).collect()
    };
    let first = open(FIRST)?;
    let before = settled(&broker.process)?;
    let connections = open(count)?;
    let after = settled(&broker.process)?;
    let each = after.saturating_sub(before) as f64 / count as f64;
    tell("idle connections", count as f64, "");
    tell("resident before", mebi(before), "MiB");
    tell("resident with them", mebi(after), "MiB");
    let kept = judge("resident for an idle connection", each, "B", "4096 B", each <= BOUND);
    drop((first, connections));
    tell("resident when they have gone", mebi(settled(&broker.process)?), "MiB");
    Ok(kept)
}
