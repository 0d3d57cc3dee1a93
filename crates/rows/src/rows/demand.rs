//! The driver's side of waiting reads: when a marker is wanted, and when reads give up.

use super::state::Inner;
use crate::cache::{Markers, TICKS};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// Waits until somebody waits for a marker that has not begun, and then as long as more come, for at most `most`.
///
/// The last marker has woken many, who come again one after the other. A marker that began with the first of them
/// would let the others wait for one more.
pub(super) async fn demanded(markers: &Markers, most: Duration) {
    poll_fn(|context| markers.poll_demand(context)).await;
    let (begun, mut before) = (Instant::now(), 0);
    loop {
        let readers = markers.readers();
        if readers <= before || begun.elapsed() >= most {
            return;
        }
        before = readers;
        yield_now().await;
    }
}

/// Lets reads give up whose markers do not come back, also while there is no connection.
pub(super) async fn tick(inner: Arc<Inner>) {
    let most = inner.options.limits.max_age.min(inner.options.query_timeout);
    let tick = (most / TICKS).max(Duration::from_millis(1));
    loop {
        sleep(tick).await;
        inner.markers.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_marker_waits_for_readers_that_come_one_after_the_other() {
        let markers = Arc::new(Markers::default());
        let readers: Vec<_> = (0..10)
            .map(|turns| {
                let markers = markers.clone();
                tokio::spawn(async move {
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    markers.wait().await
                })
            })
            .collect();
        demanded(&markers, Duration::from_secs(60)).await;
        assert_eq!(markers.readers(), 10);
        markers.begin();
        markers.done();
        for reader in readers {
            assert!(reader.await.expect("no panic"));
        }
    }
}
