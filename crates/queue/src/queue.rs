//! The operations without waiting, which both APIs share.

use std::collections::VecDeque;
use std::fmt;

use crate::blocking::Blocking;
use crate::error::{PutError, TooManyDone, TryGetError, TryPutError};
use crate::permit::Permit;
use crate::shared::{Shared, TryError};
use crate::store::Store;
use crate::sync::Arc;
use crate::tasks::Tasks;
use crate::work::Work;

/// A queue, and what can be done with it without waiting.
///
/// Threads wait in its [`blocking`](Self::blocking) API and tasks in its [`tasks`](Self::tasks)
/// API; any number of either may put and get at the same time. A clone is another handle for the same
/// queue. Handles that go do not shut it down: say [`shutdown`](Self::shutdown).
pub struct Queue<T> {
    pub(crate) shared: Arc<Shared<T>>,
}

impl<T> Queue<T> {
    /// A queue of any length whose items leave in the order in which they came.
    pub fn unbounded() -> Self {
        Self::fifo(None)
    }

    /// A queue of at most `capacity` items, which leave in the order in which they came.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn bounded(capacity: usize) -> Self {
        Self::fifo(Some(capacity))
    }

    /// A queue whose items leave in the order in which they came. `None` is no bound.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn fifo(capacity: Option<usize>) -> Self {
        Self::new(Store::fifo(), capacity)
    }

    /// A queue whose latest item leaves first. `None` is no bound.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn lifo(capacity: Option<usize>) -> Self {
        Self::new(Store::lifo(), capacity)
    }

    /// A queue whose lowest item leaves first, and of equal ones the one that came first. `None` is no bound.
    ///
    /// If comparing panics, it does so in a get, and an item that was compared may be lost.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn priority(capacity: Option<usize>) -> Self
    where
        T: Ord,
    {
        Self::priority_by(capacity, T::cmp)
    }

    /// As [`priority`](Self::priority), for items that have no order of their own.
    ///
    /// ```
    /// # use switchboard_queue::Queue;
    /// struct Job { urgency: u8, name: &'static str }
    ///
    /// let jobs = Queue::priority_by(None, |a: &Job, b| b.urgency.cmp(&a.urgency));
    /// jobs.try_put_many([Job { urgency: 1, name: "sweep" }, Job { urgency: 9, name: "put out the fire" }])?;
    /// assert_eq!(jobs.try_get()?.name, "put out the fire");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn priority_by(capacity: Option<usize>, compare: fn(&T, &T) -> std::cmp::Ordering) -> Self {
        Self::new(Store::priority(compare), capacity)
    }

    fn new(store: Store<T>, capacity: Option<usize>) -> Self {
        assert_ne!(capacity, Some(0), "a queue of capacity 0 can never be put into");
        Self { shared: Arc::new(Shared::new(store, capacity.unwrap_or(usize::MAX))) }
    }

    /// The API for threads: its calls block.
    pub fn blocking(&self) -> Blocking<T> {
        Blocking::new(self.clone())
    }

    /// The API for tasks: its calls are awaited, on any executor.
    pub fn tasks(&self) -> Tasks<T> {
        Tasks::new(self.clone())
    }

    /// Puts an item if there is room for it now.
    ///
    /// # Errors
    ///
    /// With the item, if the queue is full or shut down.
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        let mut item = Some(item);
        self.shared.put(1, move_in(&mut item)).map_err(|error| refused(error, &mut item))
    }

    /// Puts items as far as there is room for them now, in one step: nobody else's come between them.
    ///
    /// # Errors
    ///
    /// With those that were not put, if the queue is full or shut down.
    pub fn try_put_many(&self, items: impl IntoIterator<Item = T>) -> Result<(), TryPutError<Vec<T>>> {
        let mut items: VecDeque<T> = items.into_iter().collect();
        if items.is_empty() {
            return Ok(());
        }
        match self.shared.put(items.len(), |inbox, room| move_many(inbox, &mut items, room)) {
            Ok(()) if items.is_empty() => Ok(()),
            Ok(()) | Err(TryError::WouldBlock) => Err(TryPutError::Full(items.into())),
            Err(TryError::Closed) => Err(TryPutError::ShutDown(items.into())),
        }
    }

    /// Reserves a slot for an item that is still to be made, if there is room for it now.
    ///
    /// # Errors
    ///
    /// If the queue is full or shut down.
    pub fn try_reserve(&self) -> Result<Permit<T>, TryPutError<()>> {
        match self.shared.reserve() {
            Ok(()) => Ok(Permit::new(self.clone())),
            Err(TryError::WouldBlock) => Err(TryPutError::Full(())),
            Err(TryError::Closed) => Err(TryPutError::ShutDown(())),
        }
    }

    /// Gets the next item if there is one now.
    ///
    /// # Errors
    ///
    /// If the queue is empty, or is shut down and nothing is left in it.
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.shared.get(1, take_one).map_err(nothing)
    }

    /// Gets what there is now, up to `most` items, in one step.
    ///
    /// # Errors
    ///
    /// If the queue is empty, or is shut down and nothing is left in it.
    pub fn try_get_many(&self, most: usize) -> Result<Vec<T>, TryGetError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        self.shared.get(most, |store| take_many(store, most)).map_err(nothing)
    }

    /// An item that was got, as one that marks its task done when it is dropped.
    pub fn work(&self, item: T) -> Work<T> {
        Work::new(self.clone(), item)
    }

    /// Says that what was to be done with an item that was got is done. Who wants to wait until all is done
    /// calls `join` of either API.
    ///
    /// # Errors
    ///
    /// If it was said more often than items were put.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        self.shared.task_done()
    }

    /// Returns the number of items that were put and are not done yet.
    pub fn unfinished(&self) -> usize {
        self.shared.unfinished()
    }

    /// Returns the number of items in the queue.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether nothing is in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bound of the queue, in items; `None` if there is none.
    pub fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }

    /// Returns true if a put would have to wait. Slots that permits have reserved count as taken.
    pub fn is_full(&self) -> bool {
        self.shared.is_full()
    }

    /// Lets no item in any more, but every item out: puts fail at once, also those that wait, and gets
    /// fail when nothing is left. A permit that was given before may still be used, and gets wait for it.
    pub fn shutdown(&self) {
        self.shared.shut_down();
    }

    /// Ends the queue: puts, gets and permits fail from now on, whoever waits is woken, and `join`
    /// returns whatever is still being worked on.
    ///
    /// Returns what was in it, in the order in which it would have been got. These count as done.
    pub fn shutdown_now(&self) -> Vec<T> {
        self.shared.shut_down_now()
    }

    /// Whether one of the two shutdowns was called.
    pub fn is_shutdown(&self) -> bool {
        self.shared.is_shut_down()
    }
}

/// Puts what is in `item`, once.
pub(crate) fn move_in<T>(item: &mut Option<T>) -> impl FnOnce(&mut VecDeque<T>, usize) {
    |inbox, _| {
        if let Some(item) = item.take() {
            inbox.push_back(item);
        }
    }
}

pub(crate) fn move_many<T>(inbox: &mut VecDeque<T>, items: &mut VecDeque<T>, room: usize) {
    if room >= items.len() {
        inbox.append(items);
    } else {
        inbox.extend(items.drain(..room));
    }
}

pub(crate) fn take_one<T>(store: &mut Store<T>) -> T {
    store.next().expect("the store is not empty")
}

pub(crate) fn take_many<T>(store: &mut Store<T>, most: usize) -> Vec<T> {
    let count = store.len().min(most);
    let mut items = Vec::with_capacity(count);
    items.extend(std::iter::from_fn(|| store.next()).take(count));
    items
}

pub(crate) fn left<T>(item: &mut Option<T>) -> T {
    item.take().expect("an item that was not put is still here")
}

pub(crate) fn put_error<T>(item: &mut Option<T>) -> PutError<T> {
    PutError(left(item))
}

fn refused<T>(error: TryError, item: &mut Option<T>) -> TryPutError<T> {
    match error {
        TryError::WouldBlock => TryPutError::Full(left(item)),
        TryError::Closed => TryPutError::ShutDown(left(item)),
    }
}

fn nothing(error: TryError) -> TryGetError {
    match error {
        TryError::WouldBlock => TryGetError::Empty,
        TryError::Closed => TryGetError::ShutDown,
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("unfinished", &self.unfinished())
            .field("is_shutdown", &self.is_shutdown())
            .finish()
    }
}
