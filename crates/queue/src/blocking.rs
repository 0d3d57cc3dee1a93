//! The blocking API.

use std::collections::VecDeque;
use std::ops::Deref;
use std::time::{Duration, Instant};

use crate::error::{GetError, GetTimeoutError, JoinTimeoutError, PutError, PutTimeoutError};
use crate::permit::Permit;
use crate::queue::{Queue, left, move_in, move_many, put_error, take_many, take_one};
use crate::shared::Role;
use crate::wait::{WaitError, block, yield_to_producers};
use crate::work::Work;

/// A queue as threads see it: what has to wait, blocks. What need not wait is the [`Queue`]'s.
///
/// Not for use inside a task: it would stop its executor. A time-out longer than the clock can count is none.
#[derive(Debug)]
pub struct Blocking<T> {
    queue: Queue<T>,
}

impl<T> Blocking<T> {
    pub(crate) fn new(queue: Queue<T>) -> Self {
        Self { queue }
    }

    /// Puts an item, waiting for room.
    ///
    /// # Errors
    ///
    /// With the item, if the queue is shut down, before or meanwhile.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        let mut item = Some(item);
        self.put_by(None, &mut item).map_err(|_| put_error(&mut item))
    }

    /// Puts an item, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// With the item, if there is no room in time or the queue is shut down.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
        let mut item = Some(item);
        self.put_by(Instant::now().checked_add(timeout), &mut item).map_err(|why| match why {
            WaitError::TimedOut => PutTimeoutError::TimedOut(left(&mut item)),
            WaitError::Closed => PutTimeoutError::ShutDown(left(&mut item)),
        })
    }

    fn put_by(&self, deadline: Option<Instant>, item: &mut Option<T>) -> Result<(), WaitError> {
        let shared = &*self.queue.shared;
        block(shared, Role::Putter, deadline, || shared.put(1, move_in(item)))
    }

    /// Puts items, waiting for room. As many as there is room for are put in one step.
    ///
    /// # Errors
    ///
    /// With those that were not put, if the queue is shut down, before or meanwhile.
    pub fn put_many(&self, items: impl IntoIterator<Item = T>) -> Result<(), PutError<Vec<T>>> {
        let shared = &*self.queue.shared;
        let mut items: VecDeque<T> = items.into_iter().collect();
        while !items.is_empty() {
            let put = || shared.put(items.len(), |inbox, room| move_many(inbox, &mut items, room));
            if block(shared, Role::Putter, None, put).is_err() {
                return Err(PutError(items.into()));
            }
        }
        Ok(())
    }

    /// Reserves a slot for an item that is still to be made, waiting for room.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, before or meanwhile.
    pub fn reserve(&self) -> Result<Permit<T>, PutError<()>> {
        self.reserve_by(None).map_err(|_| PutError(()))
    }

    /// Reserves a slot for an item that is still to be made, waiting for room no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If there is no room in time or the queue is shut down.
    pub fn reserve_timeout(&self, timeout: Duration) -> Result<Permit<T>, PutTimeoutError<()>> {
        self.reserve_by(Instant::now().checked_add(timeout)).map_err(|why| match why {
            WaitError::TimedOut => PutTimeoutError::TimedOut(()),
            WaitError::Closed => PutTimeoutError::ShutDown(()),
        })
    }

    fn reserve_by(&self, deadline: Option<Instant>) -> Result<Permit<T>, WaitError> {
        let shared = &*self.queue.shared;
        block(shared, Role::Putter, deadline, || shared.reserve())?;
        Ok(Permit::new(self.queue.clone()))
    }

    /// Gets the next item, waiting for it.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, and nothing is left in it.
    pub fn get(&self) -> Result<T, GetError> {
        self.get_by(None).map_err(|_| GetError)
    }

    /// Gets the next item, waiting for it no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If there is none in time, or the queue is shut down and nothing is left in it.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
        self.get_by(Instant::now().checked_add(timeout)).map_err(|why| match why {
            WaitError::TimedOut => GetTimeoutError::TimedOut,
            WaitError::Closed => GetTimeoutError::ShutDown,
        })
    }

    fn get_by(&self, deadline: Option<Instant>) -> Result<T, WaitError> {
        let shared = &*self.queue.shared;
        yield_to_producers(shared);
        block(shared, Role::Getter, deadline, || shared.get(1, take_one))
    }

    /// Gets up to `most` items in one step, waiting for the first. Nobody waits for none.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, and nothing is left in it.
    pub fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let shared = &*self.queue.shared;
        let get = || shared.get(most, |store| take_many(store, most));
        yield_to_producers(shared);
        block(shared, Role::Getter, None, get).map_err(|_| GetError)
    }

    /// As [`get`](Self::get), with a guard that marks the item's task done when it is dropped.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, and nothing is left in it.
    pub fn get_work(&self) -> Result<Work<T>, GetError> {
        self.get().map(|item| self.queue.work(item))
    }

    /// The items, waiting for each, until the queue is shut down and nothing is left in it.
    pub fn iter(&self) -> Iter<T> {
        Iter { channel: self.clone() }
    }

    /// Waits until every item that was put is done, or the queue is shut down with `shutdown_now`.
    pub fn join(&self) {
        let _ = self.join_by(None);
    }

    /// As [`join`](Self::join), but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If something is not done in time.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.join_by(Instant::now().checked_add(timeout)).map_err(|_| JoinTimeoutError)
    }

    fn join_by(&self, deadline: Option<Instant>) -> Result<(), WaitError> {
        let shared = &*self.queue.shared;
        block(shared, Role::Joiner, deadline, || shared.all_done())
    }
}

impl<T> Deref for Blocking<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T> Clone for Blocking<T> {
    fn clone(&self) -> Self {
        Self::new(self.queue.clone())
    }
}

impl<T> IntoIterator for Blocking<T> {
    type Item = T;
    type IntoIter = Iter<T>;

    fn into_iter(self) -> Iter<T> {
        Iter { channel: self }
    }
}

impl<T> IntoIterator for &Blocking<T> {
    type Item = T;
    type IntoIter = Iter<T>;

    fn into_iter(self) -> Iter<T> {
        self.iter()
    }
}

/// The items of a queue; see [`Blocking::iter`].
#[derive(Debug)]
pub struct Iter<T> {
    channel: Blocking<T>,
}

impl<T> Iterator for Iter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.channel.get().ok()
    }
}
