use super::Mechanism;
use std::fmt;
use std::sync::Arc;

/// The authentication of a side. Both sides must have chosen the same mechanism, and for PLAIN one of
/// them must be the server; which of them bound and which connected does not matter. `Debug` does not print the password.
#[derive(Clone, Default)]
pub enum Security {
    /// It does not.
    #[default]
    Null,
    /// With a name and a password, which travel as plain text.
    PlainClient {
        /// At most 255 bytes.
        username: Vec<u8>,
        /// At most 255 bytes.
        password: Vec<u8>,
    },
    /// It checks the clients' names and passwords.
    PlainServer(Check),
}

/// Decides whether a name and a password are good.
#[derive(Clone)]
pub struct Check(Arc<CheckFn>);

type CheckFn = dyn Fn(&[u8], &[u8]) -> bool + Send + Sync;

impl Security {
    /// A PLAIN server: `check` is called with each client's name and password. It must not block. A panic of it refuses the
    /// client.
    pub fn plain_server(check: impl Fn(&[u8], &[u8]) -> bool + Send + Sync + 'static) -> Security {
        Security::PlainServer(Check(Arc::new(check)))
    }

    /// A PLAIN client.
    pub fn plain(username: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Security {
        Security::PlainClient { username: username.into(), password: password.into() }
    }

    /// Its mechanism.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Security::Null => Mechanism::Null,
            Security::PlainClient { .. } | Security::PlainServer(_) => Mechanism::Plain,
        }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self, Security::PlainServer(_))
    }
}

impl Check {
    pub(super) fn passes(&self, username: &[u8], password: &[u8]) -> bool {
        (self.0)(username, password)
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Security::Null => f.write_str("Null"),
            Security::PlainClient { username, .. } => {
                let username = username.escape_ascii();
                f.debug_struct("PlainClient").field("username", &format_args!("\"{username}\"")).finish_non_exhaustive()
            }
            Security::PlainServer(check) => f.debug_tuple("PlainServer").field(check).finish(),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}
