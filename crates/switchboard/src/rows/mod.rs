//! `switchboard rows`: tables of a PostgreSQL database as a JSON API, and what belongs to it.

mod args;
mod demo;
mod examples;
mod scratch;
mod server;
mod triggers;

pub(crate) use args::RowsArgs;

use crate::config::Settings;
use crate::up::{self, Chosen};
use crate::{block_on, data};
use anyhow::{Result, anyhow};
use args::Action;
use std::path::Path;
use std::process::ExitCode;
use switchboard_rows::http::{RowsService, StartError};

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard rows                     with a PostgreSQL of its own
  switchboard rows --database postgres://app@localhost/shop --table sales.item
  curl --json '{\"name\":\"Ann\"}' http://127.0.0.1:8000/patron
  curl http://127.0.0.1:8000/patron/1  the page is at http://127.0.0.1:8000
  switchboard rows triggers print --database postgres://app@localhost/shop
  switchboard rows scratch -- pytest   a database for one command
  switchboard rows demo --instances 3";

/// Serves rows until a signal ends it, or runs a command.
pub(crate) fn run(args: RowsArgs) -> Result<ExitCode> {
    match &args.action {
        None => up::run(Chosen::Rows, args.ready_file().map(Path::to_owned), move || args.settings())?,
        Some(Action::Triggers { action }) => block_on(triggers::run(action))?,
        Some(Action::Scratch(args)) => return block_on(scratch::run(args)),
        Some(Action::Demo(args)) => block_on(demo::run(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Listens. The database is waited for by nobody.
pub(crate) async fn bind(settings: &Settings, chosen: Chosen) -> Result<RowsService> {
    let mut rows = settings.rows_settings();
    if rows.database.is_none() {
        rows.data = data::rows_folder(settings.data.as_deref())?;
    }
    let kept = rows.database.is_none().then(|| rows.data.clone());
    let service = RowsService::bind(rows).await.map_err(|error| match error {
        StartError::Bind(error) => chosen.advised(error, "--set rows.listen="),
        error => anyhow!("{error}"),
    })?;
    if let Some(folder) = kept {
        data::note_owner(&folder, settings.data.as_deref());
    }
    Ok(service)
}
