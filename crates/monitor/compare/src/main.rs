//! How fast samples go from a sender over ØMQ through a collector to its pages: Switchboard and the chapter's
//! design in Python, in turn, in one run.
//!
//! ```text
//! cargo build --release && cargo run --release --manifest-path crates/monitor/compare/Cargo.toml
//! ```
//!
//! A sender publishes as fast as it is read; a run is over when every page has heard every sample. A sample
//! that is lost or doubled is an error.

mod collector;
mod pages;

use anyhow::{Context, Result};
use collector::{Collector, Kind};
use pages::Page;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use switchboard_sockets::{Options, XPub};

/// Colours in use: so many processes.
const COLORS: usize = 100;
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let program = root.join("target/release/switchboard");
    println!("samples a second, median of {ROUNDS} runs in turn; nothing lost");
    for pages in [1, 8] {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (rates, (kind, samples)) in
                rates.iter_mut().zip([(Kind::Switchboard, 1_000_000 / pages), (Kind::Chapter, 40_000 / pages)])
            {
                rates.push(measure(kind, &program, pages, samples)?);
            }
        }
        let [ours, theirs] = rates.map(median);
        println!("{pages} pages: switchboard {ours:9.0}   chapter {theirs:7.0}   ratio {:5.1}", ours / theirs);
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
    let messages: Vec<Vec<u8>> = (0..COLORS).map(message).collect();
    let began = Instant::now();
    for at in 0..samples {
        sender.send(&messages[at % COLORS][..]).wait()?;
    }
    let mut last = began;
    for page in pages {
        last = last.max(page.end().with_context(|| format!("{kind:?}"))?);
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

/// As the chapter's senders write it.
fn message(color: usize) -> Vec<u8> {
    let timestamp = format!("{}+00:00", now());
    json!({ "color": format!("#{color:06x}"), "timestamp": timestamp, "cpu": 12.5, "mem": 64.25 })
        .to_string()
        .into_bytes()
}

/// ISO 8601, by the system's own tool: this is not worth a library.
fn now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%FT%T.%6N"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
