use super::metrics::count;
use super::state::Inner;
use crate::cache::{Lease, Lookup, Row, TableId};
use crate::table::Table;
use crate::{Error, Identity, Key, Token, clock};
use bytes::Bytes;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Fills by others that a read waits for before it asks the database itself.
const WAITS: usize = 3;

/// The source of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The cache.
    Hit,
    /// The database; it is cached now, if nothing overtook it.
    Miss,
    /// The database, for the cache could not answer.
    Bypass,
}

/// A row, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read {
    /// The row as JSON, or `None`.
    pub row: Row,
    /// Its source.
    pub source: Source,
    /// Age that it did not exceed at the time of the call.
    pub max_age: Duration,
}

/// Parameters of a key.
pub(super) fn parameters(key: &Key) -> Vec<&(dyn tokio_postgres::types::ToSql + Sync)> {
    key.parts().iter().map(|part| part as &(dyn tokio_postgres::types::ToSql + Sync)).collect()
}

pub(super) fn row_of(row: Option<&tokio_postgres::Row>) -> Result<Row, Error> {
    let text: Option<&str> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(text.map(|text| Bytes::copy_from_slice(text.as_bytes())))
}

/// The required freshness of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// At most [`Limits::max_age`](crate::cache::Limits::max_age) stale.
    #[default]
    Cached,
    /// As new as every write that was acknowledged before the call.
    Strong,
    /// As new as the write that gave the token.
    After(Token),
}

/// `cached`, `strong` or `after=TOKEN`.
impl FromStr for Consistency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Consistency, Error> {
        match text.split_once('=') {
            None if text == "cached" => Ok(Consistency::Cached),
            None if text == "strong" => Ok(Consistency::Strong),
            Some(("after", token)) => Ok(Consistency::After(token.parse()?)),
            _ => Err(Error::Consistency { given: text.chars().take(50).collect() }),
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Consistency::Cached => formatter.write_str("cached"),
            Consistency::Strong => formatter.write_str("strong"),
            Consistency::After(token) => write!(formatter, "after={token}"),
        }
    }
}

impl Inner {
    pub(super) async fn read_with(
        self: &Arc<Self>,
        table: &str,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Read, Error> {
        match consistency {
            Consistency::Cached => self.read(table, key).await,
            Consistency::Strong => self.read_strong(table, key).await,
            Consistency::After(token) => self.read_after(table, key, token).await,
        }
    }

    /// Runs somebody's query.
    pub(super) async fn query(
        self: &Arc<Self>,
        sql: &str,
        parameters: Vec<Option<String>>,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        let (inner, sql) = (self.clone(), sql.to_owned());
        let task = tokio::spawn(async move {
            let time = inner.options.query_timeout;
            let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
                parameters.iter().map(|value| value as _).collect();
            let mut session = inner.pool.take(time).await?;
            let rows = session.query_once(&sql, &parameters, time).await?;
            let texts = |row: &tokio_postgres::Row| (0..row.len()).map(|at| Ok(row.try_get(at)?)).collect();
            rows.iter().map(texts).collect()
        });
        task.await.map_err(|error| Error::unavailable(error.to_string()))?
    }

    /// A row that is in the cache and has a key of one column; `None` for anything else, which is to be read in the usual
    /// way.
    pub(super) fn read_now(&self, table: &str, key: &str) -> Option<(Bytes, Duration)> {
        let id = self.id(table).ok()?;
        let key = self.slot(id).cached(|table| table.canonical_text(key))?;
        let (row, max_age) = self.cache.hit(clock::now(), id, key.as_bytes())?;
        let row = row?;
        count(&self.metrics.hits);
        Some((row, max_age))
    }

    async fn read(self: &Arc<Self>, table: &str, key: &Key) -> Result<Read, Error> {
        let id = self.id(table)?;
        let end = Instant::now() + self.options.query_timeout;
        for _ in 0..WAITS {
            let description = self.slot(id).table()?;
            let key = description.canonical(key)?;
            if !self.slot(id).is_cached() {
                return self.bypass(id, &key).await;
            }
            let now = clock::now();
            match self.cache.read(now, id, &key.bytes()) {
                Lookup::Hit(row, max_age) => {
                    count(&self.metrics.hits);
                    return Ok(Read { row, source: Source::Hit, max_age });
                }
                Lookup::Lease(lease) => {
                    // The key's text may mean another row in a table that was changed meanwhile.
                    if !Arc::ptr_eq(&description, &self.slot(id).table()?) {
                        continue;
                    }
                    count(&self.metrics.misses);
                    let row = self.fill(lease, description, key).await?;
                    return Ok(Read { row, source: Source::Miss, max_age: Duration::ZERO });
                }
                Lookup::Wait(waiter) => {
                    let max_age = self.cache.age(now).unwrap_or(self.options.limits.max_age);
                    match timeout_at(end, waiter).await {
                        Ok(Some(row)) => {
                            count(&self.metrics.misses);
                            return Ok(Read { row, source: Source::Miss, max_age });
                        }
                        Ok(None) => {}
                        Err(_) => return Err(Error::unavailable("no answer in time")),
                    }
                }
                Lookup::Bypass => return self.bypass(id, &key).await,
            }
        }
        let key = self.slot(id).table()?.canonical(key)?;
        self.bypass(id, &key).await
    }

    async fn read_strong(self: &Arc<Self>, table: &str, key: &Key) -> Result<Read, Error> {
        let is_proven = self.prove(self.id(table)?).await;
        self.read_proven(table, key, is_proven).await
    }

    /// Waits until every write that was acknowledged before the call is applied. Returns false if that cannot be known.
    pub(super) async fn prove(&self, id: TableId) -> bool {
        self.options.disabled.strong_marker || (self.slot(id).is_cached() && self.await_marker().await)
    }

    pub(super) async fn read_proven(self: &Arc<Self>, table: &str, key: &Key, is_proven: bool) -> Result<Read, Error> {
        if is_proven {
            return self.read(table, key).await;
        }
        // A query that begins after the call sees every write that was acknowledged before it.
        let id = self.id(table)?;
        let key = self.slot(id).table()?.canonical(key)?;
        self.bypass(id, &key).await
    }

    async fn read_after(self: &Arc<Self>, table: &str, key: &Key, token: Token) -> Result<Read, Error> {
        let current = self.database_of(token)?;
        let id = self.id(table)?;
        if self.cache.seen() < token.lsn && self.await_marker().await && self.cache.seen() < token.lsn {
            return Err(Error::Token { reason: "is of no write: this database has not come so far".to_owned() });
        }
        // A reconnect in between forgets what was seen.
        let same = *self.identity.lock() == Some(current);
        if same && self.cache.seen() >= token.lsn {
            return self.read(table, key).await;
        }
        let key = self.slot(id).table()?.canonical(key)?;
        self.bypass(id, &key).await
    }

    /// The database that is read, if the token is one of it.
    pub(super) fn database_of(&self, token: Token) -> Result<Identity, Error> {
        let current = *self.identity.lock();
        let current = current.ok_or_else(|| Error::unavailable("it has not answered yet"))?;
        token.check(current)?;
        Ok(current)
    }

    /// Waits for a marker that is sent after this call. Returns true if it came back in time.
    pub(super) async fn await_marker(&self) -> bool {
        self.markers.wait().await
    }

    async fn bypass(self: &Arc<Self>, id: TableId, key: &Key) -> Result<Read, Error> {
        count(&self.metrics.bypasses);
        let row = self.select(id, key).await?;
        Ok(Read { row, source: Source::Bypass, max_age: Duration::ZERO })
    }

    /// Queries a row and leaves the cache alone.
    pub(super) async fn select(self: &Arc<Self>, id: TableId, key: &Key) -> Result<Row, Error> {
        let table = self.slot(id).table()?;
        let (inner, key) = (self.clone(), key.clone());
        // A caller that goes away does not cost a connection, whose statement would be left half done.
        let task = tokio::spawn(async move { inner.query_row(&table, &key).await });
        task.await.map_err(|error| Error::unavailable(error.to_string()))?
    }

    async fn fill(self: &Arc<Self>, lease: Lease, table: Arc<Table>, key: Key) -> Result<Row, Error> {
        let inner = self.clone();
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let row = inner.query_row(&table, &key).await?;
            // Waiters for the fill would get a row that is older than the bound.
            if begun.elapsed() < inner.options.limits.max_age {
                lease.fill(row.clone());
            }
            Ok(row)
        });
        task.await.map_err(|error| Error::unavailable(error.to_string()))?
    }

    async fn query_row(&self, table: &Table, key: &Key) -> Result<Row, Error> {
        let time = self.options.query_timeout;
        let mut session = self.pool.take(time).await?;
        let rows = session.query(&table.statements.select, &parameters(key), time).await;
        // A table that was dropped meanwhile is noticed by the next marker; the request fails until then.
        let rows = rows.map_err(|error| match error {
            Error::Rejected(reply) if matches!(reply.code.as_str(), "42P01" | "42703") => {
                Error::unavailable(format!("table {} is being changed: {}", table.name, reply.message))
            }
            other => other,
        })?;
        row_of(rows.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consistency_is_read_as_it_is_printed() {
        for text in ["cached", "strong", "after=6500000000000001-1-4000-16b3748"] {
            assert_eq!(text.parse::<Consistency>().expect("a consistency").to_string(), text);
        }
        for text in ["", "Cached", "strong ", "after", "before=1-2-3-4", "cached=1"] {
            assert!(matches!(text.parse::<Consistency>(), Err(Error::Consistency { .. })), "{text}");
        }
        assert!(matches!("after=x".parse::<Consistency>(), Err(Error::Token { .. })));
    }
}
