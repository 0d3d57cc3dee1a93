use super::router::router;
use super::settings::{RowsSettings, SettingError};
use super::state::State;
use super::{backend, one};
use crate::PrivatePostgres;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use switchboard_web::{BindError, HttpServer, Purpose, Token};

const HTTP: Purpose = Purpose::http("rows", "--set rows.listen=");

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A setting is out of its bounds.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database's address or the tables are not what they should be.
    #[error(transparent)]
    Rows(#[from] crate::Error),
}

/// Rows over HTTP: it listens, and answers from [`RowsService::run`] on, whether the database is there or not.
///
/// Without a database's address it starts a private PostgreSQL, for which the program must have called
/// [`switchboard_child::init`] first in `main`.
#[derive(Debug)]
pub struct RowsService {
    http: HttpServer,
    settings: RowsSettings,
}

impl RowsService {
    /// Listens on all addresses of the settings.
    ///
    /// # Errors
    /// If a setting, an address to listen at, the database's address or the directory of a private PostgreSQL cannot be
    /// used.
    pub async fn bind(mut settings: RowsSettings) -> Result<RowsService, StartError> {
        settings.check()?;
        if let Some(address) = &settings.database {
            address.parse::<crate::Database>()?;
        }
        if settings.database.is_none() {
            PrivatePostgres::check_free(&settings.data)?;
        }
        settings.options.create_demo_table &= !settings.read_only;
        settings.web.limits.body = settings.body;
        settings.web.origins.clone_from(&settings.origins);
        let http = HttpServer::bind(&settings.listen, HTTP, settings.web.clone()).await?;
        Ok(RowsService { http, settings })
    }

    /// Returns the addresses of its listeners.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.addresses()
    }

    /// The token that clients need, if they need one.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.http.token()
    }

    /// Serves until `shutdown` is ready; then open requests have a second for their answers.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let state = State::new(self.settings);
        let ending = state.ending.clone();
        let keeping = tokio::spawn(backend::keep(Arc::downgrade(&state), state.settings.clone(), ending.subscribe()));
        let end = async {
            shutdown.await;
            ending.send_replace(true);
        };
        let cached = state.clone();
        self.http.immediate(move |uri, headers| one::immediate(&cached, uri, headers)).serve(router(&state), end).await;
        ending.send_replace(true);
        // It stops a private PostgreSQL.
        let _ = keeping.await;
    }
}
