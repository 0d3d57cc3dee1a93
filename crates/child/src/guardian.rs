//! The guardian's own process: starts the command, waits for its end or ours, and cleans up.

use crate::process::{own_children, pid, signal_group};
use crate::workplace::Workplace;
use crate::{GRACE, MARK, STAGE};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, setsid, wait};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Time for descendants that were killed to be gone.
const KILLED: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);

/// An event for the guardian.
enum Event {
    /// To end the command: asked by this signal first, or at once.
    Stop(Signal),
    /// Whoever started us is gone.
    Closed,
    /// A child ended.
    Ended(Pid, WaitStatus),
}

/// Arguments: the workplace, the user and the group or `-`, the signal that asks to end, the command, its arguments.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ! {
    // A session of its own: Ctrl-C and a closed terminal are our parent's business.
    let _ = setsid();
    let result = guard(arguments);
    if let Err(error) = &result {
        let _ = say(&format!("failed {error}"));
    }
    std::process::exit(i32::from(result.is_err()))
}

fn guard(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let missing = || io::Error::other("a guardian without its arguments");
    let workplace = Workplace { path: arguments.next().ok_or_else(missing)?.into() };
    let user = arguments.next().ok_or_else(missing)?;
    let group = arguments.next().ok_or_else(missing)?;
    let end_signal = arguments.next().and_then(|number| named_signal(number.to_str()?)).unwrap_or(Signal::TERM);
    let _lock = workplace.lock()?;
    set_child_subreaper(Some(getpid()))?;
    let started = start(&workplace, (&user, &group), arguments);
    let command = match started {
        Ok(command) => command,
        Err(error) => {
            workplace.remove();
            return Err(error);
        }
    };
    let events = match events() {
        Ok(events) => events,
        Err(error) => {
            end_descendants(command);
            workplace.remove();
            return Err(error);
        }
    };
    release_output();
    // The parent may be gone already; the closed socket ends the command then.
    let _ = say(&format!("started {}", command.as_raw_nonzero()));
    let ended = watch(&events, command, end_signal);
    end_descendants(command);
    workplace.remove();
    if let Some(status) = ended {
        let _ = say(&match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("exited {code}"),
            (None, signal) => format!("killed {}", signal.unwrap_or(0)),
        });
    }
    Ok(())
}

/// Closes our copy of the command's standard output: its reader must see the end when the command ends, not after the
/// cleaning.
fn release_output() {
    // An error means that the reader sees the end later.
    let _ = File::options().write(true).open("/dev/null").map(rustix::stdio::dup2_stdout);
}

/// The command by way of the stage, in a process group of its own.
fn start(
    workplace: &Workplace,
    (user, group): (&OsString, &OsString),
    mut arguments: impl Iterator<Item = OsString>,
) -> io::Result<Pid> {
    let program = arguments.next().ok_or_else(|| io::Error::other("no command"))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(STAGE).arg(std::process::id().to_string()).arg(program).args(arguments);
    command.stdin(Stdio::null()).current_dir(workplace.inner()).env(MARK, workplace.mark()).process_group(0);
    let number = |text: &OsString| text.to_str().and_then(|text| text.parse().ok());
    if let (Some(user), Some(group)) = (number(user), number(group)) {
        // For root this drops the supplementary groups, too.
        command.uid(user).gid(group);
    }
    let child = command.spawn()?;
    pid(i32::try_from(child.id()).unwrap_or(0)).ok_or_else(|| io::Error::other("a process without a number"))
}

/// Returns when the command has ended, or is to be killed; how it ended, where that is known.
fn watch(events: &Receiver<Event>, command: Pid, end_signal: Signal) -> Option<WaitStatus> {
    let mut asked: Option<Instant> = None;
    loop {
        let event = match asked {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(asked) => events.recv_timeout((asked + GRACE).saturating_duration_since(Instant::now())),
        };
        match event {
            Ok(Event::Ended(process, status)) if process == command => return Some(status),
            // A descendant whose parent has gone.
            Ok(Event::Ended(..)) => {}
            Ok(Event::Stop(signal)) => {
                signal_group(command, signal);
                asked.get_or_insert_with(Instant::now);
            }
            Ok(Event::Closed) => {
                if asked.is_none() {
                    signal_group(command, end_signal);
                    asked = Some(Instant::now());
                }
            }
            Err(_) => return None,
        }
    }
}

/// The socket and the children, each watched by a thread of its own.
fn events() -> io::Result<Receiver<Event>> {
    let (sender, receiver) = channel();
    let ends = sender.clone();
    let thread = || std::thread::Builder::new();
    thread().spawn(move || {
        for line in BufReader::new(io::stdin()).lines().map_while(Result::ok) {
            let signal = line.strip_prefix("stop ").and_then(named_signal);
            let _ = sender.send(Event::Stop(signal.unwrap_or(Signal::TERM)));
        }
        let _ = sender.send(Event::Closed);
    })?;
    thread().spawn(move || {
        // Ends with the last child. When nobody listens any more, those that are killed still have to be
        // waited for.
        while let Ok(Some((process, status))) = wait(WaitOptions::empty()) {
            let _ = ends.send(Event::Ended(process, status));
        }
    })?;
    Ok(receiver)
}

fn named_signal(number: &str) -> Option<Signal> {
    Signal::from_named_raw(number.parse().ok()?)
}

/// Kills the group and every other descendant: those whose parent dies become children of this process.
fn end_descendants(command: Pid) {
    let end = Instant::now() + KILLED;
    loop {
        signal_group(command, Signal::KILL);
        let children = own_children();
        if children.is_empty() || Instant::now() > end {
            return;
        }
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        std::thread::sleep(STEP);
    }
}

/// One line to whoever started us, by the socket that is the standard input.
fn say(line: &str) -> io::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    UnixStream::from(socket).write_all(format!("{line}\n").as_bytes())
}
