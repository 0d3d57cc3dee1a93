//! The wish of a user to end a client.

use anyhow::{Context, Result};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// The exit code of a command whose time is over: mosquitto_sub's.
const TIME_OVER: u8 = 27;

/// SIGINT and SIGTERM. The first ends a command in good order, the second one at once.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Then the command ends in good order, too.
    deadline: Option<Instant>,
}

impl Stop {
    pub(crate) fn new() -> Result<Stop> {
        let on = |kind| signal(kind).context("cannot watch for signals");
        Ok(Stop { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())?, deadline: None })
    }

    /// The same, and the end of this time.
    pub(crate) fn after(self, time: Option<Duration>) -> Stop {
        Stop { deadline: time.and_then(|time| Instant::now().checked_add(time)), ..self }
    }

    /// The exit code that a shell reports for a process that the signal has killed; 27 once the time is over, which it is once.
    pub(crate) async fn next(&mut self) -> u8 {
        let deadline = self.deadline;
        tokio::select! {
            code = self.signal() => code,
            () = until(deadline) => {
                self.deadline = None;
                TIME_OVER
            }
        }
    }

    async fn signal(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }

    /// Completes `work`, unless a signal ends the process meanwhile.
    pub(crate) async fn unless_again<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            code = self.signal() => std::process::exit(code.into()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Returns the exit code of a command that has not failed.
pub(crate) fn exit_code(signal: Option<u8>) -> ExitCode {
    signal.map_or(ExitCode::SUCCESS, ExitCode::from)
}
