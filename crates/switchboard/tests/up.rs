//! `switchboard up` starts what can start.

mod common;

use common::{BROKER_AND_MONITOR, Lines, Program, poll, switchboard};
use serde_json::Value;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Up {
    program: Program,
    log: Lines,
    directory: TempDir,
}

impl Up {
    fn start(listen: &str, page: &str) -> Up {
        Up::start_with(listen, "", page)
    }

    fn start_with(listen: &str, http: &str, page: &str) -> Up {
        let directory = tempfile::tempdir().expect("a directory");
        let page = format!("monitor.listen={page}");
        let data = format!("data={}", directory.path().join("data").display());
        let mut command = switchboard(&["up", "--listen", listen, "--http", http, "--set", &page, "--set", &data]);
        command.args(BROKER_AND_MONITOR).args(["--collect", "tcp://127.0.0.1:0", "--ready-file"]);
        command.arg(ready_file(directory.path())).stderr(Stdio::piped());
        let mut program = Program::start(&mut command).expect("it starts");
        let log = Lines::of(program.child.stderr.take().expect("a pipe"));
        Up { program, log, directory }
    }

    /// The ready file, as soon as it is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(what, || {
            let text = std::fs::read_to_string(ready_file(self.directory.path())).ok()?;
            Some(serde_json::from_str(&text).expect("JSON")).filter(&wanted)
        })
    }

    fn stop(mut self) {
        self.program.signal("-TERM");
        assert_eq!(self.program.end().code(), Some(0), "{:?}", self.log.all());
        assert!(!ready_file(self.directory.path()).exists(), "it says that something listens");
    }
}

fn ready_file(directory: &Path) -> std::path::PathBuf {
    directory.join("ready.json")
}

/// An address that another program listens at.
fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

#[test]
fn a_monitor_that_cannot_start_stops_no_broker_and_is_tried_again() {
    let (other, address) = taken();
    let up = Up::start("127.0.0.1:0", &address);
    let ready = up.until("the broker runs", |_| true);
    assert!(ready["native"][0].is_string(), "{ready}");
    let reason = ready["down"]["monitor"].as_str().expect("a reason");
    assert!(reason.contains("another program listens there"), "{reason}");
    up.program.until_contains("monitor DOES NOT RUN");
    up.log.find(&["ERROR", "monitor does not run, and is tried again: ", "another program listens there"]);
    drop(other);
    let ready = up.until("the monitor runs", |ready| ready["monitor"][0].is_string());
    assert!(ready["down"].is_null(), "{ready}");
    up.stop();
}

#[test]
fn another_reason_of_a_service_that_is_down_is_told_everywhere_but_in_a_second_banner() {
    let (other, address) = taken();
    let up = Up::start_with("127.0.0.1:0", "127.0.0.1:0", &address);
    let ready = up.until("the broker runs", |_| true);
    let http = ready["http"][0].as_str().expect("an address").to_owned();
    // A file stands where the monitor's folder is to be.
    let folder = up.directory.path().join("data/monitor");
    std::fs::remove_dir_all(&folder).expect("the folder of its data");
    std::fs::write(&folder, "").expect("written");
    drop(other);
    let is_new = |text: &str| text.contains("data/monitor") && !text.contains("another program listens there");
    up.until("there is another reason", |ready| ready["down"]["monitor"].as_str().is_some_and(is_new));
    let of_status = poll("the status has it", || {
        let output = switchboard(&["status", "-s", &http]).output().expect("an end");
        Some(String::from_utf8_lossy(&output.stdout).into_owned()).filter(|text| is_new(text))
    });
    assert!(of_status.contains("monitor"), "{of_status}");
    let line = up.log.find(&["ERROR", "monitor does not run: ", "data/monitor"]);
    std::fs::remove_file(&folder).expect("removed");
    up.until("the monitor runs", |ready| ready["monitor"][0].is_string() && ready["down"].is_null());
    assert_eq!(up.log.all().iter().filter(|other| other.contains("monitor does not run: ")).count(), 1, "{line}");
    up.program.until_contains("monitor, page");
    let banners = up.program.lines.all();
    assert_eq!(banners.iter().filter(|line| line.contains("monitor DOES NOT RUN")).count(), 1, "{banners:?}");
    up.stop();
}

#[test]
fn a_service_that_runs_without_its_database_or_browser_says_so_everywhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = switchboard(&["up", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--stomp", ""]);
    for set in [
        "monitor.listen=",
        "news.listen=",
        "rows.listen=127.0.0.1:0",
        "rows.database=postgres://u@127.0.0.1:1/x",
        "render.listen=127.0.0.1:0",
        "render.program=nosuchchrome",
    ] {
        command.args(["--set", set]);
    }
    command.arg("--data").arg(directory.path().join("data")).arg("--ready-file").arg(ready_file(directory.path()));
    let mut program = Program::start(command.stderr(Stdio::piped())).expect("it starts");
    let log = Lines::of(program.child.stderr.take().expect("a pipe"));
    let up = Up { program, log, directory };
    let ready = up.until("both are degraded", |ready| ready["degraded"].as_object().is_some_and(|all| all.len() == 2));
    let (rows, render) = (&ready["degraded"]["rows"], &ready["degraded"]["render"]);
    assert!(
        rows["lacks"] == "database" && rows["reason"].as_str().is_some_and(|why| why.contains("127.0.0.1:1")),
        "{ready}"
    );
    assert!(render["reason"].as_str().is_some_and(|why| why.contains("nosuchchrome")), "{ready}");
    up.program.until_contains("rows RUNS WITHOUT DATABASE: ");
    up.program.until_contains("render RUNS WITHOUT BROWSER: cannot start Chromium: there is no nosuchchrome");
    let ask = |args: &[&str]| {
        let output = switchboard(args).output().expect("an end");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let address = |name: &str| ready[name][0].as_str().expect("an address").to_owned();
    let (code, status) = ask(&["status", "-s", &address("http")]);
    assert_eq!(code, Some(0));
    assert!(status.contains("The service rows runs without database: the database is not available"), "{status}");
    assert!(status.contains("The service render runs without browser: "), "{status}");
    for (name, part) in [("rows", "database: down"), ("render", "browser: missing")] {
        let health = ask(&["health", "-s", &address(name)]);
        assert_eq!(health, (Some(0), format!("ok, but not ready: {part}\n")));
    }
    assert_eq!(ask(&["health", "-s", &address("http")]), (Some(0), "ok\n".to_owned()));
    up.stop();
}

#[test]
fn a_broker_that_cannot_start_stops_no_monitor_and_is_tried_again() {
    let (other, address) = taken();
    let up = Up::start(&address, "127.0.0.1:0");
    let ready = up.until("the monitor runs", |_| true);
    assert!(ready["monitor"][0].is_string(), "{ready}");
    let collect = ready["collect"].as_str().expect("an endpoint");
    assert!(collect.starts_with("tcp://127.0.0.1:") && !collect.ends_with(":5555"), "--collect is obeyed: {ready}");
    assert!(ready["down"]["broker"].is_string(), "{ready}");
    drop(other);
    up.until("the broker runs", |ready| ready["native"][0] == address.as_str());
    up.stop();
}

/// The addresses that the ready file or a status names as missing.
fn missing(told: &Value) -> Vec<(&str, &str)> {
    let all = told["missing"].as_array().into_iter().flatten();
    all.map(|one| (one["protocol"].as_str().expect("text"), one["address"].as_str().expect("text"))).collect()
}

#[test]
fn a_broker_runs_without_addresses_that_others_have_says_so_and_takes_them_as_soon_as_they_are_free() {
    let ((one, native), (two, http), (three, stomp)) = (taken(), taken(), taken());
    let free = "127.0.0.3:0";
    let listen = format!("{free},{native}");
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = switchboard(&["broker", "--listen", &listen, "--http", &format!("127.0.0.2:0,{http}")]);
    command.args(["--stomp", &stomp, "--ready-file"]).arg(ready_file(directory.path())).stderr(Stdio::piped());
    let mut program = Program::start(&mut command).expect("it starts");
    let log = Lines::of(program.child.stderr.take().expect("a pipe"));
    let up = Up { program, log, directory };
    let ready = up.until("it runs", |_| true);
    let mut known = missing(&ready);
    known.sort_unstable();
    assert_eq!(known, [("http", &*http), ("native", &*native), ("stomp", &*stomp)]);
    let reason = ready["missing"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("another program listens there") && reason.contains("HOST:PORT"), "{reason}");
    assert!(ready["degraded"].is_null() && ready["down"].is_null(), "{ready}");
    let page = ready["http"][0].as_str().expect("an address");
    let lines = [("native", &native), ("http", &http), ("stomp", &stomp)];
    for (protocol, address) in lines {
        up.program
            .until_contains(&format!("broker DOES NOT LISTEN ON {address} ({protocol}), and tries again: another"));
        up.log.find(&["ERROR", "broker does not listen on", address, protocol, "another program listens there"]);
    }
    let status = switchboard(&["status", "-s", page]).output().expect("an end");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains(&format!("The service broker does not listen on {stomp} (stomp)")), "{status}");
    let probe = http_get(page, "/readyz");
    assert!(probe.starts_with("HTTP/1.1 200"), "{probe}");
    assert!(probe.contains(&format!("broker: not listening on {http} (http), tried again: another")), "{probe}");
    drop((one, two, three));
    let ready = up.until("nothing is missing", |ready| ready["missing"].is_null());
    for (list, address) in lines {
        assert!(ready[list].as_array().expect("a list").contains(&address.as_str().into()), "{ready}");
        up.program.until_contains(&format!("broker listens on {address} now ({list})"));
    }
    assert!(http_get(&http, "/healthz").contains(" 200 "), "the page is at the late address");
    let sent = switchboard(&["send", "-s", &native, "/topic/a", "x"]).output().expect("an end");
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    up.stop();
}

#[test]
fn a_monitor_runs_without_its_collector_and_takes_the_endpoint_as_soon_as_it_is_free() {
    let (other, address) = taken();
    let directory = tempfile::tempdir().expect("a directory");
    let endpoint = format!("tcp://{address}");
    let mut command = switchboard(&["monitor", "--listen", "127.0.0.1:0", "--collect", &endpoint, "--ready-file"]);
    command.arg(ready_file(directory.path())).arg("--data").arg(directory.path().join("data")).stderr(Stdio::piped());
    let mut program = Program::start(&mut command).expect("it starts");
    let log = Lines::of(program.child.stderr.take().expect("a pipe"));
    let up = Up { program, log, directory };
    let ready = up.until("it runs", |_| true);
    assert_eq!(missing(&ready), [("collect", &*endpoint)]);
    up.program
        .until_contains(&format!("monitor DOES NOT LISTEN ON {endpoint} (collect), and tries again: another program"));
    drop(other);
    let ready = up.until("it collects", |ready| ready["missing"].is_null());
    assert_eq!(ready["collect"], endpoint.as_str());
    up.stop();
}

fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_broker_answers_and_stops_while_another_service_takes_long_to_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    // News sweeps what Chromiums have left, one directory after the other, and looks through all processes for each: that takes
    // many times as long as a message. As root it is swept where others can enter alone.
    for left in 0..20_000 {
        let left = data.join(format!("render/child-{left}"));
        std::fs::create_dir_all(&left).expect("a directory");
        std::fs::write(left.join("lock"), "").expect("a file");
    }
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("ours");
    let address = taken().1;
    let mut command = switchboard(&["up", "--listen", &address, "--http", "", "--set", "monitor.listen=127.0.0.1:0"]);
    command.args(BROKER_AND_MONITOR).args(["--set", "monitor.collect=tcp://127.0.0.1:0"]);
    command.args(["--set", "news.listen=127.0.0.1:0", "--data"]);
    command.arg(&data).arg("--ready-file").arg(ready_file(directory.path())).stderr(Stdio::piped());
    let mut program = Program::start(&mut command).expect("it starts");
    let log = Lines::of(program.child.stderr.take().expect("a pipe"));
    let sent = poll("the broker listens", || {
        let mut sender = Command::new("timeout");
        sender.arg("25").arg(env!("CARGO_BIN_EXE_switchboard")).args(["send", "-s", &address, "/queue/a", "hello"]);
        let output = sender.output().expect("timeout");
        // Nobody listens there yet.
        (!String::from_utf8_lossy(&output.stderr).contains("refused")).then_some(output)
    });
    assert!(sent.status.success(), "{sent:?}");
    assert!(!ready_file(directory.path()).exists(), "news has not begun");
    Up { program, log, directory }.stop();
}

#[test]
fn a_stop_does_not_wait_for_what_cannot_start() {
    let (_other, address) = taken();
    let up = Up::start("127.0.0.1:0", &address);
    up.until("the broker runs", |_| true);
    up.stop();
}

#[test]
fn where_nothing_can_start_it_ends_and_says_why() {
    let ((_one, first), (_other, second)) = (taken(), taken());
    let mut up = Up::start(&first, &second);
    assert_eq!(up.program.end().code(), Some(1));
    up.log.find(&["broker: cannot listen on", &first]);
    up.log.find(&["monitor: cannot listen on", &second]);
}

#[test]
fn without_an_address_of_the_broker_the_others_run_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let ready = ready_file(directory.path());
    let mut command = switchboard(&["up", "--listen", "", "--set", "monitor.listen=127.0.0.1:0", "--ready-file"]);
    command.arg(&ready).args(BROKER_AND_MONITOR).args(["--set", "monitor.collect="]);
    command.arg("--data").arg(directory.path().join("data")).stderr(Stdio::piped());
    let mut program = Program::start(&mut command).expect("it starts");
    let log = Lines::of(program.child.stderr.take().expect("a pipe"));
    let text = poll("it is ready", || std::fs::read_to_string(&ready).ok());
    let told: Value = serde_json::from_str(&text).expect("JSON");
    for broker in ["native", "http"] {
        assert_eq!(told[broker], serde_json::json!([]), "{told}");
    }
    assert!(told["stomp"].is_null() && told["down"].is_null() && told["monitor"][0].is_string(), "{told}");
    program.signal("-TERM");
    assert_eq!(program.end().code(), Some(0));
    // It looks for no broker, and nothing was set in vain.
    assert!(log.all().iter().all(|line| !line.contains("WARN") && !line.contains("ERROR")), "{:?}", log.all());
}

#[test]
fn where_nothing_is_to_be_started_the_command_line_is_wrong() {
    for args in [&["broker", "--listen", ""][..], &["up", "--listen", "", "--set", "monitor.listen="]] {
        let output = switchboard(args).args(BROKER_AND_MONITOR).output().expect("an end");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("`listen` is empty, and must be at least one HOST:PORT"), "{error}");
    }
    // STOMP alone is no broker: each speaks the native protocol.
    let output = switchboard(&["up", "--listen", "", "--stomp", "127.0.0.1:0"]).output().expect("an end");
    assert_eq!(output.status.code(), Some(2));
}
