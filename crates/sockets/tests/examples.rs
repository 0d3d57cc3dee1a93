//! The examples, as programs, among themselves and with their counterparts in pyzmq. They have fixed ports, and so take
//! turns.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace")
}

/// `cargo test` builds the examples beside the tests.
fn ours(name: &str, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().expect("a path");
    let mut command = Command::new(test.ancestors().nth(2).expect("the profile's folder").join("examples").join(name));
    command.args(arguments);
    command
}

fn python(name: &str) -> Command {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |target| root().join(target));
    let python: PathBuf = target.join("pyzmq/bin/python");
    let venv = target.join("pyzmq").display().to_string();
    assert!(
        python.exists(),
        "{} is missing; install it: apt-get install python3-venv && python3 -m venv {venv} && {venv}/bin/pip install pyzmq",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(format!("{}/tests/python/{name}.py", env!("CARGO_MANIFEST_DIR")));
    command
}

/// Numbers come over both, over PULL from 0 without a gap, over SUB without a gap from where it came in.
fn check(mut server: Command, mut poller: Command) {
    println!("{server:?} and {poller:?}");
    let _server = Program(server.spawn().expect("a server"));
    let mut child = poller.stdout(Stdio::piped()).spawn().expect("a poller");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let _poller = Program(child);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let (mut pulled, mut seen): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    while pulled.len() < 20 || seen.len() < 20 {
        let line = receiver.recv_timeout(DEADLINE).expect("a line, in time");
        match line.split_once(": ") {
            Some(("Via PULL", number)) => pulled.push(number.parse().expect("a number")),
            Some(("Via SUB", number)) => seen.push(number.parse().expect("a number")),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(pulled[..20], (0..20).collect::<Vec<_>>());
    assert_eq!(seen[..20], (seen[0]..seen[0] + 20).collect::<Vec<_>>());
}

#[test]
fn each_poller_works_with_each_server() {
    for poller in ["poller", "poller_threads"] {
        check(ours("poller_srv", &["0.01"]), ours(poller, &[]));
        check(python("poller_srv"), ours(poller, &[]));
    }
    check(ours("poller_srv", &["0.01"]), python("poller"));
}
