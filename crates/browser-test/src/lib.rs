#![doc = include_str!("../README.md")]

mod browser;
mod capabilities;
mod driver;
mod input;
mod look;
mod relay;

pub use browser::Browser;
pub use input::key;
pub use look::{Look, Scheme, TOP_OF_LINKS};
pub use relay::Relay;

use std::time::Duration;

/// Time limit for anything that is certain to happen. No test waits as long as this on purpose.
pub const PATIENCE: Duration = Duration::from_secs(30);
