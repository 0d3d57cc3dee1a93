//! The guard against server-side request forgery: every connection of this crate is opened by [`Guard::dial`].
//!
//! A name is resolved once. Addresses that are not global are refused, and the connection goes to the address that was
//! checked: a name that changes its mind in between (DNS rebinding) gains nothing. Redirects and sub-resources are new
//! connections, so they are checked as well. [`Allow`] opens exact pairs of host and port, never a range.

mod allow;
mod domains;
mod global;
mod limited;
mod ports;
mod proxy;
mod resolver;
mod target;

pub use allow::Allow;
pub use domains::Domains;
pub use global::is_global;
pub use proxy::{Proxy, ProxyLimits, REFUSED};
pub use resolver::{Resolver, Resolving, SystemResolver};
pub use target::{Target, TargetError};

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use switchboard_http_client::Step;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Host;

/// Addresses of one name that are dialed; the others are left out.
const MAX_ADDRESSES: usize = 4;

/// Decides which connections may be opened, and opens them. Clones share the resolver.
#[derive(Clone)]
pub struct Guard {
    allow: Allow,
    resolver: Arc<dyn Resolver>,
    limit: Duration,
    only: Option<Domains>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("allow", &self.allow).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The guard of all connections: it dials the address that it has checked.
#[derive(Debug)]
pub(crate) struct Checked {
    target: Target,
    /// At least one.
    addresses: Vec<IpAddr>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// No host or no port.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Every address of the host is private, loopback or the like.
    #[error(
        "refused: {address} (of {target}) is not an address of the public internet; it is permitted by --allow {target}, or for `switchboard up` by --set news.allow={target} or --set render.allow={target}"
    )]
    NotGlobal {
        /// The target of the connection.
        target: Target,
        /// The first address that was refused.
        address: IpAddr,
    },
    /// The port is another protocol's.
    #[error("refused: port {} of {target} is not a web server's; it is permitted by --allow {target}, or for `switchboard up` by --set news.allow={target} or --set render.allow={target}", target.port)]
    Port {
        /// The target of the connection.
        target: Target,
    },
    /// The host is not one of the domains that were asked for.
    #[error("refused: {target} is not within the allowed domains")]
    Domain {
        /// The target of the connection.
        target: Target,
    },
    /// The name has no address.
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// The look-up of the name, or the connection to its last address, took too long.
    #[error("{step}: connect timeout of {limit:?} exceeded for {target}")]
    Timeout {
        /// [`Step::Resolve`] or [`Step::Connect`].
        step: Step,
        /// The target of the connection.
        target: Target,
        /// The limit of this guard.
        limit: Duration,
    },
    /// No address answers.
    #[error("cannot connect to {target}: {source}")]
    Connect {
        /// The target of the connection.
        target: Target,
        /// Why not.
        source: io::Error,
    },
}

impl DialError {
    /// Whether the guard refused the connection, rather than the network.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            DialError::Target(_) | DialError::NotGlobal { .. } | DialError::Port { .. } | DialError::Domain { .. }
        )
    }
}

impl Guard {
    /// A guard that asks the system's resolver. `limit` bounds the look-up of a name, and each connection attempt.
    #[must_use]
    pub fn new(allow: Allow, limit: Duration) -> Guard {
        Guard::with_resolver(allow, limit, Arc::new(SystemResolver))
    }

    /// A guard that asks another resolver.
    #[must_use]
    pub fn with_resolver(allow: Allow, limit: Duration, resolver: Arc<dyn Resolver>) -> Guard {
        Guard { allow, resolver, limit, only: None }
    }

    /// The same guard, for these domains alone.
    #[must_use]
    pub fn only(&self, domains: Domains) -> Guard {
        Guard { only: Some(domains), ..self.clone() }
    }

    /// Opens a connection to a host, which may be spelled in any way.
    ///
    /// # Errors
    ///
    /// The guard refuses, the name has no address, or nobody answers there in time.
    pub async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let checked = self.check(host, port).await?;
        self.connect(checked).await
    }

    /// The first half of [`Guard::dial`]: looks the name up and checks its addresses.
    pub(crate) async fn check(&self, host: &str, port: u16) -> Result<Checked, DialError> {
        let target = Target::new(host, port)?;
        let addresses = self.addresses(&target).await?;
        Ok(Checked { target, addresses })
    }

    /// The addresses that may be dialed: at least one.
    async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, DialError> {
        if self.only.as_ref().is_some_and(|only| !only.contain(target)) {
            return Err(DialError::Domain { target: target.clone() });
        }
        let allowed = self.allow.contains(target);
        if !allowed && !ports::is_web(target.port) {
            return Err(DialError::Port { target: target.clone() });
        }
        let found = match &target.host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => {
                let resolving = timeout(self.limit, self.resolver.resolve(name, self.limit));
                let found = resolving.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                found.map_err(|source| match source.kind() {
                    io::ErrorKind::TimedOut => self.late(Step::Resolve, target),
                    _ => DialError::Resolve { host: name.clone(), source },
                })?
            }
        };
        let Some(&first) = found.first() else {
            return Err(DialError::Resolve { host: target.host.to_string(), source: io::ErrorKind::NotFound.into() });
        };
        let usable: Vec<IpAddr> = found.iter().copied().filter(|address| allowed || is_global(*address)).collect();
        if usable.is_empty() {
            Err(DialError::NotGlobal { target: target.clone(), address: first })
        } else {
            Ok(usable)
        }
    }

    /// The second half of [`Guard::dial`].
    pub(crate) async fn connect(&self, Checked { target, addresses }: Checked) -> Result<TcpStream, DialError> {
        let mut last = None;
        for address in addresses.iter().take(MAX_ADDRESSES) {
            match timeout(self.limit, TcpStream::connect(SocketAddr::new(*address, target.port))).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = None,
            }
        }
        Err(match last {
            Some(source) => DialError::Connect { target, source },
            None => self.late(Step::Connect, &target),
        })
    }

    fn late(&self, step: Step, target: &Target) -> DialError {
        DialError::Timeout { step, target: target.clone(), limit: self.limit }
    }
}

#[cfg(test)]
mod tests;
