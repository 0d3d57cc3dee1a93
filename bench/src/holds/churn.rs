//! Connections that come and go leave nothing behind.

use super::{judge, mebi, settled, tell};
use crate::peers::{Peer, Places, start_with};
use anyhow::Result;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use switchboard_load::Native;
use switchboard_wire::native::encode;

/// Each waits for one connection at a time, which a busy machine makes slow.
const THREADS: u64 = 32;
const WARM_UP: Duration = Duration::from_secs(5);

pub(crate) fn churn(places: &Places, rate: f64, time: Duration) -> Result<bool> {
    let broker = start_with(Peer::Switchboard, places, &["--set", "connection-rate=1000000"])?;
    let native = Native(broker.address);
    // The allocator has its fill after this; what comes on top is a leak.
    come_and_go(native, rate, WARM_UP);
    let before = settled(&broker.process)?;
    let used = broker.process.usage()?.cpu;
    let (done, failed) = come_and_go(native, rate, time);
    let used = broker.process.usage()?.cpu - used;
    let after = settled(&broker.process)?;
    let achieved = done as f64 / time.as_secs_f64();
    tell("broker's processor time for a connection", used * 1e6 / done.max(1) as f64, "us");
    tell("resident before", mebi(before), "MiB");
    let rate_kept = judge("connections a second", achieved, "", "95 % of the rate", achieved >= rate * 0.95);
    let none_failed = judge("failed", failed as f64, "", "0", failed == 0);
    let allowed = before + before / 10 + (1 << 20);
    let bound = format!("{:.2} MiB", mebi(allowed));
    let memory_kept = judge("resident afterwards", mebi(after), "MiB", &bound, after <= allowed);
    Ok(rate_kept && none_failed && memory_kept)
}

/// Counts of the connections made, and of those that failed.
fn come_and_go(native: Native, rate: f64, time: Duration) -> (u64, u64) {
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while start.elapsed() < time {
                    let number = next.fetch_add(1, Relaxed);
                    let due = Duration::from_secs_f64(number as f64 / rate);
                    sleep(due.saturating_sub(start.elapsed()));
                    if visit(native, number).is_err() {
                        failed.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    (next.into_inner(), failed.into_inner())
}

/// Subscribes, publishes to itself, and leaves: every other time without a word, as those do that crash.
fn visit(native: Native, number: u64) -> io::Result<()> {
    let channel = format!("/churn/{number}");
    let mut stream = native.open(channel.as_bytes())?;
    let mut bytes = Vec::new();
    encode(channel.as_bytes(), &mut bytes);
    encode(b"hello", &mut bytes);
    let polite = number.is_multiple_of(2);
    if polite {
        encode(b"", &mut bytes);
    }
    stream.write_all(&bytes)?;
    if polite {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.ends_with(b"hello") {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}
