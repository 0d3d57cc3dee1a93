//! `switchboard up` and `switchboard broker`: the services, until a signal ends them.

use crate::cli::Up;
use crate::config::show_duration;
use crate::memory;
use crate::output::note;
use crate::status::percent;
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::io::{ErrorKind, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use switchboard_monitor::Monitor;
use switchboard_server::Server;
use switchboard_web::{Token, reachable};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// Runs the broker, and with `all` every other service that there is.
pub(crate) fn run(args: &Up, all: bool) -> Result<()> {
    let mut settings = args.chosen.settings()?;
    settings.share_web()?;
    start_log(&settings.log);
    let ready = Ready::begin(args.ready_file.as_deref())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let drain = show_duration(settings.server.drain);
        // Before anybody can know that we run, and so end us.
        let signals = Signals::new()?;
        let watched = std::mem::replace(&mut settings.monitor, switchboard_monitor::Settings::new(PathBuf::new()));
        // As it prints itself: it names the cause already, which anyhow would append once more.
        let server = Server::bind(settings.into_server()).await.map_err(|error| anyhow!("{error}"))?;
        let monitor = if all && !watched.listen.is_empty() { Some(monitor(watched, &server).await?) } else { None };
        ready.tell(Some(&server), monitor.as_ref())?;
        tokio::spawn(memory::watch());
        let (stop, stopped) = oneshot::channel::<()>();
        let watching = monitor.map(|monitor| tokio::spawn(monitor.run(async { drop(stopped.await) })));
        let stopping = format!(
            "Stopping: connections have {drain} to take what is queued for them; a second signal stops at once."
        );
        let report = server
            .run(async {
                signals.stop(stopping).await;
                drop(stop);
            })
            .await;
        if let Some(watching) = watching {
            watching.await.context("the monitor")?;
        }
        if report.left > 0 {
            note(format_args!("Messages left in queues, which are lost: {}.", report.left));
        }
        if report.cut > 0 {
            note(format_args!("Connections that did not take in time what was queued for them: {}.", report.cut));
        }
        note(format_args!("Stopped."));
        Ok(())
    })
}

/// A monitor that uses this broker, if it was told of no other.
async fn monitor(mut settings: switchboard_monitor::Settings, server: &Server) -> Result<Monitor> {
    if let (None, Some(address)) = (&settings.broker, server.native_addresses().first()) {
        let mut address = *address;
        // What listens everywhere is reached here.
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        settings.broker = Some(format!("switchboard://{address}"));
    }
    Monitor::bind(settings).await.map_err(|error| anyhow!("{error}"))
}

pub(crate) fn start_log(level: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Signals> {
        let on = |kind| signal(kind).context("cannot watch for signals");
        Ok(Signals { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Returns at the first signal, and says so; the second one ends the process there and then.
    pub(crate) async fn stop(mut self, stopping: String) {
        self.next().await;
        note(format_args!("{stopping}"));
        tokio::spawn(async move {
            let number = self.next().await;
            // What a shell reports for a process that the signal has killed.
            std::process::exit(128 + number);
        });
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}

/// Who waits for the services: people by the banner, programs by a file.
pub(crate) struct Ready<'a>(Option<&'a Path>);

impl<'a> Ready<'a> {
    /// A file of an earlier run would say too early that this one listens.
    pub(crate) fn begin(file: Option<&'a Path>) -> Result<Ready<'a>> {
        if let Some(path) = file {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove the old {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(Ready(file))
    }

    /// Everything listens.
    pub(crate) fn tell(&self, server: Option<&Server>, monitor: Option<&Monitor>) -> Result<()> {
        let native = server.map(Server::native_addresses).unwrap_or_default();
        let http = server.map(Server::http_addresses).unwrap_or_default();
        let token = server.and_then(Server::http_token).or(monitor.and_then(Monitor::token));
        banner(&native, &http, token, monitor);
        let Some(path) = self.0 else { return Ok(()) };
        let mut addresses = json!({ "native": strings(&native), "http": strings(&http) });
        if let Some(monitor) = monitor {
            addresses["monitor"] = strings(&monitor.http_addresses()).into();
            addresses["collect"] = monitor.collect_endpoint().into();
        }
        write_ready(path, &addresses).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn banner(native: &[SocketAddr], http: &[SocketAddr], token: Option<&Token>, monitor: Option<&Monitor>) {
    let mut text = format!("Switchboard {}\n", env!("CARGO_PKG_VERSION"));
    let terminal = std::io::stdout().is_terminal();
    let mut line = |what: &str, value: &str| text.push_str(&format!("  {what:<24} {value}\n"));
    for address in native {
        line("broker, native protocol", &address.to_string());
    }
    for address in shown(http) {
        line("broker, HTTP", &format!("http://{address}/"));
    }
    let page = monitor.map(Monitor::http_addresses).unwrap_or_default();
    for address in shown(&page) {
        // A log keeps what is printed to it: the token is shown to a person only.
        let login = token.filter(|token| terminal && (is_open(&address) || token.file().is_none()));
        let login = login.map_or_else(String::new, |token| format!("?token={}", percent(token.as_str())));
        line("monitor, page", &format!("http://{address}/{login}"));
    }
    if let Some(endpoint) = monitor.and_then(Monitor::collect_endpoint) {
        line("monitor, collects at", &endpoint);
    }
    match token.map(Token::file) {
        Some(Some(file)) => line("access token", &format!("in {}", file.display())),
        Some(None) => line("access token", "as set by SWITCHBOARD_TOKEN or the setting http.token"),
        None => {}
    }
    let list = |addresses: &[SocketAddr]| {
        let open = addresses.iter().filter(|address| is_open(address)).map(SocketAddr::to_string);
        open.collect::<Vec<_>>().join(", ")
    };
    let (native, http) = (list(native), list(&[http, &page].concat()));
    if !native.is_empty() {
        text.push_str(&format!(
            "  WARNING: {native} can be reached from other machines, and the native protocol has no authentication yet:\n  \
             whoever reaches it can publish, subscribe and take from queues.\n",
        ));
    }
    if !http.is_empty() {
        text.push_str(&format!(
            "  WARNING: {http} can be reached from other machines without TLS: the access token and all data can be\n  \
             read on the way. Put a proxy with TLS in front, or use a private network.\n",
        ));
    }
    // The services do not depend on whether somebody reads this.
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// The addresses that can be opened. `[::1]` is not shown where 127.0.0.1 is.
fn shown(listeners: &[SocketAddr]) -> Vec<SocketAddr> {
    let all: Vec<SocketAddr> = listeners.iter().flat_map(|listener| reachable(*listener)).collect();
    let twin = |address: &SocketAddr| SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    all.iter().filter(|address| address.ip() != Ipv6Addr::LOCALHOST || !all.contains(&twin(address))).copied().collect()
}

fn is_open(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Through a rename, so that whoever waits for the file never finds half of it.
fn write_ready(path: &Path, addresses: &serde_json::Value) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    std::fs::write(&temporary, format!("{addresses}\n"))?;
    std::fs::rename(&temporary, path)
}

fn strings(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(SocketAddr::to_string).collect()
}
