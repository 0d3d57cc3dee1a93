//! `switchboard up` and `switchboard broker`: the services, until a signal ends them.

use crate::cli::Up;
use crate::config::show_duration;
use crate::memory;
use crate::output::note;
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::io::{ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use switchboard_server::Server;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs the broker, the one service that there is so far.
pub(crate) fn run(args: &Up) -> Result<()> {
    let settings = args.chosen.settings()?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.log))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    // One of an earlier run would say too early that this one listens.
    if let Some(path) = &args.ready_file {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove the old {}", path.display()));
            }
            _ => {}
        }
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let drain = show_duration(settings.server.drain);
        // Before anybody can know that we run, and so end us.
        let signals = Signals::new()?;
        // As it prints itself: it names the cause already, which anyhow would append once more.
        let server = Server::bind(settings.into_server()).await.map_err(|error| anyhow!("{error}"))?;
        let (native, http) = (server.native_addresses(), server.http_addresses());
        banner(&native, &http);
        if let Some(path) = &args.ready_file {
            write_ready(path, &native, &http).with_context(|| format!("cannot write {}", path.display()))?;
        }
        tokio::spawn(memory::watch());
        let report = server.run(signals.stop(drain)).await;
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

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let on = |kind| signal(kind).context("cannot watch for signals");
        Ok(Signals { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// Returns at the first signal; the second one ends the process there and then.
    async fn stop(mut self, drain: String) {
        self.next().await;
        note(format_args!(
            "Stopping: connections have {drain} to take what is queued for them; a second signal stops at once."
        ));
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

fn banner(native: &[SocketAddr], http: &[SocketAddr]) {
    let mut text = format!("Switchboard {}\n", env!("CARGO_PKG_VERSION"));
    for address in native {
        text.push_str(&format!("  broker, native protocol  {address}\n"));
    }
    for address in http {
        text.push_str(&format!("  broker, HTTP             http://{address}/status\n"));
    }
    let open: Vec<String> = [native, http]
        .concat()
        .iter()
        .filter(|address| !address.ip().to_canonical().is_loopback())
        .map(SocketAddr::to_string)
        .collect();
    if !open.is_empty() {
        text.push_str(&format!(
            "  WARNING: {} can be reached from other machines, and there is no authentication yet:\n  \
             whoever reaches it can do everything that you can.\n",
            open.join(", ")
        ));
    }
    // The services do not depend on whether somebody reads this.
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Through a rename, so that whoever waits for the file never finds half of it.
fn write_ready(path: &Path, native: &[SocketAddr], http: &[SocketAddr]) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    std::fs::write(&temporary, format!("{}\n", json!({ "native": strings(native), "http": strings(http) })))?;
    std::fs::rename(&temporary, path)
}

fn strings(addresses: &[SocketAddr]) -> Vec<String> {
    addresses.iter().map(SocketAddr::to_string).collect()
}
