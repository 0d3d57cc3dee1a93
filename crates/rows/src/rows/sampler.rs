//! Compares cached rows with the database, all the time, by the rule that markers give.

use super::metrics::count;
use super::state::Inner;
use super::supervisor::flush;
use crate::cache::{Row, TableId, is_same};
use crate::{Error, Key, clock};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

/// Contradictions in a row after which a cached absence counts as inconsistent: it has no identity of its own.
const ABSENCES: usize = 3;

pub(super) async fn sample(inner: Arc<Inner>) {
    if inner.options.samples == 0 {
        return;
    }
    let pause = Duration::from_secs(1) / inner.options.samples;
    loop {
        sleep(pause).await;
        let Some((id, bytes, row)) = inner.cache.sample(fastrand::u64(..)) else { continue };
        if let Err(error) = compare(&inner, id, &bytes, row).await {
            count(&inner.metrics.samples_failed);
            failed(&inner, id, &error);
        }
    }
}

async fn compare(inner: &Arc<Inner>, id: TableId, bytes: &[u8], cached: Row) -> Result<(), Error> {
    let table = inner.slot(id).table()?;
    let Some(key) = Key::from_bytes(bytes, table.key_columns()) else { return Ok(()) };
    count(&inner.metrics.rows_sampled);
    for _ in 0..ABSENCES {
        let begun = clock::now();
        let current = inner.select(id, &key).await?;
        if current == cached {
            inner.cache.confirm(begun, id, bytes, &cached);
            return Ok(());
        }
        // The query began after the row was cached: a difference is a later write.
        if !inner.await_marker().await {
            return Ok(());
        }
        // That write was visible before the marker was sent, so the row must be gone by now.
        match inner.cache.peek(id, bytes) {
            Some(still) if is_same(&still, &cached) => {}
            _ => return Ok(()),
        }
        if cached.is_some() {
            break;
        }
    }
    count(&inner.metrics.rows_inconsistent);
    // It may have been served since the last time that it was right, and is not any more.
    let since = inner.cache.checked(id, bytes);
    inner.cache.flush(id);
    let time = since.map_or(Duration::ZERO, |since| clock::now().saturating_sub(since));
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    inner.metrics.longest_inconsistent.fetch_max(nanos, Relaxed);
    tracing::error!(
        "table {}: the cached row of key {:?} was inconsistent; the table was flushed",
        table.name,
        key.parts()
    );
    Ok(())
}

/// A row that cannot be compared now is compared another time, unless the database refuses it: then nobody may have it.
fn failed(inner: &Inner, id: TableId, error: &Error) {
    let name = &inner.slot(id).name;
    if error.is_unavailable() {
        tracing::debug!("rows: a cached row of table {name} was not compared with the database: {error}");
    } else {
        flush(inner, id);
        tracing::warn!("rows: the database refuses a cached row of table {name}: {error}; the table was flushed");
    }
}
