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
//! What may happen to a message is decided in `switchboard-broker`; what a frame looks like is
//! known by `switchboard-wire`; here is what moves the bytes.

mod settings;

mod socket;
mod sync;
mod transport;

mod clock;
mod dirty;
mod handle;
mod hub;
mod log;
mod native;
mod outbox;
mod slice;
mod watch;

mod acceptor;
mod answers;
mod connection;
mod connector;
mod files;
mod handshakes;
mod http;
mod rules;
mod server;
#[cfg(test)]
mod tests;

pub use connector::Connector;
pub use native::{NativeError, Session};
pub use outbox::Outbox;
pub use rules::ChannelRules;
pub use server::{RunError, Server, Shutdown};
pub use settings::Settings;
pub use switchboard_web::{BindError, Options as WebOptions, Token};
