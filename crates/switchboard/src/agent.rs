//! `switchboard agent`.

use crate::output::note;
use anyhow::{Result, anyhow};
use clap::Args;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;
use switchboard_monitor::agent::{self, Failed};
use switchboard_monitor::report::{Options, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard agent -- python3 worker.py --verbose
  switchboard agent --service orders --version 1.4.2 -- ./orders
  switchboard agent --pid 1234";

#[derive(Args, Debug)]
pub(crate) struct Agent {
    /// The command and its arguments.
    #[arg(last = true, required_unless_present = "pid", value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Report a process that runs already, and all that it starts.
    #[arg(long, value_name = "N", conflicts_with = "command")]
    pid: Option<u32>,
    /// Where the collector is.
    #[arg(long, value_name = "URL", default_value_t = Options::default().collector)]
    to: String,
    /// The access token, which a collector asks for that other machines can reach.
    #[arg(long, env = switchboard_web::ENVIRONMENT, hide_env_values = true)]
    token: Option<String>,
    /// What the process is an instance of [default: the command's name].
    #[arg(long)]
    service: Option<String>,
    /// Which of them it is [default: the service and the first number that is free on this machine].
    #[arg(long)]
    instance: Option<String>,
    /// The colour of its line [default: one that follows from the instance].
    #[arg(long)]
    color: Option<String>,
    /// What was deployed.
    #[arg(long)]
    version: Option<String>,
    /// How many reports wait for a collector that is away, one a second.
    #[arg(long, value_name = "N", default_value_t = Options::default().backlog)]
    backlog: usize,
    /// How long the last reports may take at the end.
    #[arg(long, value_name = "SECONDS", value_parser = crate::cli::duration, default_value = "1")]
    linger: Duration,
}

/// Its exit code is the command's.
pub(crate) fn run(args: Agent) -> Result<ExitCode> {
    let options = Options {
        collector: args.to,
        token: args.token.filter(|token| !token.is_empty()),
        service: args.service,
        instance: args.instance,
        color: args.color,
        version: args.version,
        backlog: args.backlog,
        linger: args.linger,
    };
    let (code, reports) = match args.pid {
        Some(pid) => (0, agent::watch(pid, &options)?),
        None => match agent::run(&args.command, &options) {
            Ok(ended) => (ended.code, ended.reports),
            Err(Failed::NotRun(error)) => {
                note(format_args!("switchboard agent: {error}"));
                return Ok(error.code().into());
            }
            Err(Failed::Report(error)) => return Err(error.into()),
            Err(error) => return Err(anyhow!(error)),
        },
    };
    // The standard error is the command's: a word is said there only when something is missing.
    match reports {
        Some(Outcome { lost: 0, .. }) => {}
        Some(Outcome { lost, problem, .. }) => {
            let problem = problem.map_or_else(String::new, |problem| format!(": {problem}"));
            note(format_args!(
                "switchboard agent: reports that have not reached {}: {lost}{problem}",
                options.collector
            ));
        }
        None => note(format_args!("switchboard agent: it is not known whether the reports have arrived")),
    }
    Ok(code.into())
}
