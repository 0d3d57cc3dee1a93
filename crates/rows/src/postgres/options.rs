use super::failed;
use crate::Error;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use switchboard_child::User;

/// Bytes of the longest path of a socket.
const SOCKET: usize = 107;
const OTHERS_WRITE: u32 = 0o022;

/// Options of a [`PrivatePostgres`](super::PrivatePostgres).
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The directory of the rows; for root: one that other users can reach. `None`: beside the socket, and gone
    /// with it, whatever ends this program.
    pub data: Option<PathBuf>,
    /// The directory of `postgres` and `initdb`; found unless given.
    pub binaries: Option<PathBuf>,
    /// Settings, as `name=value`.
    pub settings: Vec<String>,
    /// The directory for private directories; short, for a socket's path ends at 107 bytes.
    pub sockets: PathBuf,
}

impl PostgresOptions {
    /// The usual ones, with the rows in `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> PostgresOptions {
        let sockets = if User::is_root() { PathBuf::from("/run/switchboard-rows") } else { own_temporary() };
        PostgresOptions { data: Some(data.into()), binaries: None, settings: Vec::new(), sockets }
    }

    /// For an experiment: nothing is kept, and nothing has to survive the machine.
    #[must_use]
    pub fn temporary() -> PostgresOptions {
        // A directory for data, where /run may be memory. Root's can be reached by PostgreSQL's user, which
        // `/var/lib/switchboard` cannot where systemd runs the program.
        let root = || PathBuf::from("/var/lib/switchboard-root/temporary");
        let sockets = if User::is_root() { root() } else { own_temporary() };
        let settings = vec!["fsync=off".to_owned()];
        PostgresOptions { data: None, binaries: None, settings, sockets }
    }
}

fn own_temporary() -> PathBuf {
    std::env::temp_dir().join(format!("switchboard-rows-{}", User::current().uid))
}

/// Makes the directory for private directories, and refuses one that somebody else made: others can write to `/tmp`.
pub(super) fn make_base(base: &Path) -> Result<(), Error> {
    let wrong = |reason: String| failed(&format!("cannot use {}: {reason}", base.display()));
    DirBuilder::new().recursive(true).mode(0o711).create(base).map_err(|error| wrong(error.to_string()))?;
    let found = base.symlink_metadata().map_err(|error| wrong(error.to_string()))?;
    if !found.is_dir() || found.uid() != User::current().uid || found.mode() & OTHERS_WRITE != 0 {
        return Err(wrong("it is not this user's alone; remove it, or set TMPDIR to another directory".to_owned()));
    }
    Ok(())
}

/// Refuses a directory whose name is too long for a socket in it.
pub(super) fn check_length(directory: &Path) -> Result<(), Error> {
    let bytes = directory.as_os_str().len() + "/.s.PGSQL.5432".len();
    if bytes > SOCKET {
        let reason = format!(
            "the path of its socket in {} has {bytes} bytes, {SOCKET} are possible; set TMPDIR to a shorter one",
            directory.display()
        );
        return Err(failed(&reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_directory_that_others_can_prepare_is_refused() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("s");
        make_base(&path).expect("made");
        make_base(&path).expect("it is there");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).expect("permissions");
        assert!(make_base(&path).expect_err("open to all").to_string().contains("TMPDIR"));
        let link = base.path().join("link");
        symlink(base.path(), &link).expect("a link");
        make_base(&link).expect_err("a link");
        fs::write(base.path().join("file"), "").expect("written");
        make_base(&base.path().join("file")).expect_err("a file");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let rest = "/.s.PGSQL.5432".len();
        let path = |bytes: usize| PathBuf::from("x".repeat(bytes - rest));
        check_length(&path(SOCKET)).expect("it fits");
        check_length(&path(SOCKET + 1)).expect_err("a byte too long");
    }
}
