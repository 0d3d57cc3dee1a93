//! The wish of a user to end a client.

use anyhow::{Context, Result};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM. The first ends a command in good order, the second one at once.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    pub(crate) fn new() -> Result<Stop> {
        let on = |kind| signal(kind).context("cannot watch for signals");
        Ok(Stop { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    /// The exit code that a shell reports for a process that the signal has killed.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }

    /// Completes `work`, unless a signal ends the process meanwhile.
    pub(crate) async fn unless_again<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            code = self.next() => std::process::exit(code.into()),
        }
    }
}

/// How a command has ended that nothing went wrong with.
pub(crate) fn exit_code(signal: Option<u8>) -> ExitCode {
    signal.map_or(ExitCode::SUCCESS, ExitCode::from)
}
