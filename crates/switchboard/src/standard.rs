//! Standard descriptors that the caller has closed.
//!
//! The standard library opens `/dev/null` in their place before `main`. Then a write succeeds, and `listen` would ack messages that
//! nobody gets. Later the two cannot be told apart: other programs open `/dev/null` in the same way on purpose.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A bit for each of the three.
static CLOSED: AtomicU8 = AtomicU8::new(0);

const INPUT: u8 = 0;
const OUTPUT: u8 = 1;

/// Refuses to read a standard input that is closed.
pub(crate) fn input() -> Result<()> {
    if is_closed(INPUT) {
        bail!("the standard input is closed: there is nothing to read");
    }
    Ok(())
}

/// Refuses to print to a standard output that is closed.
pub(crate) fn output() -> Result<()> {
    if is_closed(OUTPUT) {
        bail!("the standard output is closed: there is nowhere to print to");
    }
    Ok(())
}

fn is_closed(descriptor: u8) -> bool {
    CLOSED.load(Relaxed) & 1 << descriptor != 0
}

#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "only what runs before the standard library's start can see it; tests/standard.rs would catch a mistake"
)]
mod before_main {
    use super::{CLOSED, INPUT, OUTPUT, Relaxed};

    // SAFETY: the loader calls every function of this section before `main`. This one needs nothing of the standard library.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        for descriptor in INPUT..=OUTPUT {
            // SAFETY: it asks for a flag, and any number may be asked for.
            if unsafe { libc::fcntl(descriptor.into(), libc::F_GETFD) } == -1 {
                CLOSED.fetch_or(1 << descriptor, Relaxed);
            }
        }
    }
}
