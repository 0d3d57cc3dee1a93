//! Signals to a service.

use crate::output::note;
use anyhow::{Context, Result};
use libc::SIGXFSZ;
use std::fs::File;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
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
    pub(crate) async fn stop(mut self, stopping: &str, reload: impl AsyncFn()) {
        until_stop(async || self.next().await, reload).await;
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

/// Reloads at each wish, until the wish to stop. A stop waits for no reload: the file may lie on a disk that does not answer. Wishes
/// that come during a reload are one more reload.
async fn until_stop(mut next: impl AsyncFnMut() -> Wish, reload: impl AsyncFn()) {
    let mut is_wanted = false;
    loop {
        if !std::mem::take(&mut is_wanted) && matches!(next().await, Wish::Stop(_)) {
            return;
        }
        let mut reloading = pin!(reload());
        loop {
            tokio::select! {
                biased;
                wish = next() => match wish {
                    Wish::Stop(_) => return,
                    Wish::Reload => is_wanted = true,
                },
                () = &mut reloading => break,
            }
        }
    }
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`, `LimitFSIZE`) fail as one to a full disk does. By default
/// SIGXFSZ ends the process. The signal is caught, not ignored: commands that are started have its default again.
///
/// # Errors
///
/// The system's.
pub(crate) fn survive_large_files() -> std::io::Result<()> {
    if !is_ignored(SignalKind::from_raw(SIGXFSZ)) {
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Whether the process was started with this signal ignored; false where the system does not tell.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (kind.as_raw_value() - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn a_stop_waits_for_no_reload_that_takes_long() {
        let (sender, mut wishes) = unbounded_channel();
        sender.send(Wish::Reload).expect("a receiver");
        let reload = async || {
            sender.send(Wish::Stop(15)).expect("a receiver");
            pending::<()>().await;
        };
        until_stop(async || wishes.recv().await.expect("a sender"), reload).await;
    }

    #[tokio::test]
    async fn wishes_to_reload_that_come_during_a_reload_are_one_more() {
        let (sender, mut wishes) = unbounded_channel();
        let reloads = Cell::new(0);
        sender.send(Wish::Reload).expect("a receiver");
        let reload = async || {
            reloads.set(reloads.get() + 1);
            if reloads.get() == 1 {
                (0..3).for_each(|_| sender.send(Wish::Reload).expect("a receiver"));
                // The wishes are taken meanwhile.
                tokio::task::yield_now().await;
            } else {
                sender.send(Wish::Stop(15)).expect("a receiver");
                pending::<()>().await;
            }
        };
        until_stop(async || wishes.recv().await.expect("a sender"), reload).await;
        assert_eq!(reloads.get(), 2);
    }
}
