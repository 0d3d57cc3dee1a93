use crate::Error;
use nix::unistd::{Gid, Uid};

/// A user that a command runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its primary group's number.
    pub gid: u32,
}

impl User {
    /// Looks a user up by name.
    ///
    /// # Errors
    /// If this machine has none of this name.
    pub fn named(name: &str) -> Result<User, Error> {
        match nix::unistd::User::from_name(name) {
            Ok(Some(user)) => Ok(User { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
            _ => Err(Error::NoUser { name: name.to_owned() }),
        }
    }

    /// The user that this process runs as.
    #[must_use]
    pub fn current() -> User {
        User { uid: Uid::effective().as_raw(), gid: Gid::effective().as_raw() }
    }

    /// Whether this process runs as root, and can start commands as other users.
    #[must_use]
    pub fn is_root() -> bool {
        Uid::effective().is_root()
    }
}
