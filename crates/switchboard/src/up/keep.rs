//! Services that are kept: started, and tried again where they cannot start.

use super::Services;
use crate::output;
use crate::ready::Addresses;
use crate::service::{Stop, retry};
use anyhow::Result;
use switchboard_web::{ServiceState, Services as States};

impl Services {
    /// Starts a service that is wanted, and notes what comes of it.
    pub(super) async fn begin<T>(
        &self,
        name: &'static str,
        is_wanted: bool,
        start: &impl AsyncFn() -> Result<T>,
        add: impl Fn(&mut Addresses, &T),
    ) -> Option<Result<T>> {
        if !is_wanted {
            return None;
        }
        let first = start().await;
        match &first {
            Ok(service) => self.started(name, service, add),
            Err(error) => self.is_down(name, error),
        }
        Some(first)
    }

    /// Notes why a service does not run.
    fn is_down(&self, name: &'static str, error: &anyhow::Error) {
        self.addresses.borrow_mut().set_down(name, error);
        self.states().set(name, ServiceState::Down(output::reasons(error)));
    }

    /// Notes a service that runs.
    fn started<T>(&self, name: &'static str, service: &T, add: impl Fn(&mut Addresses, &T)) {
        add(&mut self.addresses.borrow_mut(), service);
        self.states().set_started(name);
        self.link_pages();
    }

    /// The services' states, which all of them share.
    pub(super) fn states(&self) -> States {
        self.settings.borrow().web.services.clone()
    }

    /// The service, as soon as it can be started.
    pub(super) async fn keep<T>(
        &self,
        name: &'static str,
        first: Option<Result<T>>,
        start: impl AsyncFn() -> Result<T>,
        add: impl Fn(&mut Addresses, &T),
        stop: &Stop,
    ) -> Result<Option<T>> {
        match first {
            None => Ok(None),
            Some(Ok(service)) => Ok(Some(service)),
            Some(Err(error)) => {
                let changed = |error: &anyhow::Error| {
                    self.is_down(name, error);
                    self.tell_reason()
                };
                let Some(service) = retry(name, &error, start, changed, stop).await? else { return Ok(None) };
                self.started(name, &service, add);
                self.tell()?;
                Ok(Some(service))
            }
        }
    }
}
