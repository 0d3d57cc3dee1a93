//! Switchboard side by side with its peers: the same load, the same tool, the same machine, in turn.

mod process;

mod peers;

mod compare;
mod holds;
mod options;
mod report;
mod rows;
mod stomp;

use anyhow::Result;
use clap::Parser;
use options::{Command, Options};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    switchboard_child::init();
    match run(Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("switchboard-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every bound was kept.
fn run(options: Options) -> Result<bool> {
    // Each connection takes one of ours and one of the broker's, which inherits the limit.
    rlimit::increase_nofile_limit(u64::MAX)?;
    process::sweep();
    let places = options.places();
    let seconds = Duration::from_secs_f64;
    match &options.command {
        None => compare::run(&options).map(|()| true),
        Some(Command::Relay { listen }) => peers::serve_relay(*listen).map(|()| true),
        Some(Command::Idle { connections }) => holds::idle(&places, *connections),
        Some(Command::Churn { rate, seconds: time }) => holds::churn(&places, *rate, seconds(*time)),
        Some(Command::Stalled { size, seconds: time, runs }) => {
            holds::stalled(&places, *size as usize, seconds(*time), *runs)
        }
        Some(Command::Fairness { seconds: time }) => holds::fairness(&places, seconds(*time)),
        Some(Command::Memory { budget, only }) => holds::memory(&places, *budget << 20, only),
        Some(Command::Channels { channels }) => holds::channels(&places, *channels),
        Some(Command::Stomp(chosen)) => stomp::run(&places, chosen),
        Some(Command::StompMemory { messages, connections }) => holds::stomp_memory(&places, *messages, *connections),
    }
}
