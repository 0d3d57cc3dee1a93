//! The service manager: it is told by sd_notify(3) that the services run, reload, stop, and still answer.
//!
//! The crate sd-notify (0.5) does not know abstract sockets, and blocks the task while the manager does not read.

mod watchdog;

#[cfg(test)]
mod tests;

pub(crate) use watchdog::watch;

use crate::output::LAST_WORD;
use nix::time::{ClockId, clock_gettime};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// The variables by which systemd asks to be told.
const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Messages that wait for a manager that does not read; further ones are dropped.
const BACKLOG: usize = 64;

/// Bytes of a status line at most: systemd drops a message of more than 4096.
const STATUS: usize = 1024;

/// The service manager, if one wants to be told. Telling it never blocks; the end waits a moment for what was told.
#[derive(Debug, Default)]
pub(crate) struct Manager {
    teller: Option<Teller>,
    /// Half of the time after which the manager ends a program that does not say that it is alive.
    period: Option<Duration>,
}

/// The thread that tells the manager.
#[derive(Debug)]
struct Teller {
    messages: SyncSender<String>,
    /// Closed once everything is told.
    told: Receiver<()>,
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(Teller { messages, told }) = self.teller.take() {
            drop(messages);
            let _ = told.recv_timeout(LAST_WORD);
        }
    }
}

impl Manager {
    /// The manager that this process's environment names.
    pub(crate) fn from_environment() -> Manager {
        Manager::of(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Manager {
        let Some(name) = variable(SOCKET) else { return Manager::default() };
        let connected = connect(&name).and_then(|socket| {
            let (sender, messages) = sync_channel(BACKLOG);
            let (telling, told) = sync_channel(0);
            std::thread::Builder::new().name("manager".to_owned()).spawn(move || {
                tell(&socket, &messages);
                drop(telling);
            })?;
            Ok(Teller { messages: sender, told })
        });
        match connected {
            Ok(teller) => Manager { teller: Some(teller), period: period(variable) },
            Err(error) => {
                tracing::warn!("cannot tell the service manager at {}: {error}", name.display());
                Manager::default()
            }
        }
    }

    /// The services run, as `status` says.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The settings are read again, until [`ready`](Manager::ready).
    pub(crate) fn reloading(&self) {
        // By its time systemd tells this reload from an earlier one.
        let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return };
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", Duration::from(now).as_micros()));
    }

    /// The services stop, which takes this long at most.
    pub(crate) fn stopping(&self, time: Duration) {
        // systemd ignores the greatest number, which stands for none.
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(u64::MAX - 1);
        self.send(&format!("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={time}"));
    }

    fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some(teller) = &self.teller {
            // A manager that does not read has what came first.
            let _ = teller.messages.try_send(message.to_owned());
        }
    }
}

fn tell(socket: &UnixDatagram, messages: &Receiver<String>) {
    let mut has_failed = false;
    for message in messages {
        match socket.send(message.as_bytes()) {
            Err(error) if !has_failed => {
                tracing::warn!("cannot tell the service manager: {error}");
                has_failed = true;
            }
            _ => {}
        }
    }
}

/// The manager's socket: a path, or after `@` a name without one.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(ErrorKind::InvalidInput, "it is neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// Half of the watchdog's time, if the watchdog is this process's.
fn period(variable: impl Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name| variable(name).map(|text| text.to_str().and_then(|text| text.parse::<u64>().ok()));
    let is_ours = number(WATCHDOG_PID).is_none_or(|id| id == Some(std::process::id().into()));
    let time = number(WATCHDOG_USEC).flatten().filter(|time| is_ours && *time > 0)?;
    Some((Duration::from_micros(time) / 2).max(watchdog::SHORTEST))
}

fn one_line(text: &str) -> String {
    let line = text.split(char::is_control).collect::<Vec<_>>().join(" ");
    line[..line.floor_char_boundary(STATUS)].to_owned()
}
