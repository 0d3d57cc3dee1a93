//! The rate of samples from a sender over ZeroMQ through a collector to its pages: Switchboard and a typical Python collector
//! (pyzmq, aiohttp), in turn, in one run.
//!
//! ```text
//! cargo build --release && cargo run --release --manifest-path crates/monitor/compare/Cargo.toml
//! ```
//!
//! A sender publishes as fast as it is read; a run is over when every page has heard every sample. A sample
//! that is lost or duplicated is an error.

mod collector;
mod pages;

use anyhow::{Context, Result};
use collector::{Collector, Kind};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use pages::Page;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use switchboard_sockets::{Options, XPub};

/// Colours in use: so many processes.
const COLORS: usize = 100;
/// Of each, so many seconds; then the same again.
const SECONDS: i64 = 3600;
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let program = root.join("target/release/switchboard");
    println!("samples a second, median of {ROUNDS} runs in turn; nothing lost");
    for pages in [1, 8] {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (rates, (kind, samples)) in
                rates.iter_mut().zip([(Kind::Switchboard, 1_000_000 / pages), (Kind::Textbook, 40_000 / pages)])
            {
                rates.push(measure(kind, &program, pages, samples)?);
            }
        }
        let [ours, theirs] = rates.map(median);
        println!("{pages} pages: switchboard {ours:9.0}   python {theirs:7.0}   ratio {:5.1}", ours / theirs);
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn measure(kind: Kind, program: &std::path::Path, pages: usize, samples: usize) -> Result<f64> {
    let collector = Collector::start(kind, program)?;
    let pages: Vec<Page> = (0..pages).map(|_| Page::open(&collector.page, samples)).collect::<Result<_>>()?;
    let sender = connect(&collector.endpoint)?;
    let begin = Timestamp::now() - SignedDuration::from_secs(SECONDS);
    let seconds = (0..SECONDS).map(|at| begin + SignedDuration::from_secs(at));
    let messages: Vec<Vec<u8>> = seconds.flat_map(|time| (0..COLORS).map(move |color| message(color, time))).collect();
    let began = Instant::now();
    for at in 0..samples {
        sender.send(&messages[at % messages.len()][..]).wait()?;
    }
    let mut last = began;
    for page in pages {
        last = last.max(page.end().with_context(|| format!("{kind:?}"))?);
    }
    if kind == Kind::Switchboard {
        collector.has_taken(samples)?;
    }
    Ok(samples as f64 / (last - began).as_secs_f64())
}

/// A publisher that drops nothing, and whose subscriber is there.
fn connect(endpoint: &str) -> Result<XPub> {
    let unlimited = Options { send_hwm: 0, send_bytes: 0, linger: Duration::ZERO, ..Options::default() };
    let mut sender = XPub::with(unlimited)?;
    sender.connect(endpoint)?;
    sender.recv().wait_timeout(Duration::from_secs(20)).context("a subscription")?;
    Ok(sender)
}

/// The report of this process about that second, as a typical sender writes it.
fn message(color: usize, time: Timestamp) -> Vec<u8> {
    let timestamp = time.display_with_offset(Offset::UTC).to_string();
    json!({ "color": format!("#{color:06x}"), "timestamp": timestamp, "cpu": 12.5, "mem": 64.25 })
        .to_string()
        .into_bytes()
}
