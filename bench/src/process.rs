//! Processes that the benchmark starts, measures and ends.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use switchboard_child::{Child, Launch, User};

const START: Duration = Duration::from_secs(10);

/// Time for a killed process, and what it has started, to be gone.
const END: Duration = Duration::from_secs(10);

/// The directory of the processes' private directories.
fn base() -> PathBuf {
    std::env::temp_dir().join("switchboard-bench")
}

/// Removes what an earlier run has left behind, if it was killed together with its guardians.
pub(crate) fn sweep() {
    switchboard_child::sweep(&base());
}

/// A running process. It is killed with all that it has started when this is dropped, and by its guardian when the benchmark ends
/// otherwise.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a command of which program, arguments, directory and further environment count. What it prints goes nowhere: a
    /// terminal would slow some peers, and not others.
    pub(crate) fn start(command: &Command) -> Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let start = || {
            let mut launch = Launch::new(&base(), User::current())?;
            for (key, value) in command.get_envs().filter_map(|(key, value)| Some((key, value?))) {
                launch.env(key, value);
            }
            launch.stdout(Stdio::null()).stderr(Stdio::null());
            let directory = command.get_current_dir().unwrap_or(launch.directory()).to_owned();
            let within = [OsStr::new("-C"), directory.as_os_str(), command.get_program()];
            launch.spawn("/usr/bin/env", within.into_iter().chain(command.get_args()))
        };
        let child = start().with_context(|| format!("cannot start {name}"))?;
        Ok(Process { child })
    }

    /// Returns when `ready` has an answer.
    pub(crate) fn wait_for<T>(&mut self, ready: impl FnMut() -> Option<T>) -> Result<T> {
        self.wait_within(START, ready)
    }

    /// Returns when `ready` has an answer, within this time.
    pub(crate) fn wait_within<T>(&mut self, time: Duration, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let end = Instant::now() + time;
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            if let Some(exit) = self.child.exit() {
                bail!("it ended by itself: {exit:?}");
            }
            if Instant::now() > end {
                bail!("it did not get ready in {time:?}");
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Returns when somebody accepts connections there.
    pub(crate) fn wait_until_it_listens(&mut self, address: SocketAddr) -> Result<()> {
        self.wait_for(|| TcpStream::connect(address).ok()).map(drop)
    }

    /// Current usage.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(&self.child.id().to_string()).context("it is not running any more")
    }

    /// Makes [`Usage::peak`] begin anew.
    pub(crate) fn forget_peak(&self) {
        // Not every kernel lets us: then the peak is that of the whole life.
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.ask_to_end(rustix::process::Signal::KILL.as_raw());
        let _ = self.child.wait(END);
    }
}

/// A process's usage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time since its start, in seconds, in steps of 10 ms.
    pub(crate) cpu: f64,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    /// The most resident memory since its start, or since it was last forgotten, in bytes.
    pub(crate) peak: u64,
}

/// Usage of process `id`, or `self`.
pub(crate) fn usage(id: &str) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The program's name stands in parentheses and may hold anything.
    let (_, after_name) = stat.rsplit_once(')').context("an unknown form of stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields.get(11..13).into_iter().flatten().flat_map(|field| field.parse::<u64>()).sum();
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kib = |key| status.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse().ok());
    Ok(Usage {
        cpu: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident: kib("VmRSS:").unwrap_or(0u64) * 1024,
        peak: kib("VmHWM:").unwrap_or(0u64) * 1024,
    })
}

/// A local address where nobody listens yet.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}
