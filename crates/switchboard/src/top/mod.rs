//! `switchboard top`: the processes of a monitor, in a terminal.

mod processes;

mod plain;
mod screen;

use crate::output;
use crate::status::request;
use anyhow::{Context, Result};
use clap::Args;
use processes::Processes;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const BEAT: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub(crate) struct Top {
    /// Where the monitor serves its page.
    #[arg(long = "http", value_name = "HOST:PORT", default_value = "127.0.0.1:8088")]
    address: String,
    /// The access token, which a monitor asks for that other machines can reach.
    #[arg(long, env = switchboard_web::ENVIRONMENT, hide_env_values = true)]
    token: Option<String>,
    /// Print one table and end.
    #[arg(long)]
    once: bool,
}

/// A screen if there is one; else a table a second, until whoever reads it has seen enough.
pub(crate) async fn run(args: &Top) -> Result<()> {
    if !args.once && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return screen::run(args).await;
    }
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let known = ask(args).await?;
        output::write(plain::table(&known).as_bytes())?;
        if args.once {
            return Ok(());
        }
    }
}

async fn ask(args: &Top) -> Result<Processes> {
    let body = args.get("/api/processes").await?;
    serde_json::from_str(&body).context("the monitor's answer is none that is understood here")
}

impl Top {
    async fn get(&self, path: &str) -> Result<String> {
        request(&self.address, "GET", path, self.token.as_deref()).await
    }
}
