//! What tells that the services run: the banner to people, the ready file to programs.

use crate::output;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use switchboard_monitor::Monitor;
use switchboard_server::Server;

/// Addresses of the services that run, and why the others do not.
#[derive(Default)]
pub(crate) struct Addresses {
    native: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    monitor: Vec<SocketAddr>,
    collect: Option<String>,
    login: Option<String>,
    down: Vec<(&'static str, String)>,
}

impl Addresses {
    pub(crate) fn add_broker(&mut self, server: &Server) {
        self.native = server.native_addresses();
        self.http = server.http_addresses();
        self.down.retain(|(name, _)| *name != "broker");
    }

    pub(crate) fn add_monitor(&mut self, monitor: &Monitor) {
        self.monitor = monitor.http_addresses();
        self.collect = monitor.collect_endpoint();
        self.login = monitor.token().map(|token| format!("?token={token}"));
        self.down.retain(|(name, _)| *name != "monitor");
    }

    pub(crate) fn add_down(&mut self, name: &'static str, reason: &anyhow::Error) {
        self.down.push((name, format!("{reason:#}")));
    }

    /// Where a program on this machine reaches the broker.
    pub(crate) fn broker(&self) -> Option<SocketAddr> {
        let mut address = *self.native.first()?;
        // What listens everywhere is reached here.
        if address.ip().is_unspecified() {
            let v4 = address.is_ipv4();
            address.set_ip(if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        Some(address)
    }

    fn banner(&self) -> String {
        let mut text = format!("Switchboard {}\n", env!("CARGO_PKG_VERSION"));
        for address in &self.native {
            let _ = writeln!(text, "  broker, native protocol  {address}");
        }
        for address in &self.http {
            let _ = writeln!(text, "  broker, HTTP             http://{address}/status");
        }
        let login = self.login.as_deref().unwrap_or_default();
        for address in &self.monitor {
            let _ = writeln!(text, "  monitor, page            http://{address}/{login}");
        }
        if let Some(endpoint) = &self.collect {
            let _ = writeln!(text, "  monitor, collects at     {endpoint}");
        }
        for (name, reason) in &self.down {
            let _ = writeln!(text, "  {name} DOES NOT RUN, and is tried again: {reason}");
        }
        let open = [self.native.as_slice(), &self.http].concat();
        let open = open.iter().filter(|address| !address.ip().to_canonical().is_loopback());
        let open: Vec<String> = open.map(SocketAddr::to_string).collect();
        if !open.is_empty() {
            let _ = writeln!(
                text,
                "  WARNING: {} can be reached from other machines, and there is no authentication yet:\n  \
                 whoever reaches it can do everything that you can.",
                open.join(", ")
            );
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let mut addresses = json!({ "native": strings(&self.native), "http": strings(&self.http) });
        if !self.monitor.is_empty() {
            addresses["monitor"] = strings(&self.monitor).into();
            addresses["collect"] = self.collect.clone().into();
        }
        if !self.down.is_empty() {
            let down = self.down.iter().map(|(name, reason)| ((*name).to_owned(), json!(reason)));
            addresses["down"] = serde_json::Value::Object(down.collect());
        }
        addresses
    }
}

/// Tells people by the banner, and programs by a file.
#[derive(Clone)]
pub(crate) struct Ready(Option<PathBuf>);

impl Ready {
    /// Removes the file of an earlier run, which would say too early that this one listens.
    pub(crate) fn begin(file: Option<&Path>) -> Result<Ready> {
        if let Some(path) = file {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove the old {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(Ready(file.map(Path::to_owned)))
    }

    /// Says what runs. Once more when a further service does.
    pub(crate) fn tell(&self, addresses: &Addresses) -> Result<()> {
        output::banner(&addresses.banner());
        let Some(path) = &self.0 else { return Ok(()) };
        write(path, &addresses.json()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Through a rename, so that whoever waits for the file never finds half of it.
fn write(path: &Path, addresses: &serde_json::Value) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    std::fs::write(&temporary, format!("{addresses}\n"))?;
    std::fs::rename(&temporary, path)
}

fn strings(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(SocketAddr::to_string).collect()
}
