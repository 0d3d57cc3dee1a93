//! The cache over a database: reads, writes, and the tasks that keep it coherent.

mod demand;
mod demo;
mod describe;
mod events;
mod marker;
mod metrics;
mod options;
mod outage;
mod read;
mod refresh;
mod sampler;
mod shape;
mod shown;
mod state;
mod status;
mod supervisor;
mod witness;
mod write;

pub use describe::{ColumnInfo, TableInfo};
pub use events::{Changes, EventId, RowChange};
pub use metrics::Metrics;
pub use options::{DisabledParts, Options, Refresh};
pub use read::{Consistency, Read, Source};
pub use status::{Status, TableStatus};
pub use write::{Conditional, Written, WrittenRows};

use crate::cache::{Row, TableId};
use crate::database::{Pool, settings};
use crate::{Database, Error, Key, TableSpec};
use state::{Inner, Phase};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Rows of a PostgreSQL database, cached: never older than the bound, whatever the network does.
///
/// Clones share one cache, which ends with the last of them. It needs a tokio runtime with I/O and time.
#[derive(Clone, Debug)]
pub struct RowCache {
    inner: Arc<Inner>,
    _tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl RowCache {
    /// Connects, installs missing triggers, and returns once rows are cached.
    ///
    /// # Errors
    /// If the database cannot be used, or a table cannot be cached. [`RowCache::open`] goes on trying instead.
    pub async fn connect<T: Into<TableSpec>>(
        database: &Database,
        tables: impl IntoIterator<Item = T>,
    ) -> Result<RowCache, Error> {
        RowCache::connect_with(database, tables, Options::default()).await
    }

    /// [`RowCache::connect`] with options.
    ///
    /// # Errors
    /// As for [`RowCache::connect`].
    pub async fn connect_with<T: Into<TableSpec>>(
        database: &Database,
        tables: impl IntoIterator<Item = T>,
        options: Options,
    ) -> Result<RowCache, Error> {
        let cache = RowCache::open(database, tables, options)?;
        let mut phase = cache.inner.phase.subscribe();
        let phase = phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await;
        if let Ok(Phase::Down(error)) = phase.as_deref() {
            return Err(error.clone());
        }
        drop(phase);
        match cache.inner.tables.iter().find_map(state::TableSlot::problem) {
            Some(problem) => Err(problem),
            None => Ok(cache),
        }
    }

    /// Begins to connect, and keeps trying. Reads fail until the database answers; [`RowCache::status`] says why.
    ///
    /// # Errors
    /// If there is no table, or more than 1,000, or two of one name.
    pub fn open<T: Into<TableSpec>>(
        database: &Database,
        tables: impl IntoIterator<Item = T>,
        options: Options,
    ) -> Result<RowCache, Error> {
        let specs: Vec<TableSpec> = tables.into_iter().map(Into::into).collect();
        let options = options.checked();
        let (statement, lock) = options.server_limits();
        let settings = settings("switchboard rows", statement, lock);
        let pool = Pool::new(database.clone(), options.connections, settings);
        let inner = Inner::new(database.clone(), pool, specs, options)?;
        let tasks = vec![
            tokio::spawn(supervisor::supervise(inner.clone())),
            tokio::spawn(refresh::refresh(inner.clone())),
            tokio::spawn(sampler::sample(inner.clone())),
            tokio::spawn(demand::tick(inner.clone())),
        ];
        Ok(RowCache { inner, _tasks: Arc::new(Tasks(tasks)) })
    }

    /// Reads a row, at most [`Options::limits`]' `max_age` stale. `None`: there is no such row.
    ///
    /// # Errors
    /// If there is no such table, no row can have this key, or the database does not answer when asked.
    pub async fn get(&self, table: &str, key: impl Into<Key>) -> Result<Row, Error> {
        Ok(self.read(table, key).await?.row)
    }

    /// As [`RowCache::get`], and says where the row came from.
    ///
    /// # Errors
    /// As for [`RowCache::get`].
    pub async fn read(&self, table: &str, key: impl Into<Key>) -> Result<Read, Error> {
        self.read_with(table, key, Consistency::Cached).await
    }

    /// Reads a row as it is now: at least as new as every write that was acknowledged before the call.
    ///
    /// # Errors
    /// As for [`RowCache::get`].
    pub async fn get_strong(&self, table: &str, key: impl Into<Key>) -> Result<Row, Error> {
        Ok(self.read_strong(table, key).await?.row)
    }

    /// As [`RowCache::get_strong`], and says where the row came from.
    ///
    /// # Errors
    /// As for [`RowCache::get`].
    pub async fn read_strong(&self, table: &str, key: impl Into<Key>) -> Result<Read, Error> {
        self.read_with(table, key, Consistency::Strong).await
    }

    /// Reads a row, at least as new as the write that gave the token.
    ///
    /// # Errors
    /// [`Error::Token`] for one of another database or timeline, or of a write that never was; as for
    /// [`RowCache::get`] besides.
    pub async fn get_after(&self, table: &str, key: impl Into<Key>, token: crate::Token) -> Result<Row, Error> {
        Ok(self.read_after(table, key, token).await?.row)
    }

    /// As [`RowCache::get_after`], and says where the row came from.
    ///
    /// # Errors
    /// As for [`RowCache::get_after`].
    pub async fn read_after(&self, table: &str, key: impl Into<Key>, token: crate::Token) -> Result<Read, Error> {
        self.read_with(table, key, Consistency::After(token)).await
    }

    /// Reads a row that is as new as the caller asks for.
    ///
    /// # Errors
    /// As for [`RowCache::get`] and [`RowCache::get_after`].
    pub async fn read_with(&self, table: &str, key: impl Into<Key>, consistency: Consistency) -> Result<Read, Error> {
        self.inner.read_with(table, &key.into(), consistency).await
    }

    /// Refuses a token of another database.
    pub(crate) fn check_token(&self, token: crate::Token) -> Result<(), Error> {
        self.inner.database_of(token).map(|_| ())
    }

    /// A row that is in the cache, with the age that it does not exceed, and no wait; `None` for anything else.
    pub(crate) fn read_now(&self, table: &str, key: &str) -> Option<(bytes::Bytes, std::time::Duration)> {
        self.inner.read_now(table, key)
    }

    /// Waits until every write that was acknowledged before the call is applied. Returns false if that cannot be known.
    pub(crate) async fn prove(&self, table: &str) -> bool {
        match self.inner.id(table) {
            Ok(id) => self.inner.prove(id).await,
            Err(_) => false,
        }
    }

    /// A strong read after [`RowCache::prove`], with what that returned.
    pub(crate) async fn read_proven(&self, table: &str, key: &Key, is_proven: bool) -> Result<Read, Error> {
        self.inner.read_proven(table, key, is_proven).await
    }

    /// Inserts a row from an object of its columns' values.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the database refuses, [`Error::Unknown`] if the connection was lost meanwhile.
    pub async fn insert(&self, table: &str, values: &serde_json::Value) -> Result<Written, Error> {
        self.inner.insert(table, values).await
    }

    /// Sets the given columns of a row. `None`: there is no such row.
    ///
    /// # Errors
    /// As for [`RowCache::insert`].
    pub async fn update(
        &self,
        table: &str,
        key: impl Into<Key>,
        values: &serde_json::Value,
    ) -> Result<Option<Written>, Error> {
        Ok(written(self.inner.update(table, &key.into(), values, None).await?))
    }

    /// As [`RowCache::update`], if the row has one of these tags: see [`row_tag`](crate::row_tag).
    ///
    /// # Errors
    /// As for [`RowCache::insert`].
    pub async fn update_if(
        &self,
        table: &str,
        key: impl Into<Key>,
        values: &serde_json::Value,
        tags: &[String],
    ) -> Result<Conditional, Error> {
        self.inner.update(table, &key.into(), values, Some(tags)).await
    }

    /// Deletes a row, and returns it as it was. `None`: there is no such row.
    ///
    /// # Errors
    /// As for [`RowCache::insert`].
    pub async fn delete(&self, table: &str, key: impl Into<Key>) -> Result<Option<Written>, Error> {
        Ok(written(self.inner.delete(table, &key.into(), None).await?))
    }

    /// As [`RowCache::delete`], if the row has one of these tags: see [`row_tag`](crate::row_tag).
    ///
    /// # Errors
    /// As for [`RowCache::insert`].
    pub async fn delete_if(&self, table: &str, key: impl Into<Key>, tags: &[String]) -> Result<Conditional, Error> {
        self.inner.delete(table, &key.into(), Some(tags)).await
    }

    /// Runs a query over the cache's connections, past the cache. Every parameter and every column is text.
    ///
    /// # Errors
    /// As for [`RowCache::insert`].
    pub async fn query(&self, sql: &str, parameters: Vec<Option<String>>) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.inner.query(sql, parameters).await
    }

    /// Runs a statement that writes rows of a table, and forgets them. Every parameter is text.
    ///
    /// The statement gives the key's values as a text array, and the row as text, of each row that it wrote. If it
    /// `moves` rows to other keys, everything cached of the table is forgotten; so it is if the outcome is unknown,
    /// more than 1,000 rows were written, or the statement's third column, a number as text, says that it gave fewer
    /// rows than it wrote.
    ///
    /// # Errors
    /// As for [`RowCache::insert`].
    pub async fn write_rows(
        &self,
        table: &str,
        sql: &str,
        parameters: Vec<Option<String>>,
        moves: bool,
    ) -> Result<WrittenRows, Error> {
        self.inner.write_rows(table, sql, parameters, moves).await
    }

    /// A table's columns and key, as the catalogue had them last.
    ///
    /// # Errors
    /// If there is no such table, or it cannot be served.
    pub fn describe(&self, table: &str) -> Result<TableInfo, Error> {
        self.inner.describe(table)
    }

    /// The changes of all tables from now on, from whomever.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.inner.events.subscribe(None)
    }

    /// The changes after one that was seen. Begins with a gap if those are not kept any more ([`Options::changes`]), or
    /// if it was of another cache.
    #[must_use]
    pub fn subscribe_after(&self, seen: EventId) -> Changes {
        self.inner.events.subscribe(Some(seen))
    }

    /// Waits until rows are cached.
    pub async fn live(&self) {
        // An error means that the tasks are gone, and they live as long as we do.
        let _ = self.inner.phase.subscribe().wait_for(|phase| matches!(phase, Phase::Live)).await;
    }

    /// Calls `tell` with the problem of the change feed, or `None` once it stands, each time that this changes.
    pub(crate) async fn follow(&self, mut tell: impl FnMut(Option<&Error>)) -> Infallible {
        let mut phase = self.inner.phase.subscribe();
        loop {
            match &*phase.borrow_and_update() {
                Phase::Starting => {}
                Phase::Live => tell(None),
                Phase::Down(error) if supervisor::is_restart(error) => {}
                Phase::Down(error) => tell(Some(error)),
            }
            if phase.changed().await.is_err() {
                // The cache, which is ours, has the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns its status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.status()
    }

    /// Counters since the start.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.inner.metrics.read()
    }

    /// Every cached row, with its table's name and its key: at rest each equals its row in the database.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(String, Key, Row)> {
        let entries = self.inner.cache.snapshot().into_iter();
        entries.filter_map(|(id, key, row)| self.inner.named(id, &key).map(|(table, key)| (table, key, row))).collect()
    }
}

fn written(outcome: Conditional) -> Option<Written> {
    match outcome {
        Conditional::Written(written) => Some(written),
        Conditional::Absent | Conditional::Changed => None,
    }
}

impl Inner {
    fn named(&self, id: TableId, key: &[u8]) -> Option<(String, Key)> {
        let table = self.slot(id).table().ok()?;
        Some((self.slot(id).name.to_string(), Key::from_bytes(key, table.key_columns())?))
    }
}
