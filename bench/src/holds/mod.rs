//! Checks that need no peer: each prints its figures, and whether they are within the bound.

mod channels;
mod churn;
mod fairness;
mod idle;
mod memory;
mod stalled;
mod stomp_memory;

pub(crate) use channels::channels;
pub(crate) use churn::churn;
pub(crate) use fairness::fairness;
pub(crate) use idle::idle;
pub(crate) use memory::memory;
pub(crate) use stalled::stalled;
pub(crate) use stomp_memory::stomp_memory;

use crate::process::Process;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};
use switchboard_load::connect;

/// Prints one figure and its bound, and returns whether it was kept.
pub(crate) fn judge(what: &str, figure: f64, unit: &str, bound: &str, kept: bool) -> bool {
    let verdict = if kept { "ok" } else { "BROKEN" };
    println!("{what}: {figure:.2} {unit} (bound: {bound}): {verdict}");
    kept
}

pub(crate) fn tell(what: &str, figure: f64, unit: &str) {
    println!("{what}: {figure:.2} {unit}");
}

fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The answer's body to a GET of a broker's HTTP.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "GET {path}: {head}");
    Ok(body.to_owned())
}

/// Resident bytes, once they have not changed for as long as the broker takes between two looks at
/// what it may give back.
fn settled(process: &Process) -> Result<u64> {
    let end = Instant::now() + Duration::from_secs(15);
    let mut last = (process.usage()?.resident, Instant::now());
    while last.1.elapsed() < Duration::from_secs(4) && Instant::now() < end {
        sleep(Duration::from_millis(20));
        let now = process.usage()?.resident;
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    Ok(last.0)
}
