//! Threads, of which a user and a service's unit have a limited number.

use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The sentence about the limit.
const LIMIT: &str = "no further thread can be started: raise the limit of processes with `ulimit -u`, or TasksMax of the service's unit";

/// Yields until threads that have ended are no longer counted, at most.
const YIELDS: usize = 10_000;

/// Starts a thread, as [`std::thread::spawn`] does, which panics where the limit of threads is reached.
///
/// # Errors
///
/// The system's, and a sentence about the limit of threads.
pub fn start_thread<T, F>(name: &str, work: F) -> io::Result<JoinHandle<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(named)
}

/// Does something in a thread of its own, or here and now where none can be started.
pub fn run_beside(name: &str, work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    let same = work.clone();
    let run = move || {
        let work = same.lock().take();
        if let Some(work) = work {
            work();
        }
    };
    let started = start_thread(name, run);
    let refused = if started.is_err() { work.lock().take() } else { None };
    if let Some(work) = refused {
        work();
    }
}

/// Checks that so many threads can be started now.
///
/// # Errors
///
/// The system's, and a sentence about the limit of threads.
pub fn ensure_threads(count: usize) -> io::Result<()> {
    let before = running();
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock();
    let wait = || {
        let gate = gate.clone();
        start_thread("check", move || drop(gate.lock()))
    };
    let mut started = Vec::new();
    let checked = (0..count).try_for_each(|_| wait().map(|thread| started.push(thread)));
    drop(held);
    for thread in started {
        let _ = thread.join();
    }
    // The system counts a thread a moment longer than its end can be waited for.
    for _ in 0..YIELDS {
        if running() <= before {
            break;
        }
        thread::yield_now();
    }
    checked
}

/// The number of this process's threads; 0 where the system does not tell.
fn running() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Makes the runtime's threads for work that blocks stay: with one of them `spawn_blocking` never panics, and waits where no
/// further one can be started.
pub(crate) fn keep_idle(builder: &mut Builder) {
    builder.thread_keep_alive(Duration::MAX);
}

/// Starts so many threads for work that blocks, each while all others are busy.
pub(crate) fn start_idle(runtime: &Runtime, count: usize) {
    let gate = Arc::new(Mutex::new(()));
    let _held = gate.lock();
    for _ in 0..count {
        let gate = gate.clone();
        runtime.spawn_blocking(move || drop(gate.lock()));
    }
}

fn named(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, LIMIT),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_blocking_runtime;
    use std::sync::mpsc::channel;

    /// More address space than there is.
    const IMPOSSIBLE: usize = 1 << 50;

    #[test]
    fn a_thread_that_cannot_be_started_is_an_error_that_names_the_limit() {
        let error = thread::Builder::new().stack_size(IMPOSSIBLE).spawn(|| ()).map_err(named).expect_err("no room");
        assert!(error.to_string().contains("`ulimit -u`") && error.kind() == io::ErrorKind::WouldBlock, "{error:?}");
    }

    #[test]
    fn work_is_done_beside_the_caller() {
        let (sender, receiver) = channel();
        run_beside("test", move || _ = sender.send(thread::current().id()));
        assert_ne!(receiver.recv().expect("done"), thread::current().id());
    }

    #[test]
    fn threads_for_work_that_blocks_are_there_from_the_start_and_stay() {
        let ((started, starts), (stopped, stops)) = (channel(), channel());
        let mut builder = Builder::new_current_thread();
        builder.thread_keep_alive(Duration::ZERO);
        builder.on_thread_start(move || _ = started.send(())).on_thread_stop(move || _ = stopped.send(()));
        let runtime = build_blocking_runtime(&mut builder, 2).expect("a runtime");
        for _ in 0..2 {
            starts.recv_timeout(Duration::from_secs(20)).expect("a thread without any work");
        }
        for _ in 0..20 {
            runtime.block_on(runtime.spawn_blocking(|| ())).expect("done");
        }
        assert!(stops.try_recv().is_err());
    }
}
