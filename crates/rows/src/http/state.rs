//! State that all requests share.

use super::errors::{Answered, Refusal};
use super::metrics::{HttpMetrics, Operation};
use super::settings::RowsSettings;
use crate::RowCache;
use crate::query::Relation;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;
use switchboard_driver::quantity::plural;
use switchboard_web::{LINES, LineQuota};
use tokio::sync::watch;

pub(super) struct State {
    pub(super) settings: RowsSettings,
    pub(super) backend: RwLock<Backend>,
    pub(super) metrics: HttpMetrics,
    /// Clients that listen for changes.
    pub(super) clients: AtomicUsize,
    pub(super) ending: watch::Sender<bool>,
    /// Of requests that write.
    lines: LineQuota,
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

/// Returns the name of a writing request in the log.
pub(super) fn name_of(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

impl State {
    /// Counts and logs an operation that has ended.
    pub(super) fn record(&self, name: &str, operation: Operation, begun: Instant) {
        let elapsed = begun.elapsed();
        self.metrics.record(operation, elapsed);
        tracing::debug!("{name} Elapsed: {:.2} ms", elapsed.as_secs_f64() * 1000.0);
    }

    /// Logs a request that has written rows; at debug where there are too many.
    pub(super) fn wrote(&self, name: &str, table: &str, count: u64) {
        if let Some(left_out) = self.lines.report(Instant::now()) {
            tracing::info!("rows: {left_out} more writes are logged at debug (at most {LINES} a second at info)");
        }
        let rows = plural(count, "row");
        if self.lines.allows(Instant::now()) {
            tracing::info!("rows: {name} {table}: {rows}");
        } else {
            tracing::debug!("rows: {name} {table}: {rows}");
        }
    }

    /// Counts and logs it, and makes the answer.
    pub(super) fn answer(&self, name: &str, operation: Operation, begun: Instant, answered: Answered) -> Response {
        self.record(name, if answered.is_ok() { operation } else { Operation::Failed }, begun);
        answered.unwrap_or_else(IntoResponse::into_response)
    }

    pub(super) fn new(settings: RowsSettings) -> Arc<State> {
        Arc::new(State {
            settings,
            backend: RwLock::new(Backend::Down("the database is being started".to_owned())),
            metrics: HttpMetrics::default(),
            clients: AtomicUsize::new(0),
            ending: watch::Sender::new(false),
            lines: LineQuota::new(Instant::now()),
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
