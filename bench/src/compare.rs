//! Runs the rows against the peers, in turn.

use crate::options::Options;
use crate::peers::{Peer, Places, Running, start};
use crate::process::usage;
use crate::report;
use crate::rows::{Row, rows};
use anyhow::{Context, Result};
use std::time::Instant;
use switchboard_load::Outcome;

/// So long is a run that nobody looks at: connections, caches and the peers' own tables get warm.
const WARM_UP: f64 = 0.3;

/// One run against one peer.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) outcome: Outcome,
    /// The peer's usage meanwhile: processor seconds, and peak resident bytes.
    pub(crate) cpu: f64,
    pub(crate) peak: u64,
    /// Processor seconds of this tool.
    pub(crate) tool_cpu: f64,
}

/// All runs of a row against one peer; why there is none otherwise.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) peer: Peer,
    pub(crate) samples: Result<Vec<Sample>, String>,
}

#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) row: Row,
    pub(crate) figures: Vec<Figures>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let (rows, peers, places) = (rows(options), options.peers(), options.places());
    // A missing peer is reported now, not in an hour.
    for &peer in &peers {
        start(peer, &places)?;
    }
    let mut all = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        eprintln!("[{}/{}] {}", at + 1, rows.len(), row.title());
        all.push(compare(options, *row, &peers, &places)?);
    }
    let tables = report::markdown(&all, options, begun.elapsed());
    print!("{tables}");
    if let Some(path) = &options.markdown {
        std::fs::write(path, &tables).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.json {
        let json = report::json(&all, options);
        std::fs::write(path, format!("{json:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A B C A B C: whatever else the machine does meanwhile, it does to all of them.
fn compare(options: &Options, row: Row, peers: &[Peer], places: &Places) -> Result<Compared> {
    let able = |peer: &Peer| !row.pattern.is_of_queue() || peer.has_queues();
    // New ones for each row: what a peer has kept of the last row is not in this row's figures.
    let running: Result<Vec<Running>> = peers.iter().copied().filter(able).map(|peer| start(peer, places)).collect();
    let running = running?;
    let mut figures: Vec<Figures> =
        running.iter().map(|running| Figures { peer: running.peer, samples: Ok(Vec::new()) }).collect();
    for running in &running {
        // If this fails, so will the run that counts, and that will say so.
        let _ = running.load(&row.plan(WARM_UP, options.rate));
    }
    for _ in 0..options.runs {
        for (running, figures) in running.iter().zip(&mut figures) {
            let Ok(samples) = &mut figures.samples else { continue };
            match sample(running, row, options) {
                Ok(sample) => {
                    eprintln!("    {:12} {}", running.peer.name(), report::line(row, &sample));
                    samples.push(sample);
                }
                Err(error) => {
                    eprintln!("    {:12} FAILED: {error:#}", running.peer.name());
                    figures.samples = Err(format!("{error:#}"));
                }
            }
        }
    }
    Ok(Compared { row, figures })
}

fn sample(running: &Running, row: Row, options: &Options) -> Result<Sample> {
    running.process.forget_peak();
    let (before, tool_before) = (running.process.usage()?, usage("self")?);
    let outcome = running.load(&row.plan(options.seconds(), options.rate))?;
    let (after, tool_after) = (running.process.usage()?, usage("self")?);
    let (cpu, tool_cpu) = (after.cpu - before.cpu, tool_after.cpu - tool_before.cpu);
    Ok(Sample { outcome, cpu, peak: after.peak, tool_cpu })
}
