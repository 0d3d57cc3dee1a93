//! The moment between the guardian's fork and the command: what only the process itself can set.

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Exit code when the command cannot be executed, as shells have it.
const CANNOT_EXECUTE: i32 = 127;

/// Arguments: the guardian's number, the command, its arguments.
pub(crate) fn run(mut arguments: impl Iterator<Item = OsString>) -> ! {
    let guardian = arguments.next().and_then(|number| number.to_str()?.parse::<i32>().ok());
    let Some(program) = arguments.next() else { std::process::exit(CANNOT_EXECUTE) };
    // After the change of the user, which would reset it; before the check, so that no death is missed.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != guardian {
        std::process::exit(CANNOT_EXECUTE);
    }
    end_inherited_deafness();
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("cannot execute {}: {error}", program.display());
    std::process::exit(CANNOT_EXECUTE);
}

/// Gives the command the default actions of the signals that nohup and a shell's background ignore.
///
/// A signal that is ignored stays so in the program that is executed; one that is caught gets its default back.
fn end_inherited_deafness() {
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
}
