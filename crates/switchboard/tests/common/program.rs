use super::{PATIENCE, default_signals, poll};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// A process's output, line by line, read as it comes so that the process never waits for us.
pub(crate) struct Lines {
    coming: Receiver<String>,
    seen: RefCell<Vec<String>>,
}

impl Lines {
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Lines {
        let (sender, coming) = channel();
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.into_iter().try_for_each(|line| sender.send(line)));
        Lines { coming, seen: RefCell::default() }
    }

    /// `None` at the end.
    pub(crate) fn next(&self) -> Option<String> {
        match self.coming.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.borrow_mut().push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    /// The first line that has all these parts; it may have come long ago.
    pub(crate) fn find(&self, parts: &[&str]) -> String {
        let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
        if let Some(line) = self.seen.borrow().iter().find(|line| has_all(line)) {
            return line.clone();
        }
        loop {
            let line = self.next().unwrap_or_else(|| panic!("the lines ended without {parts:?}"));
            if has_all(&line) {
                return line;
            }
        }
    }

    /// All that was there, and what has come meanwhile.
    pub(crate) fn all(&self) -> Vec<String> {
        self.seen.borrow_mut().extend(self.coming.try_iter());
        self.seen.borrow().clone()
    }
}

/// A process whose standard output is read.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) lines: Lines,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Program> {
        default_signals();
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let lines = Lines::of(child.stdout.take().expect("a pipe"));
        Ok(Program { child, lines })
    }

    /// A process whose output goes elsewhere.
    pub(crate) fn of(child: Child) -> Program {
        Program { child, lines: Lines::of(std::io::empty()) }
    }

    pub(crate) fn python(interpreter: &str, script: &str, args: &[&str]) -> Result<Program, String> {
        let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        path.extend(["tests", "python", script]);
        // -B: no compiled files next to the sources.
        Program::start(Command::new(interpreter).arg("-B").arg(path).args(args).stdin(Stdio::piped())).map_err(
            |error| match error.kind() {
                ErrorKind::NotFound => format!("{interpreter} is missing; install it: apt-get install python3"),
                _ => format!("{interpreter}: {error}"),
            },
        )
    }

    pub(crate) fn line(&self) -> Option<String> {
        self.lines.next()
    }

    /// Skips to a line.
    pub(crate) fn until(&self, wanted: &str) -> &Program {
        while self.line().unwrap_or_else(|| panic!("the output ended without {wanted:?}")) != wanted {}
        self
    }

    /// Skips to a line that has this part.
    pub(crate) fn until_contains(&self, part: &str) {
        self.lines.find(&[part]);
    }

    /// Messages may be on their way already when the subscription is confirmed.
    fn line_of_a_message(&self) -> Option<String> {
        self.line().and_then(|line| if line == "Subscribed." { self.line() } else { Some(line) })
    }

    /// Returns the next `count` messages of a listener, as Python shows them.
    pub(crate) fn received(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| message(&self.line_of_a_message().expect("a message"))).collect()
    }

    /// The numbers of the next messages.
    pub(crate) fn numbers(&self, count: usize) -> Vec<usize> {
        self.received(count).iter().map(|data| number(data)).collect()
    }

    /// The numbers of all messages up to the end that the server makes, which is a clean one.
    pub(crate) fn numbers_to_the_end(&mut self) -> Vec<usize> {
        let mut numbers = Vec::new();
        loop {
            match self.line_of_a_message().as_deref() {
                Some("Server closed.") => break,
                Some(line) => numbers.push(number(&message(line))),
                None => panic!("the listener failed after {} messages", numbers.len()),
            }
        }
        assert_eq!(self.end().code(), Some(0));
        numbers
    }

    /// Lets a paused listener read.
    pub(crate) fn resume(&mut self) {
        self.child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("a listener that reads");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        poll("the process ends", || self.child.try_wait().expect("a process"))
    }
}

fn message(line: &str) -> String {
    let (who, data) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is not a message"));
    assert!(who.starts_with("Received by "), "{line}");
    data.to_owned()
}

/// Of `b'Msg 5 from ...'`.
fn number(data: &str) -> usize {
    let number = data.strip_prefix("b'Msg ").and_then(|rest| rest.split(' ').next()).and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{data} has no number"))
}
