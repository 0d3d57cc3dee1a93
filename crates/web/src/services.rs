//! The state of the services of one program.

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

/// The states of services, by their names.
pub type States = BTreeMap<&'static str, ServiceState>;

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
        self.states.send_if_modified(|states| states.insert(name, state.clone()).is_none_or(|before| before != state));
    }

    /// Notes that a service has started. One that lacks something has said so itself, and stays as it is.
    pub fn set_started(&self, name: &'static str) {
        self.states.send_if_modified(|states| {
            let starts = states.get(name).is_none_or(|state| matches!(state, ServiceState::Down(_)));
            if starts {
                states.insert(name, ServiceState::Running);
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
        self.states.borrow().iter().map(|(name, state)| (*name, state.clone())).collect()
    }

    /// One line for each service. Probes need no token, so reasons are left out.
    #[must_use]
    pub fn summary(&self) -> String {
        let line = |(name, state): (&&str, &ServiceState)| match state {
            ServiceState::Running => format!("{name}: running\n"),
            ServiceState::Degraded { lacks, .. } => format!("{name}: running, without {lacks}\n"),
            ServiceState::Down(_) => format!("{name}: down\n"),
        };
        self.states.borrow().iter().map(line).collect()
    }
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
