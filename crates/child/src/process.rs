//! Processes as `/proc` shows them, and how they are ended.

use crate::MARK;
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use std::fs;
use std::time::{Duration, Instant};

/// Time for what was killed to be gone.
const KILLED: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(5);

pub(crate) fn pid(number: i32) -> Option<Pid> {
    // 0 and negative numbers would mean groups.
    Pid::from_raw(number).filter(|_| number > 0)
}

/// Sends a signal to a process group; nothing if it is gone.
pub(crate) fn signal_group(leader: Pid, signal: Signal) {
    let _ = kill_process_group(leader, signal);
}

/// The children of this process, ended ones that were not waited for included.
pub(crate) fn own_children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().get();
    processes().filter(|&process| parent(process) == Some(own)).filter_map(pid).collect()
}

/// Kills every process that has the mark in its environment, until none is left.
pub(crate) fn kill_marked(mark: &str) {
    let entry = format!("{MARK}={mark}");
    let end = Instant::now() + KILLED;
    loop {
        let marked: Vec<Pid> = processes()
            .filter(|process| {
                let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
                environment.split(|&byte| byte == 0).any(|variable| variable == entry.as_bytes())
            })
            .filter_map(pid)
            .filter(|&process| process != getpid())
            .collect();
        if marked.is_empty() || Instant::now() > end {
            return;
        }
        for process in marked {
            let _ = kill_process(process, Signal::KILL);
        }
        std::thread::sleep(STEP);
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
