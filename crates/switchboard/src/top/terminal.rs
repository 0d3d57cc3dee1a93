//! The terminal, taken and given back: what ends or stops the program leaves it as it was, except for the signals that no
//! thread can serve, and SIGTTIN and SIGTTOU: who is in the background must not touch the terminal.
//!
//! Signals have a thread of their own, so that they are served while a drawing waits for a terminal that does not read.

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use signal_hook::consts::signal::{
    SIGABRT, SIGALRM, SIGBUS, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io::stdout;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest delay of the end by a drawing in progress.
const DRAWING: Duration = Duration::from_secs(1);
/// They end a process that has made no provision. Real-time signals do, too. SIGFPE, SIGILL and SIGSEGV cannot be caught safely.
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

    fn give_back(&self) {
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

/// The terminal while it is this program's.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    shared: Arc<Shared>,
}

impl Screen {
    /// Takes it. `resumed` is called when the program goes on after a stop, and everything is to be drawn anew.
    pub(super) fn take(resumed: impl Fn() + Send + 'static) -> Result<Screen> {
        let shared = Arc::new(Shared::default());
        let signals = Signals::new(ENDING.into_iter().chain(REAL_TIME).chain([SIGTSTP, SIGCONT]));
        let mut signals = signals.context("cannot listen for signals")?;
        let terminal = ratatui::try_init().context("cannot take the terminal")?;
        shared.lock().taken = true;
        let serving = shared.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGCONT => {
                        serving.take();
                        resumed();
                    }
                    signal => {
                        serving.give_back();
                        // Ends or stops the program as without us; a real-time signal has no name there.
                        if emulate_default_handler(signal).is_err() {
                            std::process::exit(128 + signal);
                        }
                    }
                }
            }
        });
        Ok(Screen { terminal, shared })
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
