//! Signs that the services run: the banner for people, the ready file for programs.

mod file;
mod lacks;

pub(crate) use file::Ready;

use crate::names::percent;
use crate::news::Page;
use crate::output;
use crate::table::wrap;
use lacks::Lacks;
use serde_json::json;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use switchboard_monitor::Monitor;
use switchboard_news::service::RenderService;
use switchboard_rows::http::RowsService;
use switchboard_server::Server;
use switchboard_web::{LateAddress, Services, Token, reachable};

/// Columns of a terminal, which sentences of the banner keep to.
const COLUMNS: usize = 80;

/// Addresses of the services that run, and why the others do not.
#[derive(Default)]
pub(crate) struct Addresses {
    native: Vec<SocketAddr>,
    stomp: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    monitor: Vec<SocketAddr>,
    collect: Option<String>,
    rows: Vec<SocketAddr>,
    news: Vec<SocketAddr>,
    /// Which hosts the news page asks, and how to choose others, in lines.
    news_asks: Option<String>,
    render: Vec<SocketAddr>,
    token: Option<Token>,
    data: Option<PathBuf>,
    down: Vec<(&'static str, String)>,
    lacks: Lacks,
}

impl Addresses {
    pub(crate) fn add_broker(&mut self, server: &Server) {
        self.native = server.native_addresses();
        self.stomp = server.stomp_addresses();
        self.http = server.http_addresses();
        self.token = server.http_token().or(self.token.as_ref()).cloned();
        self.down.retain(|(name, _)| *name != "broker");
    }

    pub(crate) fn add_monitor(&mut self, monitor: &Monitor) {
        self.monitor = monitor.http_addresses();
        self.collect = monitor.collect_endpoint();
        self.token = monitor.token().or(self.token.as_ref()).cloned();
        self.down.retain(|(name, _)| *name != "monitor");
    }

    pub(crate) fn add_rows(&mut self, service: &RowsService) {
        self.rows = service.http_addresses();
        self.token = service.token().or(self.token.as_ref()).cloned();
        self.down.retain(|(name, _)| *name != "rows");
    }

    pub(crate) fn add_news(&mut self, page: &Page) {
        self.news = page.http_addresses();
        self.news_asks = Some(page.asks());
        self.token = page.token().or(self.token.as_ref()).cloned();
        self.down.retain(|(name, _)| *name != "news");
    }

    pub(crate) fn add_render(&mut self, service: &RenderService) {
        self.render = service.http_addresses();
        self.token = service.token().or(self.token.as_ref()).cloned();
        self.down.retain(|(name, _)| *name != "render");
    }

    /// Takes the directory of the services' data.
    pub(crate) fn set_data(&mut self, directory: PathBuf) {
        self.data = Some(directory);
    }

    /// Addresses of the services' pages.
    pub(crate) fn pages(&self) -> [(&'static str, &[SocketAddr]); 4] {
        [("broker", &self.http), ("monitor", &self.monitor), ("rows", &self.rows), ("news", &self.news)]
    }

    /// Services that do not run, and why.
    pub(crate) fn down(&self) -> &[(&'static str, String)] {
        &self.down
    }

    /// Takes the reason why a service does not run, in place of an earlier one.
    pub(crate) fn set_down(&mut self, name: &'static str, reason: &anyhow::Error) {
        let reason = output::reasons(reason);
        match self.down.iter_mut().find(|(down, _)| *down == name) {
            Some((_, before)) => *before = reason,
            None => self.down.push((name, reason)),
        }
    }

    /// Takes what services lack from their states, and the addresses that came later. Returns what is to be shown about the changes;
    /// `None` if there are none.
    pub(crate) fn follow(&mut self, states: &Services) -> Option<String> {
        let now = Lacks::of(states);
        if now == self.lacks {
            return None;
        }
        let changes = now.changes(&self.lacks);
        now.late.iter().for_each(|late| self.add_late(late));
        self.lacks = now;
        Some(changes)
    }

    fn add_late(&mut self, late: &LateAddress) {
        if late.protocol == "collect" {
            self.collect = Some(late.address.clone());
            return;
        }
        let addresses = match (late.service, late.protocol) {
            ("broker", "native") => &mut self.native,
            ("broker", "stomp") => &mut self.stomp,
            ("broker", _) => &mut self.http,
            ("monitor", _) => &mut self.monitor,
            ("rows", _) => &mut self.rows,
            ("news", _) => &mut self.news,
            _ => &mut self.render,
        };
        match late.address.parse() {
            Ok(address) if !addresses.contains(&address) => addresses.push(address),
            _ => {}
        }
    }

    /// One line about which services run.
    pub(crate) fn summary(&self) -> String {
        let all = [
            ("broker", self.native.is_empty()),
            ("monitor", self.monitor.is_empty()),
            ("rows", self.rows.is_empty()),
            ("news", self.news.is_empty()),
            ("render", self.render.is_empty()),
        ];
        let running: Vec<&str> = all.iter().filter(|(_, is_down)| !is_down).map(|(name, _)| *name).collect();
        let down = self.down.iter().map(|(name, reason)| format!("; {name} does not run: {reason}"));
        format!("running: {}{}{}", running.join(", "), down.collect::<String>(), self.lacks.summary())
    }

    /// On a terminal it has the access token in the addresses of pages that ask for it.
    fn banner(&self, is_terminal: bool) -> String {
        let mut text = format!("Switchboard {}\n", env!("CARGO_PKG_VERSION"));
        let mut line = |what: &str, value: &str| text.push_str(&format!("  {what:<24} {value}\n"));
        for address in shown(&self.native) {
            line("broker, native protocol", &address.to_string());
        }
        for address in shown(&self.stomp) {
            line("broker, STOMP", &address.to_string());
        }
        for address in shown(&self.http) {
            line("broker, page and API", &format!("http://{address}/{}", self.login(&address, is_terminal)));
        }
        for address in shown(&self.monitor) {
            line("monitor, page", &format!("http://{address}/{}", self.login(&address, is_terminal)));
        }
        if let Some(endpoint) = &self.collect {
            for endpoint in endpoints(endpoint) {
                line("monitor, collects at", &endpoint);
            }
        }
        for address in shown(&self.rows) {
            line("rows, page and API", &format!("http://{address}/{}", self.login(&address, is_terminal)));
        }
        for address in shown(&self.news) {
            line("news, page", &format!("http://{address}/{}", self.login(&address, is_terminal)));
        }
        for (at, part) in self.news_asks.iter().flat_map(|hosts| hosts.lines()).enumerate() {
            line(if at == 0 { "news, asks" } else { "" }, part);
        }
        for address in shown(&self.render) {
            line("rendering service", &format!("http://{address}/"));
        }
        if let Some(directory) = &self.data {
            line("data directory", &directory.display().to_string());
        }
        match self.token.as_ref().map(Token::file) {
            Some(Some(file)) => line("access token", &format!("in {}", file.display())),
            Some(None) => line("access token", "as set by SWITCHBOARD_TOKEN or the setting http.token"),
            None => {}
        }
        for (name, reason) in &self.down {
            let _ = writeln!(text, "  {name} DOES NOT RUN, and is tried again: {reason}");
        }
        text + &self.lacks.lines() + &self.warnings()
    }

    /// Returns the query that logs a browser in at a page. A log keeps what is printed to it: the token is shown to
    /// a person only.
    fn login(&self, address: &SocketAddr, is_terminal: bool) -> String {
        let token = self.token.as_ref().filter(|token| is_terminal && (is_open(address) || token.file().is_none()));
        token.map_or_else(String::new, |token| format!("?token={}", percent(token.as_str())))
    }

    fn warnings(&self) -> String {
        let list = |listeners: &[SocketAddr]| {
            let open = listeners.iter().filter(|listener| is_open(listener)).flat_map(|listener| reachable(*listener));
            open.filter(is_open).map(|address| address.to_string()).collect::<Vec<_>>().join(", ")
        };
        let (native, http) = (
            list(&[&self.native[..], &self.stomp].concat()),
            list(&[&self.http[..], &self.monitor, &self.rows, &self.news, &self.render].concat()),
        );
        let native = (!native.is_empty()).then(|| {
            format!(
                "WARNING: {native} can be reached from other machines, and neither the native protocol nor STOMP has \
                 authentication yet: whoever reaches it can publish, subscribe and take from queues."
            )
        });
        let http = (!http.is_empty()).then(|| {
            format!(
                "WARNING: {http} can be reached from other machines without TLS: the access token and all data can be read \
                 on the way. Put a proxy with TLS in front, or use a private network."
            )
        });
        let warnings = native.iter().chain(&http).flat_map(|warning| wrap(warning, Some(COLUMNS)));
        warnings.map(|line| line + "\n").collect()
    }

    fn json(&self) -> serde_json::Value {
        let mut addresses = json!({ "native": strings(&self.native), "http": strings(&self.http) });
        if !self.stomp.is_empty() {
            addresses["stomp"] = strings(&self.stomp).into();
        }
        if !self.monitor.is_empty() {
            addresses["monitor"] = strings(&self.monitor).into();
            addresses["collect"] =
                self.collect.as_deref().and_then(|endpoint| endpoints(endpoint).into_iter().next()).into();
        }
        for (name, addresses_of) in [("rows", &self.rows), ("news", &self.news), ("render", &self.render)] {
            if !addresses_of.is_empty() {
                addresses[name] = strings(addresses_of).into();
            }
        }
        if !self.down.is_empty() {
            let down = self.down.iter().map(|(name, reason)| ((*name).to_owned(), json!(reason)));
            addresses["down"] = serde_json::Value::Object(down.collect());
        }
        self.lacks.put(&mut addresses);
        addresses
    }
}

/// The addresses that can be opened. `[::1]` is not shown where 127.0.0.1 is.
fn shown(listeners: &[SocketAddr]) -> Vec<SocketAddr> {
    let all: Vec<SocketAddr> = listeners.iter().flat_map(|listener| reachable(*listener)).collect();
    let twin = |address: &SocketAddr| SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    all.iter().filter(|address| address.ip() != Ipv6Addr::LOCALHOST || !all.contains(&twin(address))).copied().collect()
}

/// The addresses of a collector that can be connected to.
fn endpoints(endpoint: &str) -> Vec<String> {
    match endpoint.strip_prefix("tcp://").and_then(|address| address.parse().ok()) {
        Some(address) => shown(&[address]).iter().map(|address| format!("tcp://{address}")).collect(),
        None => vec![endpoint.to_owned()],
    }
}

fn is_open(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// All addresses that can be opened, as text.
fn strings(listeners: &[SocketAddr]) -> Vec<String> {
    listeners.iter().flat_map(|listener| reachable(*listener)).map(|address| address.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_has_an_address_that_nobody_can_open() {
        let listeners = || vec!["0.0.0.0:1".parse().expect("one"), "[::1]:2".parse().expect("one")];
        let addresses = Addresses {
            native: listeners(),
            stomp: listeners(),
            http: listeners(),
            monitor: listeners(),
            collect: Some("tcp://0.0.0.0:3".to_owned()),
            rows: listeners(),
            news: listeners(),
            render: listeners(),
            ..Addresses::default()
        };
        let json = addresses.json();
        for name in ["native", "stomp", "http", "monitor", "rows", "news", "render"] {
            let list = json[name].as_array().expect("a list");
            assert!(
                list.first() == Some(&json!("127.0.0.1:1")) && list.last() == Some(&json!("[::1]:2")),
                "{name}: {json}"
            );
        }
        assert_eq!(json["collect"], "tcp://127.0.0.1:3");
        for text in [json.to_string(), addresses.banner(false)] {
            assert!(!text.contains("0.0.0.0"), "{text}");
        }
    }

    #[test]
    fn no_line_of_the_banner_is_wider_than_a_terminal() {
        let listeners = || vec!["0.0.0.0:25000".parse().expect("one")];
        let addresses = Addresses {
            native: (0..5).map(|at| format!("192.0.2.10{at}:25000").parse().expect("one")).collect(),
            http: (0..9).map(|at| format!("192.0.2.10{at}:25080").parse().expect("one")).collect(),
            news: listeners(),
            news_asks: Some("a.example,\nwhich are examples: --set news.sites=FILE for others,\nand none".to_owned()),
            data: Some("/var/lib/somebody/.local/state/switchboard".into()),
            ..Addresses::default()
        };
        let banner = addresses.banner(false);
        for line in banner.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let asks: Vec<&str> = banner.lines().skip_while(|line| !line.contains("news, asks")).take(3).collect();
        assert!(asks[1].starts_with(&" ".repeat(27)) && asks[2].ends_with(" and none"), "{banner}");
    }

    #[test]
    fn on_a_terminal_every_page_beyond_loopback_is_shown_with_the_token_and_elsewhere_none_is() {
        let open = || vec!["192.0.2.1:1".parse().expect("one")];
        let token = Some(Token::new("0123456789+bcdef").expect("a token"));
        let addresses =
            Addresses { http: open(), monitor: open(), rows: open(), news: open(), token, ..Addresses::default() };
        let shown = addresses.banner(true);
        for page in ["broker, page and API", "monitor, page", "rows, page and API", "news, page"] {
            let line = shown.lines().find(|line| line.trim_start().starts_with(page)).expect(page);
            assert!(line.ends_with(" http://192.0.2.1:1/?token=0123456789%2Bbcdef"), "{line}");
        }
        assert!(!addresses.banner(false).contains("0123456789"));
    }

    #[test]
    fn a_collector_is_shown_under_addresses_that_can_be_connected_to() {
        let all = endpoints("tcp://0.0.0.0:5555");
        assert_eq!(all[0], "tcp://127.0.0.1:5555");
        assert!(all.iter().all(|endpoint| !endpoint.contains("0.0.0.0")), "{all:?}");
        for own in ["tcp://127.0.0.1:5555", "tcp://[::1]:5555", "ipc:///run/x", "tcp://collector.example:5555"] {
            assert_eq!(endpoints(own), [own]);
        }
    }
}
