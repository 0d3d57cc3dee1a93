//! The state of the services of one program.

use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The services of one program and their states, as `/readyz` and `/status` show them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Services(Arc<RwLock<BTreeMap<&'static str, ServiceState>>>);

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
        self.0.write().insert(name, state);
    }

    /// All services by their names.
    #[must_use]
    pub fn list(&self) -> Vec<(&'static str, ServiceState)> {
        self.0.read().iter().map(|(name, state)| (*name, state.clone())).collect()
    }

    /// One line for each service. Probes need no token, so the reason of one that is down is left out.
    #[must_use]
    pub fn summary(&self) -> String {
        let state = |state: &ServiceState| if *state == ServiceState::Running { "running" } else { "down" };
        self.0.read().iter().map(|(name, of)| format!("{name}: {}\n", state(of))).collect()
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
        assert_eq!(shown.list(), [("broker", ServiceState::Running), ("monitor", ServiceState::Running)]);
    }
}
