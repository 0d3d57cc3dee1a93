//! What all requests share.

use super::errors::Refusal;
use super::metrics::HttpMetrics;
use super::settings::RowsSettings;
use crate::RowCache;
use crate::query::Relation;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;

pub(super) struct State {
    pub(super) settings: RowsSettings,
    pub(super) backend: RwLock<Backend>,
    pub(super) metrics: HttpMetrics,
    /// Clients that listen for changes.
    pub(super) clients: AtomicUsize,
    pub(super) ending: watch::Sender<bool>,
}

/// The database's part.
#[derive(Clone)]
pub(super) enum Backend {
    /// The cache; what it cannot do it says itself.
    Up(RowCache),
    /// There is no database to connect to, for this reason.
    Down(String),
}

pub(super) type Shared = axum::extract::State<Arc<State>>;

impl State {
    pub(super) fn new(settings: RowsSettings) -> Arc<State> {
        Arc::new(State {
            settings,
            backend: RwLock::new(Backend::Down("the database is being started".to_owned())),
            metrics: HttpMetrics::default(),
            clients: AtomicUsize::new(0),
            ending: watch::Sender::new(false),
        })
    }

    pub(super) fn rows(&self) -> Result<RowCache, Refusal> {
        match &*self.backend.read() {
            Backend::Up(rows) => Ok(rows.clone()),
            Backend::Down(reason) => Err(Refusal::unavailable(reason.clone(), 5)),
        }
    }

    /// The table's description, if it is one of ours.
    pub(super) fn relation(&self, table: &str) -> Result<(RowCache, Relation), Refusal> {
        self.serves(table)?;
        let rows = self.rows()?;
        let relation = rows.relation(table)?;
        Ok((rows, relation))
    }

    /// Refuses a table that is not served, whatever the database does.
    pub(super) fn serves(&self, table: &str) -> Result<(), Refusal> {
        let is_served = self.settings.tables.iter().any(|spec| spec.name == table);
        if is_served { Ok(()) } else { Err(Refusal::no_table(table)) }
    }

    /// Refuses to write where nobody may.
    pub(super) fn may_write(&self) -> Result<(), Refusal> {
        if !self.settings.read_only {
            return Ok(());
        }
        let message = "this service is read-only (rows.read-only)";
        Err(Refusal::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "25006", message))
    }
}
