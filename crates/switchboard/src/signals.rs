//! Signals to a service.

use crate::output::note;
use anyhow::{Context, Result};
use std::fs::File;
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A second signal within this time is the same wish: `timeout` and terminals send two.
const SAME_WISH: Duration = Duration::from_secs(1);

/// The signals that a service acts on.
///
/// | signal | action |
/// |---|---|
/// | INT, TERM | stop in order; again after a second: at once |
/// | HUP with a controlling terminal | the window was closed: stop in order |
/// | HUP without one | read the settings again |
/// | HUP where it was ignored at the start (`nohup`) | none |
/// | USR1, USR2 | none |
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
    has_terminal: bool,
}

enum Wish {
    /// To end, because of the signal of this number.
    Stop(i32),
    Reload,
}

impl Signals {
    /// Watches for signals from now on.
    pub(crate) fn new() -> Result<Signals> {
        let on = |kind| signal(kind).context("cannot watch for signals");
        // Their default action is to end the process. A handler stays when its stream is dropped.
        let _ = on(SignalKind::user_defined1())?;
        let _ = on(SignalKind::user_defined2())?;
        let hang_up = if is_ignored(SignalKind::hangup()) { None } else { Some(on(SignalKind::hangup())?) };
        Ok(Signals {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up,
            // Opened now: when the window is closed there is none any more.
            has_terminal: File::open("/dev/tty").is_ok(),
        })
    }

    /// Returns at the first wish to stop, and says so; one that comes later ends the process there and then.
    pub(crate) async fn stop(mut self, stopping: &str, reload: impl Fn()) {
        loop {
            match self.next().await {
                Wish::Stop(_) => break,
                Wish::Reload => reload(),
            }
        }
        let first = Instant::now();
        note(format_args!("{stopping}"));
        tokio::spawn(async move {
            loop {
                if let Wish::Stop(number) = self.next().await
                    && first.elapsed() >= SAME_WISH
                {
                    // As a shell reports a process that the signal has killed.
                    std::process::exit(128 + number);
                }
            }
        });
    }

    async fn next(&mut self) -> Wish {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Stop(SignalKind::interrupt().as_raw_value()),
            _ = self.terminate.recv() => Wish::Stop(SignalKind::terminate().as_raw_value()),
            _ = hang_up => match self.has_terminal {
                true => Wish::Stop(SignalKind::hangup().as_raw_value()),
                false => Wish::Reload,
            },
        }
    }
}

/// Whether the process was started with this signal ignored; false where the system does not tell.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (kind.as_raw_value() - 1)) != 0
}
