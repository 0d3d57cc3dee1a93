//! One process in /proc.

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::time::Duration;

/// Clock ticks per second and bytes per page, the units of /proc.
static UNITS: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let value = |which, usual| {
        sysconf(which)
            .ok()
            .flatten()
            .and_then(|value| u64::try_from(value).ok())
            .filter(|&value| value > 0)
            .unwrap_or(usual)
    };
    (value(SysconfVar::CLK_TCK, 100), value(SysconfVar::PAGE_SIZE, 4096))
});

/// The fields of /proc/PID/stat that are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// It has ended, and its parent has not waited for it yet.
    pub(crate) ended: bool,
    pub(crate) parent: i32,
    /// The controlling terminal; 0 for none.
    pub(crate) terminal: i32,
    /// CPU time of all threads, to a tick (usually 10 ms).
    pub(crate) own: Duration,
    /// CPU time of its descendants that have ended and were waited for.
    pub(crate) waited: Duration,
    pub(crate) threads: u32,
    /// Time from the start of the system to that of the process.
    pub(crate) started: Duration,
    /// Resident bytes.
    ///
    /// Resident, not proportional: it is what a typical Python sender reports; and for the proportional size
    /// the kernel walks the page tables under a lock that the watched process needs, each second.
    pub(crate) resident: u64,
}

impl Stat {
    /// `None` if this is not such a line.
    pub(crate) fn parse(line: &[u8]) -> Option<Stat> {
        // The name stands in parentheses, and may hold some itself, and blanks.
        let after_name = line.iter().rposition(|&byte| byte == b')')? + 1;
        let mut fields = std::str::from_utf8(&line[after_name..]).ok()?.split_ascii_whitespace();
        // Numbered as proc(5) does: what follows the name is field 3.
        let mut at = 3;
        let mut field = |number: usize| {
            let found = fields.nth(number - at);
            at = number + 1;
            found
        };
        let (ticks, page) = *UNITS;
        let time = |text: &str| {
            let count: u64 = text.parse().ok()?;
            Some(Duration::from_secs(count / ticks) + Duration::from_nanos(count % ticks * 1_000_000_000 / ticks))
        };
        Some(Stat {
            ended: matches!(field(3)?, "Z" | "X" | "x"),
            parent: field(4)?.parse().ok()?,
            terminal: field(7)?.parse().ok()?,
            own: time(field(14)?)? + time(field(15)?)?,
            waited: time(field(16)?)? + time(field(17)?)?,
            threads: field(20)?.parse().ok()?,
            started: time(field(22)?)?,
            resident: field(24)?.parse::<u64>().ok()?.saturating_mul(page),
        })
    }

    pub(crate) fn of(pid: i32) -> io::Result<Stat> {
        Process::open(pid)?.stat()
    }
}

/// A process, identified by an open file: a later process with the same number is another file.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    stat: File,
    clock: Option<ClockId>,
    /// Its main thread's children.
    children: Option<File>,
}

impl Process {
    pub(crate) fn open(pid: i32) -> io::Result<Process> {
        let stat = File::open(format!("/proc/{pid}/stat"))?;
        let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok();
        let children = File::open(format!("/proc/{pid}/task/{pid}/children")).ok();
        Ok(Process { pid, stat, clock, children })
    }

    /// An error once it has ended and was waited for.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        // Before the file, which then tells whether the number was still this process's.
        let clock = self.clock.and_then(|clock| clock.now().ok()).map(Duration::from);
        let mut line = [0; 1024];
        let length = self.stat.read_at(&mut line, 0)?;
        let mut stat = Stat::parse(&line[..length]).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        // To the nanosecond, where a tick would make steps of one percent.
        if let Some(clock) = clock {
            stat.own = stat.own.max(clock);
        }
        Ok(stat)
    }

    /// Calls with each child; nothing if it has ended.
    pub(crate) fn each_child(&self, threads: u32, mut child: impl FnMut(i32)) {
        if let Some(children) = &self.children {
            list(children, &mut child);
        }
        if threads <= 1 {
            return;
        }
        // A child belongs to the thread that has made it.
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else { return };
        let own = self.pid.to_string();
        for task in tasks.flatten().filter(|task| task.file_name() != own.as_str()) {
            if let Ok(children) = File::open(task.path().join("children")) {
                list(&children, &mut child);
            }
        }
    }
}

/// Reads from the start whatever was read before.
fn list(children: &File, child: &mut impl FnMut(i32)) {
    let mut text = Vec::new();
    let mut part = [0; 1024];
    while let Ok(length @ 1..) = children.read_at(&mut part, text.len() as u64) {
        text.extend_from_slice(&part[..length]);
    }
    text.split(|&byte| byte == b' ').filter_map(|pid| std::str::from_utf8(pid).ok()?.parse().ok()).for_each(child);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "42 (a) b (c) S 7 42 42 34816 42 4194304 100 200 0 0 150 50 30 20 20 0 3 0 1234 1000000 256 1844";

    #[test]
    fn a_name_may_hold_parentheses_and_blanks() {
        let stat = Stat::parse(LINE.as_bytes()).expect("a line");
        let (ticks, page) = *UNITS;
        assert_eq!((stat.ended, stat.parent, stat.terminal, stat.threads), (false, 7, 34816, 3));
        assert!(Stat::parse(LINE.replace(") S ", ") Z ").as_bytes()).is_some_and(|stat| stat.ended));
        assert_eq!(stat.own, Duration::from_secs_f64(200.0 / ticks as f64));
        assert_eq!(stat.waited, Duration::from_secs_f64(50.0 / ticks as f64));
        assert_eq!(stat.resident, 256 * page);
    }

    #[test]
    fn a_line_that_ends_too_early_is_none() {
        let whole = LINE.rfind(' ').expect("blanks");
        assert!(Stat::parse(&LINE.as_bytes()[..whole]).is_some());
        let cut = LINE[..whole].rfind(' ').expect("blanks");
        assert_eq!(Stat::parse(&LINE.as_bytes()[..cut]), None);
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b"1 (x)"), None);
    }

    #[test]
    fn this_process_is_there_and_none_is_number_minus_one() {
        let stat = Stat::of(std::process::id().cast_signed()).expect("this process");
        assert!(stat.resident > 0 && stat.threads > 0, "{stat:?}");
        assert!(Stat::of(-1).is_err());
    }
}
