//! `switchboard top`: the processes of a monitor, in a terminal.

mod processes;
mod text;

mod plain;

mod draw;
mod screen;
mod terminal;

use crate::output;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use processes::Processes;
use std::io::IsTerminal;
use std::time::Duration;
use switchboard_http_client::{Client, Method, Options, StatusCode, Trust, Url, header};
use tokio::time::{MissedTickBehavior, interval};

const BEAT: Duration = Duration::from_secs(1);
/// The longest answer, in bytes: 10,000 processes take some megabytes.
const ANSWER: usize = 64 << 20;

#[derive(Args, Clone, Debug)]
pub(crate) struct Top {
    /// Address of the monitor's page, as HOST:PORT or a URL.
    #[arg(long = "http", value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    address: String,
    /// The access token, which a monitor asks for that other machines can reach.
    #[arg(long, env = switchboard_web::ENVIRONMENT, hide_env_values = true)]
    token: Option<String>,
    /// Print one table and end.
    #[arg(long)]
    once: bool,
    /// Print the monitor's answer as JSON and end.
    #[arg(long, conflicts_with = "once")]
    json: bool,
}

/// The monitor that is asked.
#[derive(Clone, Debug)]
struct Monitor {
    client: Client,
    /// Its address, without a path, for people.
    shown: String,
    token: Option<String>,
}

/// A screen if there is one; else a table a second, until the reader of the output leaves.
pub(crate) async fn run(args: &Top) -> Result<()> {
    let monitor = Monitor::of(args)?;
    if args.json {
        return output::write(format!("{}\n", monitor.get("/api/processes").await?.trim_end()).as_bytes());
    }
    if !args.once && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return screen::run(&monitor).await;
    }
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let known = monitor.processes().await?;
        output::write(plain::table(&known).as_bytes())?;
        if args.once {
            return Ok(());
        }
    }
}

impl Monitor {
    fn of(args: &Top) -> Result<Monitor> {
        let address = args.address.trim_end_matches('/');
        let shown = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let url: Url = shown.parse().with_context(|| format!("--http {}", args.address))?;
        let trust = if url.is_https() { Trust::System } else { Trust::Nobody };
        let client = Client::new(&Options { answer_limit: ANSWER, trust, ..Options::default() })?;
        Ok(Monitor { client, shown, token: args.token.clone() })
    }

    async fn processes(&self) -> Result<Processes> {
        let body = self.get("/api/processes").await?;
        serde_json::from_str(&body).map_err(|_| anyhow!("{} is no monitor: its answer is another", self.shown))
    }

    async fn get(&self, path: &str) -> Result<String> {
        let shown = &self.shown;
        let url: Url = format!("{shown}{path}").parse().with_context(|| format!("--http {shown}"))?;
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![(header::ACCEPT, "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| (header::AUTHORIZATION, bearer)));
        let answer = match self.client.send(Method::GET, &url, &headers, "").await {
            Ok(answer) => answer,
            Err(error) => {
                let error = error.to_string();
                let advice =
                    if error.contains("refused") { "; start the monitor with `switchboard monitor`" } else { "" };
                bail!("cannot ask {shown}: {error}{advice}");
            }
        };
        let text = String::from_utf8_lossy(&answer.body);
        match answer.status {
            StatusCode::OK => match answer.cut {
                None => Ok(text.into_owned()),
                Some(cut) => bail!("cannot ask {shown}: {cut}"),
            },
            StatusCode::NOT_FOUND => bail!(
                "there is no monitor at {shown} (HTTP 404); if this is the broker's HTTP, the monitor's page is on port \
                 8088 by default"
            ),
            StatusCode::UNAUTHORIZED => {
                bail!("{shown} needs its token: --token TOKEN, or {} in the environment", switchboard_web::ENVIRONMENT)
            }
            status => bail!("{shown} answers {status}: {}", text::escape(text.trim())),
        }
    }
}
