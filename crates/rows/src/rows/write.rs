use super::state::Inner;
use super::supervisor::flush;
use crate::cache::{Lsn, Row, TableId};
use crate::{Error, Key, Token};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tokio_postgres::types::{PgLsn, ToSql};

const POSITION: &str = "SELECT pg_current_wal_insert_lsn()";
/// Rows of one write that are forgotten one by one; beyond them the table is flushed.
const ROWS: usize = 1000;

/// A row that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Its key.
    pub key: Key,
    /// The row as it is now; as it was, after a delete.
    pub row: Row,
    /// A read after this token sees the write. `None` if the connection was lost just after the write.
    pub token: Option<Token>,
}

/// Rows that one statement wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenRows {
    /// Their keys, and the rows as the statement gave them.
    pub rows: Vec<(Key, Row)>,
    /// Number of written rows: the statement's third column as text, if it has one, since it may return fewer.
    pub total: u64,
    /// A read after this token sees the write. `None` if the connection was lost just after the write.
    pub token: Option<Token>,
}

/// The result of a write under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conditional {
    /// It wrote the row.
    Written(Written),
    /// There is no such row.
    Absent,
    /// The row has another tag.
    Changed,
}

/// Tags under one of which a row is written; `None`: under any.
pub(super) type Tags<'a> = Option<&'a [String]>;

type Parameter = Box<dyn ToSql + Sync + Send>;

/// A statement that gives key and row of what it wrote.
struct Statement {
    sql: String,
    parameters: Vec<Parameter>,
    what: What,
}

/// The rows that a statement writes.
enum What {
    New,
    Row(Key),
    /// Any rows; with `moves`, under keys that are not known.
    Rows {
        moves: bool,
    },
}

fn texts(texts: impl IntoIterator<Item = impl ToSql + Sync + Send + 'static>) -> Vec<Parameter> {
    texts.into_iter().map(|text| Box::new(text) as Parameter).collect()
}

impl Inner {
    pub(super) async fn insert(self: &Arc<Self>, table: &str, values: &Value) -> Result<Written, Error> {
        let id = self.id(table)?;
        let description = self.slot(id).table()?;
        let columns = description.columns_of(object(table, values)?)?;
        let parameters = if columns.is_empty() { Vec::new() } else { texts([values.to_string()]) };
        let statement = Statement { sql: description.insert(&columns), parameters, what: What::New };
        one(self.write(id, statement).await?).ok_or_else(|| {
            Error::values(table, "the database wrote no row; a rule or a trigger of the table prevents it")
        })
    }

    pub(super) async fn update(
        self: &Arc<Self>,
        table: &str,
        key: &Key,
        values: &Value,
        tags: Tags<'_>,
    ) -> Result<Conditional, Error> {
        let id = self.id(table)?;
        let description = self.slot(id).table()?;
        let key = description.canonical(key)?;
        let columns = description.columns_of(object(table, values)?)?;
        if columns.is_empty() {
            return Err(Error::values(table, "no column is set"));
        }
        let mut parameters = texts(key.parts().to_vec());
        parameters.push(Box::new(values.to_string()));
        self.write_one(id, description.update(&columns, tags.is_some()), parameters, key, tags).await
    }

    pub(super) async fn delete(self: &Arc<Self>, table: &str, key: &Key, tags: Tags<'_>) -> Result<Conditional, Error> {
        let id = self.id(table)?;
        let description = self.slot(id).table()?;
        let key = description.canonical(key)?;
        let parameters = texts(key.parts().to_vec());
        self.write_one(id, description.delete(tags.is_some()), parameters, key, tags).await
    }

    pub(super) async fn write_rows(
        self: &Arc<Self>,
        table: &str,
        sql: &str,
        parameters: Vec<Option<String>>,
        moves: bool,
    ) -> Result<WrittenRows, Error> {
        let id = self.id(table)?;
        let what = What::Rows { moves };
        self.write(id, Statement { sql: sql.to_owned(), parameters: texts(parameters), what }).await
    }

    async fn write_one(
        self: &Arc<Self>,
        id: TableId,
        sql: String,
        mut parameters: Vec<Parameter>,
        key: Key,
        tags: Tags<'_>,
    ) -> Result<Conditional, Error> {
        if let Some(tags) = tags {
            parameters.push(Box::new(tags.to_vec()));
        }
        let written = self.write(id, Statement { sql, parameters, what: What::Row(key.clone()) }).await?;
        Ok(match one(written) {
            Some(written) => Conditional::Written(written),
            None if tags.is_some() && self.select(id, &key).await?.is_some() => Conditional::Changed,
            None => Conditional::Absent,
        })
    }

    /// Writes in a task of its own: a caller that goes away must not keep the cache from hearing of it.
    async fn write(self: &Arc<Self>, id: TableId, statement: Statement) -> Result<WrittenRows, Error> {
        let inner = self.clone();
        let task = tokio::spawn(async move { inner.write_now(id, statement).await });
        task.await.map_err(|error| Error::Unknown { reason: error.to_string() })?
    }

    async fn write_now(&self, id: TableId, statement: Statement) -> Result<WrittenRows, Error> {
        let Statement { sql, parameters, what } = statement;
        let time = self.options.query_timeout;
        let mut session = self.pool.take(time).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| &**value as _).collect();
        let result = match what {
            What::Rows { .. } => session.query_once(&sql, &parameters, time).await,
            What::New | What::Row(_) => session.query(&sql, &parameters, time).await,
        };
        let result = result.map_err(Error::after_write).map_err(|error| self.without_hidden(id, error));
        let total = result.as_deref().map_or(0, total);
        let result = result.and_then(written);
        // Whatever the database said, or did not say, what is cached may be old.
        match (&what, &result) {
            (What::Row(key), _) => self.forget(id, key),
            // Which rows it would have written is not known either.
            (What::New | What::Rows { .. }, Err(error)) if !matches!(error, Error::Rejected(_)) => self.forget_all(id),
            (What::Rows { moves }, Ok(rows)) if *moves || rows.len() > ROWS || total > rows.len() as u64 => {
                self.forget_all(id);
            }
            _ => {}
        }
        let rows = result?;
        for (key, _) in rows.iter().take(ROWS) {
            if !matches!(&what, What::Row(old) if old == key) {
                self.forget(id, key);
            }
        }
        let identity = session.identity;
        let position = session.query(POSITION, &[], time).await.ok();
        let position = position.and_then(|rows| rows.first()?.try_get::<_, PgLsn>(0).ok());
        let token = position.map(|lsn| Token { identity, lsn: Lsn(u64::from(lsn)) });
        Ok(WrittenRows { rows, total, token })
    }

    /// PostgreSQL shows the whole row that it refuses (`Failing row contains (...)`), hidden columns included.
    fn without_hidden(&self, id: TableId, mut error: Error) -> Error {
        if let Error::Rejected(reply) = &mut error
            && !self.slot(id).spec.hidden.is_empty()
        {
            reply.detail = None;
        }
        error
    }

    fn forget(&self, id: TableId, key: &Key) {
        let key = key.bytes();
        if !self.options.disabled.own_write {
            let was_cached = self.cache.invalidate(id, &key);
            // Its event may have come before, and what was read again then is gone now.
            self.changed(id, key, was_cached);
        }
    }

    fn forget_all(&self, id: TableId) {
        if !self.options.disabled.own_write {
            flush(self, id);
        }
    }
}

fn written(rows: Vec<tokio_postgres::Row>) -> Result<Vec<(Key, Row)>, Error> {
    let written = |row: &tokio_postgres::Row| {
        let json: Option<&str> = row.try_get(1)?;
        let json = json.map(|json| Bytes::copy_from_slice(json.as_bytes()));
        Ok((Key::from(row.try_get::<_, Vec<String>>(0)?), json))
    };
    rows.iter().map(written).collect()
}

fn total(rows: &[tokio_postgres::Row]) -> u64 {
    let stated = rows.first().filter(|row| row.len() > 2).and_then(|row| row.try_get::<_, &str>(2).ok()?.parse().ok());
    stated.unwrap_or(rows.len() as u64)
}

/// The row of a statement that writes one at most.
fn one(written: WrittenRows) -> Option<Written> {
    let WrittenRows { rows, token, .. } = written;
    rows.into_iter().next().map(|(key, row)| Written { key, row, token })
}

fn object<'a>(table: &str, values: &'a Value) -> Result<&'a serde_json::Map<String, Value>, Error> {
    values.as_object().ok_or_else(|| Error::values(table, "must be an object of columns"))
}
