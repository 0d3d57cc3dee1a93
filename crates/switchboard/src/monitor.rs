//! `switchboard monitor`: the collector alone.

use crate::config::Settings;
use crate::log::LogFormat;
use crate::output::UsageError;
use crate::server_address::{Door, ServerAddress};
use crate::up::{self, Chosen};
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard monitor                  the page is at http://127.0.0.1:8088
  switchboard monitor --collect tcp://0.0.0.0:5555 --listen 0.0.0.0:8088
  switchboard monitor --set monitor.webhook=http://127.0.0.1:9000/alert
  switchboard agent python3 worker.py  a process to look at";

#[derive(Args, Debug)]
pub(crate) struct Monitored {
    /// Endpoint for senders over ZeroMQ ('' for none) [default: tcp://127.0.0.1:5555].
    #[arg(long, value_name = "ENDPOINT")]
    collect: Option<String>,
    /// Address of the page and the API, over HTTP (repeatable) [default: 127.0.0.1:8088].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    /// Directory for the data of all services, a folder each [default: switchboard in $XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "DIR", env = "SWITCHBOARD_DATA")]
    data: Option<String>,
    /// Broker to take samples from (/topic/metrics) and to publish alerts to (/topic/alerts).
    #[arg(long, short = 's', value_name = "URL")]
    server: Option<ServerAddress>,
    /// A configuration file, in TOML; `switchboard config` prints one.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log level: off, error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Format of log lines [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Any setting that `switchboard config` prints, as monitor.KEY=VALUE (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the addresses to this file, as JSON, once everything listens.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

impl Monitored {
    fn settings(&self) -> Result<Settings> {
        self.read().map_err(UsageError::of)
    }

    fn read(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        if let Some(path) = &self.config {
            settings.read_file(path)?;
        }
        settings.set_pairs(&self.set)?;
        let broker = self.server.as_ref().map(|server| format!("switchboard://{}", server.authority(Door::Native)));
        let listen = Some(self.listen.join(",")).filter(|list| !list.is_empty());
        let log_format = self.log_format.map(|format| format.name().to_owned());
        for (key, value) in [
            ("monitor.collect", &self.collect),
            ("monitor.listen", &listen),
            ("data", &self.data),
            ("monitor.broker", &broker),
            ("log", &self.log),
            ("log-format", &log_format),
        ] {
            if let Some(value) = value {
                settings.set_option(key, value)?;
            }
        }
        settings.web.limits.check()?;
        if settings.monitor.listen.is_empty() {
            bail!("monitor.listen is empty: at least one HOST:PORT is needed");
        }
        Ok(settings)
    }
}

/// Collects until a signal ends it.
pub(crate) fn run(args: Monitored) -> Result<()> {
    up::run(Chosen::Monitor, args.ready_file.clone(), move || args.settings())
}
