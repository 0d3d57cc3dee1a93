//! The command lines.

use super::examples;
use crate::config::Settings;
use crate::log::LogFormat;
use crate::output::UsageError;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RowsArgs {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    #[command(flatten)]
    serving: Serving,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Print the SQL of the triggers that report changes, install them, or remove them.
    #[command(after_help = examples::TRIGGERS)]
    Triggers {
        #[command(subcommand)]
        action: Triggers,
    },
    /// Run a command with a database of its own, which is dropped afterwards; or create and drop one by name.
    ///
    /// DATABASE_URL, PGHOST and the like lead the command to its database. The exit code is the command's.
    #[command(after_help = examples::SCRATCH)]
    Scratch(ScratchArgs),
    /// Demonstrate several instances over one database: writes, reads, a killed listener, and no stale row.
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum Triggers {
    /// Print the SQL that installs them.
    #[command(after_help = examples::PRINT)]
    Print(Triggered),
    /// Install them, in place of older ones.
    #[command(after_help = examples::INSTALL)]
    Install(Changed),
    /// Remove them, with everything that was installed for them.
    #[command(after_help = examples::REMOVE)]
    Remove(Changed),
}

/// A database that has to be there.
#[derive(Args, Debug)]
pub(super) struct Given {
    /// The database, as postgres://USER@HOST/NAME; there is no default.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database: Option<String>,
}

/// A database, or a private one.
#[derive(Args, Debug)]
pub(super) struct At {
    /// The database, as postgres://USER@HOST/NAME [default: a private PostgreSQL].
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database: Option<String>,
}

/// Tables of a database.
#[derive(Args, Debug)]
pub(super) struct Triggered {
    #[command(flatten)]
    at: Given,
    #[command(flatten)]
    tables: Tables,
}

/// Tables whose triggers are changed.
#[derive(Args, Debug)]
pub(super) struct Changed {
    #[command(flatten)]
    pub(super) tables: Triggered,
    /// Their names as JSON.
    #[arg(long, short = 'j')]
    pub(super) json: bool,
}

/// Tables of the command line or of a configuration file.
#[derive(Args, Debug)]
struct Tables {
    /// A table, as NAME or SCHEMA.NAME (repeatable) [default: patron].
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// A configuration file, in TOML; its tables rows and rows.table are read.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ScratchArgs {
    #[command(subcommand)]
    pub(super) action: Option<Named>,
    #[command(flatten)]
    pub(super) at: At,
    /// The command.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Named {
    /// Create a database that stays until it is dropped.
    #[command(after_help = examples::CREATE)]
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        at: Given,
        /// JSON: the name, the address, and how to drop it.
        #[arg(long, short = 'j')]
        json: bool,
    },
    /// Drop a database that `create` made.
    #[command(after_help = examples::DROP)]
    Drop {
        /// Its name.
        name: String,
        #[command(flatten)]
        at: Given,
        /// The name as JSON.
        #[arg(long, short = 'j')]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    #[command(flatten)]
    pub(super) at: At,
    /// Instances of the cache, from 2 to 16.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = instances)]
    pub(super) instances: u8,
}

fn instances(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| (2..=16).contains(number));
    number.ok_or_else(|| "it is a number from 2 to 16".to_owned())
}

#[derive(Args, Debug)]
struct Serving {
    /// A table without its option.
    #[arg(hide = true, value_name = "NAME")]
    stray: Vec<String>,
    /// Address of the API and the page, over HTTP (repeatable) [default: 127.0.0.1:8000].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    tables: Tables,
    /// Directory for the data of all services, a folder each [default: switchboard in $XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "DIR", env = "SWITCHBOARD_DATA")]
    data: Option<String>,
    /// Refuse every write.
    #[arg(long)]
    read_only: bool,
    /// Log level: off, error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Format of log lines [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Any setting that `switchboard config` prints, as rows.KEY=VALUE (repeatable).
    #[arg(long, allow_hyphen_values = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the addresses to this file, as JSON, once everything listens.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

impl Triggered {
    /// Settings with the database and the tables.
    pub(super) fn settings(&self) -> Result<Settings> {
        self.tables.read(self.at.database.as_deref(), &[], &[]).map_err(UsageError::of)
    }
}

impl Tables {
    fn read(&self, database: Option<&str>, set: &[String], pairs: &[(&str, Option<String>)]) -> Result<Settings> {
        let mut settings = Settings::default();
        if let Some(path) = &self.config {
            settings.read_file(path)?;
        }
        settings.set_pairs(set)?;
        let tables = Some(self.table.join(",")).filter(|list| !list.is_empty());
        let own = [("rows.database", database.map(str::to_owned)), ("rows.tables", tables)];
        for (key, value) in own.iter().chain(pairs) {
            if let Some(value) = value {
                settings.set_option(key, value)?;
            }
        }
        settings.web.limits.check()?;
        Ok(settings)
    }
}

impl RowsArgs {
    pub(super) fn settings(&self) -> Result<Settings> {
        self.read().map_err(UsageError::of)
    }

    fn read(&self) -> Result<Settings> {
        let serving = &self.serving;
        if let Some(stray) = serving.stray.first() {
            bail!("{stray:?} is no command of rows (triggers, scratch, demo); a table is given by --table {stray}");
        }
        let pairs = [
            ("rows.listen", Some(serving.listen.join(",")).filter(|list| !list.is_empty())),
            ("rows.read-only", serving.read_only.then(|| "true".to_owned())),
            ("data", serving.data.clone()),
            ("log", serving.log.clone()),
            ("log-format", serving.log_format.map(|format| format.name().to_owned())),
        ];
        let settings = serving.tables.read(serving.at.database.as_deref(), &serving.set, &pairs)?;
        if settings.rows.service.listen.is_empty() {
            bail!("rows.listen is empty: at least one HOST:PORT is needed");
        }
        settings.rows_settings().check()?;
        Ok(settings)
    }

    pub(super) fn ready_file(&self) -> Option<&Path> {
        self.serving.ready_file.as_deref()
    }
}
