//! Many channels come, hold something, and go.

use super::{judge, mebi, median, settled, tell};
use crate::peers::{Peer, Places, Running, start};
use anyhow::Result;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use switchboard_load::{Native, Plan, Protocol};
use switchboard_wire::native::encode;

const BODY: [u8; 128] = [b'x'; 128];
const RUNS: usize = 3;
/// A leak shows only after some rounds.
const ROUNDS: usize = 5;
/// Memory kept for the next burst, and what the broker's threads have needed once.
const KEPT: u64 = 24 << 20;

pub(crate) fn channels(places: &Places, count: usize) -> Result<bool> {
    let broker = start(Peer::Switchboard, places)?;
    let one = publish_rate(&broker)?;
    let mut memory = Vec::new();
    let mut many = 0.0;
    let mut empty_before = 0;
    for round in 0..ROUNDS {
        let before = settled(&broker.process)?;
        let begun = Instant::now();
        fill(&broker, round, count)?;
        let each = begun.elapsed().as_secs_f64() * 1e6 / count as f64;
        let full = settled(&broker.process)?;
        if round == 0 {
            empty_before = before;
            tell("channels", count as f64, "");
            tell("a channel's first message takes", each, "us");
            tell("resident before", mebi(before), "MiB");
            tell("resident with them", mebi(full), "MiB");
            tell("resident for a channel with a message", full.saturating_sub(before) as f64 / count as f64, "B");
            many = publish_rate(&broker)?;
        }
        empty(&broker, count)?;
        memory.push(settled(&broker.process)?);
    }
    tell("1 to 1, with this channel alone", one, "a second");
    tell("1 to 1, among all the others", many, "a second");
    for (round, bytes) in memory.iter().enumerate() {
        tell(&format!("resident when they have gone, round {}", round + 1), mebi(*bytes), "MiB");
    }
    let allowed = empty_before + KEPT;
    let last = memory[ROUNDS - 1];
    let bound = format!("{:.2} MiB", mebi(allowed));
    let memory_kept = judge("resident after the last round", mebi(last), "MiB", &bound, last <= allowed);
    Ok(memory_kept)
}

fn publish_rate(broker: &Running) -> Result<f64> {
    let plan = Plan::one_to_one(BODY.len(), Duration::from_secs(1));
    broker.load(&plan)?;
    let rates: Result<Vec<f64>> = (0..RUNS).map(|_| Ok(broker.load(&plan)?.per_second())).collect();
    Ok(median(rates?))
}

/// One message in each of `count` queues.
fn fill(broker: &Running, round: usize, count: usize) -> Result<()> {
    let native = Native(broker.address);
    let mut publisher = native.open(b"/null")?;
    let mut bytes = Vec::new();
    for i in 0..count {
        encode(format!("/queue/many/{round}/{i}").as_bytes(), &mut bytes);
        encode(&BODY, &mut bytes);
    }
    publisher.write_all(&bytes)?;
    native.barrier(&publisher)?;
    Ok(())
}

/// Takes everything out again.
fn empty(broker: &Running, count: usize) -> Result<()> {
    let native = Native(broker.address);
    let mut worker = TcpStream::connect(broker.address)?;
    worker.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut subscription = Vec::new();
    encode(b"/queue/many/>", &mut subscription);
    worker.write_all(&subscription)?;
    let (mut taken, mut rest, mut piece) = (0, Vec::new(), vec![0; 64 * 1024]);
    while taken < count {
        let bytes = worker.read(&mut piece)?;
        anyhow::ensure!(bytes > 0, "the broker closed the connection after {taken} of {count} messages");
        rest.extend_from_slice(&piece[..bytes]);
        let used = native.scan(&rest, &mut Vec::new(), |_| taken += 1)?;
        rest.drain(..used);
    }
    Ok(())
}
