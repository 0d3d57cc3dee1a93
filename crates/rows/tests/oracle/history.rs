//! The history of operations, and the check of every read.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The content of a row: a number that no other write has, or `None` for an absent row.
pub(crate) type Version = Option<u64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Cached,
    Strong,
    After,
}

/// A version of one key, in the order in which the key's only writer made them.
#[derive(Clone, Copy, Debug)]
struct Write {
    version: Version,
    called: Instant,
    /// When it was acknowledged; `None`: never.
    returned: Option<Instant>,
    /// The instance that it went through.
    through: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    version: Version,
    mode: Mode,
    instance: usize,
    called: Instant,
    returned: Instant,
    /// The read had a token of every write that was acknowledged when it was called.
    has_token: bool,
}

/// Logged operations of all keys.
#[derive(Default)]
pub(crate) struct History(Mutex<Log>);

#[derive(Default)]
struct Log {
    writes: HashMap<i64, Vec<Write>>,
    reads: HashMap<i64, Vec<Seen>>,
    operations: u64,
}

impl History {
    /// A write is about to be sent. Returns what [`History::acknowledge`] takes.
    pub(crate) fn begin(&self, key: i64, version: Version, through: Option<usize>) -> usize {
        let mut log = self.0.lock().expect("no panic");
        log.operations += 1;
        let writes = log.writes.entry(key).or_default();
        writes.push(Write { version, called: Instant::now(), returned: None, through });
        writes.len() - 1
    }

    pub(crate) fn acknowledge(&self, key: i64, write: usize) {
        let now = Instant::now();
        self.0.lock().expect("no panic").writes.get_mut(&key).expect("begun")[write].returned = Some(now);
    }

    pub(crate) fn read(
        &self,
        key: i64,
        version: Version,
        mode: Mode,
        instance: usize,
        called: Instant,
        has_token: bool,
    ) {
        let seen = Seen { version, mode, instance, called, returned: Instant::now(), has_token };
        let mut log = self.0.lock().expect("no panic");
        log.operations += 1;
        log.reads.entry(key).or_default().push(seen);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().expect("no panic").operations
    }

    pub(crate) fn keys(&self) -> Vec<i64> {
        self.0.lock().expect("no panic").writes.keys().copied().collect()
    }

    /// Checks every read, and returns the first that is wrong. What was checked is dropped.
    pub(crate) fn check(&self, bound: Duration) -> Result<(), String> {
        let mut log = self.0.lock().expect("no panic");
        let reads = std::mem::take(&mut log.reads);
        for (key, reads) in reads {
            let none = Vec::new();
            let writes = log.writes.get(&key).unwrap_or(&none);
            for seen in reads {
                check_read(writes, &seen, bound).map_err(|why| format!("key {key}: {why}: {seen:?}"))?;
            }
        }
        Ok(())
    }
}

fn check_read(writes: &[Write], seen: &Seen, bound: Duration) -> Result<(), String> {
    // The newest write that the read must have seen, or a later one.
    let must = writes.iter().rposition(|write| {
        let Some(returned) = write.returned else { return false };
        let since = seen.called.saturating_duration_since(returned);
        let strong = seen.mode == Mode::Strong || seen.has_token || write.through == Some(seen.instance);
        // An acknowledgement in the same instant is before it.
        returned <= seen.called && (strong || since > bound)
    });
    let allowed = must.map_or(0, |at| at + 1);
    // A key that nobody has written is absent.
    let from_start = must.is_none() && seen.version.is_none();
    let exact = must.is_some_and(|at| writes[at].version == seen.version);
    let later = writes[allowed..].iter().any(|write| write.version == seen.version && write.called <= seen.returned);
    // The outcome of a write that was never acknowledged may show at any time.
    let unknown =
        |write: &Write| write.returned.is_none() && write.version == seen.version && write.called <= seen.returned;
    if from_start || exact || later || writes.iter().any(unknown) {
        return Ok(());
    }
    let known = writes.iter().position(|write| write.version == seen.version);
    Err(match (known, must) {
        (None, _) => "a version that was never written".to_owned(),
        (Some(at), Some(must)) if at < must => {
            let next = writes[at + 1]
                .returned
                .map_or_else(Duration::default, |time| seen.called.saturating_duration_since(time));
            format!("stale by {} writes, the first acknowledged {next:?} before the call", must - at)
        }
        (Some(_), _) => "a version before it was written".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(100);

    fn history() -> (Vec<Write>, Instant) {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let write = |version, called, returned, through| Write {
            version,
            called: at(called),
            returned: Some(at(returned)),
            through,
        };
        (vec![write(Some(1), 0, 10, None), write(None, 20, 30, Some(7)), write(Some(3), 40, 50, None)], begin)
    }

    #[track_caller]
    fn check(version: Version, mode: Mode, instance: usize, called: u64, returned: u64, right: bool) {
        let (writes, begin) = history();
        let at = |millis| begin + Duration::from_millis(millis);
        let seen = Seen { version, mode, instance, called: at(called), returned: at(returned), has_token: false };
        assert_eq!(check_read(&writes, &seen, BOUND).is_ok(), right, "{seen:?}");
    }

    #[test]
    fn a_strong_read_sees_what_was_acknowledged_before_its_call() {
        check(Some(1), Mode::Strong, 0, 15, 16, true);
        check(None, Mode::Strong, 0, 15, 16, false);
        check(None, Mode::Strong, 0, 15, 21, true);
        check(Some(1), Mode::Strong, 0, 29, 60, true);
        check(Some(1), Mode::Strong, 0, 31, 60, false);
        check(Some(3), Mode::Strong, 0, 31, 39, false);
    }

    #[test]
    fn a_cached_read_is_stale_by_the_bound_at_most() {
        check(Some(1), Mode::Cached, 0, 129, 140, true);
        check(Some(1), Mode::Cached, 0, 131, 140, false);
        check(None, Mode::Cached, 0, 149, 150, true);
        check(None, Mode::Cached, 0, 151, 152, false);
    }

    #[test]
    fn a_read_sees_its_own_instances_writes() {
        check(Some(1), Mode::Cached, 7, 31, 32, false);
        check(None, Mode::Cached, 7, 31, 32, true);
        check(None, Mode::Cached, 7, 60, 61, true);
    }

    #[test]
    fn a_version_that_was_never_written_is_wrong() {
        check(Some(2), Mode::Cached, 0, 60, 61, false);
    }
}
