//! Settings that were made and have no effect: hardly meant, so said.

use super::settings::{Settings, TABLES};
use crate::names::{STRAY, has_stray_wildcard};
use switchboard_broker::Pattern;
use switchboard_driver::quantity::show_size;

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
        if started.news && !started.broker && self.news.broker.is_none() {
            let names = self.changed("news").into_iter().filter(|key| ["topic", "alerts"].contains(key));
            without(&mut texts, "news", names.collect(), "there is no news.broker");
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
        if !has_broker && self.monitor.broker.is_none() {
            need(&["samples", "alerts"], "there is no monitor.broker");
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
        if limits.grace_period.is_zero() && self.changed("broker").contains(&"slow-consumer") {
            texts.push("without effect: slow-consumer: there is no grace-period".to_owned());
        }
    }

    fn of_rules(&self, texts: &mut Vec<String>) {
        for (at, rule) in self.rules.iter().enumerate() {
            let (pattern, keys) = (&rule.pattern, rule.keys());
            let mut say = |what: &str, why: &str| {
                texts.push(format!("without effect: {what} of [[channel]] {pattern}: {why}"));
            };
            if self.rules[..at].iter().any(|earlier| covers(&earlier.pattern, pattern)) {
                say("all", "an earlier rule matches the same names");
                continue;
            }
            if keys.is_empty() {
                say("all", "it sets nothing");
            }
            if has_stray_wildcard(pattern) {
                say("the wildcard", STRAY);
            }
            if pattern.starts_with("queue") {
                say("the word queue", "it matches topics alone, for the names of queues begin with a slash");
            }
            let (of_others, why) = if pattern.starts_with("/queue") {
                (&OF_TOPICS[..], "queues never drop and always buffer, so it is for topics only")
            } else if pattern.starts_with("/topic") {
                (&OF_QUEUES[..], "topics know no acks and no dead letters, so it is for queues only")
            } else {
                (&[][..], "")
            };
            keys.iter().filter(|key| of_others.contains(key)).for_each(|key| say(key, why));
        }
    }
}

/// Returns true if all that a pattern matches is matched by an earlier one.
fn covers(earlier: &str, later: &str) -> bool {
    let takes_rest = |pattern: &str| pattern.rsplit('/').next() == Some(">");
    let matches = Pattern::new(earlier.to_owned()).matches(later.as_bytes());
    earlier == later || matches && (takes_rest(earlier) || !takes_rest(later))
}

/// Keys of a rule that mean nothing for queues.
const OF_TOPICS: [&str; 2] = ["policy", "buffer-unsubscribed"];

/// Keys of a rule that mean nothing for topics.
const OF_QUEUES: [&str; 8] = [
    "queue-messages",
    "overflow",
    "prefetch",
    "max-deliveries",
    "redelivery-backoff",
    "redelivery-backoff-max",
    "ack-timeout",
    "dead-letter-expired",
];

fn without(texts: &mut Vec<String>, table: &str, keys: Vec<&str>, why: &str) {
    let names: Vec<String> = keys.into_iter().map(|key| format!("{table}.{key}")).collect();
    if !names.is_empty() {
        texts.push(format!("without effect: {}: {why}", names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Started = Started::ALL;
    const BROKER: Started = Started { broker: true, ..Started::NONE };
    const MONITOR: Started = Started { monitor: true, ..Started::NONE };
    const ROWS: Started = Started { rows: true, ..Started::NONE };
    const NEWS: Started = Started { news: true, ..Started::NONE };
    const RENDER: Started = Started { render: true, ..Started::NONE };

    fn texts(started: Started, pairs: &[&str], rules: &[&str]) -> Vec<String> {
        let mut settings = Settings::default();
        settings.set_pairs(&pairs.iter().map(|&pair| pair.to_owned()).collect::<Vec<_>>()).expect("settings");
        for (at, rule) in rules.iter().enumerate() {
            settings.add_rule(at, rule).expect("a rule");
        }
        settings.without_effect(started)
    }

    #[test]
    fn defaults_and_settings_with_an_effect_are_not_mentioned() {
        let none = Vec::<String>::new();
        for started in [ALL, BROKER, MONITOR, ROWS, NEWS, RENDER] {
            assert_eq!(texts(started, &["log=debug", "data=/x", "log-format=json", "http.connections=7"], &[]), none);
        }
        assert_eq!(texts(ALL, &["outbox=1MiB", "monitor.keep=1d", "queue=512MiB"], &["/topic/a,policy=block"]), none);
        for key in ["monitor.listen=", "rows.listen=", "news.listen=", "render.listen="] {
            assert_eq!(texts(BROKER, &[key], &[]), none);
            assert_eq!(texts(ALL, &[key], &[]), none);
        }
        for (earlier, later) in
            [(">", "/queue/b"), ("/topic/*", "/topic/>"), ("/queue/a", "/queue/*"), ("/queue/>", "/queue/dead/>")]
        {
            assert_eq!(texts(ALL, &[], &[&format!("{earlier},queue=2KiB"), &format!("{later},queue=1KiB")]), none);
        }
        assert_eq!(texts(ALL, &[], &["/queue/*/a,queue=1KiB", "/queue/>,queue=2KiB"]), none);
        assert_eq!(texts(ALL, &["metrics-open=true", "http=0.0.0.0:1"], &["/queue/a,queue=1KiB"]), none);
        assert_eq!(texts(ALL, &["monitor.webhook=http://a/", "monitor.alert-interval=1s"], &[]), none);
        assert_eq!(texts(ALL, &["news.topic=/topic/a", "render.allow=a:1", "news.renderer=http://a/"], &[]), none);
        assert_eq!(texts(NEWS, &["render.pages=2", "news.topic=/topic/a", "news.broker=switchboard://a"], &[]), none);
    }

    #[test]
    fn each_kind_without_effect_is_named_with_its_reason() {
        let (monitor, broker) = (MONITOR, BROKER);
        for (started, pairs, rules, part) in [
            (monitor, &["outbox=1MiB"][..], &[][..], "broker.outbox: the broker is not started"),
            (monitor, &[], &["/a,policy=block"], "broker.[[channel]]: the broker is not started"),
            (monitor, &["monitor.samples=/a"], &[], "monitor.samples: there is no monitor.broker"),
            (broker, &["monitor.keep=1d"], &[], "monitor.keep: the monitor is not started"),
            (broker, &["rows.listen=127.0.0.1:3"], &[], "rows.listen: the service of rows is not started"),
            (broker, &["news.listen=127.0.0.1:3"], &[], "news.listen: the page of headlines is not started"),
            (broker, &["monitor.listen=127.0.0.1:3"], &[], "monitor.listen: the monitor is not started"),
            (NEWS, &["render.listen=127.0.0.1:3"], &[], "render.listen: the rendering service is not started"),
            (broker, &["rows.samples=1"], &[], "rows.samples: the service of rows is not started"),
            (ALL, &["rows.listen=", "rows.samples=1"], &[], "rows.samples: the service of rows is not started"),
            (broker, &["news.delay=1m"], &[], "news.delay: the page of headlines is not started"),
            (ALL, &["news.listen=", "news.delay=1m"], &[], "news.delay: the page of headlines is not started"),
            (NEWS, &["news.alerts=/topic/a"], &[], "news.alerts: there is no news.broker"),
            (NEWS, &["render.max-timeout=2s"], &[], "render.max-timeout: the rendering service is not started"),
            (NEWS, &["news.renderer=http://a", "render.pages=2"], &[], "render.pages: the rendering service is not"),
            (RENDER, &["news.deadline=2s"], &[], "news.deadline: the page of headlines is not started"),
            (ALL, &["monitor.listen=", "monitor.keep=1d"], &[], "monitor.keep: the monitor is not started"),
            (broker, &["http=", "hosts=a.example"], &[], "http.hosts: no service listens for HTTP"),
            (ALL, &["metrics-open=true"], &[], "http.metrics-open: no token is asked for on loopback"),
            (ALL, &["monitor.alert-repeat=1s"], &[], "monitor.alert-repeat: there is no monitor.webhook"),
            (ALL, &["monitor.keep=2d", "monitor.keep-minutes=1d"], &[], "monitor.keep, monitor.keep-minutes: minutes"),
            (ALL, &["memory=32MiB", "queue=33MiB"], &[], "queue = 33MiB: no more than memory = 32MiB counts"),
            (ALL, &["outbox=1KiB"], &[], "no more than outbox = 1KiB counts"),
            (ALL, &["handshakes=5", "handshakes-per-address=6"], &[], "handshakes-per-address = 6"),
            (ALL, &["grace-period=0", "slow-consumer=1s"], &[], "slow-consumer: there is no grace-period"),
            (ALL, &[], &["/queue/a,policy=block"], "policy of [[channel]] /queue/a"),
            (ALL, &[], &["/queue/>,buffer-unsubscribed=5"], "buffer-unsubscribed of [[channel]] /queue/>"),
            (ALL, &[], &["/topic/>,max-deliveries=5"], "max-deliveries of [[channel]] /topic/>: topics know no acks"),
            (ALL, &[], &["/topic/a,ack-timeout=5"], "ack-timeout of [[channel]] /topic/a"),
            (ALL, &[], &["/a"], "all of [[channel]] /a: it sets nothing"),
            (ALL, &[], &["/a,policy=block", "/a,queue=1KiB"], "all of [[channel]] /a: an earlier rule"),
            (ALL, &[], &[">,policy=block", "/b,queue=1KiB"], "all of [[channel]] /b: an earlier rule"),
            (ALL, &[], &["/queue/>,queue=1KiB", "/queue/a,queue=2KiB"], "all of [[channel]] /queue/a: an earlier rule"),
            (ALL, &[], &["/queue/rej*,queue=1KiB"], "the wildcard of [[channel]] /queue/rej*: `*` stands for a whole"),
            (ALL, &[], &["/topic/>/a,queue=1KiB"], "the wildcard of [[channel]] /topic/>/a"),
            (ALL, &[], &["queue/a,queue=1KiB"], "the word queue of [[channel]] queue/a: it matches topics alone"),
        ] {
            let texts = texts(started, pairs, rules);
            assert!(texts.len() == 1 && texts[0].contains(part), "{part}: {texts:?}");
        }
    }
}
