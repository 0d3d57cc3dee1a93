#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod sync;

mod store;
mod wait_queue;

mod shared;

mod lifetime;
mod wait;

mod queue;

mod blocking;
mod tasks;

mod permit;
mod work;

pub use blocking::{Blocking, Iter};
pub use error::{
    GetError, GetTimeoutError, JoinTimeoutError, PutError, PutTimeoutError, TooManyDone, TryGetError, TryPutError,
};
pub use permit::Permit;
pub use queue::Queue;
pub use tasks::{Items, Tasks};
pub use work::Work;
