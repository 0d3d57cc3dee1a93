//! Programs in Python that speak the native protocol, as their authors know it from its description:
//! asyncio streams, the standard library, and nothing of ours.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long something may take that will happen. Nothing is ever waited for as long as this.
const PATIENCE: Duration = Duration::from_secs(25);

/// A process whose lines are read as they come, and that does not outlive its test.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(command: &mut Command) -> std::io::Result<Program> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Program { child, lines })
    }

    fn python(interpreter: &str, script: &str, args: &[&str]) -> Result<Program, String> {
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

    fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    /// Skips to a line.
    fn until(&self, wanted: &str) -> &Program {
        while self.line().unwrap_or_else(|| panic!("the output ended without {wanted:?}")) != wanted {}
        self
    }

    /// What the listener has received, as Python shows it: the next `count` messages.
    fn received(&self, count: usize) -> Vec<String> {
        let message = |_| {
            let line = self.line().expect("a message");
            let (_, data) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is not a message"));
            assert!(line.starts_with("Received by "), "{line}");
            data.to_owned()
        };
        (0..count).map(message).collect()
    }

    /// The numbers of the next messages.
    fn numbers(&self, count: usize) -> Vec<usize> {
        self.received(count).iter().map(|data| number(data)).collect()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    fn code(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "no end within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Of `b'Msg 5 from ...'`.
fn number(data: &str) -> usize {
    let number = data.strip_prefix("b'Msg ").and_then(|rest| rest.split(' ').next()).and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{data} has no number"))
}

struct Broker {
    program: Program,
    port: String,
    _directory: tempfile::TempDir,
}

impl Broker {
    fn start(args: &[&str]) -> Broker {
        let directory = tempfile::tempdir().expect("a directory");
        let ready = directory.path().join("ready.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        command.args(["broker", "--listen", "127.0.0.1:0", "--http", "", "--log", "warn", "--ready-file"]);
        let mut program = Program::start(command.arg(&ready).args(args)).expect("the broker starts");
        let port = port(&ready, &mut program.child);
        Broker { program, port, _directory: directory }
    }

    fn python(&self, script: &str, args: &[&str]) -> Program {
        let args = [&["--host", "127.0.0.1", "--port", &self.port], args].concat();
        Program::python("python3", script, &args).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A listener whose subscription is in force.
    fn listen(&self, channel: &str) -> Program {
        let listener = self.python("listener.py", &["--listen", channel]);
        listener.until("Subscribed.");
        listener
    }

    /// Returns when the server has dealt with all messages.
    fn send(&self, channel: &str, count: usize) {
        let count = count.to_string();
        let mut sender = self.python("sender.py", &["--channel", channel, "--interval", "0", "--count", &count]);
        sender.until("Connection ended.");
        assert_eq!(sender.code(), Some(0));
    }

    /// Ctrl-C: these listeners have got everything, so that all that they see is the end.
    fn stop(mut self, listeners: Vec<Program>) {
        self.program.signal("-INT");
        for mut listener in listeners {
            assert_eq!(listener.line().as_deref(), Some("Server closed."));
            assert_eq!(listener.code(), Some(0));
        }
        assert_eq!(self.program.code(), Some(0));
    }
}

fn port(ready: &Path, broker: &mut Child) -> String {
    let began = Instant::now();
    let ready = loop {
        if let Ok(json) = std::fs::read_to_string(ready) {
            break json;
        }
        assert_eq!(broker.try_wait().expect("a process"), None, "the broker ended");
        assert!(began.elapsed() < PATIENCE, "the broker is not ready");
        std::thread::sleep(Duration::from_millis(1));
    };
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
    let native = ready["native"][0].as_str().expect("an address");
    native.rsplit_once(':').expect("a port").1.to_owned()
}

#[test]
fn a_missing_python_is_named() {
    let error = Program::python("python3-that-is-not-there", "listener.py", &[]).err().expect("an error");
    assert!(error.ends_with("install it: apt-get install python3"), "{error}");
}

#[test]
fn two_listeners_on_a_queue_take_turns_from_the_newest() {
    let broker = Broker::start(&[]);
    let first = broker.listen("/queue/foo");
    let newest = broker.listen("/queue/foo");
    broker.send("/queue/foo", 10);
    assert_eq!(newest.numbers(5), [0, 2, 4, 6, 8]);
    assert_eq!(first.numbers(5), [1, 3, 5, 7, 9]);
    broker.stop(vec![first, newest]);
}

#[test]
fn a_late_listener_finds_what_waited_in_a_queue() {
    let broker = Broker::start(&[]);
    broker.send("/queue/foo", 25);
    let late = broker.python("listener.py", &["--listen", "/queue/foo"]);
    assert!(late.line().expect("a line").starts_with("Starting up "));
    assert!(late.line().expect("a line").starts_with("I am ('127.0.0.1', "));
    assert_eq!(late.numbers(25), (0..25).collect::<Vec<_>>());
    late.until("Subscribed.");
    broker.stop(vec![late]);
}
