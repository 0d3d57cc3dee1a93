//! The async API.

use std::collections::VecDeque;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::{GetError, PutError};
use crate::permit::Permit;
use crate::queue::{Queue, move_in, move_many, put_error, take_many, take_one};
use crate::shared::{Role, TryError};
use crate::wait::{Closed, Until, poll};
use crate::wait_queue::Waiter;
use crate::work::Work;

/// A queue as tasks see it: what has to wait, is awaited, on any executor. What need not wait is the
/// [`Queue`]'s.
///
/// Any of these futures may be dropped at any time: a get that is dropped has taken nothing, and
/// whom it kept from being woken is woken. So any runtime's time-out can be put around them.
#[derive(Debug)]
pub struct Tasks<T> {
    queue: Queue<T>,
}

impl<T> Tasks<T> {
    pub(crate) fn new(queue: Queue<T>) -> Self {
        Self { queue }
    }

    /// Puts an item, waiting for room. If the future is dropped before it is ready, the item is
    /// dropped with it; to keep it, [`reserve`](Self::reserve) a slot first.
    ///
    /// # Errors
    ///
    /// With the item, if the queue is shut down, before or meanwhile.
    pub async fn put(&self, item: T) -> Result<(), PutError<T>> {
        let shared = &*self.queue.shared;
        let mut item = Some(item);
        let put = self.until(Role::Putter, || shared.put(1, move_in(&mut item))).await;
        put.map_err(|Closed| put_error(&mut item))
    }

    /// Puts items, waiting for room. As many as there is room for are put in one step. If the future is dropped before
    /// it is ready, those that were not put are dropped with it.
    ///
    /// # Errors
    ///
    /// With those that were not put, if the queue is shut down, before or meanwhile.
    pub async fn put_many(&self, items: impl IntoIterator<Item = T>) -> Result<(), PutError<Vec<T>>> {
        self.put_all(items.into_iter().collect()).await
    }

    // CachePadded, so that the future need not be able to hold the caller's iterator.
    async fn put_all(&self, mut items: VecDeque<T>) -> Result<(), PutError<Vec<T>>> {
        let shared = &*self.queue.shared;
        while !items.is_empty() {
            let put = || shared.put(items.len(), |inbox, room| move_many(inbox, &mut items, room));
            if self.until(Role::Putter, put).await.is_err() {
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
    pub async fn reserve(&self) -> Result<Permit<T>, PutError<()>> {
        let shared = &*self.queue.shared;
        let reserved = self.until(Role::Putter, || shared.reserve()).await;
        reserved.map(|()| Permit::new(self.queue.clone())).map_err(|Closed| PutError(()))
    }

    /// Gets the next item, waiting for it.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, and nothing is left in it.
    pub async fn get(&self) -> Result<T, GetError> {
        let shared = &*self.queue.shared;
        self.until(Role::Getter, || shared.get(1, take_one)).await.map_err(|Closed| GetError)
    }

    /// Gets up to `most` items in one step, waiting for the first. Nobody waits for none.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, and nothing is left in it.
    pub async fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let shared = &*self.queue.shared;
        let get = || shared.get(most, |store| take_many(store, most));
        self.until(Role::Getter, get).await.map_err(|Closed| GetError)
    }

    /// As [`get`](Self::get), with a guard that marks the item's task done when it is dropped.
    ///
    /// # Errors
    ///
    /// If the queue is shut down, and nothing is left in it.
    pub async fn get_work(&self) -> Result<Work<T>, GetError> {
        self.get().await.map(|item| self.queue.work(item))
    }

    /// The items, waiting for each, until the queue is shut down and nothing is left in it.
    pub fn stream(&self) -> Items<T> {
        Items { queue: self.queue.clone(), waiter: Waiter::default() }
    }

    /// Waits until every item that was put is done, or the queue is shut down with `shutdown_now`.
    pub async fn join(&self) {
        let shared = &*self.queue.shared;
        // Being shut down is no error here.
        let _ = self.until(Role::Joiner, || shared.all_done()).await;
    }

    async fn until<R, A>(&self, role: Role, mut attempt: A) -> Result<R, Closed>
    where
        A: FnMut() -> Result<R, TryError> + Unpin,
    {
        // Most need not wait, and so need not prepare for it.
        match attempt() {
            Err(TryError::WouldBlock) => {
                Until { shared: &self.queue.shared, role, attempt, waiter: Waiter::default() }.await
            }
            Err(TryError::Closed) => Err(Closed),
            Ok(result) => Ok(result),
        }
    }
}

impl<T> Deref for Tasks<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T> Clone for Tasks<T> {
    fn clone(&self) -> Self {
        Self::new(self.queue.clone())
    }
}

/// The items of a queue; see [`Tasks::stream`].
#[derive(Debug)]
pub struct Items<T> {
    queue: Queue<T>,
    waiter: Waiter,
}

impl<T> Stream for Items<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { queue, waiter } = self.get_mut();
        let shared = &*queue.shared;
        poll(shared, Role::Getter, waiter, cx, || shared.get(1, take_one)).map(Result::ok)
    }
}

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        self.queue.shared.give_up(Role::Getter, &mut self.waiter);
    }
}
