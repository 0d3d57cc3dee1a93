//! The program as its users meet it: run as a process.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn switchboard(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(args).stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    switchboard(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Broker {
    process: Running,
    port: String,
    http: String,
}

impl Broker {
    fn start(directory: &Path) -> Broker {
        let ready = directory.join("ready.json");
        let args = ["broker", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log", "warn", "--ready-file"];
        let process = switchboard(&args).arg(&ready).stdout(Stdio::null()).spawn().expect("the broker starts");
        let mut process = Running(process);
        let began = Instant::now();
        let ready = loop {
            if let Ok(json) = std::fs::read_to_string(&ready) {
                break json;
            }
            assert_eq!(process.0.try_wait().expect("a process"), None, "the broker ended");
            assert!(began.elapsed() < Duration::from_secs(30), "the broker is not ready");
            std::thread::sleep(Duration::from_millis(5));
        };
        let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
        let native = ready["native"][0].as_str().expect("an address");
        let http = ready["http"][0].as_str().expect("an address").to_owned();
        let port = native.rsplit_once(':').expect("a port").1.to_owned();
        Broker { process, port, http }
    }

    fn client<'a>(&'a self, args: &[&'a str]) -> Command {
        let mut command = switchboard(args);
        command.args(["--host", "127.0.0.1", "--port", &self.port]);
        command
    }

    /// A listener whose subscription is in force.
    fn listen(&self, args: &[&str]) -> Running {
        let args: Vec<&str> = ["listen"].iter().chain(args).copied().collect();
        let mut command = self.client(&args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a listener");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert!(line.starts_with("Listening on "), "{line}");
        Running(child)
    }
}

fn received(mut listener: Running) -> String {
    let printed = std::io::read_to_string(listener.0.stdout.take().expect("a pipe")).expect("text");
    assert!(listener.0.wait().expect("an end").success());
    printed
}

#[test]
fn help_has_examples() {
    let help = output(&["--help"]);
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("switchboard listen /topic/news"));
    assert_eq!(output(&["lisen"]).status.code(), Some(2));
    assert!(text(&output(&["completions", "bash"]).stdout).contains("switchboard"));
}

#[test]
fn the_printed_config_is_a_config() {
    let first = output(&["config", "--set", "outbox=3MiB", "--memory", "1GiB", "--channel", "/topic/a,policy=block"]);
    assert!(first.status.success());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("switchboard.toml");
    std::fs::write(&path, &first.stdout).expect("a file");
    let second = output(&["config", "--config", path.to_str().expect("text")]);
    assert_eq!(text(&first.stdout), text(&second.stdout));
    assert!(text(&second.stdout).contains("\noutbox = \"3MiB\"\n"));
}

#[test]
fn a_bad_config_is_one_clear_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    std::fs::write(&path, "[broker]\noutbocks = 5\n").expect("a file");
    let bad = output(&["up", "--config", path.to_str().expect("text")]);
    assert_eq!(bad.status.code(), Some(1));
    let error = text(&bad.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("bad.toml") && error.contains("`outbocks`") && error.contains("`outbox`"), "{error}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let refused = output(&["broker", "--listen", &address, "--http", "127.0.0.1:0", "--log", "off"]);
    assert_eq!(refused.status.code(), Some(1));
    let error = text(&refused.stderr);
    assert!(error.contains(&address), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn messages_go_from_send_to_listen() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Broker::start(directory.path());

    let listener = broker.listen(&["/topic/a", "--count", "2"]);
    let json = broker.listen(&["/topic/a", "--count", "2", "--json"]);
    for message in ["hello", "two words"] {
        assert!(broker.client(&["send", "/topic/a", message]).status().expect("an end").success());
    }
    assert_eq!(received(listener), "hello\ntwo words\n");
    assert_eq!(
        received(json),
        "{\"channel\":\"/topic/a\",\"data\":\"hello\"}\n{\"channel\":\"/topic/a\",\"data\":\"two words\"}\n"
    );

    // Nobody listens to the queue yet: that it is all there afterwards is what `send` has confirmed.
    let mut send = broker.client(&["send", "/queue/jobs", "--stdin", "--json"]);
    let mut send = send.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a sender");
    send.stdin.take().expect("a pipe").write_all(b"one\n\nthree").expect("written");
    let sent = send.wait_with_output().expect("an end");
    assert_eq!(text(&sent.stdout), "{\"channel\":\"/queue/jobs\",\"sent\":3}\n");
    let listener = broker.client(&["listen", "/queue/jobs", "--count", "3"]).output().expect("an end");
    assert_eq!(text(&listener.stdout), "one\n\nthree\n");

    let listener = broker.listen(&["/topic/b", "--count", "3"]);
    let sender = broker.client(&["send", "/topic/b", "--count", "3", "--interval", "0"]).status();
    assert!(sender.expect("an end").success());
    let printed = received(listener);
    let lines: Vec<&str> = printed.lines().collect();
    let me = lines[0].strip_prefix("Msg 0 from ").expect("the first message");
    assert_eq!(me.len(), 8);
    assert_eq!(lines[2], format!("Msg 2 from {me}"));
}

#[test]
fn the_broker_is_administered_over_http() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Broker::start(directory.path());
    assert!(broker.client(&["send", "/queue/a b", "x"]).status().expect("an end").success());
    let status = output(&["status", "--http", &broker.http]);
    assert!(text(&status.stdout).contains("/queue/a b"), "{status:?}");
    let status = output(&["status", "--json", "--http", &broker.http]);
    serde_json::from_slice::<serde_json::Value>(&status.stdout).expect("JSON");
    let purge = output(&["purge", "/queue/a b", "--http", &broker.http]);
    assert!(purge.status.success(), "{purge:?}");
    assert_eq!(output(&["kick", "999999", "--http", &broker.http]).status.code(), Some(1));
}

#[test]
fn clients_fail_and_end_quietly() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let refused = output(&["send", "/topic/a", "x", "--once", "--host", "127.0.0.1", "--port", &free.to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stderr).lines().count(), 1);

    let directory = tempfile::tempdir().expect("a directory");
    let broker = Broker::start(directory.path());
    let mut listener = broker.listen(&["/topic/a"]);
    drop(listener.0.stdout.take());
    assert!(broker.client(&["send", "/topic/a", "x"]).status().expect("an end").success());
    assert!(listener.0.wait().expect("an end").success());
}

#[test]
fn sigterm_ends_the_broker_in_good_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut broker = Broker::start(directory.path());
    let listener = broker.listen(&["/topic/a", "--once"]);
    let id = broker.process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    assert_eq!(broker.process.0.wait().expect("an end").code(), Some(0));
    assert_eq!(received(listener), "");
}

#[test]
fn a_second_signal_ends_the_broker_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let ready = directory.path().join("ready.json");
    let args = ["--listen", "127.0.0.1:0", "--http", "", "--drain", "1h", "--channel", "/topic/slow,policy=block"];
    let mut command = switchboard(&args);
    command.arg("--ready-file").arg(&ready).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut broker = Running(command.spawn().expect("the broker starts"));
    let mut banner = BufReader::new(broker.0.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("native protocol") {
        line.clear();
        assert_ne!(banner.read_line(&mut line).expect("a line"), 0);
    }
    assert!(!line.contains("127.0.0.1:0"), "{line}");
    // A client that keeps the drain waiting: more is queued for it than the sockets hold.
    let port = line.trim().rsplit_once(':').expect("a port").1.to_owned();
    let mut stalled = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
    let name = b"/queue/stalled";
    let mut frames = [&(name.len() as u32).to_be_bytes()[..], name].concat();
    stalled.write_all(&frames).expect("written");
    frames.extend_from_slice(&(12u32 << 20).to_be_bytes());
    frames.resize(frames.len() + (12 << 20), b'x');
    stalled.write_all(&frames).expect("written");

    let pid = broker.0.id().to_string();
    let interrupt = || Command::new("kill").args(["-INT", &pid]).status().expect("kill").success();
    assert!(interrupt());
    let mut log = BufReader::new(broker.0.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("Stopping: connections have 3600s") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0);
    }
    assert!(interrupt());
    assert_eq!(broker.0.wait().expect("an end").code(), Some(130));
    drop(stalled);
}

#[test]
fn a_bench_delivers_everything_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Broker::start(directory.path());
    let load = ["bench", "--seconds", "0.2", "--rate", "2000", "--publishers", "2", "--subscribers", "3", "--json"];
    for (queue, copies) in [(&[][..], 3), (&["--queue"][..], 1)] {
        let done = broker.client(&[&load[..], queue].concat()).output().expect("an end");
        assert!(done.status.success(), "{}", text(&done.stderr));
        let found: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(found["published"], 400, "{found}");
        assert_eq!(found["delivered"], 400 * copies, "{found}");
        assert_eq!((&found["lost"], &found["doubled"], &found["out_of_order"]), (&0.into(), &0.into(), &0.into()));
    }
}
