//! Open files, of which a process has a limited number.

use crate::threads::{ensure_threads, keep_idle, start_idle};
use std::io;
use tokio::runtime::{Builder, Runtime};

/// Descriptors that tokio opens for a runtime: a poll and its copy, a wake-up, a pair of sockets for signals and a copy.
const RUNTIME: usize = 6;
const PIPE: usize = 2;

/// Builds a runtime with I/O and time enabled.
///
/// # Errors
///
/// The system's, and a sentence about the limit of open files: tokio's own `build` panics in places where that is reached.
pub fn build_runtime(builder: &mut Builder) -> io::Result<Runtime> {
    ensure_files(RUNTIME)?;
    builder.enable_all().build()
}

/// As [`build_runtime`], with `count` threads at least for work that blocks: as long as the runtime lives, `spawn_blocking`
/// waits for one of them where the limit of threads is reached. It panics there in other runtimes.
///
/// # Errors
///
/// As [`build_runtime`], and a sentence about the limit of threads. The caller has checked that a runtime's own threads can be
/// started ([`ensure_threads`]).
pub fn build_blocking_runtime(builder: &mut Builder, count: usize) -> io::Result<Runtime> {
    ensure_threads(count)?;
    keep_idle(builder);
    let runtime = build_runtime(builder)?;
    start_idle(&runtime, count);
    Ok(runtime)
}

/// Checks that so many files, rounded up to an even number, can be opened now.
///
/// # Errors
///
/// The system's, with a remedy if the process has reached its limit of open files.
pub fn ensure_files(count: usize) -> io::Result<()> {
    let pipes = (0..count.div_ceil(PIPE)).map(|_| io::pipe());
    let opened = pipes.collect::<io::Result<Vec<_>>>();
    opened.map(drop).map_err(|error| match error.raw_os_error() {
        Some(libc::EMFILE) => io::Error::other("the limit of open files is too low: raise it with `ulimit -n`"),
        _ => error,
    })
}
