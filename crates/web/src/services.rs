//! The state of the services of one program.

use crate::Purpose;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// The services of one program and their states, as `/readyz` and `/status` show them, and where their pages are. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Services {
    states: Arc<watch::Sender<States>>,
    pages: Arc<RwLock<BTreeMap<&'static str, Vec<SocketAddr>>>>,
}

/// The states of services, and the addresses that came or have to come later than the services.
#[derive(Clone, Debug, Default)]
pub struct States {
    services: BTreeMap<&'static str, ServiceState>,
    missing: Vec<MissingAddress>,
    late: Vec<LateAddress>,
}

/// An address that a service cannot listen on now, and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingAddress {
    /// The service, which runs on its other addresses.
    pub service: &'static str,
    /// `native`, `stomp`, `http` or `collect`.
    pub protocol: &'static str,
    /// The address.
    pub address: String,
    /// The reason, and the remedy.
    pub reason: String,
}

/// An address that a service listens on later than on its others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateAddress {
    /// The service.
    pub service: &'static str,
    /// As in [`MissingAddress`].
    pub protocol: &'static str,
    /// The address.
    pub address: String,
}

/// The state of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It answers.
    Running,
    /// It answers, but lacks something that it needs, and waits for it.
    Degraded {
        /// The missing part, in one word.
        lacks: &'static str,
        /// The reason, and the remedy.
        reason: String,
    },
    /// It could not start, for this reason, and is tried again.
    Down(String),
}

impl Services {
    /// Sets the state of a service, for every clone.
    pub fn set(&self, name: &'static str, state: ServiceState) {
        self.states.send_if_modified(|states| {
            states.services.insert(name, state.clone()).is_none_or(|before| before != state)
        });
    }

    /// Notes an address that a service cannot listen on now, for every clone.
    pub fn set_missing(&self, missing: MissingAddress) {
        self.states.send_if_modified(|states| {
            let is_same = |known: &&mut MissingAddress| is_of(known.service, known.protocol, &known.address, &missing);
            match states.missing.iter_mut().find(is_same) {
                Some(known) => std::mem::replace(known, missing.clone()) != missing,
                None => {
                    states.missing.push(missing);
                    true
                }
            }
        });
    }

    /// Notes that a missing address is listened on now, under these addresses.
    pub fn set_listening(&self, purpose: Purpose, missing: &str, bound: impl IntoIterator<Item = String>) {
        let Purpose { service, protocol, .. } = purpose;
        self.states.send_modify(|states| {
            states
                .missing
                .retain(|known| (known.service, known.protocol, &*known.address) != (service, protocol, missing));
            states.late.extend(bound.into_iter().map(|address| LateAddress { service, protocol, address }));
        });
    }

    /// Notes that nothing of this purpose listens or tries to listen any more.
    pub fn forget_addresses(&self, purpose: Purpose) {
        let is_other = |service, protocol| (service, protocol) != (purpose.service, purpose.protocol);
        self.states.send_if_modified(|states| {
            let before = states.missing.len() + states.late.len();
            states.missing.retain(|known| is_other(known.service, known.protocol));
            states.late.retain(|known| is_other(known.service, known.protocol));
            before != states.missing.len() + states.late.len()
        });
    }

    /// Returns the addresses that services cannot listen on now.
    #[must_use]
    pub fn missing(&self) -> Vec<MissingAddress> {
        self.states.borrow().missing.clone()
    }

    /// Returns the addresses that services listen on later than on their others.
    #[must_use]
    pub fn late(&self) -> Vec<LateAddress> {
        self.states.borrow().late.clone()
    }

    /// Notes that a service has started. One that lacks something has said so itself, and stays as it is.
    pub fn set_started(&self, name: &'static str) {
        self.states.send_if_modified(|states| {
            let services = &mut states.services;
            let starts = services.get(name).is_none_or(|state| matches!(state, ServiceState::Down(_)));
            if starts {
                services.insert(name, ServiceState::Running);
            }
            starts
        });
    }

    /// Returns a receiver of the states, each time that one of them changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<States> {
        self.states.subscribe()
    }

    /// Sets where the page of a service listens, for every clone: the pages then lead to each other. No address means no page.
    pub fn set_page(&self, name: &'static str, addresses: &[SocketAddr]) {
        let mut pages = self.pages.write();
        if addresses.is_empty() {
            pages.remove(name);
        } else {
            pages.insert(name, addresses.to_vec());
        }
    }

    /// Addresses of the pages, by the names of their services.
    pub(crate) fn pages(&self) -> Vec<(&'static str, Vec<SocketAddr>)> {
        self.pages.read().iter().map(|(name, addresses)| (*name, addresses.clone())).collect()
    }

    /// All services by their names.
    #[must_use]
    pub fn list(&self) -> Vec<(&'static str, ServiceState)> {
        self.states.borrow().services.iter().map(|(name, state)| (*name, state.clone())).collect()
    }

    /// One line for each service, and one for each missing address. Probes need no token, so the reasons of services are left out;
    /// that of an address says no more than anybody sees who tries to connect.
    #[must_use]
    pub fn summary(&self) -> String {
        let line = |(name, state): (&&str, &ServiceState)| match state {
            ServiceState::Running => format!("{name}: running\n"),
            ServiceState::Degraded { lacks, .. } => format!("{name}: running, without {lacks}\n"),
            ServiceState::Down(_) => format!("{name}: down\n"),
        };
        let states = self.states.borrow();
        let missing = states.missing.iter().map(|missing| {
            let MissingAddress { service, protocol, address, reason } = missing;
            format!("{service}: not listening on {address} ({protocol}), tried again: {reason}\n")
        });
        states.services.iter().map(line).chain(missing).collect()
    }
}

fn is_of(service: &str, protocol: &str, address: &str, other: &MissingAddress) -> bool {
    (service, protocol, address) == (other.service, other.protocol, &*other.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn degraded() -> ServiceState {
        ServiceState::Degraded { lacks: "database", reason: "/private is not there".into() }
    }

    #[test]
    fn a_start_does_not_hide_what_a_service_lacks() {
        let services = Services::default();
        let state = || services.list()[0].1.clone();
        services.set_started("rows");
        assert_eq!(state(), ServiceState::Running);
        services.set("rows", degraded());
        services.set_started("rows");
        assert_eq!(state(), degraded());
        services.set("rows", ServiceState::Down("taken".into()));
        services.set_started("rows");
        assert_eq!(state(), ServiceState::Running);
    }

    #[test]
    fn whoever_follows_the_states_is_woken_by_changes_only() {
        let services = Services::default();
        let mut followed = services.subscribe();
        services.set("rows", degraded());
        assert!(followed.has_changed().unwrap());
        followed.mark_unchanged();
        services.set("rows", degraded());
        services.set_started("rows");
        assert!(!followed.has_changed().unwrap());
        services.set("rows", ServiceState::Running);
        assert!(followed.has_changed().unwrap());
    }

    #[test]
    fn a_missing_address_is_shown_with_its_reason_until_it_is_listened_on() {
        let services = Services::default();
        services.set_started("broker");
        let missing = |reason: &str| MissingAddress {
            service: "broker",
            protocol: "http",
            address: "127.0.0.1:1".into(),
            reason: reason.into(),
        };
        services.set_missing(missing("taken"));
        let mut followed = services.subscribe();
        services.set_missing(missing("taken"));
        assert!(!followed.has_changed().unwrap());
        services.set_missing(missing("not allowed"));
        assert!(followed.has_changed().unwrap());
        assert_eq!(
            services.summary(),
            "broker: running\nbroker: not listening on 127.0.0.1:1 (http), tried again: not allowed\n"
        );
        followed.mark_unchanged();
        let purpose = Purpose::http("broker", "--http ");
        services.set_listening(purpose, "127.0.0.1:1", ["127.0.0.1:1".into()]);
        assert!(followed.has_changed().unwrap());
        assert_eq!((services.summary(), services.late().len()), ("broker: running\n".into(), 1));
        services.forget_addresses(Purpose::http("monitor", ""));
        assert_eq!(services.late().len(), 1);
        services.forget_addresses(purpose);
        assert!(services.late().is_empty());
    }

    #[test]
    fn a_state_is_shared_and_its_reason_is_not_in_the_summary() {
        let services = Services::default();
        assert_eq!(services.summary(), "");
        let shown = services.clone();
        services.set("monitor", ServiceState::Down("/private is not writable".into()));
        services.set("broker", ServiceState::Running);
        assert_eq!(shown.summary(), "broker: running\nmonitor: down\n");
        services.set("monitor", degraded());
        assert_eq!(shown.summary(), "broker: running\nmonitor: running, without database\n");
        services.set("monitor", ServiceState::Running);
        let page = ["127.0.0.1:1".parse().unwrap()];
        services.set_page("monitor", &page);
        assert_eq!(shown.pages(), [("monitor", page.to_vec())]);
        services.set_page("monitor", &[]);
        assert_eq!(shown.pages(), []);
        assert_eq!(shown.list(), [("broker", ServiceState::Running), ("monitor", ServiceState::Running)]);
    }
}
