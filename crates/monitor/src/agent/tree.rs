//! A process and all that come from it.

use crate::figures::{Figures, MB, Meter};
use crate::process::{Process, Stat};
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

/// What part of a core may go into looking for new children. Where a look costs more (thousands of
/// threads), it is taken less often; those known are read each time all the same.
const LOOKING: u32 = 1000;

/// Whose children are watched.
#[derive(Debug)]
enum Root {
    /// All of this very process: what it has started, and, as it is their subreaper, what those have left
    /// behind. The account of those that have ended is the kernel's.
    Own(Process),
    /// Another one, itself included.
    Other,
}

/// The processes that are watched together, each known by an open file from when it was first seen.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Root,
    /// In the order in which they were found, so parents first: one that ends while they are read is missed,
    /// and never counted twice, once itself and once with its parent.
    members: Vec<Process>,
    known: HashSet<i32>,
    meter: Option<Meter>,
    look_again: Instant,
}

impl Tree {
    /// All children of this process, from their first moment.
    pub(crate) fn of_own_children() -> io::Result<Tree> {
        let own = Process::open(std::process::id().cast_signed())?;
        let now = Instant::now();
        let meter = Some(Meter::new(now, ended_children()));
        Ok(Tree { root: Root::Own(own), members: Vec::new(), known: HashSet::new(), meter, look_again: now })
    }

    /// A process that runs already. What it has used so far is not counted.
    pub(crate) fn of(pid: i32) -> io::Result<Tree> {
        let process = Process::open(pid)?;
        let known = HashSet::from([pid]);
        let now = Instant::now();
        let mut tree = Tree { root: Root::Other, members: vec![process], known, meter: None, look_again: now };
        let total = tree.read().0;
        tree.meter = Some(Meter::new(now, total));
        Ok(tree)
    }

    /// Since the last call. `None` when nobody is left.
    pub(crate) fn sample(&mut self) -> Option<Figures> {
        let (total, resident) = self.read();
        let now = Instant::now();
        let cpu = self.meter.as_mut().map_or(0.0, |meter| meter.cpu(now, total));
        let alone = self.members.is_empty() && matches!(self.root, Root::Other);
        (!alone).then_some(Figures { cpu, mem: resident as f64 / MB })
    }

    fn read(&mut self) -> (Duration, u64) {
        let before = Instant::now();
        let looks = before >= self.look_again;
        let mut total = Duration::ZERO;
        if let Root::Own(own) = &self.root {
            total += ended_children();
            if looks && let Ok(stat) = own.stat() {
                find(own, &stat, &mut self.known, &mut self.members);
            }
        }
        let mut resident = 0;
        let mut at = 0;
        // It grows while it is read.
        while at < self.members.len() {
            let Ok(stat) = self.members[at].stat() else {
                let ended = self.members.remove(at);
                self.known.remove(&ended.pid);
                continue;
            };
            total += stat.own + stat.waited;
            resident += stat.resident;
            if looks {
                let mut found = Vec::new();
                find(&self.members[at], &stat, &mut self.known, &mut found);
                self.members.append(&mut found);
            }
            at += 1;
        }
        if looks {
            self.look_again = before + before.elapsed() * LOOKING;
        }
        (total, resident)
    }
}

fn find(parent: &Process, stat: &Stat, known: &mut HashSet<i32>, found: &mut Vec<Process>) {
    parent.each_child(stat.threads, |child| {
        if known.insert(child) {
            match Process::open(child) {
                Ok(process) => found.push(process),
                // Gone already, or the system's limit of open files: it is tried again.
                Err(_) => {
                    known.remove(&child);
                }
            }
        }
    });
}

/// Used by all who came from this process, have ended, and were waited for.
fn ended_children() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    [usage.user_time(), usage.system_time()]
        .map(|time| {
            let seconds = Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0));
            seconds + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
        })
        .iter()
        .sum()
}
