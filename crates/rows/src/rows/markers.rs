//! Markers, and the reads that wait for them.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// Markers, numbered from 1 over all connections, and who waits for which.
///
/// At most one is on its way. A read waits for the next one that begins, together with all that came since the last one
/// began: one marker wakes them all, and wakes nobody who needs a later one.
#[derive(Debug, Default)]
pub(super) struct Markers {
    state: Mutex<State>,
    /// Somebody waits for one.
    demand: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the newest that was begun.
    begun: u64,
    /// Reads that the next marker proves.
    next: Arc<Notify>,
    /// Reads that the newest marker proves, and those of markers before it that were lost.
    begun_for: Vec<Arc<Notify>>,
}

impl Markers {
    /// Begins a marker: reads that come from now on wait for a later one. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.state.lock();
        state.begun += 1;
        let readers = std::mem::take(&mut state.next);
        // While the database is down each try has readers, who go away after a time.
        state.begun_for.retain(|readers| Arc::strong_count(readers) > 1);
        if Arc::strong_count(&readers) > 1 {
            state.begun_for.push(readers);
        }
        state.begun
    }

    /// The newest marker has come back, and everything before it was applied.
    pub(super) fn done(&self) {
        let groups = std::mem::take(&mut self.state.lock().begun_for);
        groups.iter().for_each(|readers| readers.notify_waiters());
    }

    /// Waits until somebody waits for a marker that has not begun, and then as long as more come, for at most `most`.
    ///
    /// The last marker has woken many, who come again one after the other. A marker that began with the first of them
    /// would let the others wait for one more.
    pub(super) async fn demanded(&self, most: Duration) {
        while self.readers() == 0 {
            self.demand.notified().await;
        }
        let (begun, mut before) = (Instant::now(), 0);
        while self.readers() > before && begun.elapsed() < most {
            before = self.readers();
            yield_now().await;
        }
    }

    /// Reads that wait for a marker that has not begun.
    fn readers(&self) -> usize {
        Arc::strong_count(&self.state.lock().next) - 1
    }

    /// Waits for a marker that begins after this call. Returns true if it came back before `end`.
    pub(super) async fn wait(&self, end: Instant) -> bool {
        let (readers, done);
        {
            let state = self.state.lock();
            readers = state.next.clone();
            // Under the lock: it counts from now on, and the marker that wakes it has not begun.
            done = readers.notified();
        }
        self.demand.notify_one();
        timeout_at(end, done).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(60);

    /// Polls a wait once: it waits from then on.
    async fn is_over(wait: &mut std::pin::Pin<&mut impl Future<Output = bool>>) -> Option<bool> {
        timeout(Duration::ZERO, wait).await.ok()
    }

    #[tokio::test]
    async fn a_marker_proves_reads_that_came_before_it_began_and_no_later_ones() {
        let markers = Markers::default();
        let end = Instant::now() + LONG;
        let mut early = pin!(markers.wait(end));
        assert_eq!(is_over(&mut early).await, None);
        assert_eq!(markers.begin(), 1);
        let mut late = pin!(markers.wait(end));
        assert_eq!(is_over(&mut late).await, None);
        markers.done();
        assert_eq!((is_over(&mut early).await, is_over(&mut late).await), (Some(true), None));
        assert_eq!(markers.begin(), 2);
        assert_eq!(is_over(&mut late).await, None, "it has begun and is not back");
        markers.done();
        assert_eq!(is_over(&mut late).await, Some(true));
    }

    #[tokio::test]
    async fn readers_of_a_lost_marker_are_proven_by_the_next_one() {
        let markers = Markers::default();
        let end = Instant::now() + LONG;
        let mut early = pin!(markers.wait(end));
        assert_eq!(is_over(&mut early).await, None);
        markers.begin();
        let mut late = pin!(markers.wait(end));
        assert_eq!(is_over(&mut late).await, None);
        markers.begin();
        markers.done();
        assert_eq!((is_over(&mut early).await, is_over(&mut late).await), (Some(true), Some(true)));
    }

    #[tokio::test]
    async fn readers_that_went_away_leave_nothing_behind() {
        let markers = Markers::default();
        for _ in 0..100 {
            assert!(!markers.wait(Instant::now()).await, "its time was over");
            markers.begin();
        }
        markers.begin();
        assert_eq!((markers.readers(), markers.state.lock().begun_for.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_marker_waits_for_readers_that_come_one_after_the_other() {
        let markers = Arc::new(Markers::default());
        let end = Instant::now() + LONG;
        let readers: Vec<_> = (0..10)
            .map(|turns| {
                let markers = markers.clone();
                tokio::spawn(async move {
                    for _ in 0..turns {
                        yield_now().await;
                    }
                    markers.wait(end).await
                })
            })
            .collect();
        markers.demanded(LONG).await;
        assert_eq!(markers.readers(), 10);
        markers.begin();
        markers.done();
        for reader in readers {
            assert!(reader.await.expect("no panic"));
        }
    }
}
