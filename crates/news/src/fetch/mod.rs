//! Pages and feeds over HTTP: politely, through the guard, and with a bound on everything that a server may send.

mod charset;
pub(crate) mod encoding;
pub(crate) mod robots;

#[cfg(feature = "service")]
mod error;
#[cfg(feature = "service")]
mod fetcher;
#[cfg(feature = "service")]
mod host;
#[cfg(feature = "service")]
mod location;
#[cfg(feature = "service")]
mod retry;
#[cfg(all(test, feature = "service"))]
mod turn_tests;

pub use charset::decode;
pub use encoding::EncodingError;
#[cfg(feature = "service")]
pub use error::{FetchError, FetchReason};
#[cfg(feature = "service")]
pub use fetcher::{Fetched, Fetcher, Options, Page, Turn, Validators};

/// The name that robots.txt files know this program by.
pub const AGENT: &str = "switchboard-news";
