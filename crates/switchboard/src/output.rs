//! The standard output, whose reader may leave.

use anyhow::{Context, Result};
use std::fmt;
use std::io::{ErrorKind, Write};

/// Nobody reads our output any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output was closed")
    }
}

impl std::error::Error for Closed {}

/// Writes all of it, at once.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        // Its own type: a broken pipe of a socket is an error, this one is not.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        result => result.context("cannot write the output"),
    }
}

/// One line about how it goes, for people; nothing depends on whether somebody reads it.
pub(crate) fn note(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What to do when nobody listens where a broker should be; nothing about other errors.
pub(crate) fn refused(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => ": nobody listens there, so start the broker with `switchboard`",
        _ => "",
    }
}
