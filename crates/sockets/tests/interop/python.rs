//! The other side: pyzmq in a process of its own.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Bound of every wait; only a failing test reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Python {
    child: Child,
    input: ChildStdin,
    answers: mpsc::Receiver<String>,
}

/// Returns the interpreter that `scripts/test` installs.
fn interpreter() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    target.join("pyzmq/bin/python")
}

impl Python {
    pub(crate) fn start() -> Python {
        let python = interpreter();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/peer.py");
        let child = Command::new(&python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            let venv = python.ancestors().nth(2).expect("a folder").display();
            panic!(
                "{}: {error}; install it: apt-get install python3-venv && python3 -m venv {venv} && {venv}/bin/pip install pyzmq",
                python.display()
            )
        });
        let input = child.stdin.take().expect("piped");
        let output: BufReader<ChildStdout> = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, answers) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(tell.send(line)));
        });
        Python { child, input, answers }
    }

    /// Gives an order, whose answer comes later.
    pub(crate) fn order(&mut self, order: &Value) {
        writeln!(self.input, "{order}").expect("python lives");
    }

    pub(crate) fn answer(&mut self) -> Value {
        let line = self.answers.recv_timeout(DEADLINE).expect("an answer of python, in time");
        serde_json::from_str(&line).expect("JSON")
    }

    pub(crate) fn ask(&mut self, order: &Value) -> Value {
        self.order(order);
        self.answer()
    }

    /// A socket, and where it is bound.
    pub(crate) fn open(&mut self, kind: &str, bind: bool, endpoint: &str, options: &Value) -> String {
        let order =
            json!({ "do": "open", "name": "it", "type": kind, "bind": bind, "endpoint": endpoint, "options": options });
        self.ask(&order)["endpoint"].as_str().expect("an endpoint").to_owned()
    }

    pub(crate) fn send(&mut self, first: u64, count: u64, size: usize, parts: usize) {
        self.ask(&json!({ "do": "send", "name": "it", "first": first, "count": count, "size": size, "parts": parts }));
    }

    /// Returns numbers, sizes and parts of `count` messages, or of fewer if nothing comes for the time `quiet`.
    pub(crate) fn receive(&mut self, count: u64, quiet: Duration) -> (Vec<u64>, Value, Value) {
        let answer =
            self.ask(&json!({ "do": "receive", "name": "it", "count": count, "timeout": quiet.as_millis() as u64 }));
        let numbers = answer["numbers"].as_array().expect("a list");
        let numbers = numbers.iter().map(|number| number.as_u64().expect("a number")).collect();
        (numbers, answer["sizes"].clone(), answer["parts"].clone())
    }

    /// Closes the socket. What it has sent is sent, or with `lose` not.
    pub(crate) fn close(&mut self, lose: bool) {
        self.ask(&json!({ "do": "close", "name": "it", "linger": if lose { 0 } else { -1 } }));
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
