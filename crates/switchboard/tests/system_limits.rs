//! Limits that the system sets a process: the size of a file, and the number of threads. None of them ends a service.

mod common;

use common::{BROKER_AND_MONITOR, Lines, Program, poll, switchboard};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The command under a limit that bash sets.
fn limited(ulimit: &str, program: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{ulimit} && exec \"$0\" \"$@\"")]);
    shell.arg(program.get_program()).args(program.get_args());
    shell
}

#[test]
fn a_command_names_the_limit_of_a_file_s_size_and_is_not_killed_by_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = std::fs::File::create(directory.path().join("settings")).expect("a file");
    let output = limited("ulimit -f 1", &switchboard(&["config"])).stdout(file).output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.to_lowercase().contains("file too large"), "{said}");
}

#[test]
fn a_command_of_the_agent_has_the_default_of_the_signal_of_large_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = format!("head -c 4096 /dev/zero > '{}/file'; echo $?", directory.path().display());
    let agent = ["agent", "-s", "tcp://127.0.0.1:1", "--linger", "0", "sh", "-c", &script];
    let output = limited("ulimit -f 1", &switchboard(&agent)).output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "153\n", "{output:?}");
}

/// The answer to a request, with its head.
fn ask(address: &str, method: &str, target: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("HTTP");
    stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
    let head = format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The broker and the monitor under limits.
struct Services {
    program: Program,
    log: Lines,
    ready: Value,
    _directory: tempfile::TempDir,
}

impl Services {
    fn start(ulimit: &str, settings: &[&str]) -> Services {
        let directory = tempfile::tempdir().expect("a directory");
        let ready = directory.path().join("ready.json");
        let mut up = switchboard(&["up", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--stomp", ""]);
        up.args(BROKER_AND_MONITOR).args(settings).arg("--ready-file").arg(&ready);
        up.args(["--set", "monitor.listen=127.0.0.1:0", "--collect", "tcp://127.0.0.1:0", "--data"]);
        let mut command = limited(ulimit, up.arg(directory.path().join("data")));
        let mut program = Program::start(command.stderr(Stdio::piped())).expect("it starts");
        let log = Lines::of(program.child.stderr.take().expect("a pipe"));
        let ready = poll("it is ready", || {
            let ended = program.child.try_wait().expect("a process");
            assert!(ended.is_none(), "it ended: {:?}", log.all());
            std::fs::read_to_string(&ready).ok()
        });
        Services { program, log, ready: serde_json::from_str(&ready).expect("JSON"), _directory: directory }
    }

    fn address(&self, service: &str) -> &str {
        self.ready[service][0].as_str().expect("an address")
    }
}

#[test]
fn a_history_that_reaches_the_limit_of_a_file_s_size_ends_no_service() {
    let services = Services::start("ulimit -f 16", &["--set", "monitor.flush=50ms"]);
    poll("the log names the limit", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        let sample = |number| json!({ "service": format!("service-{number}"), "timestamp": now, "cpu": 1, "mem": 2 });
        let samples = Value::from((0..200).map(sample).collect::<Vec<_>>()).to_string();
        let answer = ask(services.address("monitor"), "POST", "/api/samples", &samples);
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        services.log.all().iter().any(|line| line.contains("File too large")).then_some(())
    });
    let answer = ask(services.address("http"), "GET", "/readyz", "");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let mut program = services.program;
    assert!(program.child.try_wait().expect("a process").is_none());
}

/// A size of stacks for which no address space is left: no thread can be started, as at the limit of threads. That one does not
/// bind root.
fn without_threads(arguments: &[&str]) -> Command {
    let mut command = switchboard(arguments);
    command.env("RUST_MIN_STACK", (1_u64 << 50).to_string());
    command
}

#[test]
fn a_start_without_threads_is_refused_with_the_limit_s_name() {
    let services = [&["up"], &["broker"], &["monitor"]];
    let clients: [&[&str]; 8] = [
        &["status"],
        &["queues"],
        &["health"],
        &["send", "/queue/a", "b"],
        &["send", "/queue/a", "--stdin"],
        &["listen", "/queue/a"],
        &["top", "--once"],
        &["bench", "--seconds", "1"],
    ];
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in services.iter().map(|service| &service[..]).chain(clients) {
        let output = without_threads(arguments).env("SWITCHBOARD_DATA", directory.path()).output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("`ulimit -u`") && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_command_of_the_agent_runs_unwatched_where_no_thread_can_be_started() {
    let agent = ["agent", "-s", "tcp://127.0.0.1:1", "--linger", "0", "sh", "-c", "echo ran; exit 7"];
    let output = without_threads(&agent).output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"ran\n"[..]), "{said}");
    assert!(said.contains("the command was not watched: ") && said.contains("`ulimit -u`"), "{said}");
}

#[test]
fn services_go_on_where_no_further_thread_can_be_started() {
    let mut services = Services::start("true", &[]);
    let process = services.program.child.id().to_string();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("/proc");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    let size: u64 = size.expect("a size");
    // Less than the 2 MiB of a thread's stack are left.
    let limit = format!("--as={}:", (size << 10) + (1 << 20));
    let limited = Command::new("prlimit").args(["--pid", &process, &limit]).status();
    assert!(limited.expect("prlimit is missing; install it: apt-get install util-linux").success());
    for _ in 0..3 {
        let answer = ask(services.address("monitor"), "GET", "/api/history", "");
        assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("\r\n\r\n{"), "{answer}");
    }
    services.program.signal("-HUP");
    services.log.find(&["settings", "read"]);
    let answer = ask(services.address("http"), "GET", "/readyz", "");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(services.program.child.try_wait().expect("a process").is_none());
}
