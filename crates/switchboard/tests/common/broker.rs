use super::{Lines, PATIENCE, Program, default_signals, poll};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) fn switchboard(args: &[&str]) -> Command {
    default_signals();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(args).stdin(Stdio::null());
    command
}

/// A broker in a process of its own, whose log is read.
pub(crate) struct Broker {
    pub(crate) program: Program,
    pub(crate) log: Lines,
    /// Its addresses, that of the native protocol first.
    pub(crate) native: Vec<String>,
    pub(crate) http: String,
    _directory: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the broker's log:\n{}", self.log.all().join("\n"));
        }
    }
}

impl Broker {
    pub(crate) fn start(args: &[&str]) -> Broker {
        Broker::start_at("127.0.0.1:0", args)
    }

    pub(crate) fn start_at(address: &str, args: &[&str]) -> Broker {
        Broker::launch(&mut switchboard(&[&["broker", "--listen", address], args].concat()))
    }

    /// The command may wrap the broker, as long as it passes the further arguments on.
    pub(crate) fn launch(command: &mut Command) -> Broker {
        let directory = tempfile::tempdir().expect("a directory");
        let ready = directory.path().join("ready.json");
        command.args(["--http", "127.0.0.1:0", "--log", "info,switchboard_server=debug", "--ready-file"]).arg(&ready);
        let mut program = Program::start(command.stderr(Stdio::piped())).expect("the broker starts");
        let log = Lines::of(program.child.stderr.take().expect("a pipe"));
        let ready = poll("the broker is ready", || {
            if let Some(status) = program.child.try_wait().expect("a process") {
                panic!("the broker ended, {status}: {:?}", log.all());
            }
            std::fs::read_to_string(&ready).ok()
        });
        let ready: Value = serde_json::from_str(&ready).expect("JSON");
        let addresses = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().map(|address| address.as_str().expect("text").to_owned()).collect()
        };
        let (native, http) = (addresses(&ready["native"]), addresses(&ready["http"]).remove(0));
        Broker { program, log, native, http, _directory: directory }
    }

    fn host_and_port(&self) -> (&str, &str) {
        self.native[0].rsplit_once(':').expect("a port")
    }

    /// One of the program's own clients.
    pub(crate) fn client(&self, args: &[&str]) -> Command {
        switchboard(&[args, &["--server", &self.native[0]]].concat())
    }

    pub(crate) fn python(&self, script: &str, args: &[&str]) -> Program {
        let (host, port) = self.host_and_port();
        let args = [&["--host", host, "--port", port], args].concat();
        Program::python("python3", script, &args).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A listener in Python whose subscription is in force.
    pub(crate) fn listen(&self, channel: &str) -> Program {
        self.listen_as(&["--listen", channel])
    }

    pub(crate) fn listen_as(&self, args: &[&str]) -> Program {
        let listener = self.python("listener.py", args);
        listener.until("Subscribed.");
        listener
    }

    /// Returns when the server has dealt with all messages.
    pub(crate) fn send(&self, channel: &str, count: usize) {
        self.send_as(&["--channel", channel, "--count", &count.to_string()]);
    }

    pub(crate) fn send_as(&self, args: &[&str]) {
        let mut sender = self.python("sender.py", &[&["--interval", "0"], args].concat());
        sender.until("Connection ended.");
        assert_eq!(sender.end().code(), Some(0));
    }

    /// Ctrl-C: these listeners have got everything, so that all that they see is the end.
    pub(crate) fn stop(mut self, listeners: Vec<Program>) {
        self.program.signal("-INT");
        for mut listener in listeners {
            assert_eq!(listener.numbers_to_the_end(), Vec::<usize>::new());
        }
        assert_eq!(self.program.end().code(), Some(0));
    }

    pub(crate) fn status(&self) -> Value {
        let mut stream = TcpStream::connect(&self.http).expect("HTTP");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("GET /status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    pub(crate) fn status_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        poll(what, || Some(self.status()).filter(&is_so))
    }

    /// Bytes that are charged to the budget.
    pub(crate) fn memory(&self) -> u64 {
        self.status()["totals"]["memory"].as_u64().expect("a number")
    }

    /// Waits until only so many connections are left, and no more is charged than what they are subscribed to.
    pub(crate) fn settles_at(&self, connections: usize) {
        // A connection, and a subscription with its channel.
        let idle = connections as u64 * 7168;
        self.status_until(&format!("{connections} connections and nothing buffered"), |status| {
            let totals = &status["totals"];
            let is_idle = totals["memory"].as_u64().is_some_and(|memory| memory <= idle);
            totals["connections"] == connections && is_idle && totals["paused"] == 0
        });
    }
}

/// The entry of the one connection that listens to this.
pub(crate) fn listening<'a>(status: &'a Value, pattern: &str) -> &'a Value {
    let connections = status["connections"].as_array().expect("a list");
    let mut found = connections.iter().filter(|connection| connection["subscriptions"][0] == pattern);
    found.next().unwrap_or(&Value::Null)
}
