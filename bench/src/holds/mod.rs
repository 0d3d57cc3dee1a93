//! What must hold, and no peer is needed to tell: each prints its figures, and whether they are within
//! the bound.

mod channels;
mod churn;
mod idle;
mod stalled;

pub(crate) use channels::channels;
pub(crate) use churn::churn;
pub(crate) use idle::idle;
pub(crate) use stalled::stalled;

use crate::process::Process;
use anyhow::Result;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Prints one figure and its bound, and returns whether it was kept.
fn judge(what: &str, figure: f64, unit: &str, bound: &str, kept: bool) -> bool {
    let verdict = if kept { "ok" } else { "BROKEN" };
    println!("{what}: {figure:.2} {unit} (bound: {bound}): {verdict}");
    kept
}

fn tell(what: &str, figure: f64, unit: &str) {
    println!("{what}: {figure:.2} {unit}");
}

fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
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
