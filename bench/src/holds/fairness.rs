//! Connections that publish at full speed delay nobody else for long.

use super::{get, judge, tell};
use crate::peers::{Peer, Places, start_with};
use crate::process::free_address;
use anyhow::{Context, Result};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use switchboard_load::{Native, connect, read_until};
use switchboard_wire::native::encode;

/// Longest wait of another client for its answer, at the 99th percentile.
const BOUND: Duration = Duration::from_millis(250);
/// Time between two questions.
const PERIOD: Duration = Duration::from_millis(5);
/// An answer that takes longer counts as this long.
const LONGEST: Duration = Duration::from_secs(30);
/// Bytes of one write of a load.
const WRITE: usize = 64 << 10;

/// Each load is this many connections, each with this many names in turn.
const LOADS: [(usize, usize); 9] =
    [(1, 1), (1, 100), (1, 1000), (2, 1), (2, 100), (2, 1000), (8, 1), (8, 100), (8, 1000)];

pub(crate) fn fairness(places: &Places, time: Duration) -> Result<bool> {
    let mut kept = true;
    for (connections, names) in LOADS {
        let load = format!("{connections} publishing to {names}");
        let (echo, health) = ours(places, connections, names, time)?;
        kept &= judge(&format!("{load}: echo, p99"), millis(echo), "ms", "250 ms", echo <= BOUND);
        kept &= judge(&format!("{load}: /healthz, p99"), millis(health), "ms", "250 ms", health <= BOUND);
        tell(&format!("{load}: nats-server's PING, p99"), millis(nats(places, connections, names, time)?), "ms");
    }
    Ok(kept)
}

/// The 99th percentiles of an echo and of `/healthz`.
fn ours(places: &Places, connections: usize, names: usize, time: Duration) -> Result<(Duration, Duration)> {
    let http = free_address()?;
    let broker = start_with(Peer::Switchboard, places, &["--http", &http.to_string()])?;
    let native = Native(broker.address);
    let mut block = Vec::new();
    fill(&mut block, names, |name, block| {
        encode(format!("/topic/fair/{name}").as_bytes(), block);
        encode(&[b'x'; 16], block);
    });
    let loads = open(connections, || native.open(b"/null"))?;
    let asking = connect(broker.address)?;
    asking.set_read_timeout(Some(LONGEST))?;
    let mut hello = Vec::new();
    encode(b"/null", &mut hello);
    (&asking).write_all(&hello)?;
    beside(
        &loads,
        &block,
        time,
        || native.barrier(&asking),
        || get(http, "/healthz").map(drop).map_err(io::Error::other),
    )
}

/// The 99th percentile of a PING.
fn nats(places: &Places, connections: usize, names: usize, time: Duration) -> Result<Duration> {
    let broker = start_with(Peer::Nats, places, &[])?;
    let mut block = Vec::new();
    fill(&mut block, names, |name, block| {
        block.extend(format!("PUB fair.{name} 16\r\n{}\r\n", "x".repeat(16)).bytes());
    });
    let open_one = || greet(broker.address);
    let loads = open(connections, open_one)?;
    let asking = open_one()?;
    asking.set_read_timeout(Some(LONGEST))?;
    let ping = || {
        (&asking).write_all(b"PING\r\n")?;
        read_until(&asking, b"PONG\r\n").map(drop)
    };
    Ok(beside(&loads, &block, time, ping, || Ok(()))?.0)
}

fn greet(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = connect(address)?;
    (&stream).write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n")?;
    read_until(&stream, b"PONG\r\n")?;
    Ok(stream)
}

fn open(count: usize, one: impl Fn() -> io::Result<TcpStream>) -> Result<Vec<TcpStream>> {
    (0..count).map(|_| one().context("a connection of the load")).collect()
}

/// Whole messages to the names in turn, about [`WRITE`] bytes or one for each.
fn fill(block: &mut Vec<u8>, names: usize, message: impl Fn(usize, &mut Vec<u8>)) {
    while block.len() < WRITE {
        (0..names).for_each(|name| message(name, block));
    }
}

/// Asks both questions while the loads write the block again and again.
fn beside(
    loads: &[TcpStream],
    block: &[u8],
    time: Duration,
    first: impl Fn() -> io::Result<()> + Sync,
    second: impl Fn() -> io::Result<()> + Sync,
) -> Result<(Duration, Duration)> {
    let done = &AtomicBool::new(false);
    let (first, second) = (&first, &second);
    let measured = scope(|scope| {
        for mut stream in loads {
            // A broker may pause it, and end it when all is over.
            scope.spawn(move || while !done.load(Relaxed) && stream.write_all(block).is_ok() {});
        }
        let end = Instant::now() + time;
        let second = scope.spawn(move || ask(end, second));
        let first = ask(end, first);
        done.store(true, Relaxed);
        (first, second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    Ok((measured.0?, measured.1?))
}

/// The 99th percentile of the time to an answer, until `end`.
fn ask(end: Instant, question: impl Fn() -> io::Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let asked = Instant::now();
        match question() {
            Ok(()) => times.push(asked.elapsed()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                times.push(LONGEST);
                break;
            }
            Err(error) => return Err(error).context("no answer"),
        }
        sleep(PERIOD);
    }
    times.sort_unstable();
    Ok(times[(times.len() * 99).div_ceil(100) - 1])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
