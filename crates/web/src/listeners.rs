//! Listeners on the addresses of the settings, and those addresses that are to be tried again.

use crate::bind::{BindError, advice, bind, is_missing_loopback, twin};
use crate::{MissingAddress, Services};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use switchboard_driver::Backoff;
use tokio::net::{TcpListener, lookup_host};
use tokio::time::sleep;

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
            self.given.iter().any(|given| given.ip() == twin.ip() && (given.port() == twin.port() || given.port() == 0))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const HTTP: Purpose = Purpose::http("a", "--listen ");

    async fn listeners(names: &[String], purpose: Purpose) -> Result<(Listeners, Services), BindError> {
        let services = Services::default();
        Ok((Listeners::bind(names, purpose, &services).await?, services))
    }

    async fn count(names: &[String]) -> usize {
        listeners(names, HTTP).await.unwrap().0.addresses().len()
    }

    #[tokio::test]
    async fn a_listener_on_127_0_0_1_is_on_the_other_loopback_too() {
        let addresses = listeners(&["127.0.0.1:0".into()], HTTP).await.unwrap().0.addresses();
        let port = addresses[0].port();
        assert_eq!(addresses, [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()]);
    }

    #[tokio::test]
    async fn an_address_that_is_given_twice_or_has_its_twin_given_is_bound_once() {
        let free = listeners(&["127.0.0.1:0".into()], HTTP).await.unwrap().0.addresses()[0].port();
        let names = [
            format!("127.0.0.1:{free}"),
            format!("[::1]:{free}"),
            format!("127.0.0.1:{free}"),
            format!("localhost:{free}"),
        ];
        assert_eq!(count(&names).await, 2);
        assert_eq!(count(&["127.0.0.1:0".into(), "[::1]:0".into()]).await, 2);
        assert_eq!(count(&["127.0.0.2:0".into(), "0.0.0.0:0".into()]).await, 2);
    }

    #[tokio::test]
    async fn an_address_that_another_program_has_is_shown_and_taken_as_soon_as_it_is_free() {
        let other = bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let taken = other.local_addr().unwrap().to_string();
        let (bound, services) = listeners(&[taken.clone(), "127.0.0.3:0".into()], HTTP).await.unwrap();
        assert_eq!((bound.addresses().len(), bound.wanted().len()), (1, 2));
        let missing = services.missing();
        assert_eq!((missing[0].service, missing[0].protocol, &missing[0].address), ("a", "http", &taken));
        let remedy = "another program listens there: stop it, or choose another port with --listen HOST:PORT";
        assert_eq!(missing[0].reason, remedy);
        let (_, mut missing) = bound.into_parts();
        drop(other);
        let listener = missing.next().await;
        assert_eq!(listener.local_addr().unwrap().to_string(), taken);
        assert!(missing.is_empty() && services.missing().is_empty());
        assert_eq!(services.late()[0].address, taken);
        drop(missing);
        assert!(services.late().is_empty(), "it does not listen any more");
    }

    #[tokio::test]
    async fn the_twin_of_127_0_0_1_that_another_program_has_is_shown_and_tried_again() {
        let other = bind("[::1]:0".parse().unwrap()).unwrap();
        let (twin, port) = (other.local_addr().unwrap(), other.local_addr().unwrap().port());
        let (bound, services) = listeners(&[format!("127.0.0.1:{port}")], HTTP).await.unwrap();
        assert_eq!((bound.addresses().len(), &services.missing()[0].address), (1, &twin.to_string()));
        let (_bound, mut missing) = bound.into_parts();
        drop(other);
        assert_eq!(missing.next().await.local_addr().unwrap(), twin);
    }

    #[tokio::test]
    async fn a_service_that_needs_an_address_does_not_run_without_any() {
        let other = bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let taken = [other.local_addr().unwrap().to_string()];
        let error = listeners(&taken, HTTP).await.map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {}: another program", taken[0])), "{error}");
        let (bound, services) = listeners(&taken, Purpose { is_required: false, ..HTTP }).await.unwrap();
        assert_eq!((bound.addresses().len(), services.missing().len()), (0, 1));
        drop(bound);
        assert!(services.missing().is_empty(), "nobody tries any more");
        assert!(listeners(&[], HTTP).await.is_ok(), "no address was wanted");
    }
}
