use super::read::parameters;
use super::state::Inner;
use crate::cache::{Lsn, Row, TableId};
use crate::{Error, Key, Token};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tokio_postgres::types::PgLsn;

const POSITION: &str = "SELECT pg_current_wal_insert_lsn()";

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

impl Inner {
    pub(super) async fn insert(self: &Arc<Self>, table: &str, values: &Value) -> Result<Written, Error> {
        let id = self.id(table)?;
        let description = self.slot(id).table()?;
        let columns = description.columns_of(object(table, values)?)?;
        let parameters = if columns.is_empty() { Vec::new() } else { vec![values.to_string()] };
        let written = self.write(id, description.insert(&columns), parameters, None).await?;
        written.ok_or_else(|| {
            Error::values(table, "the database wrote no row; a rule or a trigger of the table prevents it")
        })
    }

    pub(super) async fn update(
        self: &Arc<Self>,
        table: &str,
        key: &Key,
        values: &Value,
    ) -> Result<Option<Written>, Error> {
        let id = self.id(table)?;
        let description = self.slot(id).table()?;
        let key = description.canonical(key)?;
        let columns = description.columns_of(object(table, values)?)?;
        if columns.is_empty() {
            return Err(Error::values(table, "no column is set"));
        }
        let mut parameters = key.parts().to_vec();
        parameters.push(values.to_string());
        self.write(id, description.update(&columns), parameters, Some(key)).await
    }

    pub(super) async fn delete(self: &Arc<Self>, table: &str, key: &Key) -> Result<Option<Written>, Error> {
        let id = self.id(table)?;
        let description = self.slot(id).table()?;
        let key = description.canonical(key)?;
        self.write(id, description.statements.delete.clone(), key.parts().to_vec(), Some(key)).await
    }

    /// Writes in a task of its own: a caller that goes away must not keep the cache from hearing of it.
    async fn write(
        self: &Arc<Self>,
        id: TableId,
        sql: String,
        parameters: Vec<String>,
        key: Option<Key>,
    ) -> Result<Option<Written>, Error> {
        let inner = self.clone();
        let task = tokio::spawn(async move { inner.write_now(id, &sql, parameters, key).await });
        task.await.map_err(|error| Error::Unknown { reason: error.to_string() })?
    }

    async fn write_now(
        &self,
        id: TableId,
        sql: &str,
        values: Vec<String>,
        key: Option<Key>,
    ) -> Result<Option<Written>, Error> {
        let time = self.options.query_timeout;
        let mut session = self.pool.take(time).await?;
        let result = session.query(sql, &parameters(&Key::from(values)), time).await.map_err(Error::after_write);
        // Whatever the database said, or did not say, what is cached may be old.
        if let Some(key) = &key {
            self.forget(id, key);
        }
        let rows = result?;
        let Some(row) = rows.first() else { return Ok(None) };
        let new = Key::from(row.try_get::<_, Vec<String>>(0)?);
        if key.as_ref() != Some(&new) {
            self.forget(id, &new);
        }
        let json: Option<&str> = row.try_get(1)?;
        let json = json.map(|json| Bytes::copy_from_slice(json.as_bytes()));
        let identity = session.identity;
        let position = session.query(POSITION, &[], time).await.ok();
        let position = position.and_then(|rows| rows.first()?.try_get::<_, PgLsn>(0).ok());
        let token = position.map(|lsn| Token { identity, lsn: Lsn(u64::from(lsn)) });
        Ok(Some(Written { key: new, row: json, token }))
    }

    fn forget(&self, id: TableId, key: &Key) {
        let key = key.bytes();
        if !self.options.disabled.own_write {
            let was_cached = self.cache.invalidate(id, &key);
            // Its event may have come before, and what was read again then is gone now.
            self.changed(id, key, was_cached);
        }
    }
}

fn object<'a>(table: &str, values: &'a Value) -> Result<&'a serde_json::Map<String, Value>, Error> {
    values.as_object().ok_or_else(|| Error::values(table, "must be an object of columns"))
}
