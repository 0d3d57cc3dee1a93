//! The state of the services of one program.

use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The services of one program and their states, as `/readyz` and `/status` show them, and where their pages are. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Services {
    states: Arc<RwLock<BTreeMap<&'static str, ServiceState>>>,
    pages: Arc<RwLock<BTreeMap<&'static str, Vec<SocketAddr>>>>,
}

/// The state of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It answers.
    Running,
    /// It could not start, for this reason, and is tried again.
    Down(String),
}

impl Services {
    /// Sets the state of a service, for every clone.
    pub fn set(&self, name: &'static str, state: ServiceState) {
        self.states.write().insert(name, state);
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
        self.states.read().iter().map(|(name, state)| (*name, state.clone())).collect()
    }

    /// One line for each service. Probes need no token, so the reason of one that is down is left out.
    #[must_use]
    pub fn summary(&self) -> String {
        let state = |state: &ServiceState| if *state == ServiceState::Running { "running" } else { "down" };
        self.states.read().iter().map(|(name, of)| format!("{name}: {}\n", state(of))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_shared_and_its_reason_is_not_in_the_summary() {
        let services = Services::default();
        assert_eq!(services.summary(), "");
        let shown = services.clone();
        services.set("monitor", ServiceState::Down("/private is not writable".into()));
        services.set("broker", ServiceState::Running);
        assert_eq!(shown.summary(), "broker: running\nmonitor: down\n");
        services.set("monitor", ServiceState::Running);
        let page = ["127.0.0.1:1".parse().unwrap()];
        services.set_page("monitor", &page);
        assert_eq!(shown.pages(), [("monitor", page.to_vec())]);
        services.set_page("monitor", &[]);
        assert_eq!(shown.pages(), []);
        assert_eq!(shown.list(), [("broker", ServiceState::Running), ("monitor", ServiceState::Running)]);
    }
}
