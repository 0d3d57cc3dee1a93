//! Child processes that never outlive their parent, whatever ends it.
//!
//! ```no_run
//! # fn main() -> Result<(), switchboard_child::Error> {
//! // First in `main`: the guardian is this program, started once more.
//! switchboard_child::init();
//! use switchboard_child::{Launch, User, sweep};
//! let base = std::path::Path::new("/var/lib/example/children");
//! sweep(base);
//! let launch = Launch::new(base, User::current())?;
//! let profile = format!("--user-data-dir={}", launch.directory().display());
//! let child = launch.spawn("chromium", ["--headless", &profile])?;
//! println!("process {} in {}", child.id(), child.directory().display());
//! child.stop(15);
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! [`Launch::spawn`] starts a guardian: this program once more, with a socket to us. The guardian starts the
//! command in a process group and a private directory of its own. When the socket closes (because we ended,
//! were killed, or dropped the [`Child`]), the guardian ends the group, then every other descendant, removes the
//! directory, and exits.
//!
//! | what ends | what follows |
//! |---|---|
//! | we, by SIGKILL too | the socket closes: the guardian cleans up within [`GRACE`] and a second |
//! | the command | the guardian ends what it left behind, removes the directory, and says how the command ended |
//! | the guardian | the kernel kills the command (parent-death signal); we end its group and what carries its mark, and remove the directory |
//! | we and the guardian at once | the kernel kills the command; [`sweep`] does the rest at the next start |
//!
//! A descendant that leaves the process group (a daemon) stays a descendant of the guardian, which is a child
//! subreaper. Linux only: other systems have no subreaper and no `/proc`.

mod error;
mod guardian;
mod launch;
mod process;
mod stage;
mod user;
mod workplace;

mod child;

pub use child::{Child, Exit};
pub use error::Error;
pub use launch::Launch;
pub use user::User;
pub use workplace::sweep;

use std::time::Duration;

/// Time that a command has to end after it was asked to; then it is killed.
pub const GRACE: Duration = Duration::from_secs(3);

/// First argument of this program as a guardian, and as the stage before a command.
const GUARDIAN: &str = "--switchboard-guardian";
const STAGE: &str = "--switchboard-stage";

/// Environment variable that every descendant inherits; its value names the private directory.
const MARK: &str = "SWITCHBOARD_CHILD";

/// Does a guardian's work if this process is one, and then ends it. Call it first in `main`, before any thread
/// is started.
pub fn init() {
    let mut arguments = std::env::args_os().skip(1);
    let Some(first) = arguments.next() else { return };
    if first == GUARDIAN {
        guardian::run(arguments);
    } else if first == STAGE {
        stage::run(arguments);
    }
}
