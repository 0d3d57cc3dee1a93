//! Listeners on the addresses of the settings, and those addresses that are to be tried again.

use crate::bind::{BindError, advice, bind, is_missing_loopback, twin};
use crate::{MissingAddress, Services};
use std::future::pending;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;
use switchboard_driver::Backoff;
use tokio::net::{TcpListener, lookup_host};
use tokio::time::sleep;

#[cfg(test)]
mod tests;

/// The first and the longest pause before an address, or a service, is tried again; each is twice the one before.
pub const FIRST_RETRY: Duration = Duration::from_secs(1);
/// See [`FIRST_RETRY`].
pub const LAST_RETRY: Duration = Duration::from_secs(30);

/// Use of some listeners, for messages about an address that they cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The service that listens.
    pub service: &'static str,
    /// `native`, `stomp` or `http`.
    pub protocol: &'static str,
    /// The option that chooses another address, up to the address: `--listen `, for example.
    pub option: &'static str,
    /// Whether the service cannot do without one of them.
    pub is_required: bool,
}

impl Purpose {
    /// HTTP of a service that is nothing without it.
    #[must_use]
    pub const fn http(service: &'static str, option: &'static str) -> Purpose {
        Purpose { service, protocol: "http", option, is_required: true }
    }
}

/// Listeners of one purpose, and the addresses that could not be listened on.
#[derive(Debug)]
pub struct Listeners {
    bound: Vec<TcpListener>,
    missing: Missing,
}

impl Listeners {
    /// Listens on all addresses. `127.0.0.1:PORT` stands for `[::1]:PORT` as well, where the machine has it.
    ///
    /// # Errors
    /// If a name cannot be looked up, or none of the addresses can be listened on and one is required. Where others are left, the
    /// address is missing, and shown so by `services`.
    pub async fn bind(names: &[String], purpose: Purpose, services: &Services) -> Result<Listeners, BindError> {
        let failed = |name: &str, source| BindError::Address { address: name.into(), option: purpose.option, source };
        let mut wanted: Vec<(&str, SocketAddr)> = Vec::new();
        for name in names {
            let addresses = lookup_host(name.as_str()).await.map_err(|source| failed(name, source))?;
            // A name may have several addresses; all of them are meant, each once.
            for address in addresses {
                if address.port() == 0 || !wanted.iter().any(|(_, known)| *known == address) {
                    wanted.push((name, address));
                }
            }
        }
        let given = wanted.iter().map(|(_, address)| *address).collect();
        let mut missing = Missing::new(purpose, services.clone(), given);
        let (mut bound, mut first) = (Vec::new(), None);
        let mut left = Vec::new();
        for &(name, address) in &wanted {
            let Err(source) = missing.bind(address, &mut bound) else { continue };
            if is_missing_loopback(address, &source) {
                tracing::warn!("this machine has no {address}: not listening there ({source})");
            } else {
                left.push((address, advice(&source, purpose.option)));
            }
            first.get_or_insert_with(|| failed(name, source));
        }
        if let Some(error) = first.filter(|_| bound.is_empty() && purpose.is_required) {
            return Err(error);
        }
        left.into_iter().for_each(|(address, reason)| missing.add(address, reason));
        Ok(Listeners { bound, missing })
    }

    /// Returns the addresses that are listened on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The listeners.
    #[must_use]
    pub fn bound(&self) -> &[TcpListener] {
        &self.bound
    }

    /// Returns these and the missing ones: those that may be listened on later.
    #[must_use]
    pub fn wanted(&self) -> Vec<SocketAddr> {
        let missing = self.missing.left.iter().map(|(address, _)| *address);
        self.addresses().into_iter().chain(missing).collect()
    }

    /// Separates the listeners from what is missing.
    #[must_use]
    pub fn into_parts(self) -> (Vec<TcpListener>, Missing) {
        (self.bound, self.missing)
    }
}

/// Addresses that could not be listened on, and are tried again.
#[derive(Debug)]
pub struct Missing {
    purpose: Purpose,
    services: Services,
    /// The addresses that were given, which are bound for themselves.
    given: Vec<SocketAddr>,
    /// With the reason of each.
    left: Vec<(SocketAddr, String)>,
    /// Listeners that the last try has found beside the one that it returned.
    found: Vec<TcpListener>,
    pauses: Backoff,
}

impl Missing {
    fn new(purpose: Purpose, services: Services, given: Vec<SocketAddr>) -> Missing {
        let pauses = Backoff::new(FIRST_RETRY, LAST_RETRY);
        Missing { purpose, services, given, left: Vec::new(), found: Vec::new(), pauses }
    }

    /// Returns true if nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left.is_empty() && self.found.is_empty()
    }

    /// Returns the next listener that could be had after all; never, where nothing is missing.
    pub async fn next(&mut self) -> TcpListener {
        loop {
            if let Some(listener) = self.found.pop() {
                return listener;
            }
            if self.left.is_empty() {
                return pending().await;
            }
            sleep(self.pauses.pause(0.0)).await;
            self.try_again();
        }
    }

    fn try_again(&mut self) {
        for (address, known) in std::mem::take(&mut self.left) {
            let mut found = Vec::new();
            match self.bind(address, &mut found) {
                Ok(()) => {
                    let bound = found.iter().filter_map(|listener| listener.local_addr().ok()).map(|at| at.to_string());
                    self.services.set_listening(self.purpose, &address.to_string(), bound);
                    tracing::info!("{} listens on {address} now ({})", self.purpose.service, self.purpose.protocol);
                    self.found.append(&mut found);
                }
                Err(source) => {
                    let reason = advice(&source, self.purpose.option);
                    // Once for each reason, however often it is tried.
                    if reason == known { self.left.push((address, known)) } else { self.add(address, reason) }
                }
            }
        }
    }

    /// Notes an address that cannot be listened on now.
    fn add(&mut self, address: SocketAddr, reason: String) {
        let Purpose { service, protocol, .. } = self.purpose;
        tracing::error!("{service} does not listen on {address} ({protocol}), and tries again: {reason}");
        self.services.set_missing(MissingAddress {
            service,
            protocol,
            address: address.to_string(),
            reason: reason.clone(),
        });
        self.left.push((address, reason));
    }

    /// Listens on an address, and for `127.0.0.1` on its twin.
    fn bind(&mut self, address: SocketAddr, bound: &mut Vec<TcpListener>) -> io::Result<()> {
        let listener = bind(address)?;
        let twin = listener.local_addr().ok().and_then(twin);
        bound.push(listener);
        // A port that the kernel has chosen is this listener's alone.
        let is_given = |twin: &SocketAddr| {
            self.given.iter().any(|given| {
                let is_same = given.ip() == twin.ip() && (given.port() == twin.port() || given.port() == 0);
                // `[::]` has all addresses of its port: the twin would keep it from being bound.
                is_same || given.ip() == Ipv6Addr::UNSPECIFIED && given.port() == twin.port()
            })
        };
        let Some(twin) = twin.filter(|twin| !is_given(twin)) else { return Ok(()) };
        match bind(twin) {
            Ok(listener) => bound.push(listener),
            Err(error) if is_missing_loopback(twin, &error) => {}
            // A port that the kernel chose: clients learn the address from the banner.
            Err(error) if address.port() == 0 => {
                tracing::warn!("not listening on {twin}, only on its twin 127.0.0.1: {error}");
            }
            Err(error) => self.add(twin, advice(&error, self.purpose.option)),
        }
        Ok(())
    }
}

impl Drop for Missing {
    fn drop(&mut self) {
        self.services.forget_addresses(self.purpose);
    }
}
