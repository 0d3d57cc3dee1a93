//! The identity of a process, for the collector.

use super::{Options, TEXT};
use crate::Millis;
use crate::process::Stat;
use crate::usage::Usage;
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

/// Told apart on white and on black, also by most who see colors otherwise.
const PALETTE: [&str; 10] =
    ["#1f77b4", "#e8710a", "#2a9d3f", "#d62f4b", "#8a63d2", "#00a3a3", "#c2569b", "#8c6d31", "#5b7fff", "#7a8b00"];
/// Maximum number of instances of one service that are numbered on one machine. Further ones go by their process number.
const SLOTS: usize = 256;

/// Bytes of the longest name of an abstract socket.
const SLOT_NAME: usize = 107;
/// Bytes of the longest ending of an instance's name, `-pid-` and a process number.
const NUMBER: usize = 15;

/// Says who a process is, once a second, beside its usage.
#[derive(Debug)]
pub(crate) struct Identity {
    color: String,
    service: String,
    instance: String,
    pid: u32,
    host: Option<String>,
    version: Option<String>,
    started: Option<String>,
    ncpu: Option<usize>,
    /// Frees the instance's number when the process ends, however it does.
    _slot: Option<UnixListener>,
}

/// The JSON of a typical sender, and more.
#[derive(Serialize)]
struct Report<'a> {
    color: &'a str,
    timestamp: String,
    cpu: f64,
    mem: f64,
    service: &'a str,
    instance: &'a str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ncpu: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<i32>,
}

impl Identity {
    /// `name` is the service if the options say none.
    pub(crate) fn of(pid: u32, name: &str, options: &Options) -> Identity {
        let service = options.service.clone().unwrap_or_else(|| cut(name, TEXT).to_owned());
        let (instance, slot) = match &options.instance {
            Some(instance) => (instance.clone(), None),
            None => first_free(&service, pid),
        };
        let color = options.color.clone().unwrap_or_else(|| color_of(&instance).to_owned());
        // A service manager may hide these in /proc (`ProcSubset=pid`), so the kernel is asked.
        let host = uname().ok().and_then(|system| Some(system.nodename().to_str()?.to_owned()));
        Identity {
            color,
            service,
            instance,
            pid,
            host,
            version: options.version.clone(),
            started: started(pid).map(|time| time.to_string()),
            ncpu: std::thread::available_parallelism().ok().map(Into::into),
            _slot: slot,
        }
    }

    pub(crate) fn report(&self, usage: Usage, ended: Option<i32>) -> String {
        // More digits would be noise, and go into every message.
        let digits = |value: f64| (value * 1000.0).round() / 1000.0;
        let report = Report {
            color: &self.color,
            timestamp: Millis::now().to_string(),
            cpu: digits(usage.cpu),
            mem: digits(usage.mem),
            service: &self.service,
            instance: &self.instance,
            pid: self.pid,
            host: self.host.as_deref(),
            version: self.version.as_deref(),
            started: self.started.as_deref(),
            ncpu: self.ncpu,
            ended,
        };
        serde_json::to_string(&report).unwrap_or_default()
    }
}

/// The first number that no living instance on this machine has. An abstract socket's name is free again
/// when its process has ended, whatever has ended it.
fn first_free(service: &str, pid: u32) -> (String, Option<UnixListener>) {
    for number in 1..=SLOTS {
        let instance = format!("{}-{number}", cut(service, TEXT - NUMBER));
        let Ok(name) = SocketAddr::from_abstract_name(slot_name(&instance)) else { break };
        if let Ok(slot) = UnixListener::bind_addr(&name) {
            return (instance, Some(slot));
        }
    }
    (format!("{}-pid-{pid}", cut(service, TEXT - NUMBER)), None)
}

/// The beginning of a text, at most so many bytes of whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A socket's name has at most 107 bytes.
fn slot_name(instance: &str) -> String {
    let name = format!("switchboard/{instance}");
    if name.len() <= SLOT_NAME { name } else { format!("{}~{:08x}", cut(&name, SLOT_NAME - 9), hash(instance)) }
}

/// The same for the same instance, on every machine and in every version of this program.
pub(crate) fn color_of(instance: &str) -> &'static str {
    PALETTE[hash(instance) as usize % PALETTE.len()]
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// When a process was started, as far as /proc says.
pub(crate) fn started(pid: u32) -> Option<Millis> {
    let started = Stat::of(pid.cast_signed()).ok()?.started;
    let uptime = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    Some(Millis::now().before(uptime.saturating_sub(started)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_its_number_while_it_lives() {
        let name = format!("test-{}", std::process::id());
        let identity = || Identity::of(std::process::id(), &name, &Options::default());
        let (first, second) = (identity(), identity());
        assert_eq!(first.instance, format!("{name}-1"));
        assert_eq!(second.instance, format!("{name}-2"));
        drop(first);
        assert_eq!(identity().instance, format!("{name}-1"));
    }

    #[cfg(feature = "collector")]
    #[test]
    fn a_long_name_is_cut_to_what_a_collector_takes() {
        for length in [TEXT - 1, TEXT, TEXT + 1, 1000] {
            // Two bytes a character.
            let name = "\u{e9}".repeat(length);
            let identity = Identity::of(std::process::id(), &name, &Options::default());
            let report = identity.report(Usage::default(), None);
            let sample =
                crate::Sample::parse(report.as_bytes()).unwrap_or_else(|refusal| panic!("{length}: {refusal}"));
            assert!(sample.instance.is_some_and(|instance| instance.ends_with("-1")), "{report}");
        }
    }

    #[test]
    fn the_start_and_the_host_need_nothing_of_proc_but_the_process() {
        // `ProcSubset=pid` of systemd hides these two, so they are only compared with.
        let (source, _) = include_str!("identity.rs").split_once("#[cfg(test)]").expect("tests");
        for hidden in ["uptime", "sys"] {
            assert!(!source.contains(&format!("\"/proc/{hidden}")), "{hidden}");
        }
        let uptime = std::fs::read_to_string("/proc/uptime").expect("/proc");
        let uptime: f64 = uptime.split(' ').next().expect("a number").parse().expect("a number");
        let own = Stat::of(std::process::id().cast_signed()).expect("it lives").started;
        let expected = Millis::now().before(Duration::from_secs_f64(uptime).saturating_sub(own));
        let is = started(std::process::id()).expect("it is known");
        assert!((is.0 - expected.0).abs() < 60_000, "{is} and not {expected}");
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("/proc");
        let identity = Identity::of(std::process::id(), "host", &Options::default());
        assert_eq!(identity.host.as_deref(), Some(host.trim()));
    }

    #[test]
    fn a_report_says_what_is_known_and_no_more() {
        let options = Options { color: Some("red".into()), instance: Some("a".into()), ..Options::default() };
        let mut identity = Identity::of(std::process::id(), "s", &options);
        identity.host = None;
        let report = identity.report(Usage { cpu: 12.345_678, mem: 0.5 }, None);
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!((&report["color"], &report["cpu"], &report["mem"]), (&"red".into(), &12.346.into(), &0.5.into()));
        assert_eq!((report.get("host"), report.get("version"), report.get("ended")), (None, None, None));
        let since = |field: &str| Millis::parse(report[field].as_str().expect("text")).expect("a time");
        assert!(since("started") <= since("timestamp"));
        assert!(identity.report(Usage::default(), Some(3)).contains("\"ended\":3"));
    }
}
