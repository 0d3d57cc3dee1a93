//! A load tool for message brokers.
//!
//! It must never be what is measured. So publishers write buffers that were encoded once, and patch
//! only the numbers in them; subscribers look at payloads where the read has put them; nothing is
//! allocated for a message. Every payload begins with its publisher and number, so that losses,
//! doubles and a wrong order are found at full speed.
//!
//! Threads block, on purpose: the tool shares the machine with the broker, and a runtime of its own
//! would compete with it.

mod histogram;
mod plan;
mod sequence;

mod protocol;

mod native;
mod stomp;

mod publish;
mod run;
mod subscribe;

pub use histogram::Histogram;
pub use native::Native;
pub use plan::{Channel, Outcome, Plan};
pub use protocol::{Protocol, bad_data, connect, read_until};
pub use run::{run, run_until};
pub use sequence::{Checker, Seen, Tally};
pub use stomp::Stomp;
