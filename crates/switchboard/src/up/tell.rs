//! Signs of what runs: the banner, the ready file and the service manager.

use super::Services;
use crate::data;
use crate::output::note;
use anyhow::Result;
use switchboard_server::Shutdown;
use switchboard_web::States;
use tokio::sync::watch;

impl Services {
    /// Shows what runs.
    pub(super) fn tell(&self) -> Result<()> {
        self.addresses.borrow_mut().follow(&self.states());
        let data = data::directory(self.settings.borrow().data.as_deref());
        data.into_iter().for_each(|directory| self.addresses.borrow_mut().set_data(directory));
        let addresses = self.addresses.borrow();
        self.ready.tell(&addresses)?;
        self.manager.ready(&addresses.summary());
        Ok(())
    }

    /// Tells programs that a service does not run for another reason than before. People were told by the banner that it does not run,
    /// and find the reason in the log.
    pub(super) fn tell_reason(&self) -> Result<()> {
        self.tell_change("")
    }

    /// Tells people this change, and programs the state behind it.
    fn tell_change(&self, change: &str) -> Result<()> {
        let addresses = self.addresses.borrow();
        self.ready.tell_change(change, &addresses)?;
        self.manager.ready(&addresses.summary());
        Ok(())
    }

    /// Shows what services lack and which addresses came later, each time that this changes.
    pub(super) async fn follow(&self, mut states: watch::Receiver<States>) -> Result<()> {
        while states.changed().await.is_ok() {
            let change = self.addresses.borrow_mut().follow(&self.states());
            if let Some(change) = change {
                self.link_pages();
                self.tell_change(&change)?;
            }
        }
        Ok(())
    }
}

pub(super) fn tell_losses(shutdown: &Shutdown) {
    if shutdown.undelivered > 0 {
        note(format_args!("Messages left in queues, which are lost: {}.", shutdown.undelivered));
    }
    if shutdown.aborted > 0 {
        note(format_args!("Connections that had not read or acked all their messages in time: {}.", shutdown.aborted));
    }
}
