//! `switchboard top`: the processes of a monitor, in a terminal.

mod processes;
mod text;

mod ascii;
mod plain;

mod draw;
mod screen;
mod terminal;

use crate::display;
use crate::http::{HttpArgs, HttpServer};
use crate::output;
use crate::server_address::Door;
use crate::table;
use anyhow::{Result, anyhow};
use clap::Args;
use processes::Processes;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard top
  switchboard top --once  one table, for scripts
  switchboard top -s monitor.example:8088";

const BEAT: Duration = Duration::from_secs(1);
const PROCESSES: &str = "/api/processes";

#[derive(Args, Clone, Debug)]
pub(crate) struct Top {
    #[command(flatten)]
    http: HttpArgs,
    /// Print one table and end.
    #[arg(long)]
    once: bool,
    /// Print the monitor's answer as JSON and end.
    #[arg(long, short = 'j', conflicts_with = "once")]
    json: bool,
}

/// The monitor that is asked.
#[derive(Clone, Debug)]
struct Monitor(HttpServer);

/// A screen if there is one whose cursor can be moved; else a table a second, until the reader of the output leaves.
pub(crate) fn run(args: &Top) -> Result<()> {
    let is_screen = !args.json && !args.once && display::is_screen() && std::io::stdin().is_terminal();
    if is_screen {
        // Before the runtime, which has threads.
        terminal::block_faults()?;
    }
    crate::block_on(show(args, is_screen))
}

async fn show(args: &Top, is_screen: bool) -> Result<()> {
    let monitor = Monitor::of(args)?;
    if args.json {
        let answer = monitor.0.get(PROCESSES).await?;
        return output::write_json(answer.trim_end());
    }
    if is_screen {
        return screen::run(&monitor).await;
    }
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let known = monitor.processes().await?;
        let size = table::size(std::io::stdout().is_terminal(), false);
        output::write(plain::table(&known, size).as_bytes())?;
        if args.once {
            return Ok(());
        }
    }
}

impl Monitor {
    fn of(args: &Top) -> Result<Monitor> {
        Ok(Monitor(HttpServer::new(&args.http, Door::MonitorHttp)?))
    }

    fn shown(&self) -> &str {
        self.0.base()
    }

    async fn processes(&self) -> Result<Processes> {
        let body = self.0.get(PROCESSES).await?;
        serde_json::from_str(&body).map_err(|_| anyhow!("{} does not answer as a monitor does", self.shown()))
    }
}
