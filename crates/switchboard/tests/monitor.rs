//! The monitor as a process: what it prints, what it survives.

mod common;

use common::{BROKER_AND_MONITOR, Lines, PATIENCE, Program, poll, switchboard};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

struct Monitor {
    program: Program,
    _log: Lines,
    http: String,
}

impl Monitor {
    fn start(command: &str, data: &Path, args: &[&str]) -> Monitor {
        let ready = data.with_extension("ready");
        // One that was killed has left it.
        let _ = std::fs::remove_file(&ready);
        let data = format!("data={}", data.display());
        let settings = ["--set", &data, "--set", "monitor.collect=tcp://127.0.0.1:0", "--set"];
        let mut command = switchboard(&[&[command], args, &settings, &["monitor.listen=127.0.0.1:0"]].concat());
        command.arg("--ready-file").arg(&ready).stderr(Stdio::piped());
        let mut program = Program::start(&mut command).expect("it starts");
        let log = Lines::of(program.child.stderr.take().expect("a pipe"));
        let ready = poll("the monitor is ready", || {
            let ended = program.child.try_wait().expect("a process");
            assert!(ended.is_none(), "it ended: {:?}", log.all());
            std::fs::read_to_string(&ready).ok()
        });
        let ready: Value = serde_json::from_str(&ready).expect("JSON");
        let http = ready["monitor"][0].as_str().expect("an address").to_owned();
        Monitor { program, _log: log, http }
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.http).expect("HTTP");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.0 200"), "{answer}");
        serde_json::from_str(body).expect("JSON")
    }

    /// Returns the number of known seconds of the first series.
    fn known(&self, id: u32) -> usize {
        let now = now();
        let target = format!("/api/history?from={}&to={now}&points=100000&id={id}", now - 3_600_000);
        let history = self.ask("GET", &target, "");
        let cpu = history["series"][0]["cpu"].as_array().cloned().unwrap_or_default();
        cpu.iter().filter(|cpu| !cpu.is_null()).count()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// A sample of each of these seconds, the last of them now.
fn seconds(count: u64, color: &str) -> String {
    let now = now();
    let sample = |ago| json!({ "color": color, "timestamp": now - ago * 1000, "cpu": ago % 7, "mem": 10 }).to_string();
    (0..count).rev().map(|ago| sample(ago) + "\n").collect()
}

#[test]
fn what_was_collected_outlives_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    for round in 1..=3 {
        let mut monitor = Monitor::start("monitor", &data, &["--set", "monitor.flush=50ms"]);
        // All that the rounds before had is there, and is one line each.
        let processes = monitor.ask("GET", "/api/processes", "");
        let colors = processes["processes"].as_array().expect("a list");
        assert_eq!(colors.iter().filter(|process| process["service"].is_null()).count(), round - 1);
        for (at, process) in colors.iter().filter(|process| process["service"].is_null()).enumerate() {
            assert_eq!(process["name"], format!("color {}", at + 1));
            assert_eq!(monitor.known(process["id"].as_u64().expect("a number") as u32), 1000);
        }
        let before = monitor.ask("GET", "/api/self", "")["disk_bytes"].as_u64().expect("a number");
        let taken = monitor.ask("POST", "/api/samples", &seconds(1000, &format!("color {round}")));
        assert_eq!(taken["accepted"], 1000);
        // A flush may come in the middle: the journal has all of it when it has grown, and some flushes later no further.
        let mut seen = (before, Instant::now());
        poll("the journal is written", || {
            let bytes = monitor.ask("GET", "/api/self", "")["disk_bytes"].as_u64().expect("a number");
            if bytes != seen.0 {
                seen = (bytes, Instant::now());
            }
            (bytes >= before + 4000 && seen.1.elapsed() > Duration::from_millis(500)).then_some(())
        });
        monitor.program.child.kill().expect("killed");
        monitor.program.end();
    }
    let monitor = Monitor::start("monitor", &data, &[]);
    let own = monitor.ask("GET", "/api/self", "");
    assert_eq!((&own["history_damaged"], &own["dropped"]), (&json!(0), &json!(0)));
}

#[test]
fn up_shows_a_line_that_moves_and_passes_on_what_the_broker_has() {
    let directory = tempfile::tempdir().expect("a directory");
    let args = [&["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"][..], &BROKER_AND_MONITOR].concat();
    let mut monitor = Monitor::start("up", &directory.path().join("data"), &args);
    let banner = monitor.program.lines.find(&["native protocol"]);
    let address = banner.rsplit_once(' ').expect("an address").1.to_owned();
    assert!(monitor.program.lines.find(&["monitor, page"]).contains(&monitor.http));
    let last = |processes: &Value| processes["processes"][0]["last"].as_u64();
    let processes = poll("it reports itself", || {
        let processes = monitor.ask("GET", "/api/processes", "");
        last(&processes).is_some().then_some(processes)
    });
    assert_eq!(processes["processes"][0]["name"], "switchboard");
    poll("the line moves", || (last(&monitor.ask("GET", "/api/processes", "")) > last(&processes)).then_some(()));
    let sample = seconds(1, "teal");
    poll("the sample is there", || {
        // A topic has no memory, and the monitor subscribes when it comes to it.
        let mut send = switchboard(&["send", "/topic/metrics", sample.trim(), "--server", &address]);
        assert!(send.status().expect("it runs").success());
        let processes = monitor.ask("GET", "/api/processes", "");
        processes["processes"].as_array()?.iter().any(|process| process["color"] == "teal").then_some(())
    });
    monitor.program.signal("-INT");
    assert_eq!(monitor.program.end().code(), Some(0));
}

#[test]
fn an_open_page_and_a_stalled_one_delay_no_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut monitor = Monitor::start("monitor", &directory.path().join("data"), &[]);
    let mut page = TcpStream::connect(&monitor.http).expect("HTTP");
    page.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    page.write_all(b"GET /feed HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("written");
    let mut first = [0; 1];
    page.read_exact(&mut first).expect("an answer");
    monitor.program.signal("-TERM");
    assert_eq!(monitor.program.end().code(), Some(0));
}

#[test]
fn top_prints_tables_on_a_terminal_whose_cursor_cannot_be_moved() {
    let directory = tempfile::tempdir().expect("a directory");
    let monitor = Monitor::start("monitor", &directory.path().join("data"), &[]);
    for term in ["TERM=dumb", "TERM="] {
        let command = ["env", term, env!("CARGO_BIN_EXE_switchboard"), "top", "-s", &monitor.http];
        let mut top = Program::python("python3", "terminal.py", &command).expect("a terminal");
        let mut tables = 0;
        while tables < 2 {
            let line = top.line().expect("a line");
            assert!(!line.contains('\x1b'), "{line:?}");
            tables += usize::from(line.starts_with("NAME"));
        }
        top.resume();
        top.until_contains("Exit code: ");
        top.end();
    }
}

#[test]
fn a_directory_that_is_in_use_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let _first = Monitor::start("monitor", &data, &[]);
    let path = data.display().to_string();
    let args = ["monitor", "--data", &path, "--listen", "127.0.0.1:0", "--collect", ""];
    let second = switchboard(&args).output().expect("it runs");
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains(&path) && error.contains("another Switchboard") && error.lines().count() == 1, "{error}");
    assert_eq!(second.status.code(), Some(1));
}

#[test]
fn the_settings_of_the_monitor_are_shown() {
    let shown = switchboard(&["config", "--set", "monitor.keep=30d"]).output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("[monitor]") && shown.contains("\nkeep = \"30d\"\n"), "{shown}");
}
