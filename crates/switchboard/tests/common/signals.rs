use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

/// Gives the programs that a test starts the default actions of the signals that nohup and a shell's background
/// ignore.
///
/// A signal that is ignored stays so in a program that is executed; one that is caught gets its default back.
pub(crate) fn default_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGQUIT] {
            // Ctrl-C still ends the tests.
            signal_hook::flag::register_conditional_default(signal, Arc::new(AtomicBool::new(true))).expect("a signal");
        }
    });
}
