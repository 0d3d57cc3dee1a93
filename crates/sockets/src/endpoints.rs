//! The endpoints of a socket, to be unbound or disconnected.

use crate::Endpoint;
use crate::core::Lifecycle;
use crate::outbox::PipeId;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::watch;

/// In the order in which they were bound and connected. No call visits other endpoints than its own.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    open: BTreeMap<u64, OpenEndpoint>,
    /// The numbers of each, and whether it is bound.
    numbers: HashMap<(bool, Endpoint), Vec<u64>>,
    bound: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct OpenEndpoint {
    pub(crate) endpoint: Endpoint,
    pub(crate) bound: bool,
    /// Of a connected one that sends. It is there as long as its task, which lives until the endpoint is disconnected.
    pub(crate) pipe: Option<PipeId>,
    pub(crate) lifecycle: watch::Sender<Lifecycle>,
    pub(crate) guard: Option<Guard>,
}

/// Stops listening when it is dropped.
pub(crate) struct Guard(#[expect(dead_code, reason = "for its drop")] Box<dyn Send + Sync>);

impl Guard {
    pub(crate) fn new(guard: impl Send + Sync + 'static) -> Guard {
        Guard(Box::new(guard))
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

impl Endpoints {
    pub(crate) fn add(&mut self, number: u64, open: OpenEndpoint) {
        self.numbers.entry((open.bound, open.endpoint.clone())).or_default().push(number);
        if open.bound {
            self.bound.push(number);
        }
        self.open.insert(number, open);
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut OpenEndpoint> {
        self.open.get_mut(&number)
    }

    pub(crate) fn has(&self, endpoint: &Endpoint, bound: bool) -> bool {
        self.numbers.contains_key(&(bound, endpoint.clone()))
    }

    /// The oldest of this name.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, bound: bool) -> Option<OpenEndpoint> {
        let number = *self.numbers.get(&(bound, endpoint.clone()))?.first()?;
        self.remove(number)
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<OpenEndpoint> {
        let open = self.open.remove(&number)?;
        let key = (open.bound, open.endpoint.clone());
        let numbers = self.numbers.get_mut(&key).expect("an endpoint has a name");
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            self.numbers.remove(&key);
        }
        self.bound.retain(|other| *other != number);
        Some(open)
    }

    pub(crate) fn last_bound(&self) -> Option<&Endpoint> {
        self.bound.last().map(|number| &self.open[number].endpoint)
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = OpenEndpoint> {
        self.open.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str, bound: bool) -> OpenEndpoint {
        let endpoint = Endpoint::Inproc(name.into());
        OpenEndpoint { endpoint, bound, pipe: None, lifecycle: watch::Sender::new(Lifecycle::Open), guard: None }
    }

    #[test]
    fn the_oldest_of_a_name_goes_first_and_bound_ones_are_apart_from_connected_ones() {
        let mut endpoints = Endpoints::default();
        for (number, (name, bound)) in (1..).zip([("a", true), ("a", false), ("b", true), ("a", false)]) {
            endpoints.add(number, open(name, bound));
        }
        let (a, b) = (Endpoint::Inproc("a".into()), Endpoint::Inproc("b".into()));
        assert_eq!(endpoints.last_bound(), Some(&b));
        assert!(endpoints.has(&a, false) && endpoints.has(&a, true) && !endpoints.has(&b, false));
        assert!(endpoints.take(&a, false).is_some() && endpoints.get_mut(2).is_none());
        assert!(endpoints.take(&a, false).is_some() && endpoints.take(&a, false).is_none());
        assert!(endpoints.take(&b, true).is_some());
        assert_eq!(endpoints.last_bound(), Some(&a));
        assert!(endpoints.remove(1).is_some() && endpoints.remove(1).is_none());
        assert_eq!((endpoints.last_bound(), endpoints.numbers.len()), (None, 0));
        assert_eq!(endpoints.into_all().count(), 0);
    }
}
