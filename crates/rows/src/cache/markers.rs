//! Markers, and the reads that wait for them. No I/O: the driver sends markers, and says when time has passed.

use super::sync::{AtomicUsize, Mutex, SeqCst};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Whole ticks that a read waits at least: it gives up at the one after these.
pub(crate) const TICKS: u32 = 4;

/// Markers, numbered from 1 over all connections, and who waits for which.
///
/// At most one is on its way. A read waits for the next one that begins, together with all that came since the last one
/// began: one marker wakes them all, and wakes nobody who needs a later one. Readers that came in one tick share a lock,
/// and no reader has a timer of its own.
///
/// The driver calls [`begin`](Markers::begin) before it sends a marker, [`done`](Markers::done) once the marker has come
/// back and everything before it is applied, and [`tick`](Markers::tick) at equal times, whether markers come back or not.
#[derive(Debug)]
pub struct Markers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Number of the newest that was begun.
    begun: u64,
    /// Reads that the next marker proves, those of the current tick last.
    next: Vec<Waiting>,
    /// Reads that the newest marker proves, and those of markers before it that were lost.
    begun_for: Vec<Waiting>,
    /// The driver, while it waits for somebody.
    driver: Option<Waker>,
}

#[derive(Debug)]
struct Waiting {
    group: Arc<Group>,
    ticks: u32,
}

/// Readers that came in one tick.
#[derive(Debug)]
struct Group {
    readers: AtomicUsize,
    outcome: Mutex<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    /// Readers to wake; a hole is one that went away.
    Pending(Vec<Option<Waker>>),
    Done(bool),
}

impl Group {
    fn is_needed(&self) -> bool {
        self.readers.load(SeqCst) > 0
    }

    fn finish(&self, is_proven: bool) {
        let before = std::mem::replace(&mut *self.outcome.lock(), Outcome::Done(is_proven));
        if let Outcome::Pending(wakers) = before {
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl Default for Markers {
    fn default() -> Markers {
        Markers(Mutex::new(State::default()))
    }
}

impl Markers {
    /// Begins a marker: reads that come from now on wait for a later one. Returns its number.
    pub fn begin(&self) -> u64 {
        let mut state = self.0.lock();
        let State { begun, next, begun_for, .. } = &mut *state;
        *begun += 1;
        // While the database is down each try has readers, who go away after a time.
        begun_for.append(next);
        begun_for.retain(|waiting| waiting.group.is_needed());
        *begun
    }

    /// The newest marker has come back, and everything before it was applied.
    pub fn done(&self) {
        let proven = std::mem::take(&mut self.0.lock().begun_for);
        proven.iter().for_each(|waiting| waiting.group.finish(true));
    }

    /// Time has passed: reads that have waited for four whole ticks give up.
    pub fn tick(&self) {
        let late: Vec<Waiting> = {
            let mut state = self.0.lock();
            let State { next, begun_for, .. } = &mut *state;
            next.iter_mut().chain(&mut *begun_for).for_each(|waiting| waiting.ticks += 1);
            let is_late = |waiting: &mut Waiting| waiting.ticks > TICKS;
            next.extract_if(.., is_late).chain(begun_for.extract_if(.., is_late)).collect()
        };
        late.iter().for_each(|waiting| waiting.group.finish(false));
    }

    /// Waits for a marker that begins after this call.
    pub fn wait(&self) -> Wait {
        let mut state = self.0.lock();
        let newest = state.next.last().filter(|waiting| waiting.ticks == 0);
        let group = newest.map(|waiting| waiting.group.clone()).unwrap_or_else(|| {
            let outcome = Mutex::new(Outcome::Pending(Vec::new()));
            let group = Arc::new(Group { readers: AtomicUsize::new(0), outcome });
            state.next.push(Waiting { group: group.clone(), ticks: 0 });
            group
        });
        // Under the lock: it counts from now on, and the marker that wakes it has not begun.
        group.readers.fetch_add(1, SeqCst);
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Wait { group, slot: None, is_over: false }
    }

    /// Reads that wait for a marker that has not begun.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.0.lock().readers()
    }

    /// Is ready while a read waits for a marker that has not begun. The driver alone polls it.
    pub fn poll_demand(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.readers() > 0 {
            return Poll::Ready(());
        }
        state.driver = Some(context.waker().clone());
        Poll::Pending
    }
}

impl State {
    fn readers(&self) -> usize {
        self.next.iter().map(|waiting| waiting.group.readers.load(SeqCst)).sum()
    }
}

/// The wait for a marker: resolves to true once one has come back that began after it, to false if none did in time.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Wait {
    group: Arc<Group>,
    slot: Option<usize>,
    is_over: bool,
}

impl Future for Wait {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let group = self.group.clone();
        match &mut *group.outcome.lock() {
            Outcome::Done(is_proven) => {
                self.is_over = true;
                Poll::Ready(*is_proven)
            }
            Outcome::Pending(wakers) => {
                let waker = context.waker().clone();
                match self.slot.and_then(|slot| wakers.get_mut(slot)) {
                    Some(slot) => *slot = Some(waker),
                    None => {
                        self.slot = Some(wakers.len());
                        wakers.push(Some(waker));
                    }
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.group.readers.fetch_sub(1, SeqCst);
        if let Some(slot) = self.slot
            && let Outcome::Pending(wakers) = &mut *self.group.outcome.lock()
        {
            wakers[slot] = None;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Polls a wait: it waits from then on.
    fn is_over(wait: &mut Wait) -> Option<bool> {
        match Pin::new(wait).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(is_proven) => Some(is_proven),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_marker_proves_reads_that_came_before_it_began_and_no_later_ones() {
        let markers = Markers::default();
        let mut early = markers.wait();
        assert_eq!(markers.begin(), 1);
        let mut late = markers.wait();
        assert_eq!((is_over(&mut early), is_over(&mut late)), (None, None));
        markers.done();
        assert_eq!((is_over(&mut early), is_over(&mut late)), (Some(true), None));
        assert_eq!(markers.begin(), 2);
        assert_eq!(is_over(&mut late), None, "it has begun and is not back");
        markers.done();
        assert_eq!(is_over(&mut late), Some(true));
    }

    #[test]
    fn readers_of_a_lost_marker_are_proven_by_the_next_one() {
        let markers = Markers::default();
        let mut early = markers.wait();
        markers.begin();
        let mut late = markers.wait();
        markers.begin();
        markers.done();
        assert_eq!((is_over(&mut early), is_over(&mut late)), (Some(true), Some(true)));
    }

    #[test]
    fn readers_that_went_away_leave_nothing_behind() {
        let markers = Markers::default();
        for _ in 0..100 {
            let mut gone = markers.wait();
            assert_eq!((is_over(&mut gone), markers.readers()), (None, 1));
            drop(gone);
            markers.begin();
        }
        let state = markers.0.lock();
        assert_eq!((state.readers(), state.next.len(), state.begun_for.len()), (0, 0, 0));
    }

    #[test]
    fn a_read_gives_up_at_the_fifth_tick_and_not_before() {
        let markers = Markers::default();
        let mut lost = markers.wait();
        markers.begin();
        let mut first = markers.wait();
        for _ in 0..TICKS {
            markers.tick();
            assert_eq!((is_over(&mut lost), is_over(&mut first)), (None, None));
        }
        // It came in the last tick, and has all of its time.
        let mut second = markers.wait();
        markers.tick();
        assert_eq!((is_over(&mut lost), is_over(&mut first), is_over(&mut second)), (Some(false), Some(false), None));
        markers.begin();
        markers.done();
        assert_eq!(is_over(&mut second), Some(true));
    }

    #[test]
    fn readers_of_one_tick_share_a_group() {
        let markers = Markers::default();
        let waits: Vec<Wait> = (0..3).map(|_| markers.wait()).collect();
        assert_eq!(markers.0.lock().next.len(), 1);
        markers.tick();
        let later = markers.wait();
        let groups = markers.0.lock().next.len();
        assert_eq!((groups, markers.readers()), (2, 4));
        drop((waits, later));
        assert_eq!(markers.readers(), 0);
    }

    #[test]
    fn the_driver_hears_of_a_read_that_comes_and_not_of_one_that_went() {
        let markers = Markers::default();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(markers.poll_demand(&mut context), Poll::Pending);
        drop(markers.wait());
        assert_eq!(markers.poll_demand(&mut context), Poll::Pending);
        let wait = markers.wait();
        assert_eq!(markers.poll_demand(&mut context), Poll::Ready(()));
        markers.begin();
        assert_eq!(markers.poll_demand(&mut context), Poll::Pending);
        drop(wait);
    }
}
