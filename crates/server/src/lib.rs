//! The Switchboard broker, served over sockets.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use switchboard_server::{Server, Settings};
//!
//! let server = Server::bind(Settings::default()).await?;
//! server.run(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `switchboard-broker` decides what happens to messages, `switchboard-wire` encodes and decodes
//! frames, and this crate moves the bytes.

#[cfg(feature = "serve")]
mod settings;

#[cfg(feature = "serve")]
mod socket;
#[cfg(feature = "serve")]
mod sync;
#[cfg(feature = "serve")]
mod transport;

#[cfg(feature = "serve")]
mod clock;
#[cfg(feature = "serve")]
mod dirty;
#[cfg(feature = "serve")]
mod handle;
#[cfg(feature = "serve")]
mod hub;
#[cfg(feature = "serve")]
mod log;
mod native;
#[cfg(feature = "serve")]
mod outbox;
#[cfg(feature = "serve")]
mod slice;
#[cfg(feature = "serve")]
mod stomp;
#[cfg(feature = "serve")]
mod watch;
#[cfg(feature = "serve")]
mod writer;

#[cfg(feature = "serve")]
mod acceptor;
#[cfg(feature = "serve")]
mod answers;
#[cfg(feature = "serve")]
mod connection;
#[cfg(feature = "serve")]
mod connector;
#[cfg(feature = "serve")]
mod files;
#[cfg(feature = "serve")]
mod handshakes;
#[cfg(feature = "serve")]
mod http;
#[cfg(feature = "serve")]
mod page;
#[cfg(feature = "serve")]
mod probe;
#[cfg(feature = "serve")]
mod rules;
#[cfg(feature = "serve")]
mod server;
#[cfg(all(test, feature = "serve"))]
mod tests;
#[cfg(feature = "serve")]
mod web_socket;

#[cfg(feature = "serve")]
pub use connector::Connector;
pub use native::{NativeError, Session};
#[cfg(feature = "serve")]
pub use outbox::Outbox;
#[cfg(feature = "serve")]
pub use probe::Probe;
#[cfg(feature = "serve")]
pub use rules::ChannelRules;
#[cfg(feature = "serve")]
pub use server::{RunError, Server, Shutdown};
#[cfg(feature = "serve")]
pub use settings::Settings;
#[cfg(feature = "serve")]
pub use stomp::is_stomp_queue;
#[cfg(feature = "serve")]
pub use switchboard_web::{BindError, Options as WebOptions, Token};
