//! The terminal, taken and given back: what ends or stops the program leaves it as it was, except for SIGKILL and SIGSTOP, which
//! nobody can catch. In the background the terminal belongs to others, and is not touched.
//!
//! Signals have a thread of their own, so that they are served while a drawing waits for a terminal that does not read.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use signal_hook::consts::signal::{
    SIGABRT, SIGALRM, SIGBUS, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP,
    SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io::stdout;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use switchboard_driver::start_thread;

/// Longest delay of the end by a drawing in progress.
const DRAWING: Duration = Duration::from_secs(1);
/// They end a process that has made no provision. Real-time signals do, too.
const ENDING: [i32; 18] = [
    SIGABRT,
    SIGBUS,
    SIGTRAP,
    libc::SIGSTKFLT,
    SIGALRM,
    SIGHUP,
    SIGINT,
    SIGIO,
    SIGPROF,
    libc::SIGPWR,
    SIGQUIT,
    SIGSYS,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
    SIGVTALRM,
    SIGXCPU,
    SIGXFSZ,
];
/// They end it as well, and must not be caught: a fault would come again and again. Sent by others they can be waited for, and a fault
/// of the process's own ends it although they are blocked.
const FAULTS: [Signal; 3] = [Signal::SIGFPE, Signal::SIGILL, Signal::SIGSEGV];
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

#[derive(Debug, Default)]
struct State {
    /// Raw mode and the other screen are in force.
    taken: bool,
    drawing: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) {
        self.lock().taken = true;
        // A shell may have changed the mode meanwhile.
        let _ = disable_raw_mode();
        let _ = enable_raw_mode();
        let _ = execute!(stdout(), EnterAlternateScreen);
    }

    fn serve(&self, signal: i32, resumed: &impl Fn()) {
        match signal {
            // It stops until it is in the foreground again.
            SIGCONT if is_in_background() => _ = emulate_default_handler(SIGTTOU),
            SIGCONT => {
                self.take();
                resumed();
            }
            signal => {
                self.give_back();
                // Ends or stops the program as without us; a real-time signal has no name there, and SIGIO no effect.
                let _ = emulate_default_handler(signal);
                if !matches!(signal, SIGTSTP | SIGTTIN | SIGTTOU) {
                    std::process::exit(128 + signal);
                }
            }
        }
    }

    fn give_back(&self) {
        // There it is not taken, and a change of the mode would not return.
        if is_in_background() {
            return;
        }
        // First, for it never waits: the mode is what hurts most.
        let _ = disable_raw_mode();
        let state = self.lock();
        let drawing = |state: &mut State| state.drawing;
        let waited = self.changed.wait_timeout_while(state, DRAWING, drawing);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.taken) && !waited.timed_out() {
            let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        }
    }
}

/// Leaves faults to a thread that waits for them; to be called while there is no other thread.
pub(super) fn block_faults() -> Result<()> {
    faults().thread_block().context("cannot block signals")
}

fn faults() -> SigSet {
    FAULTS.into_iter().collect()
}

/// Returns true for a signal that the kernel sends to those in the background that touch the terminal.
fn is_of_background(signal: i32) -> bool {
    matches!(signal, SIGTTIN | SIGTTOU)
}

/// Returns true if the terminal is another process group's. Without a terminal of the session nobody is in the background.
fn is_in_background() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|group| group != rustix::process::getpgrp())
}

/// The terminal while it is this program's.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    shared: Arc<Shared>,
}

impl Screen {
    /// Takes it. `resumed` is called when the program goes on after a stop, and everything is to be drawn anew.
    pub(super) fn take(resumed: impl Fn() + Send + 'static) -> Result<Screen> {
        let shared = Arc::new(Shared::default());
        let signals = Signals::new(ENDING.into_iter().chain(REAL_TIME).chain([SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT]));
        let mut signals = signals.context("cannot listen for signals")?;
        let terminal = ratatui::try_init().context("cannot take the terminal")?;
        shared.lock().taken = true;
        // From here on its end gives the terminal back.
        let screen = Screen { terminal, shared: shared.clone() };
        let serving = shared.clone();
        start_thread("signals", move || {
            loop {
                let batch: Vec<i32> = signals.wait().collect();
                // The stop from which the program went on is over.
                let goes_on = batch.contains(&SIGCONT);
                batch.into_iter().filter(|signal| !(goes_on && is_of_background(*signal))).for_each(|signal| {
                    serving.serve(signal, &resumed);
                });
            }
        })?;
        start_thread("faults", move || {
            let faults = faults();
            if let Ok(signal) = faults.wait() {
                shared.give_back();
                let _ = faults.thread_unblock();
                let _ = emulate_default_handler(signal as i32);
            }
        })?;
        Ok(screen)
    }

    /// Draws, unless the terminal is somebody else's for now.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> Result<()> {
        {
            let mut state = self.shared.lock();
            if !state.taken {
                return Ok(());
            }
            state.drawing = true;
        }
        let drawn = self.terminal.draw(draw).map(drop).context("cannot draw");
        self.shared.lock().drawing = false;
        self.shared.changed.notify_all();
        drawn
    }

    /// Forgets what the terminal shows. Not by `Terminal::clear`: it asks the terminal for its cursor, and the answer
    /// goes to the thread that reads the keys.
    pub(super) fn clear(&mut self) -> Result<()> {
        let size = self.terminal.size().context("cannot ask the terminal for its size")?;
        self.terminal.resize(size.into()).context("cannot draw")
    }

    /// Stops the program as Ctrl-Z does where the mode is not raw.
    pub(super) fn stop() {
        let _ = signal_hook::low_level::raise(SIGTSTP);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.give_back();
    }
}
