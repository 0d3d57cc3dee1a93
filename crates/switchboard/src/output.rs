//! The standard output, whose reader may leave.

use crate::escape;
use crate::log;
use anyhow::{Context, Result};
use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::mpsc;
use std::time::Duration;
use switchboard_driver::run_beside;

/// Time that a reader has for a line that no log can take.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(1);

/// Nobody reads our output any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output was closed")
    }
}

impl std::error::Error for Closed {}

/// An error and its causes, each once: many a message names its cause already.
pub(crate) fn reasons(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

/// An error of usage: exit code 2, as clap's own errors have.
#[derive(Debug)]
pub(crate) struct UsageError(anyhow::Error);

impl UsageError {
    pub(crate) fn of(error: anyhow::Error) -> anyhow::Error {
        UsageError(error).into()
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With its causes: this is the last of them.
        f.write_str(&reasons(&self.0))
    }
}

impl std::error::Error for UsageError {}

/// Writes all of it, at once.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        // Its own type: a broken pipe of a socket is an error, this one is not.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        result => result.context("cannot write the output"),
    }
}

/// Writes JSON, and a line's end. What would steer a terminal is escaped in its texts.
pub(crate) fn write_json(json: impl fmt::Display) -> Result<()> {
    write(escape::json_line(json).as_bytes())
}

/// Writes one line about how it goes, for people. Nothing depends on whether somebody reads it: a service's
/// lines go the way of its log, and never block it.
pub(crate) fn note(line: fmt::Arguments<'_>) {
    // Not `eprintln!`, which panics when nobody reads the standard error.
    let _ = match log::writer() {
        Some(mut writer) => writer.write_all(log::line(&line.to_string()).as_bytes()),
        None => writeln!(std::io::stderr(), "{line}"),
    };
}

/// Writes a line to the standard error, and waits for its reader no longer than this.
pub(crate) fn note_within(time: Duration, line: String) {
    within(time, move || writeln!(std::io::stderr(), "{line}"));
}

/// Writes to the standard output what a service says of itself, and does not wait for a reader: a terminal
/// may be stopped.
pub(crate) fn banner(text: &str) {
    let text = text.to_owned();
    within(LAST_WORD, move || {
        let mut output = std::io::stdout().lock();
        output.write_all(text.as_bytes()).and_then(|()| output.flush())
    });
}

/// Does what may wait for a reader in a thread of its own, if there can be one, and goes on after this time.
pub(crate) fn within<T>(time: Duration, write: impl FnOnce() -> T + Send + 'static) {
    let (done, written) = mpsc::channel();
    run_beside("output", move || {
        let _ = write();
        let _ = done.send(());
    });
    let _ = written.recv_timeout(time);
}

/// A system's error inside a sentence: "Connection refused (os error 111)" as "connection refused".
pub(crate) fn plain(problem: &str) -> String {
    let words = match problem.rsplit_once(" (os error ") {
        Some((words, number)) if number.trim_end_matches(')').parse::<u32>().is_ok() => words,
        _ => problem,
    };
    let mut letters = words.chars();
    match (letters.next(), letters.clone().next()) {
        // An abbreviation stays as it is.
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(letters).collect(),
        _ => words.to_owned(),
    }
}

/// Returns the advice for a refused connection to a broker, and nothing for other errors.
pub(crate) fn refused(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => ": nobody listens there, so start the broker with `switchboard`",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot use the directory: {source}; name another")]
    struct Named {
        source: std::io::Error,
    }

    #[test]
    fn each_cause_is_said_once_whether_a_message_names_it_or_not() {
        let named = || Named { source: std::io::Error::other("no room") };
        let inner = "cannot use the directory: no room; name another";
        assert_eq!(reasons(&named().into()), inner);
        assert_eq!(reasons(&anyhow::Error::new(named()).context("cannot start")), format!("cannot start: {inner}"));
        assert_eq!(reasons(&anyhow::anyhow!("no room").context("cannot start")), "cannot start: no room");
        assert_eq!(reasons(&UsageError::of(named().into())), inner);
    }
}
