#![doc = include_str!("../README.md")]
//!
//! # Example
//!
//! ```
//! use switchboard_driver::Driver;
//! use std::sync::mpsc;
//!
//! // There is no executor here, so this runs on the shared thread.
//! let (sender, receiver) = mpsc::channel();
//! let driver = Driver::current()?;
//! drop(driver.spawn(async move { sender.send(6 * 7) }));
//! assert_eq!(receiver.recv(), Ok(42));
//! assert!(driver.is_shared());
//! # Ok::<(), switchboard_driver::NoThread>(())
//! ```
#![forbid(unsafe_code)]

pub mod quantity;
pub mod text;

mod deadline;
mod descriptors;
mod runtime;
mod task;
mod threads;

mod announcer;
mod backoff;
mod heartbeat;

mod dial;
mod file;
mod folder;
mod resolve;

#[cfg(test)]
mod tests;

pub use announcer::{Announcer, Delivery, Mailbox};
pub use backoff::Backoff;
pub use deadline::Deadline;
pub use descriptors::{build_blocking_runtime, build_runtime, ensure_files};
pub use dial::{MAX_ADDRESSES, connect, connect_to};
pub use file::{read_file, read_text, text_of};
pub use folder::{FolderLock, lock_folder};
pub use heartbeat::{Check, Heartbeat};
pub use resolve::{MAX_LOOKUPS, resolve, resolve_blocking};
pub use runtime::{Driver, NoThread, is_polled};
pub use task::{Ended, Panicked, Task, catch_panic};
pub use threads::{ensure_threads, run_beside, start_thread};
