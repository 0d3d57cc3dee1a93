//! Reads rows again after a change, many at once, so that they are cached before somebody asks.

use super::metrics::count;
use super::options::Refresh;
use super::read::row_of;
use super::state::Inner;
use crate::cache::{Lease, TableId};
use crate::{Error, Key};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// Rows of one query.
const BATCH: usize = 256;
/// Rows that may wait; those beyond are read when somebody asks.
const WAITING: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<HashSet<(TableId, Box<[u8]>)>>,
    wake: Notify,
}

impl Inner {
    /// An event named this row; `was_cached` if it took a row or a lease away.
    pub(super) fn changed(&self, id: TableId, key: Box<[u8]>, was_cached: bool) {
        let wanted = match self.options.refresh {
            Refresh::Off => false,
            Refresh::Cached => was_cached,
            Refresh::Written => true,
        };
        if !wanted {
            return;
        }
        let mut waiting = self.refresh.waiting.lock();
        if waiting.len() >= WAITING {
            count(&self.metrics.refreshes_dropped);
            return;
        }
        waiting.insert((id, key));
        drop(waiting);
        self.refresh.wake.notify_one();
    }
}

pub(super) async fn refresh(inner: Arc<Inner>) {
    loop {
        inner.refresh.wake.notified().await;
        loop {
            let batch = take(&inner);
            let Some((id, keys)) = batch else { break };
            // An error leaves the rows to whoever asks; but one that is no JSON keeps no other one from being read.
            let alone = keys.clone();
            let mut result = batch_of(&inner, id, keys).await;
            if matches!(result, Err(Error::Encoding)) && alone.len() > 1 {
                for key in alone {
                    result = batch_of(&inner, id, vec![key]).await;
                }
            }
            if let Err(error) = result {
                tracing::debug!("rows were not read again: {error}");
            }
        }
    }
}

/// Takes rows of one table.
fn take(inner: &Inner) -> Option<(TableId, Vec<Box<[u8]>>)> {
    let mut waiting = inner.refresh.waiting.lock();
    let id = waiting.iter().next()?.0;
    let keys: Vec<Box<[u8]>> =
        waiting.iter().filter(|(table, _)| *table == id).take(BATCH).map(|(_, key)| key.clone()).collect();
    for key in &keys {
        waiting.remove(&(id, key.clone()));
    }
    Some((id, keys))
}

async fn batch_of(inner: &Arc<Inner>, id: TableId, keys: Vec<Box<[u8]>>) -> Result<(), Error> {
    if !inner.slot(id).is_cached() {
        return Ok(());
    }
    // Leases first, then the table's description, then the query: what overtakes any of them takes the leases.
    let leases: Vec<Lease> = keys.iter().filter_map(|key| inner.cache.lease(id, key)).collect();
    let table = inner.slot(id).table()?;
    let width = table.key_columns();
    let mut columns: Vec<Vec<String>> = vec![Vec::with_capacity(leases.len()); width];
    let mut wanted = Vec::with_capacity(leases.len());
    for lease in leases {
        let Some(key) = Key::from_bytes(lease.key(), width) else { continue };
        for (column, part) in columns.iter_mut().zip(key.parts()) {
            column.push(part.clone());
        }
        wanted.push(lease);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let time = inner.options.query_timeout.min(inner.options.limits.max_age);
    let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        columns.iter().map(|column| column as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    let mut session = inner.pool.take(time).await?;
    let rows = session.query(&table.statements.select_many, &parameters, time).await?;
    for (lease, row) in wanted.into_iter().zip(&rows) {
        lease.fill(row_of(Some(row))?);
        count(&inner.metrics.refreshed);
    }
    Ok(())
}
