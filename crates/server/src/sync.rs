//! Synchronization of the connections' tasks. The model in `tests/model` has its own module of this name.

pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
pub(crate) use tokio::sync::Notify;

/// Hands the lock to whoever waits for it: unlocked otherwise, the same task may get it again.
pub(crate) fn unlock_fairly<T>(guard: MutexGuard<'_, T>) {
    MutexGuard::unlock_fair(guard);
}
