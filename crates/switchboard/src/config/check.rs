//! Checks of settings together: what no setting can judge by itself.

use super::kinds::twice;
use super::settings::{LARGEST, Settings, stomp_addresses};
use super::without_effect::Started;
use super::{not_allowed, refused};
use anyhow::{Result, bail};
use switchboard_broker::{LimitError, Limits};
use switchboard_driver::quantity::{plural, show_duration, show_size};

impl Settings {
    /// Judges what no setting can judge by itself. The default of `connections` is nobody's wish, and yields to `memory`: half of
    /// what that has beside two messages stays for messages.
    pub(crate) fn check(&mut self) -> Result<()> {
        let limits = &mut self.server.limits;
        if limits.connections == Limits::default().connections {
            let room = limits.memory.saturating_sub(limits.message.saturating_mul(2)) / 2 / Limits::CONNECTION;
            limits.connections = limits.connections.min(room.max(1));
            self.derived.push("connections");
        }
        self.server.limits.check().map_err(in_units)?;
        self.web.limits.check()?;
        let (silent, gone) = (self.monitor.rules.silent, self.monitor.rules.gone);
        if gone < silent {
            let reason = format!("it must be at least monitor.silent = {}", show_duration(silent));
            return Err(refused("monitor.gone", &show_duration(gone), &reason));
        }
        // A second broker on this machine would find the port taken.
        let is_moved = self.server.listen != switchboard_server::Settings::default().listen;
        if is_moved && self.server.stomp == stomp_addresses() {
            self.server.stomp.clear();
            self.derived.push("stomp");
        }
        // Without either there is no broker; every other one speaks the native protocol.
        if self.server.listen.is_empty() && !self.server.stomp.is_empty() {
            return Err(not_allowed("listen", "[]", "at least one HOST:PORT, as `stomp` has one"));
        }
        Ok(())
    }

    /// The least memory, as far as the settings are known that it depends on.
    pub(super) fn least_memory(&self) -> usize {
        let limits = &self.server.limits;
        let is_default = limits.connections == Limits::default().connections;
        let connections = if is_default { 1 } else { limits.connections };
        connections.saturating_mul(Limits::CONNECTION).saturating_add(limits.message.saturating_mul(2))
    }

    /// Judges what the services that are started cannot do together: two of them cannot listen at one address.
    pub(crate) fn check_together(&self, started: Started) -> Result<()> {
        let started = self.wanted(started);
        let lists = [
            (started.broker, "listen", &self.server.listen),
            (started.broker, "stomp", &self.server.stomp),
            (started.broker, "http", &self.server.http),
            (started.monitor, "monitor.listen", &self.monitor.listen),
            (started.rows, "rows.listen", &self.rows.service.listen),
            (started.news, "news.listen", &self.news.service.listen),
            (started.render, "render.listen", &self.render.listen),
        ];
        let collect = self.monitor.collect.as_deref().and_then(|endpoint| endpoint.strip_prefix("tcp://"));
        let collect: Vec<String> = collect.filter(|_| started.monitor).map(str::to_owned).into_iter().collect();
        let lists = lists.into_iter().filter(|(is_started, ..)| *is_started).map(|(_, name, list)| (name, list));
        let lists: Vec<_> = lists.chain([("monitor.collect", &collect)]).collect();
        let Some(address) = twice(lists.iter().flat_map(|(_, list)| list.iter())) else { return Ok(()) };
        let has_it = |list: &[String]| list.iter().any(|other| other.eq_ignore_ascii_case(address));
        let names: Vec<&str> = lists.iter().filter(|(_, list)| has_it(list)).map(|(name, _)| *name).collect();
        bail!("{} cannot all listen at {address}: each needs an address of its own", names.join(" and "))
    }
}

/// The broker's error, with sizes as people write them.
fn in_units(error: LimitError) -> anyhow::Error {
    match error {
        LimitError::Memory { value, bound, connections, message } => {
            let (connections, message) = (plural(connections, "connection"), show_size(message));
            let reason =
                format!("{}: {connections} and two messages of {message} take the least", memory_bounds(bound));
            refused("memory", &show_size(value), &reason)
        }
        error => error.into(),
    }
}

/// The bounds of `memory`, whose least depends on other settings.
pub(super) fn memory_bounds(least: usize) -> String {
    format!("it must be from {} to {}TiB", near(least), LARGEST >> 40)
}

/// A size in bytes, and as people have it in mind.
fn near(bytes: usize) -> String {
    let (exact, mib) = (show_size(bytes), bytes.div_ceil(1 << 20));
    if exact.ends_with("MiB") || exact.ends_with("GiB") || mib < 2 {
        exact
    } else {
        format!("{exact} ({mib}MiB will do)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn settings(pairs: &[&str]) -> Result<Settings> {
        let mut settings = Settings::default();
        settings.set_pairs(&pairs.iter().map(|&pair| pair.to_owned()).collect::<Vec<_>>())?;
        settings.check()?;
        Ok(settings)
    }

    fn error(pairs: &[&str]) -> String {
        settings(pairs).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn a_memory_that_does_not_suffice_is_refused_with_the_real_bound_in_units_of_people() {
        for memory in ["0", "64KiB"] {
            let error = error(&[&format!("memory={memory}")]);
            let expected = format!(
                "memory = {memory} is not allowed: it must be from 32772KiB (33MiB will do) to 1024TiB: 1 connection"
            );
            assert!(error.starts_with(&expected) && error.contains("two messages of 16MiB"), "{error}");
        }
        assert_eq!(error(&["memory=33MiB"]), "");
        for memory in ["1025TiB", "9999999TiB", "20000000TiB", "99999999999999999999"] {
            let bounds = "it must be from 32772KiB (33MiB will do) to 1024TiB";
            assert_eq!(
                error(&[&format!("memory={memory}")]),
                format!("--set: memory = {memory} is not allowed: {bounds}")
            );
        }
        // As many connections as somebody wishes, and the messages of another size.
        assert!(
            error(&["connections=2", "message=1KiB", "memory=1025TiB"]).contains("it must be from 10KiB to 1024TiB")
        );
    }

    #[test]
    fn a_process_is_gone_no_sooner_than_it_is_silent() {
        assert!(error(&["monitor.silent=10s", "monitor.gone=9s"]).contains("it must be at least monitor.silent = 10s"));
        let same = settings(&["monitor.silent=10s", "monitor.gone=10s"]).expect("right");
        assert_eq!(same.monitor.rules.gone, Duration::from_secs(10));
    }

    #[test]
    fn two_services_that_are_started_cannot_listen_at_one_address() {
        let pairs = &["monitor.listen=127.0.0.1:7000", "rows.listen=127.0.0.1:7000"];
        let both = settings(pairs).expect("each is right");
        let error = both.check_together(Started::ALL).expect_err("both are started");
        assert_eq!(
            error.to_string(),
            "monitor.listen and rows.listen cannot all listen at 127.0.0.1:7000: each needs an address of its own"
        );
        let monitor = Started { monitor: true, ..Started::NONE };
        both.check_together(monitor).expect("rows is not started");
        let any = settings(&["monitor.listen=127.0.0.1:0", "rows.listen=127.0.0.1:0"]).expect("right");
        any.check_together(Started::ALL).expect("port 0 is another one each time");
        Settings::default().check_together(Started::ALL).expect("the defaults differ");
        let collect = settings(&["monitor.collect=tcp://127.0.0.1:8000"]).expect("right");
        assert!(collect.check_together(Started::ALL).is_err_and(|error| error.to_string().contains("monitor.collect")));
    }
}
