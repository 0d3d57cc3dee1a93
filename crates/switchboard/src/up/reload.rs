//! The settings, read again while the services run.

use super::{Read, Services};
use crate::config::Settings;
use crate::log::Log;
use crate::output;
use tokio::task::spawn_blocking;

impl Services {
    /// Reads the settings again and applies those that can change while services run.
    pub(super) async fn reload(&self, read: Read, log: &Log) {
        self.manager.reloading();
        // The file may lie on a disk that does not answer.
        match spawn_blocking(move || read()).await {
            Ok(Ok(new)) => self.apply(&new, log),
            Ok(Err(error)) => tracing::error!("the settings stay as they are: {}", output::reasons(&error)),
            Err(error) => tracing::error!("the settings stay as they are: {error}"),
        }
        self.manager.ready(&self.addresses.borrow().summary());
    }

    fn apply(&self, new: &Settings, log: &Log) {
        let mut settings = self.settings.borrow_mut();
        let mut applied = Vec::new();
        // Of those that were there before it is known.
        let started = self.chosen.started();
        let known = settings.without_effect(started);
        new.without_effect(started)
            .iter()
            .filter(|text| !known.contains(text))
            .for_each(|text| tracing::warn!("{text}"));
        if new.log != settings.log {
            match log.set_level(&new.log) {
                Ok(()) => {
                    applied.push("log");
                    settings.log.clone_from(&new.log);
                }
                Err(error) => tracing::error!("{}", output::reasons(&error)),
            }
        }
        if settings.rules != new.rules {
            settings.rules.clone_from(&new.rules);
            if let Some(rules) = self.channel_rules.borrow().as_ref() {
                rules.set(settings.channel_rules());
            }
            applied.push("[[channel]]");
        }
        // The services share them.
        if settings.web.hosts.names() != new.web.hosts.names() {
            applied.push("http.hosts");
            settings.web.hosts.set(&new.web.hosts.names());
        }
        let changed = settings.differences(new);
        let applied = if applied.is_empty() { "none".to_owned() } else { applied.join(", ") };
        if changed.is_empty() {
            tracing::info!("the settings were read again; applied: {applied}");
        } else {
            tracing::warn!(
                "the settings were read again; applied: {applied}; these take a restart: {}",
                changed.join(", ")
            );
        }
    }
}
