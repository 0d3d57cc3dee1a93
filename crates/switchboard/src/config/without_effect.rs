//! Settings that were made and have no effect: hardly meant, so said.

mod rules;

use super::settings::{Settings, TABLES};
use rules::pause;
use switchboard_driver::quantity::{show_duration, show_size};

/// Services that a command starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) broker: bool,
    pub(crate) monitor: bool,
    pub(crate) rows: bool,
    pub(crate) news: bool,
    pub(crate) render: bool,
}

impl Started {
    pub(crate) const NONE: Started = Started { broker: false, monitor: false, rows: false, news: false, render: false };
    pub(crate) const ALL: Started = Started { broker: true, monitor: true, rows: true, news: true, render: true };

    /// Returns true if no service is to be started.
    pub(crate) fn is_nothing(self) -> bool {
        !(self.broker || self.monitor || self.rows || self.news || self.render)
    }
}

impl Settings {
    /// Returns the services that have an address: one without is not wanted.
    pub(crate) fn wanted(&self, started: Started) -> Started {
        Started {
            broker: started.broker && !self.server.listen.is_empty(),
            monitor: started.monitor && !self.monitor.listen.is_empty(),
            rows: started.rows && !self.rows.service.listen.is_empty(),
            news: started.news && !self.news.service.listen.is_empty(),
            render: started.render && !self.render.listen.is_empty(),
        }
    }

    /// One sentence for each setting, or group of them, that differs from its default in vain.
    pub(crate) fn without_effect(&self, started: Started) -> Vec<String> {
        let started = self.wanted(started);
        let mut texts = Vec::new();
        self.of_services(started, &mut texts);
        if started.monitor {
            self.of_monitor(started.broker, &mut texts);
        }
        if started.rows {
            self.of_rows(&mut texts);
        }
        if started.news {
            self.of_news(&mut texts);
        }
        if started.render || started.news && self.news.renderer.is_none() {
            self.of_chromium(&mut texts);
        }
        if started.news && !started.broker && self.news.broker.is_none() {
            let names = self.changed("news").into_iter().filter(|key| ["topic", "alerts"].contains(key));
            without(&mut texts, "news", names.collect(), "there is no news.broker");
        }
        if self.log == "off" {
            without(
                &mut texts,
                "",
                self.changed("").into_iter().filter(|key| *key == "log-format").collect(),
                "log = off",
            );
        }
        if started.broker {
            self.of_broker(&mut texts);
            self.of_rules(&mut texts);
        }
        texts
    }

    /// The settings of a table that differ from their defaults.
    fn changed(&self, table: &str) -> Vec<&'static str> {
        let settings = TABLES.iter().filter(|(name, _)| *name == table).flat_map(|(_, settings)| *settings);
        settings.filter(|setting| self.chose(table, setting)).map(|setting| setting.key).collect()
    }

    /// Returns true if the setting of this full name differs from its default.
    fn is_changed(&self, name: &str) -> bool {
        let (table, key) = name.split_once('.').unwrap_or(("", name));
        self.changed(table).contains(&key)
    }

    fn of_services(&self, started: Started, texts: &mut Vec<String>) {
        let Started { broker, monitor, rows, news, render } = started;
        // An empty list of addresses says that the service is not wanted, so it has its effect.
        let vain = |table: &str, listen: &[String]| {
            let keys = self.changed(table).into_iter();
            keys.filter(|key| *key != "listen" || !listen.is_empty()).collect::<Vec<_>>()
        };
        let mut none = |table: &str, keys: Vec<&str>, why: &str| without(texts, table, keys, why);
        if !broker {
            let mut keys = vain("broker", &self.server.listen);
            keys.retain(|key| *key != "stomp" || !self.server.stomp.is_empty());
            keys.extend((!self.rules.is_empty()).then_some("[[channel]]"));
            none("broker", keys, "the broker is not started");
        }
        if !monitor {
            none("monitor", vain("monitor", &self.monitor.listen), "the monitor is not started");
        }
        if !rows {
            let mut keys = vain("rows", &self.rows.service.listen);
            keys.extend((!self.rows.tables.is_empty()).then_some("table"));
            none("rows", keys, "the service of rows is not started");
        }
        if !news {
            none("news", vain("news", &self.news.service.listen), "the page of headlines is not started");
        }
        if !render {
            // The page has a Chromium of the same settings.
            let has_chromium = news && self.news.renderer.is_none();
            let mut keys = vain("render", &self.render.listen);
            keys.retain(|key| !has_chromium || ["allow", "max-timeout", "listen"].contains(key));
            none("render", keys, "the rendering service is not started");
        }
        let open = [
            (broker, &self.server.http),
            (monitor, &self.monitor.listen),
            (rows, &self.rows.service.listen),
            (news, &self.news.service.listen),
            (render, &self.render.listen),
        ];
        if !open.iter().any(|(is_started, list)| *is_started && !list.is_empty()) {
            return none("http", self.changed("http"), "no service listens for HTTP");
        }
        let is_loopback = |address: &String| {
            let host = address.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        };
        let all_loopback =
            open.iter().filter(|(is_started, _)| *is_started).all(|(_, list)| list.iter().all(is_loopback));
        if self.web.metrics_open && self.web.token.is_none() && self.web.hosts.names().is_empty() && all_loopback {
            none("http", vec!["metrics-open"], "no token is asked for on loopback");
        }
    }

    fn of_monitor(&self, has_broker: bool, texts: &mut Vec<String>) {
        self.of_listeners("monitor.feed-clients", self.monitor.feed_clients, texts);
        let changed = self.changed("monitor");
        let mut need = |keys: &[&str], why: &str| {
            let names = changed.iter().filter(|key| keys.contains(key)).map(|key| format!("monitor.{key}"));
            let names: Vec<String> = names.collect();
            if !names.is_empty() {
                texts.push(format!("without effect: {}: {why}", names.join(", ")));
            }
        };
        let (seconds, minutes) = (self.monitor.rules.keep, self.monitor.history.keep_minutes);
        if seconds > minutes {
            need(
                &["keep-minutes", "keep"],
                "minutes are of use where seconds are gone, and keep is longer than keep-minutes",
            );
        }
        if self.monitor.webhook.is_empty() {
            need(&["webhook-ca", "alert-interval", "alert-repeat"], "there is no monitor.webhook");
        }
        if !self.monitor.webhook.iter().any(|address| address.reveal().starts_with("https:"))
            && !self.monitor.webhook.is_empty()
        {
            need(&["webhook-ca"], "no monitor.webhook is an https:// address");
        }
        if !has_broker && self.monitor.broker.is_none() {
            need(&["samples", "alerts"], "there is no monitor.broker");
        }
    }

    fn of_rows(&self, texts: &mut Vec<String>) {
        if self.rows.service.options.limits.rows == 0 {
            let keys = self.changed("rows").into_iter();
            let keys = keys.filter(|key| ["bytes", "max-age", "refresh", "samples"].contains(key));
            without(texts, "rows", keys.collect(), "rows.rows = 0 caches none");
        }
        self.of_listeners("rows.event-clients", self.rows.service.event_clients, texts);
    }

    fn of_news(&self, texts: &mut Vec<String>) {
        self.of_listeners("news.clients", self.news.service.clients, texts);
        let (timeout, deadline) = (self.news.service.timeout, self.news.service.deadline);
        if timeout > deadline && self.changed("news").contains(&"timeout") {
            let (timeout, deadline) = (show_duration(timeout), show_duration(deadline));
            texts.push(format!(
                "without effect: news.timeout = {timeout}: no more than news.deadline = {deadline} counts"
            ));
        }
    }

    /// Open pages that are told of news have half of a service's connections.
    fn of_listeners(&self, key: &str, clients: usize, texts: &mut Vec<String>) {
        let connections = self.web.limits.connections;
        if clients > (connections / 2).max(1) && self.is_changed(key) {
            texts.push(format!(
                "without effect: {key} = {clients}: no more than half of http.connections = {connections} counts"
            ));
        }
    }

    fn of_chromium(&self, texts: &mut Vec<String>) {
        if self.render.chromium.endpoint.is_some() {
            let keys = self.changed("render").into_iter();
            let keys = keys.filter(|key| ["program", "sandbox", "memory", "page-memory"].contains(key));
            without(texts, "render", keys.collect(), "render.cdp names a Chromium that is not this program's");
        }
    }

    fn of_broker(&self, texts: &mut Vec<String>) {
        let limits = &self.server.limits;
        let mut more = |what: &str, amount: usize, than: &str, bound: usize| {
            if amount > bound {
                texts.push(format!(
                    "without effect: {what} = {}: no more than {than} = {} counts",
                    show_size(amount),
                    show_size(bound)
                ));
            }
        };
        more("queue", limits.queue, "memory", limits.memory);
        more("outbox", limits.outbox, "memory", limits.memory);
        more("window", limits.window, "outbox", limits.outbox);
        if self.changed("broker").contains(&"first-window") {
            more("first-window", limits.first_window, "window", limits.window);
        }
        for rule in &self.rules {
            more(&format!("queue of [[channel]] {}", rule.pattern), rule.queue.unwrap_or(0), "memory", limits.memory);
        }
        if self.server.handshakes_per_address > self.server.handshakes {
            texts.push(format!(
                "without effect: handshakes-per-address = {}: handshakes = {} are fewer",
                self.server.handshakes_per_address, self.server.handshakes
            ));
        }
        // A rule may have the other half of the pair.
        let has_own = |rule: &super::rules::Rule| rule.keys().iter().any(|key| key.starts_with("redelivery-backoff"));
        if !self.rules.iter().any(has_own) {
            let (first, longest) = (limits.delivery.redelivery_backoff, limits.delivery.redelivery_backoff_max);
            let changed = self.changed("broker").into_iter();
            let pauses = changed.filter_map(|key| Some((key, pause(key, first, longest)?)));
            texts.extend(pauses.map(|(key, why)| format!("without effect: {key}: {why}")));
        }
        if self.server.http.is_empty() && self.changed("broker").contains(&"stomp-origins") {
            texts.push("without effect: stomp-origins: pages reach STOMP at `http`, which has no address".to_owned());
        }
        if limits.grace_period.is_zero() && self.changed("broker").contains(&"slow-consumer") {
            texts.push("without effect: slow-consumer: there is no grace-period".to_owned());
        }
    }
}

fn without(texts: &mut Vec<String>, table: &str, keys: Vec<&str>, why: &str) {
    let names: Vec<String> =
        keys.into_iter().map(|key| if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }).collect();
    if !names.is_empty() {
        texts.push(format!("without effect: {}: {why}", names.join(", ")));
    }
}

#[cfg(test)]
mod tests;
