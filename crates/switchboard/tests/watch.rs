//! The whole of it: an agent, a monitor that is killed, and `top`.

mod common;

use common::{PATIENCE, Program, poll, switchboard};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

struct Monitor {
    program: Program,
    page: String,
    collect: String,
}

impl Monitor {
    /// At addresses of its own: no other test's connection can take the ports while it is away.
    fn start(directory: &Path, listen: &str, collect: &str) -> Monitor {
        let ready = directory.join("ready.json");
        let data = directory.join("data");
        let (ready_text, data) = (ready.to_str().expect("text"), data.to_str().expect("text"));
        let _ = std::fs::remove_file(&ready);
        let args = ["monitor", "--listen", listen, "--collect", collect, "--data", data, "--ready-file", ready_text];
        let mut program = Program::start(switchboard(&args).stderr(Stdio::inherit())).expect("the program starts");
        let said = poll("the monitor is ready", || {
            assert_eq!(program.child.try_wait().expect("a process"), None, "the monitor ended");
            std::fs::read_to_string(&ready).ok()
        });
        let said: Value = serde_json::from_str(&said).expect("JSON");
        let page = said["monitor"][0].as_str().expect("an address").to_owned();
        Monitor { program, page, collect: said["collect"].as_str().expect("an endpoint").to_owned() }
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.page).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.page).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    }

    fn until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(&format!("{name} is as wanted"), || {
            let known = self.get("/api/processes");
            let all = known["processes"].as_array()?;
            all.iter().find(|process| process["name"] == name && wanted(process)).cloned()
        })
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

#[test]
fn a_monitor_that_is_killed_has_what_an_agent_measured_meanwhile_when_it_is_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut monitor = Monitor::start(directory.path(), "127.29.29.29:0", "tcp://127.29.29.29:0");
    let (page, collect) = (monitor.page.clone(), monitor.collect.clone());
    let args = ["agent", "--server", &collect, "--instance", "kept", "--", "sh", "-c", "echo $$; read _; exit 5"];
    let mut agent = Program::start(switchboard(&args).stdin(Stdio::piped())).expect("the program starts");
    let process = monitor.until("kept", |process| process["state"] == "live");
    assert_eq!(process["pid"].to_string(), agent.line().expect("a line"), "it is the command's, not the agent's");

    monitor.program.signal("-KILL");
    monitor.program.end();
    let killed = now();
    {
        // The agent tries again and again, with pauses that grow: by the tenth time it has measured something.
        let nobody = TcpListener::bind(collect.trim_start_matches("tcp://")).expect("the port is free");
        (0..10).for_each(|_| drop(nobody.accept().expect("a connection")));
    }
    let back = now();
    let monitor = Monitor::start(directory.path(), &page, &collect);
    let process = monitor.until("kept", |process| process["last"].as_i64() > Some(back));
    let path = format!("/api/history?from={}&to={back}&points=1000&id={}", killed + 1000, process["id"]);
    // The last sample is known before the earlier ones are in the history.
    poll("what was measured meanwhile is there", || {
        let history = monitor.get(&path);
        let values = history["series"][0]["mem"].as_array()?;
        values.iter().any(|value| !value.is_null()).then_some(())
    });

    agent.resume();
    assert_eq!(agent.end().code(), Some(5));
    monitor.until("kept", |process| process["state"] == "gone" && process["ended"] == 5);
}

#[test]
fn top_is_a_screen_at_a_terminal_and_a_table_elsewhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let monitor = Monitor::start(directory.path(), "127.0.0.1:0", "tcp://127.0.0.1:0");
    let args = ["agent", "--server", &monitor.collect, "--instance", "watched", "--", "cat"];
    let _agent = Program::start(switchboard(&args).stdin(Stdio::piped())).expect("the program starts");
    monitor.until("watched", |process| process["state"] == "live");

    let output = switchboard(&["top", "--once", "--server", &monitor.page]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("NAME"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("watched") && line.contains("live")), "{text}");

    let table = Program::start(&mut switchboard(&["top", "--server", &monitor.page])).expect("the program starts");
    let heads = std::iter::from_fn(|| table.line()).filter(|line| line.starts_with("NAME"));
    assert_eq!(heads.take(2).count(), 2);
    table.lines.find(&["watched", "live"]);

    let program = env!("CARGO_BIN_EXE_switchboard");
    let line = ["watched", "quit", "memory", "--", program, "top", "--server", &monitor.page];
    let user = Program::python("python3", "top.py", &line).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(user.line().as_deref(), Some("Done: 0"));

    let json = switchboard(&["top", "--json", "--server", &format!("http://{}/", monitor.page)]).output().expect("run");
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let mut processes = json["processes"].as_array().into_iter().flatten();
    assert!(processes.any(|process| process["name"] == "watched"), "{json}");
}

#[test]
fn top_gives_the_terminal_back_whatever_ends_or_stops_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let monitor = Monitor::start(directory.path(), "127.0.0.1:0", "tcp://127.0.0.1:0");
    let args = ["agent", "--server", &monitor.collect, "--instance", "watched", "--", "cat"];
    let _agent = Program::start(switchboard(&args).stdin(Stdio::piped())).expect("the program starts");
    monitor.until("watched", |process| process["state"] == "live");
    let line = [env!("CARGO_BIN_EXE_switchboard"), "top", "--server", &monitor.page];
    let mut user = Program::python("python3", "top_signals.py", &line).unwrap_or_else(|error| panic!("{error}"));
    user.until("Done.");
    assert!(user.end().success());
}

#[test]
fn an_agent_of_a_command_that_ends_at_once_reports_no_use_that_nobody_had() {
    let directory = tempfile::tempdir().expect("a directory");
    let monitor = Monitor::start(directory.path(), "127.0.0.1:0", "tcp://127.0.0.1:0");
    let args = ["agent", "--server", &monitor.collect, "--linger", "20", "--instance", "short", "true"];
    let mut agent = Program::start(switchboard(&args).stdin(Stdio::piped())).expect("the program starts");
    let process = monitor.until("short", |process| process["ended"] == 0);
    assert_eq!(agent.end().code(), Some(0));
    // Some milliseconds of a second.
    assert!(process["cpu"].as_f64().is_some_and(|cpu| cpu < 20.0), "{process}");
}

#[test]
fn an_address_where_no_collector_is_says_so() {
    let broker = common::Broker::start(&[]);
    let to = format!("http://{}", broker.http);
    let output = switchboard(&["agent", "--server", &to, "true"]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains(&format!("1 report was not delivered to {to}: this is the broker's HTTP, no collector")),
        "{text}"
    );
    let output = switchboard(&["top", "--once", "--server", &to]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no monitor") && text.contains("broker"), "{text}");
}

#[test]
fn top_without_a_monitor_says_where_it_has_asked() {
    let output = switchboard(&["top", "--once", "--server", "127.0.0.1:1"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("cannot ask http://127.0.0.1:1") && text.contains("`switchboard monitor`"), "{text}");
    let output = switchboard(&["top", "--once", "--server", "ftp://x"]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("ftp://x") && text.contains("http://"), "{text}");
}
