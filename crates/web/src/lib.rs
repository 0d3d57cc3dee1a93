//! HTTP listeners for every service of Switchboard: addresses, hosts, the access token, limits and time-outs.
//!
//! [`HttpServer::bind`] listens and decides whether a token is needed; [`HttpServer::serve`] answers with an axum router
//! until it is told to stop. The rules are the same for each service:
//!
//! - **Hosts.** A request is answered if its `Host` is `localhost`, an IP address, or a name of [`Options::hosts`]. Any
//!   other name may have been rebound to this machine (DNS rebinding) and gets 421.
//! - **Token.** A request that does not come over loopback needs the token, except for `/healthz`, `/readyz` and, with
//!   [`Options::metrics_open`], `/metrics`. See [`Token`].
//! - **CSRF.** A request that changes something and comes from another site's page gets 403.
//! - **Upgrades.** A request with `Upgrade` is held to the rule for CSRF, too, and may show its token as `?token=`. The
//!   handler that answers 101 goes on with the connection by [`Takeover`].
//! - **Limits.** See [`Limits`]. At the limit of connections the oldest connection without a complete request is closed.

mod addresses;
mod bind;
mod listeners;

mod session;
mod token;
mod wish;

mod access;
mod hosts;
mod login;

mod answering;
mod answers;
mod body;
mod connections;
mod errors;
mod head;
mod limits;
mod line_quota;
mod navigation;
mod stream;
mod takeover;

mod options;
mod page;
mod parts;
mod server;
mod services;

pub use addresses::{reachable, url};
pub use answering::{Immediate, Later};
pub use bind::BindError;
pub use hosts::{Hosts, is_foreign};
pub use limits::{LimitError, Limits};
pub use line_quota::{LINES, LineQuota};
pub use listeners::{FIRST_RETRY, LAST_RETRY, Listeners, Missing, Purpose};
pub use options::Options;
pub use page::{PageFile, page_file, tagged};
pub use parts::{parts_body, secured};
pub use server::{HttpServer, max_connections, open_files};
pub use services::{LateAddress, MissingAddress, ServiceState, Services, States};
pub use takeover::Takeover;
pub use token::{ENVIRONMENT, Token, TokenError};
