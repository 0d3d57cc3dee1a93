//! Compares cached rows with the database, all the time, by the rule that markers give.

use super::metrics::count;
use super::state::Inner;
use crate::cache::{Row, TableId};
use crate::{Error, Key};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
        // A row that cannot be compared now is compared another time.
        let _ = compare(&inner, id, &bytes, row).await;
    }
}

async fn compare(inner: &Arc<Inner>, id: TableId, bytes: &[u8], cached: Row) -> Result<(), Error> {
    let table = inner.slot(id).table()?;
    let Some(key) = Key::from_bytes(bytes, table.key_columns()) else { return Ok(()) };
    let begun = Instant::now();
    count(&inner.metrics.rows_sampled);
    for _ in 0..ABSENCES {
        let current = inner.select(id, &key).await?;
        // The query began after the row was cached: a difference is a later write.
        if current == cached || !inner.await_marker().await {
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
    // It is flushed now; so long it was served at least.
    inner.cache.flush(id);
    let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    inner.metrics.longest_inconsistent.fetch_max(nanos, Relaxed);
    tracing::error!(
        "table {}: the cached row of key {:?} was inconsistent; the table was flushed",
        table.name,
        key.parts()
    );
    Ok(())
}

/// Compares by identity: a row that was read again is another one, though its bytes be the same.
fn is_same(one: &Row, other: &Row) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one.as_ptr(), other.as_ptr()),
        (None, None) => true,
        _ => false,
    }
}
