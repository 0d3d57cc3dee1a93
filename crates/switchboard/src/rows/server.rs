//! The database of a command: the one that was given, or a private one that ends with the command.

use super::args::At;
use anyhow::{Context, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use switchboard_rows::{Database, PostgresOptions, PrivatePostgres};
use tempfile::TempDir;

/// A database server, for as long as this lives.
pub(super) struct Server {
    pub(super) database: Database,
    private: Option<(PrivatePostgres, TempDir)>,
}

impl Server {
    pub(super) async fn start(at: &At) -> Result<Server> {
        if let Some(address) = at.database.as_deref().filter(|address| !address.is_empty()) {
            return Ok(Server { database: address.parse()?, private: None });
        }
        let directory = tempfile::Builder::new().prefix("switchboard-rows-").tempdir();
        let directory = directory.context("cannot make a directory for a private PostgreSQL")?;
        // PostgreSQL's user passes through it where this one is root; its own folder in it is closed.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o711))?;
        let data: PathBuf = directory.path().join("rows");
        let mut options = PostgresOptions::new(data);
        // Nothing in it has to survive the machine.
        options.settings = vec!["fsync=off".to_owned()];
        let postgres = PrivatePostgres::start(&options).await?;
        Ok(Server { database: postgres.database().clone(), private: Some((postgres, directory)) })
    }

    pub(super) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Ends a private one, and removes what it had.
    pub(super) async fn stop(self) {
        if let Some((postgres, directory)) = self.private {
            let _ = tokio::task::spawn_blocking(move || {
                postgres.stop();
                drop(directory);
            })
            .await;
        }
    }
}
