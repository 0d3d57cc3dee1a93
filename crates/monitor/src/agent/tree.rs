//! A process and all that come from it.

use crate::process::{Process, Stat};
use crate::usage::{MB, Meter, Usage};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::ClockId;
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

/// The search for new children may take one part in so many of a core. Where a search costs more (thousands of
/// threads) it is rarer; known processes are read each time.
const LOOKING: u32 = 1000;

/// The root of a tree.
#[derive(Debug)]
enum Root {
    /// This process, whose descendants are watched without it. It is their subreaper, so orphans stay in the tree; the
    /// kernel keeps the CPU time of those that have ended.
    Own(Process),
    /// Another process, which is watched together with its descendants.
    Other,
}

/// The usage of a tree at one time.
#[derive(Clone, Copy, Debug)]
struct Reading {
    used: Duration,
    /// In bytes.
    resident: u64,
    /// Number of processes that have not ended.
    living: usize,
}

/// The processes that are watched together, each known by an open file from when it was first seen.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Root,
    /// Parents first. A process that ends during a reading is then missed once, and never counted twice: by itself and
    /// in its parent's account.
    members: Vec<Process>,
    known: HashSet<i32>,
    meter: Option<Meter>,
    look_again: Instant,
    is_sampled: bool,
}

impl Tree {
    /// All children of this process, from their first moment.
    pub(crate) fn of_own_children() -> io::Result<Tree> {
        let own = Process::open(std::process::id().cast_signed())?;
        let now = Instant::now();
        let meter = Some(Meter::new(now, ended_children()));
        Ok(Tree {
            root: Root::Own(own),
            members: Vec::new(),
            known: HashSet::new(),
            meter,
            look_again: now,
            is_sampled: false,
        })
    }

    /// A running process. Its usage so far is not counted.
    pub(crate) fn of(pid: i32) -> io::Result<Tree> {
        let process = Process::open(pid)?;
        let known = HashSet::from([pid]);
        let now = Instant::now();
        let mut tree =
            Tree { root: Root::Other, members: vec![process], known, meter: None, look_again: now, is_sampled: false };
        let total = tree.read().used;
        tree.meter = Some(Meter::new(now, total));
        Ok(tree)
    }

    /// The usage since the last call. `None` when no process is left.
    pub(crate) fn sample(&mut self) -> Option<Usage> {
        let Reading { used, resident, living } = self.read();
        let now = Instant::now();
        let cpu = self.meter.as_mut().map_or(0.0, |meter| meter.cpu(now, used));
        let over = living == 0 && matches!(self.root, Root::Other);
        let is_first = !std::mem::replace(&mut self.is_sampled, true);
        // Processes that ended before the first sample have left their peak, and no other figure.
        let is_late = is_first && living == 0 && matches!(self.root, Root::Own(_));
        let resident = if is_late { peak_of_ended() } else { resident };
        (!over).then_some(Usage { cpu, mem: resident as f64 / MB })
    }

    fn read(&mut self) -> Reading {
        let began = own_time();
        let looks = Instant::now() >= self.look_again;
        let mut total = Duration::ZERO;
        if let Root::Own(own) = &self.root {
            total += ended_children();
            if looks && let Ok(stat) = own.stat() {
                find(own, &stat, &mut self.known, &mut self.members);
            }
        }
        let (mut resident, mut living) = (0, 0);
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
            living += usize::from(!stat.ended);
            if looks {
                let mut found = Vec::new();
                find(&self.members[at], &stat, &mut self.known, &mut found);
                self.members.append(&mut found);
            }
            at += 1;
        }
        if looks {
            // By CPU time: on a busy machine a search takes long and costs no more.
            self.look_again = Instant::now() + own_time().saturating_sub(began) * LOOKING;
        }
        Reading { used: total, resident, living }
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

/// Bytes of memory that the largest process had which has ended and was waited for. The kernel counts the memory of this
/// program before `exec` as well, some megabytes.
fn peak_of_ended() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * 1024)
}

/// CPU time of this thread.
fn own_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().map_or(Duration::ZERO, Duration::from)
}

/// CPU time of all descendants that have ended and were waited for.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, ChildStdin, Command, Stdio};

    /// A child's child that is left behind, some that end one after the other, and one that stays, all of them busy
    /// for a while. It prints what all of them have used, in seconds, as the kernel has told it.
    const SCRIPT: &str = r#"
import os, resource, subprocess, sys
busy = "import time\nwhile time.process_time() < 0.1: pass"
input()
for _ in range(4):
    subprocess.run([sys.executable, "-c", busy])
child = subprocess.Popen([sys.executable, "-c", busy + "\nkept = bytearray(30 << 20)\nprint(time.process_time(), flush=True)\ninput()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
living = float(child.stdout.readline())
use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(living + sum(each.ru_utime + each.ru_stime for each in use), flush=True)
input()
"#;

    struct Python(Child, ChildStdin);

    impl Drop for Python {
        fn drop(&mut self) {
            // Its child ends with its input.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_time_of_all_is_counted_also_of_those_that_ended_between_two_looks() {
        let mut child = Command::new("python3")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is missing; install it: apt-get install python3");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let input = child.stdin.take().expect("a pipe");
        let mut python = Python(child, input);
        let pid = python.0.id().cast_signed();
        let mut tree = Tree::of(pid).expect("it runs");
        let before = tree.read().used;
        python.1.write_all(b"go\n").expect("it reads");
        let said: f64 = lines.next().expect("a line").expect("text").parse().expect("a number");
        // Whatever the first look has cost.
        tree.look_again = Instant::now();
        let Reading { used: after, resident, living } = tree.read();
        let counted = after.as_secs_f64();
        // The kernel rounds what was waited for down to ticks, twice; and the child did a little more since it looked.
        assert!((counted - said).abs() < 0.05, "{counted} s are counted, {said} s were used, {before:?} before");
        assert!(counted > 0.5, "{counted} s");
        assert!(resident > 30 << 20, "{resident} bytes");
        assert_eq!(living, 2);
        drop(python);
        // The child's child hears of it by and by.
        let began = Instant::now();
        while tree.sample().is_some() {
            assert!(began.elapsed() < Duration::from_secs(25), "somebody is left");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_child_that_ended_before_the_first_sample_has_its_peak_of_memory() {
        let mut tree = Tree::of_own_children().expect("this process");
        let script = "kept = bytearray(60 << 20)";
        let ended = Command::new("python3").args(["-c", script]).status().expect("python3 is missing");
        assert!(ended.success());
        // Other tests of this process have children as well: these make the peak higher only.
        let usage =
            if tree.read().living == 0 { tree.sample().expect("usage").mem } else { peak_of_ended() as f64 / MB };
        assert!(usage > 60.0, "{usage} MB");
    }
}
