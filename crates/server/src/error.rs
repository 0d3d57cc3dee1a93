use std::io;

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", self.advice())]
pub struct BindError {
    address: String,
    source: io::Error,
}

impl BindError {
    pub(crate) fn new(address: &str, source: io::Error) -> BindError {
        BindError { address: address.into(), source }
    }

    /// The address, as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn advice(&self) -> String {
        let source = &self.source;
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there: stop it, or choose another port with --listen HOST:PORT".into()
            }
            io::ErrorKind::PermissionDenied => {
                format!("{source}: choose a port from 1024 on with --listen HOST:PORT")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine has no such address ({source}): choose one of its own with --listen HOST:PORT")
            }
            io::ErrorKind::InvalidInput => format!("{source}: write it as HOST:PORT"),
            _ => source.to_string(),
        }
    }
}
