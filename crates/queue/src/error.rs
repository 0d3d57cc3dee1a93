//! Why a put or a get did not happen. Whatever holds an item gives it back.

use std::error::Error;
use std::fmt;

/// The queue is shut down. Holds what was not put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PutError<T>(pub T);

/// Why `try_put` did not put. Holds what was not put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no room now.
    Full(T),
    /// The queue is shut down: there will be no room.
    ShutDown(T),
}

/// Why a put with a time-out did not put. Holds what was not put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutTimeoutError<T> {
    /// There was no room in time.
    TimedOut(T),
    /// The queue is shut down: there will be no room.
    ShutDown(T),
}

/// The queue is shut down, and nothing is left in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetError;

/// Why `try_get` got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryGetError {
    /// There is nothing now.
    Empty,
    /// The queue is shut down, and nothing is left in it.
    ShutDown,
}

/// Why a get with a time-out got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetTimeoutError {
    /// There was nothing in time.
    TimedOut,
    /// The queue is shut down, and nothing is left in it.
    ShutDown,
}

/// Waiting took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinTimeoutError;

/// `task_done` was called more often than there were items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyDone;

impl<T> PutError<T> {
    /// Returns the item that was not put.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TryPutError<T> {
    /// Returns the item that was not put.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::ShutDown(item) => item,
        }
    }

    /// Whether it may work later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<T> PutTimeoutError<T> {
    /// Returns the item that was not put.
    pub fn into_inner(self) -> T {
        match self {
            Self::TimedOut(item) | Self::ShutDown(item) => item,
        }
    }

    /// Whether it may work later.
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }
}

const SHUT_DOWN: &str = "the queue is shut down";
const DRAINED: &str = "the queue is shut down and nothing is left in it";

// By hand, so that an item need not be `Debug` for its error to be unwrapped.
impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PutError(..)")
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "ShutDown(..)" })
    }
}

impl<T> fmt::Debug for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_timed_out() { "TimedOut(..)" } else { "ShutDown(..)" })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHUT_DOWN)
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "the queue is full" } else { SHUT_DOWN })
    }
}

impl<T> fmt::Display for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_timed_out() { "the queue had no room in time" } else { SHUT_DOWN })
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DRAINED)
    }
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Empty { "the queue is empty" } else { DRAINED })
    }
}

impl fmt::Display for GetTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::TimedOut { "the queue had nothing in time" } else { DRAINED })
    }
}

impl fmt::Display for JoinTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not all tasks were done in time")
    }
}

impl fmt::Display for TooManyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done was called more often than items were put")
    }
}

impl<T> Error for PutError<T> {}
impl<T> Error for TryPutError<T> {}
impl<T> Error for PutTimeoutError<T> {}
impl Error for GetError {}
impl Error for TryGetError {}
impl Error for GetTimeoutError {}
impl Error for JoinTimeoutError {}
impl Error for TooManyDone {}
