//! The database of a command: the one that was given, or a private one that ends with the command.

use super::args::At;
use crate::output::UsageError;
use anyhow::{Context, Result};
use switchboard_rows::{Database, PostgresOptions, PrivatePostgres};

/// A database server, for as long as this lives.
pub(super) struct Server {
    pub(super) database: Database,
    private: Option<PrivatePostgres>,
}

impl Server {
    pub(super) async fn start(at: &At) -> Result<Server> {
        if let Some(address) = at.database.as_deref().filter(|address| !address.is_empty()) {
            return Ok(Server { database: given(Some(address))?, private: None });
        }
        let postgres = PrivatePostgres::start(&PostgresOptions::temporary()).await?;
        Ok(Server { database: postgres.database().clone(), private: Some(postgres) })
    }

    pub(super) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Ends a private one, and removes what it had.
    pub(super) async fn stop(self) {
        if let Some(postgres) = self.private {
            let _ = tokio::task::spawn_blocking(move || postgres.stop()).await;
        }
    }
}

/// The database of a command that has no default.
pub(super) fn given(address: Option<&str>) -> Result<Database> {
    let address = address.filter(|address| !address.is_empty());
    let address = address.context("which database? Give its address: --database URL, or DATABASE_URL");
    address.and_then(|address| Ok(address.parse::<Database>()?)).map_err(UsageError::of)
}
