use std::io;
use std::path::PathBuf;

/// A command could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The private directory cannot be made.
    #[error("cannot make a private directory in {}: {source}", base.display())]
    Directory {
        /// The directory that it was to be made in.
        base: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// This program cannot be started once more.
    #[error("cannot start the guardian: {source}")]
    Guardian {
        /// Why not.
        source: io::Error,
    },
    /// The command cannot be started.
    #[error("cannot start {program}: {reason}")]
    Command {
        /// Its name.
        program: String,
        /// Why not.
        reason: String,
    },
    /// There is no such user.
    #[error("this machine has no user {name}")]
    NoUser {
        /// The name.
        name: String,
    },
}
