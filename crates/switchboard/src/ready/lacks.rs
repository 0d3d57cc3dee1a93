//! Parts that running services lack: a database, a browser, an address.

use serde_json::{Value, json};
use switchboard_web::{LateAddress, MissingAddress, ServiceState, Services};

/// The parts that running services lack, and the addresses that came later.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lacks {
    degraded: Vec<Degraded>,
    missing: Vec<MissingAddress>,
    pub(super) late: Vec<LateAddress>,
}

/// A service that runs, and lacks something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Degraded {
    name: &'static str,
    lacks: &'static str,
    reason: String,
}

impl Degraded {
    fn line(&self) -> String {
        format!("  {} RUNS WITHOUT {}: {}\n", self.name, self.lacks.to_uppercase(), self.reason)
    }
}

/// A missing address in the banner.
fn line(missing: &MissingAddress) -> String {
    let MissingAddress { service, protocol, address, reason } = missing;
    format!("  {service} DOES NOT LISTEN ON {address} ({protocol}), and tries again: {reason}\n")
}

impl Lacks {
    pub(super) fn of(services: &Services) -> Lacks {
        let degraded = |(name, state)| match state {
            ServiceState::Degraded { lacks, reason } => Some(Degraded { name, lacks, reason }),
            ServiceState::Running | ServiceState::Down(_) => None,
        };
        let degraded = services.list().into_iter().filter_map(degraded).collect();
        Lacks { degraded, missing: services.missing(), late: services.late() }
    }

    /// Everything, for the banner.
    pub(super) fn lines(&self) -> String {
        self.degraded.iter().map(Degraded::line).chain(self.missing.iter().map(line)).collect()
    }

    /// The lines about what has changed since. Another reason of the same lack is in the log.
    pub(super) fn changes(&self, before: &Lacks) -> String {
        let is_in = |one: &Degraded, all: &[Degraded]| all.iter().any(|other| other.name == one.name);
        let came = self.degraded.iter().filter(|one| !is_in(one, &before.degraded)).map(Degraded::line);
        let went = before.degraded.iter().filter(|one| !is_in(one, &self.degraded));
        let went = went.map(|one| format!("  {} has its {} now\n", one.name, one.lacks));
        let key = |one: &MissingAddress| (one.service, one.protocol, one.address.clone());
        let is_new = |one: &&MissingAddress| !before.missing.iter().any(|other| key(other) == key(one));
        let missing = self.missing.iter().filter(is_new).map(line);
        // An address leaves `missing` also when its service ends, so `late` tells which are listened on.
        let late = self.late.iter().filter(|one| !before.late.contains(one));
        let late = late.map(|one| format!("  {} listens on {} now ({})\n", one.service, one.address, one.protocol));
        came.chain(went).chain(missing).chain(late).collect()
    }

    /// The end of the one line about which services run.
    pub(super) fn summary(&self) -> String {
        let degraded =
            self.degraded.iter().map(|one| format!("; {} runs without {}: {}", one.name, one.lacks, one.reason));
        let missing = self
            .missing
            .iter()
            .map(|one| format!("; {} does not listen on {}: {}", one.service, one.address, one.reason));
        degraded.chain(missing).collect()
    }

    /// Adds it to the ready file.
    pub(super) fn put(&self, addresses: &mut Value) {
        if !self.degraded.is_empty() {
            let degraded = self
                .degraded
                .iter()
                .map(|one| (one.name.to_owned(), json!({ "lacks": one.lacks, "reason": one.reason })));
            addresses["degraded"] = Value::Object(degraded.collect());
        }
        if !self.missing.is_empty() {
            let missing = self.missing.iter().map(|MissingAddress { service, protocol, address, reason }| {
                json!({ "service": service, "protocol": protocol, "address": address, "reason": reason })
            });
            addresses["missing"] = missing.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_web::Purpose;

    #[test]
    fn a_missing_address_is_told_once_and_once_more_when_it_is_listened_on() {
        let services = Services::default();
        let mut known = Lacks::default();
        let mut changes = || {
            let now = Lacks::of(&services);
            let changes = now.changes(&known);
            known = now;
            changes
        };
        let missing = |reason: &str| {
            let (service, protocol, address) = ("broker", "stomp", "127.0.0.1:1".to_owned());
            services.set_missing(MissingAddress { service, protocol, address, reason: reason.into() });
        };
        missing("taken");
        assert_eq!(changes(), "  broker DOES NOT LISTEN ON 127.0.0.1:1 (stomp), and tries again: taken\n");
        missing("not allowed");
        assert_eq!(changes(), "");
        let purpose = Purpose { protocol: "stomp", ..Purpose::http("broker", "--stomp ") };
        services.set_listening(purpose, "127.0.0.1:1", ["127.0.0.1:1".to_owned()]);
        assert_eq!(changes(), "  broker listens on 127.0.0.1:1 now (stomp)\n");
    }
}
