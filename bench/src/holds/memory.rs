//! Whatever waits for whom, the resident memory keeps to the budget.

use super::{get, judge, mebi, settled, tell};
use crate::peers::{Peer, Places, Running, start_with};
use crate::process::free_address;
use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use switchboard_load::{Native, connect};
use switchboard_wire::native::encode;

/// Resident bytes allowed beyond 1.25 times the budget.
const BEYOND: u64 = 16 << 20;
/// A publisher that cannot write for so long is paused.
const PAUSED: Duration = Duration::from_secs(2);
/// A load ends after this time, or after so many bytes on the wire.
const LONGEST: Duration = Duration::from_secs(12);
const MOST: usize = 1 << 30;
/// Subscribers or consumers that read nothing.
const SUBSCRIBERS: usize = 16;
const CONSUMERS: usize = 4;

const SIZES: [usize; 4] = [0, 1, 20, 1000];

/// Names that are published to.
#[derive(Clone, Copy)]
enum Names {
    One,
    TwoInTurn,
    /// A new one for each message, of so many bytes.
    New(usize),
}

/// Cause for which the messages wait.
#[derive(Clone, Copy)]
enum Waits {
    /// A queue without consumers.
    Queue,
    /// Subscribers that read nothing.
    Stuck,
    /// Consumers that read nothing, and leave.
    Leaving,
}

pub(crate) fn memory(places: &Places, budget: u64, only: &str) -> Result<bool> {
    let mut kept = true;
    for (waits, how) in
        [(Waits::Queue, "no consumer"), (Waits::Stuck, "stuck subscribers"), (Waits::Leaving, "consumers that leave")]
    {
        let shapes = [
            (Names::One, "one channel"),
            (Names::TwoInTurn, "two in turn"),
            (Names::New(24), "new channels"),
            (Names::New(1000), "new channels, long names"),
        ];
        for (names, shape) in shapes {
            for size in SIZES {
                let row = format!("{how}, {shape}, {size} B");
                if row.contains(only) {
                    kept &= measure(places, budget, &row, waits, names, size).with_context(|| row.clone())?;
                }
            }
        }
    }
    Ok(kept)
}

fn measure(places: &Places, budget: u64, row: &str, waits: Waits, names: Names, size: usize) -> Result<bool> {
    let http = free_address()?;
    let memory = format!("{budget}");
    let broker = start_with(Peer::Switchboard, places, &["--http", &http.to_string(), "--memory", &memory])?;
    let native = Native(broker.address);
    let publisher = native.open(b"/null")?;
    let idle = settled(&broker.process)?;
    broker.process.forget_peak();
    let (pattern, count) = match waits {
        Waits::Queue => (None, 0),
        Waits::Stuck => (Some("/topic/memory/>"), SUBSCRIBERS),
        Waits::Leaving => (Some("/queue/memory/>"), CONSUMERS),
    };
    let silent: Result<Vec<TcpStream>> = (0..count).map(|_| subscribe(broker.address, pattern.unwrap_or(""))).collect();
    let silent = silent?;
    let prefix = if matches!(waits, Waits::Stuck) { "/topic/memory" } else { "/queue/memory" };
    let sent = publish(&publisher, prefix, names, size)?;
    if matches!(waits, Waits::Leaving) {
        drop(silent);
        wait_until_gone(http)?;
    }
    report(&broker, http, budget, idle, row, sent)
}

fn report(broker: &Running, http: SocketAddr, budget: u64, idle: u64, row: &str, sent: u64) -> Result<bool> {
    let counted = totals(http)?["memory"].as_u64().context("no memory in /status")?;
    let usage = broker.process.usage()?;
    tell(&format!("{row}: messages sent"), sent as f64, "");
    tell(&format!("{row}: counted"), mebi(counted), "MiB");
    tell(&format!("{row}: resident above idle"), mebi(usage.resident.saturating_sub(idle)), "MiB");
    let allowed = budget + budget / 4 + BEYOND;
    let peak = usage.peak.saturating_sub(idle);
    let bound = format!("{:.0} MiB", mebi(allowed));
    Ok(judge(&format!("{row}: peak resident above idle"), mebi(peak), "MiB", &bound, peak <= allowed))
}

fn totals(http: SocketAddr) -> Result<serde_json::Value> {
    let status: serde_json::Value = serde_json::from_str(&get(http, "/status?limit=1")?)?;
    Ok(status["totals"].clone())
}

/// Returns when only the publisher is connected.
fn wait_until_gone(http: SocketAddr) -> Result<()> {
    let end = Instant::now() + LONGEST;
    while totals(http)?["connections"].as_u64() != Some(1) {
        anyhow::ensure!(Instant::now() < end, "the consumers are not gone");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// One that reads nothing.
fn subscribe(address: SocketAddr, pattern: &str) -> Result<TcpStream> {
    let mut stream = connect(address)?;
    let mut bytes = Vec::new();
    encode(pattern.as_bytes(), &mut bytes);
    stream.write_all(&bytes)?;
    Ok(stream)
}

/// Publishes until it is paused, or it has been enough. Returns how many messages were written.
fn publish(mut stream: &TcpStream, prefix: &str, names: Names, size: usize) -> Result<u64> {
    stream.set_write_timeout(Some(PAUSED))?;
    let body = vec![b'x'; size];
    let end = Instant::now() + LONGEST;
    let (mut sent, mut bytes, mut block) = (0, 0, Vec::new());
    while Instant::now() < end && bytes < MOST {
        block.clear();
        for number in sent..sent + 1000 {
            let name = match names {
                Names::One => format!("{prefix}/one"),
                Names::TwoInTurn => format!("{prefix}/{}", number % 2),
                Names::New(length) => format!("{prefix}/{number:0>0$}", length - prefix.len() - 1),
            };
            encode(name.as_bytes(), &mut block);
            encode(&body, &mut block);
        }
        match stream.write_all(&block) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            // It may be refused: a channel that does not fit into the budget, for example.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
            Err(error) => return Err(error.into()),
        }
        (sent, bytes) = (sent + 1000, bytes + block.len());
    }
    Ok(sent)
}
